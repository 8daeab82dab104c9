#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "wire.h"
#include "wire/message.h"
#include "wire/net.h"
#include "wire/process.h"
#include "wire/table.h"
#include "wire/trial.h"

#define PROCESSES_MAX 64

/*
 * A wire answers when a job's time is over; one that does not hangs. It has the grace twice, as
 * what stood still may be the core: then the answer came in time, and was not read yet.
 */
#define GRACE_MS 2500

/* Before a dead wire is replaced: doubled each time, until one has lived long. */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 30000
#define LONG_LIFE_MS 60000

struct session;

/* One place for a wire; it gets another number with each process. */
struct slot {
	struct pool *pool;
	struct process *process; /* NULL between two */
	uint32_t number;
	uint64_t started_ms;
	uint64_t pause_ms;
	struct timer restart;
	LIST_HEAD(, session) sessions;
	struct table by_number;
	uint32_t last_session;
	size_t orphans; /* jobs whose session was freed before the answer */
};

/* The scripts of a snapshot, as the frame that gives them to a wire. */
struct kept {
	uint32_t snapshot;
	struct buf frame;
};

struct pool {
	struct wires wires; /* first: the door is cast back to its pool */
	struct wires_config config;
	struct slot *slots;
	uint32_t slot_count;
	uint32_t last_wire;
	struct kept kept[WIRE_SNAPSHOTS_MAX]; /* the oldest first */
	size_t kept_count;
	LIST_HEAD(, session) dead;
};

struct session {
	struct wire_session base; /* first, as above */
	struct pool *pool;
	struct slot *slot; /* NULL: its wire is dead */
	LIST_ENTRY(session) entry;
	struct table_entry by_number;
	uint32_t wire;
	char how[PROCESS_HOW_SIZE]; /* its wire died */
	struct wire_target target;  /* texts and keys are its own; `via` only by its number */
	uint32_t via;		    /* the gateway's session; 0 = directly */
	bool through;		    /* a gateway: whatever ends it ends this */

	/* The job in work; `done` NULL = none. */
	wire_done_fn done;
	void *arg;
	enum wire_job_kind kind;
	uint32_t job;	   /* its number; 0 = none yet */
	struct timer late; /* the wire should have answered */
	bool overdue;	   /* … and was given the second grace */
	struct timer fail; /* to answer for a dead wire */
	bool sent;	   /* … that was handed a new secret */
	bool attempt;	   /* … that was handed a login */
};

static struct pool *pool_of(struct wires *wires)
{
	return (struct pool *)(void *)wires;
}

static struct session *session_of(struct wire_session *session)
{
	return (struct session *)(void *)session;
}

static struct clock *pool_clock(const struct pool *pool)
{
	return loop_clock(pool->config.loop);
}

/* ── Sessions ────────────────────────────────────────────────────────────────────────────── */

static void session_copy_target(struct session *session, const struct wire_target *target)
{
	struct wire_key *pins = xcalloc(target->pin_count, sizeof(*pins));

	if (target->pin_count > 0)
		memcpy(pins, target->pins, target->pin_count * sizeof(*pins));
	session->target = *target;
	session->target.asset = xstrdup(target->asset);
	session->target.address = net_address(target->address);
	session->target.pins = pins;
	session->target.via = NULL;
}

static void session_clear_target(struct session *session)
{
	/* Its own copies, const only in the door's type. */
	free((void *)(uintptr_t)session->target.asset);
	free((void *)(uintptr_t)session->target.address);
	free((void *)(uintptr_t)session->target.pins);
}

/* Ends the job. Nothing of the session may be used afterwards: who is told may free it. */
static void session_answer(struct session *session, struct wire_result *result)
{
	wire_done_fn done = session->done;

	timer_stop(&session->late);
	session->done = NULL;
	result->wire = session->wire;
	done(session->arg, result);
}

static void session_on_fail(void *arg)
{
	struct session *session = arg;
	/* Whether the asset judged a login nobody can tell any more: it may have counted. */
	struct wire_result result = {
	    .fault = FAULT_WIRE,
	    .sent = session->sent,
	    .failed_attempts = session->attempt ? 1 : 0,
	    .via_lost = session->through,
	};

	snprintf(result.text, sizeof(result.text), "the wire %s", session->how);
	session_answer(session, &result);
}

static void session_on_late(void *arg)
{
	struct session *session = arg;

	if (session->overdue) {
		process_kill(session->slot->process, "it left a job without an answer");
		return;
	}
	session->overdue = true;
	timer_start(pool_clock(session->pool), &session->late, GRACE_MS);
}

/* Its wire is dead and was waited for: the job in work, and all later ones, fail. */
static void session_die(struct session *session, const char *how)
{
	LIST_REMOVE(session, entry);
	LIST_INSERT_HEAD(&session->pool->dead, session, entry);
	session->slot = NULL;
	snprintf(session->how, sizeof(session->how), "%s", how);
	timer_stop(&session->late);
	if (session->done != NULL)
		timer_start(pool_clock(session->pool), &session->fail, 0);
}

/* A wire may lie, but not so that it can be seen. */
static bool session_believes(const struct session *session, const struct wire_result *result)
{
	const struct wire_target *target = &session->target;

	if (session->kind != WIRE_OPEN || result->fault != FAULT_NONE)
		return true;
	if (target->pin_count == 0)
		return result->host_key.len > 0 && result->host_key_new && !target->known_only;
	for (size_t i = 0; i < target->pin_count; i++) {
		const struct wire_key *pin = &target->pins[i];

		if (pin->len == result->host_key.len &&
		    memcmp(pin->blob, result->host_key.blob, pin->len) == 0)
			return !result->host_key_new;
	}
	return false;
}

/* ── Wires ───────────────────────────────────────────────────────────────────────────────── */

static enum err slot_on_done(struct slot *slot, const struct message *message)
{
	struct session *session = table_get(&slot->by_number, message->session);
	struct wire_result *result = message->result;

	if (session == NULL) {
		if (slot->orphans == 0)
			return ERR_PROTOCOL;
		slot->orphans--;
		return ERR_OK;
	}
	if (session->done == NULL || session->job != message->number ||
	    !session_believes(session, result))
		return ERR_PROTOCOL;
	session_answer(session, result);
	return ERR_OK;
}

static enum err slot_on_message(void *arg, const struct message *message)
{
	struct slot *slot = arg;

	if (message->kind == MESSAGE_DONE)
		return slot_on_done(slot, message);
	/* The same scripts loaded in a trial: this one has gone wrong, and is of no use. */
	if (message->error->code != ERR_OK)
		process_kill(slot->process, "it %s", message->error->text);
	return ERR_OK;
}

static void slot_pause(struct slot *slot)
{
	uint64_t pause_ms = slot->pause_ms;

	timer_start(pool_clock(slot->pool), &slot->restart, pause_ms);
	slot->pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
}

static void slot_on_ended(void *arg, const char *how)
{
	struct slot *slot = arg;
	struct pool *pool = slot->pool;
	uint64_t lived_ms = clock_mono_ms(pool_clock(pool)) - slot->started_ms;
	struct session *session;
	char number[16];

	process_free(slot->process);
	slot->process = NULL;
	snprintf(number, sizeof(number), "%u", slot->number);
	log_event(LOG_LEVEL_WARN, "wire_died", "wire", number, "how", how, NULL);
	table_clear(&slot->by_number);
	while ((session = LIST_FIRST(&slot->sessions)) != NULL)
		session_die(session, how);
	if (lived_ms >= LONG_LIFE_MS)
		slot->pause_ms = PAUSE_MIN_MS;
	slot_pause(slot);
	if (pool->config.died != NULL)
		pool->config.died(pool->config.arg, slot->number, how);
}

static void slot_start(void *arg)
{
	struct slot *slot = arg;
	struct pool *pool = slot->pool;
	struct process_config config = {
	    .loop = pool->config.loop,
	    .number = ++pool->last_wire,
	    .exe = pool->config.exe,
	    .lock_fd = pool->config.lock_fd,
	    .sandbox = pool->config.sandbox,
	    .message = slot_on_message,
	    .ended = slot_on_ended,
	    .arg = slot,
	};
	struct error error;

	slot->number = config.number;
	slot->started_ms = clock_mono_ms(pool_clock(pool));
	slot->last_session = 0;
	slot->orphans = 0;
	if (process_new(&slot->process, &config, &error) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, "wire_not_started", "error", error.text, NULL);
		slot_pause(slot);
		return;
	}
	for (size_t i = 0; i < pool->kept_count; i++) {
		const struct buf *frame = &pool->kept[i].frame;

		buf_add(process_out(slot->process), frame->data, frame->len);
	}
	process_send(slot->process);
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

static size_t slot_load(const struct slot *slot)
{
	return slot->by_number.count;
}

uint32_t wires_alive(const struct wires *wires)
{
	const struct pool *pool = (const struct pool *)(const void *)wires;
	uint32_t alive = 0;

	for (uint32_t i = 0; i < pool->slot_count; i++)
		alive += pool->slots[i].process != NULL;
	return alive;
}

/* The living wire with the fewest sessions; NULL when none lives. */
static struct slot *pool_pick(struct pool *pool)
{
	struct slot *best = NULL;

	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->process == NULL || process_out(slot->process) == NULL)
			continue;
		if (best == NULL || slot_load(slot) < slot_load(best))
			best = slot;
	}
	return best;
}

/* Where the session goes: to its gateway's wire, or to the one with the fewest. */
static struct slot *session_place(struct session *session, struct wire_session *via)
{
	struct session *gateway;

	if (via == NULL)
		return pool_pick(session->pool);
	gateway = session_of(via);
	session->through = true;
	session->via = gateway->by_number.number;
	if (gateway->slot == NULL)
		snprintf(session->how, sizeof(session->how), "%s", gateway->how);
	return gateway->slot;
}

static struct wire_session *pool_session_new(struct wires *wires, const struct wire_target *target)
{
	struct pool *pool = pool_of(wires);
	struct session *session = xcalloc(1, sizeof(*session));

	session->base.wires = wires;
	session->pool = pool;
	session->late.fn = session_on_late;
	session->fail.fn = session_on_fail;
	session->late.arg = session->fail.arg = session;
	session_copy_target(session, target);
	snprintf(session->how, sizeof(session->how), "is being started again");
	session->slot = session_place(session, target->via);
	if (session->slot == NULL) {
		LIST_INSERT_HEAD(&pool->dead, session, entry);
	} else {
		session->wire = session->slot->number;
		LIST_INSERT_HEAD(&session->slot->sessions, session, entry);
		table_put(&session->slot->by_number, &session->by_number,
		    ++session->slot->last_session, session);
	}
	return &session->base;
}

static void session_send(struct session *session, const struct wire_job *job)
{
	struct process *process = session->slot->process;
	struct buf *out = process_out(process);
	uint64_t timeout_ms = job->timeout_ms;

	if (timeout_ms > MESSAGE_TIMEOUT_MAX)
		timeout_ms = MESSAGE_TIMEOUT_MAX;
	session->overdue = false;
	timer_start(pool_clock(session->pool), &session->late, timeout_ms + GRACE_MS);
	/* While it is being ended the job is not sent; it is answered with the others. */
	if (out == NULL)
		return;
	session->sent = job->kind == WIRE_CHANGE;
	session->attempt = job->kind == WIRE_ADMIN || job->kind == WIRE_PROVE ||
			   job->kind == WIRE_SU || job->kind == WIRE_LOGIN;
	message_put_job(out, session->by_number.number, session->job,
	    job->kind == WIRE_OPEN ? &session->target : NULL, session->via, job);
	process_send(process);
}

static void pool_submit(
    struct wire_session *door, const struct wire_job *job, wire_done_fn done, void *arg)
{
	struct session *session = session_of(door);

	assert(session->done == NULL);
	session->done = done;
	session->arg = arg;
	session->kind = job->kind;
	session->sent = session->attempt = false;
	session->job++;
	if (session->slot == NULL)
		timer_start(pool_clock(session->pool), &session->fail, 0);
	else
		session_send(session, job);
}

/* Tells the wire, where it ever heard of the session. */
static void session_close(struct session *session)
{
	struct slot *slot = session->slot;
	struct buf *out = process_out(slot->process);

	table_remove(&slot->by_number, &session->by_number);
	if (session->done != NULL)
		slot->orphans++;
	if (out == NULL || session->job == 0)
		return;
	message_put_close(out, session->by_number.number);
	process_send(slot->process);
}

static void pool_session_free(struct wire_session *door)
{
	struct session *session = session_of(door);

	timer_stop(&session->late);
	timer_stop(&session->fail);
	if (session->slot != NULL)
		session_close(session);
	LIST_REMOVE(session, entry);
	session_clear_target(session);
	free(session);
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────── */

static uint32_t pool_size(const struct wires_config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t count = config->processes;

	if (count == 0)
		count = cores > 0 ? (uint32_t)cores : 1;
	return count > PROCESSES_MAX ? PROCESSES_MAX : count;
}

enum err wires_start(struct wires **out, const struct wires_config *config, struct error *error)
{
	static const struct wires_ops ops = {
	    .session_new = pool_session_new,
	    .submit = pool_submit,
	    .session_free = pool_session_free,
	};
	struct pool *pool;
	enum err err;

	*out = NULL;
	err = trial_run(config, NULL, error);
	if (err != ERR_OK)
		return err;
	pool = xcalloc(1, sizeof(*pool));
	pool->wires.ops = &ops;
	pool->config = *config;
	LIST_INIT(&pool->dead);
	pool->slot_count = pool_size(config);
	pool->slots = xcalloc(pool->slot_count, sizeof(*pool->slots));
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		slot->pool = pool;
		slot->pause_ms = PAUSE_MIN_MS;
		slot->restart.fn = slot_start;
		slot->restart.arg = slot;
		LIST_INIT(&slot->sessions);
		slot_start(slot);
	}
	*out = &pool->wires; /* transferred */
	return ERR_OK;
}

static void kept_drop(struct pool *pool, size_t index)
{
	buf_clear(&pool->kept[index].frame);
	pool->kept_count--;
	memmove(&pool->kept[index], &pool->kept[index + 1],
	    (pool->kept_count - index) * sizeof(pool->kept[0]));
}

/* Makes it the newest; what it replaces, or the oldest where there is no room, goes. */
static void pool_keep(struct pool *pool, uint32_t snapshot, struct buf *frame)
{
	for (size_t i = 0; i < pool->kept_count; i++) {
		if (pool->kept[i].snapshot == snapshot) {
			kept_drop(pool, i);
			break;
		}
	}
	if (pool->kept_count == WIRE_SNAPSHOTS_MAX)
		kept_drop(pool, 0);
	pool->kept[pool->kept_count++] = (struct kept){.snapshot = snapshot, .frame = *frame};
}

static void pool_tell(struct pool *pool, const struct buf *frame)
{
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct process *process = pool->slots[i].process;
		struct buf *out = process != NULL ? process_out(process) : NULL;

		if (out == NULL)
			continue;
		buf_add(out, frame->data, frame->len);
		process_send(process);
	}
}

enum err wires_load(struct wires *wires, uint32_t snapshot, const struct wire_script *scripts,
    size_t count, struct error *error)
{
	struct pool *pool = pool_of(wires);
	struct buf frame;
	enum err err;

	buf_init(&frame, MESSAGE_SIZE_MAX + 4);
	message_put_scripts(&frame, snapshot, scripts, count);
	if (buf_failed(&frame)) {
		buf_clear(&frame);
		return error_set(error, ERR_LIMIT,
		    "the platforms are too large: %d scripts and %d KB together are the most",
		    MESSAGE_SCRIPTS_MAX, MESSAGE_SIZE_MAX / 1024);
	}
	err = trial_run(&pool->config, &frame, error);
	if (err != ERR_OK) {
		buf_clear(&frame);
		return err;
	}
	pool_tell(pool, &frame);
	pool_keep(pool, snapshot, &frame); /* transferred */
	return ERR_OK;
}

static void sessions_drop(struct session *session)
{
	while (session != NULL) {
		struct session *next = LIST_NEXT(session, entry);

		pool_session_free(&session->base);
		session = next;
	}
}

void wires_stop(struct wires *wires)
{
	struct pool *pool;

	if (wires == NULL)
		return;
	pool = pool_of(wires);
	/* All are killed before any is waited for. */
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		if (pool->slots[i].process != NULL)
			process_kill(pool->slots[i].process, "stopped");
	}
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		timer_stop(&slot->restart);
		sessions_drop(LIST_FIRST(&slot->sessions));
		process_free(slot->process);
		table_clear(&slot->by_number);
	}
	sessions_drop(LIST_FIRST(&pool->dead));
	while (pool->kept_count > 0)
		kept_drop(pool, 0);
	free(pool->slots);
	free(pool);
}
