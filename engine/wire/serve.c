#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <libssh2.h>
#include <openssl/crypto.h>

#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/random.h"
#include "wire.h"
#include "wire/contact.h"
#include "wire/frame.h"
#include "wire/hasher.h"
#include "wire/sandbox.h"
#include "wire/script.h"
#include "wire/spawn.h"
#include "wire/turn.h"

/* Three secrets a job, and thousands of jobs. */
#define SECRET_HEAP_SIZE (4u * 1024 * 1024)

/* Of the core's frames: before all work. */
#define STREAM_PRIORITY 0

/* The scripts of a snapshot. One that was replaced stays until the last job has ended. */
struct snapshot {
	TAILQ_ENTRY(snapshot) entry;
	uint32_t number;
	struct scripts *scripts;
	size_t users;
	bool dropped;
};

struct server {
	struct loop *loop;
	struct frames *frames;
	struct table contacts;
	struct contact_config shared;
	TAILQ_HEAD(, snapshot) snapshots; /* the oldest first */
	bool started;
	bool swappable; /* secrets may reach the swap */
};

/* ── Scripts ─────────────────────────────────────────────────────────────────────────────── */

static void snapshot_free(struct server *server, struct snapshot *snapshot)
{
	TAILQ_REMOVE(&server->snapshots, snapshot, entry);
	scripts_free(snapshot->scripts);
	free(snapshot);
}

static void snapshot_drop(struct server *server, struct snapshot *snapshot)
{
	snapshot->dropped = true;
	if (snapshot->users == 0)
		snapshot_free(server, snapshot);
}

/* As the core keeps them: what has the same number is replaced, and the oldest makes room. */
static void snapshots_make_room(struct server *server, uint32_t number)
{
	struct snapshot *snapshot, *next, *oldest = NULL;
	size_t count = 0;

	for (snapshot = TAILQ_FIRST(&server->snapshots); snapshot != NULL; snapshot = next) {
		next = TAILQ_NEXT(snapshot, entry);
		if (snapshot->dropped)
			continue;
		if (snapshot->number == number) {
			snapshot_drop(server, snapshot);
			continue;
		}
		if (oldest == NULL)
			oldest = snapshot;
		count++;
	}
	if (count >= WIRE_SNAPSHOTS_MAX)
		snapshot_drop(server, oldest);
}

static enum err server_load(struct server *server, const struct message *message)
{
	struct scripts *scripts;
	struct snapshot *snapshot;
	struct error error = {.code = ERR_OK};
	enum err err = scripts_new(&scripts, message->scripts, message->script_count, &error);

	error.code = err;
	message_put_ready(frames_out(server->frames), &error);
	frames_send(server->frames);
	if (err != ERR_OK)
		return ERR_OK;
	snapshots_make_room(server, message->snapshot);
	snapshot = xcalloc(1, sizeof(*snapshot));
	snapshot->number = message->snapshot;
	snapshot->scripts = scripts;
	TAILQ_INSERT_TAIL(&server->snapshots, snapshot, entry);
	return ERR_OK;
}

static struct scripts *server_scripts(void *arg, uint32_t number)
{
	struct server *server = arg;
	struct snapshot *snapshot;

	TAILQ_FOREACH (snapshot, &server->snapshots, entry) {
		if (snapshot->dropped || snapshot->number != number)
			continue;
		snapshot->users++;
		return snapshot->scripts;
	}
	return NULL;
}

static void server_scripts_done(void *arg, struct scripts *scripts)
{
	struct server *server = arg;
	struct snapshot *snapshot = TAILQ_FIRST(&server->snapshots);

	while (snapshot->scripts != scripts)
		snapshot = TAILQ_NEXT(snapshot, entry);
	snapshot->users--;
	if (snapshot->dropped && snapshot->users == 0)
		snapshot_free(server, snapshot);
}

/* ── Frames ──────────────────────────────────────────────────────────────────────────────── */

static void server_done(
    void *arg, uint32_t session, uint32_t number, const struct wire_result *result)
{
	struct server *server = arg;

	message_put_done(frames_out(server->frames), session, number, result);
	frames_send(server->frames);
	CRASH_POINT("wire.answered");
}

static void server_begun(void *arg, uint32_t session)
{
	struct server *server = arg;

	message_put_begun(frames_out(server->frames), session);
	frames_send(server->frames);
}

static enum err server_start(struct server *server, const struct message *message)
{
	struct error error = {.code = ERR_OK};

	if (server->started)
		return ERR_PROTOCOL;
	server->started = true;
	server->shared.slow_lane = message->slow_lane;
	if (message->sandbox)
		error.code = sandbox_enter(&error);
	message_put_ready(frames_out(server->frames), &error);
	if (server->swappable)
		message_put_log(frames_out(server->frames), LOG_LEVEL_WARN,
		    "secrets cannot be locked in memory (RLIMIT_MEMLOCK): they may reach the swap");
	frames_send(server->frames);
	return ERR_OK;
}

static enum err server_job(struct server *server, struct message *message)
{
	struct contact *contact = table_get(&server->contacts, message->session);

	if (contact == NULL)
		contact = contact_new(&server->shared, &server->contacts, message->session);
	return contact_start(contact, message); /* transferred */
}

static enum err server_take(struct server *server, struct message *message)
{
	if (message->kind == MESSAGE_START)
		return server_start(server, message);
	if (!server->started)
		return ERR_PROTOCOL;
	switch (message->kind) {
	case MESSAGE_SCRIPTS: return server_load(server, message);
	case MESSAGE_JOB: return server_job(server, message);
	case MESSAGE_CLOSE:
		/* None is there where each of its jobs was turned away for want of room. */
		contact_free(table_get(&server->contacts, message->session));
		return ERR_OK;
	default: return ERR_PROTOCOL;
	}
}

static enum err server_on_frame(void *arg, const uint8_t *bytes, size_t len)
{
	static const struct wire_result full = {
	    .fault = FAULT_LIMIT,
	    .text = "no room for another secret in the wire",
	};
	struct message message;
	enum err err = message_get(&message, bytes, len);

	if (err == ERR_OK) {
		err = server_take(arg, &message);
	} else if (err == ERR_FULL) {
		server_done(arg, message.session, message.number, &full);
		err = ERR_OK;
	}
	message_clear(&message);
	return err;
}

/* Without the core nothing may be sent any more, and nobody is there to be told. */
static void server_on_lost(void *arg, enum err why)
{
	(void)arg;
	_exit(why == ERR_LINK ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ── The process ─────────────────────────────────────────────────────────────────────────── */

static void process_prepare(void)
{
	struct rlimit files;

	process_harden();
	/* The core set it before it executed us; where credentials changed since, it is gone. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* What would open files later is done once now: the sandbox forbids it then. */
static enum err libraries_prepare(struct error *error)
{
	uint8_t seed[16];

	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_CIPHERS |
				    OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		NULL) != 1 ||
	    libssh2_init(0) != 0)
		return error_set(error, ERR_IO, "the libraries for SSH do not start");
	random_bytes(seed, sizeof(seed));
	json_init();
	return ERR_OK;
}

static enum err server_prepare(struct server *server, struct error *error)
{
	struct contact_config *shared = &server->shared;
	bool locked = false;
	enum err err;

	err = secret_heap_init(SECRET_HEAP_SIZE, &locked, error);
	if (err != ERR_OK)
		return err;
	server->swappable = !locked;
	err = libraries_prepare(error);
	if (err != ERR_OK)
		return err;
	TAILQ_INIT(&server->snapshots);
	server->loop = loop_new();
	if (server->loop == NULL)
		return error_set(error, ERR_IO, "no event loop for a wire");
	shared->base = loop_base(server->loop);
	shared->turns = turns_new(shared->base, NULL);
	shared->scripts = server_scripts;
	shared->scripts_done = server_scripts_done;
	shared->begun = server_begun;
	shared->done = server_done;
	shared->arg = server;
	shared->dns = evdns_base_new(shared->base, 0);
	if (shared->dns == NULL)
		return error_set(error, ERR_IO, "no resolver for a wire");
	/* Without the file a name server on this machine is asked. */
	(void)evdns_base_resolv_conf_parse(shared->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	return hasher_new(&shared->hasher, shared->base, error);
}

int wire_main(void)
{
	struct frames_config stream = {
	    .size_max = MESSAGE_SIZE_MAX,
	    .priority = STREAM_PRIORITY,
	    .frame = server_on_frame,
	    .lost = server_on_lost,
	};
	struct server server = {.started = false};
	struct error error;

	process_prepare();
	if (server_prepare(&server, &error) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, "wire_not_started", "error", error.text, NULL);
		return EXIT_FAILURE;
	}
	stream.arg = &server;
	server.frames = frames_new(server.shared.base, WIRE_SOCKET_FD, &stream);
	loop_run(server.loop);
	/* Only the core's end ends the loop, and that exits at once. */
	return EXIT_FAILURE;
}
