#include "service/engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/courier.h"
#include "service/daemon.h"
#include "service/mfa.h"
#include "service/notices.h"
#include "service/keys.h"
#include "service/place.h"
#include "service/reload.h"
#include "service/scrape.h"
#include "service/hashing.h"
#include "service/listen.h"
#include "service/server.h"
#include "service/session.h"
#include "service/shape.h"
#include "vault/copy.h"

#define HEAP_BYTES_PER_ACCOUNT 1024
#define HEAP_BYTES_MIN	       (1024UL * 1024)
#define HEAP_BYTES_MAX	       (64UL * 1024 * 1024)

enum service_end request_fail(struct request *request, enum service_end end, const char *fmt, ...)
{
	char text[ERROR_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(request->error, end == SERVICE_USAGE ? ERR_INVALID : ERR_IO, "%s", text);
	return end;
}

void request_tell(struct request *request, json_t *event)
{
	if (request->listener.progress != NULL)
		request->listener.progress(request->listener.arg, event);
	json_decref(event);
}

/* What nobody may be listening for stands in the log. */
static void log_warning(const json_t *event)
{
	const char *word = json_string_value(json_object_get(event, "event"));
	const char *text = json_string_value(json_object_get(event, "text"));

	if (strcmp(word, "warning") == 0)
		log_event(LOG_LEVEL_WARN, word, "text", text, NULL);
}

void service_tell(struct service *service, json_t *event)
{
	struct request *request;

	if (service->daemon != NULL)
		log_warning(event);
	TAILQ_FOREACH (request, &service->requests, entry)
		if (!request->listener.caller.nobody)
			request_tell(request, json_incref(event));
	json_decref(event);
}

struct vault_txn *request_read(struct request *request)
{
	struct vault_txn *txn = vault_read(request->service->vault);

	if (txn == NULL)
		request_fail(request, SERVICE_NO_ENGINE,
		    "the vault cannot be read any more: look at its disk, then start again");
	return txn;
}

static enum service_end open_policy(struct request *request)
{
	struct service *service = request->service;
	struct snapshot *snapshot = snapshot_load(service, &request->result, request->error);

	if (snapshot == NULL)
		return SERVICE_USAGE;
	service->secure_mode = policy_settings(snapshot->policy)->secure_mode;
	snapshot_use(service, snapshot);
	return SERVICE_OK;
}

/* ── The vault ───────────────────────────────────────────────────────────────────────────── */

static const struct settings *settings_of(const struct service *service)
{
	return policy_settings(service->snapshot->policy);
}

static enum err open_heap(struct service *service, struct error *error)
{
	size_t size = (size_t)settings_of(service)->in_flight * HEAP_BYTES_PER_ACCOUNT;
	bool locked = true;
	enum err err;

	size = size < HEAP_BYTES_MIN ? HEAP_BYTES_MIN : size;
	size = size > HEAP_BYTES_MAX ? HEAP_BYTES_MAX : size;
	err = secret_heap_init(size, &locked, error);
	if (err == ERR_EXISTS) /* one a process, and it is there */
		return ERR_OK;
	if (err == ERR_OK && !locked)
		service_tell(service,
		    json_pack("{s:s, s:s}", "event", "warning", "text",
			"memory for secrets cannot be locked and may be swapped out: raise "
			"`ulimit -l`"));
	return err;
}

/* Whoever comes first with another policy than the last one is who began to use it. */
static enum service_end note_policy(struct request *request)
{
	struct service *service = request->service;
	bool audited = request->audited;
	enum err err = audit_policy(service, request, &service->files, NULL, false, request->error);

	request->audited = audited; /* that entry is not about what was asked for */
	return err == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
}

/* What came after the copy was made is not in it, nor in its audit log. */
static enum service_end note_restore(struct request *request)
{
	bool audited = request->audited;
	enum service_end end;

	if (!vault_was_put_back(request->service->vault))
		return SERVICE_OK;
	end = request_audit_now(request,
	    &(struct audit_event){.what = AUDIT_RESTORE,
		.detail = "the vault is a copy from before this entry: what was kept since is not "
			  "in it"});
	request->audited = audited;
	return end;
}

static enum service_end open_vault(struct request *request)
{
	struct service *service = request->service;
	const struct settings *settings = settings_of(service);
	struct key_source key = key_source_of(service, &settings->master_key);
	struct vault_config config = {
	    .dir = settings->vault,
	    .key = &key,
	    .purpose = service->purpose,
	    .clock = loop_clock(service->loop),
	    .keep_versions = settings->retention_versions,
	};
	enum err err = drop_to_owner(settings->vault, request->error);
	enum service_end end;

	if (err == ERR_OK)
		err = open_heap(service, request->error);
	if (err == ERR_OK)
		err = vault_open(&service->vault, &config, request->error);
	if (err != ERR_OK)
		return SERVICE_NO_ENGINE;
	audit_follow(service);
	end = note_restore(request);
	return end == SERVICE_OK ? note_policy(request) : end;
}

/* ── The wires ───────────────────────────────────────────────────────────────────────────── */

static void wire_died(void *arg, uint32_t wire, const char *how)
{
	struct service *service = arg;
	json_int_t number = wire;

	service->metrics.wires_died++;
	service_tell(service, json_pack("{s:s, s:I, s:o}", "event", "wire_died", "wire", number,
				  "how", json_text(how)));
}

static enum service_end open_wires(struct request *request)
{
	struct service *service = request->service;
	const struct settings *settings = settings_of(service);
	struct wires_config config = {
	    .loop = service->loop,
	    .processes = settings->wires,
	    .lock_fd = vault_lock_fd(service->vault),
	    .sandbox = settings->sandbox,
	    .died = wire_died,
	    .arg = service,
	};
	enum err err = wires_start(&service->wires, &config, request->error);

	if (err != ERR_OK)
		return SERVICE_NO_ENGINE;
	err = snapshot_give_to_wires(service, service->snapshot, request->error);
	if (err == ERR_OK)
		return SERVICE_OK;
	return err == ERR_INVALID ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

/* ── Rotation ────────────────────────────────────────────────────────────────────────────── */

void watch_add(struct service *service, struct watch *watch)
{
	LIST_INSERT_HEAD(&service->watches, watch, entry);
}

void watch_remove(struct watch *watch)
{
	LIST_REMOVE(watch, entry);
}

/* The watch of an execution; NULL = nobody's. */
static struct watch *watch_of(struct service *service, const struct id *execution)
{
	struct watch *watch, *starting = NULL;

	LIST_FOREACH (watch, &service->watches, entry) {
		if (id_equal(&watch->execution, execution))
			return watch;
		if (watch->starting)
			starting = watch;
	}
	return starting;
}

static void rotation_said(void *arg, const struct rotation_event *event)
{
	struct service *service = arg;
	struct watch *watch;

	if (event->kind == ROTATION_BROKEN && service->daemon != NULL)
		daemon_broken(service->daemon, event->error);
	metrics_count(&service->metrics, event);
	if (event->kind == ROTATION_STOPPED)
		notices_stopped(service, event->execution);
	if (event->kind == ROTATION_ENDED || event->kind == ROTATION_SETTLED)
		courier_look(service->courier);
	if (event->execution != NULL) {
		watch = watch_of(service, &event->execution->id);
		if (watch != NULL)
			watch->event(watch->arg, event);
		else if (service->daemon != NULL)
			daemon_unwatched(service->daemon, event);
		return;
	}
	LIST_FOREACH (watch, &service->watches, entry)
		watch->event(watch->arg, event);
}

/* The second one finds nothing more to stop. */
static void interrupted(void *arg, int signo)
{
	(void)signo;
	engine_drain(arg);
}

void engine_drain(struct service *service)
{
	if (service->interrupted)
		return;
	service->interrupted = true;
	rotation_drain(service->rotation);
	service_tell(service, json_pack("{s:s}", "event", "interrupted"));
}

static enum service_end open_rotation(struct request *request)
{
	struct service *service = request->service;
	struct rotation_config config = {
	    .policy = {.policy = service->snapshot->policy,
		.snapshot = service->snapshot->number,
		.secure_mode = service->secure_mode},
	    .vault = service->vault,
	    .wires = service->wires,
	    .clock = loop_clock(service->loop),
	    .event = rotation_said,
	    .note = notices_note,
	    .arg = service,
	};

	service->rotation = rotation_new(&config);
	if (service->daemon == NULL) {
		loop_signal(service->loop, SIGINT, interrupted, service);
		loop_signal(service->loop, SIGTERM, interrupted, service);
	}
	return SERVICE_OK;
}

/* ── The socket ──────────────────────────────────────────────────────────────────────────── */

/* What takes a while lets other commands in. Where it cannot, they wait for its end. */
static void open_server(struct request *request)
{
	struct service *service = request->service;
	const char *path = settings_of(service)->socket;
	struct error error;

	if (server_open(&service->server, service, path, &error) == ERR_OK)
		return;
	error_prefix(&error, "other commands wait until this one has ended: ");
	service_tell(
	    service, json_pack("{s:s, s:o}", "event", "warning", "text", json_text(error.text)));
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

/* It goes on by the policy that it began with. */
static void request_hold(struct request *request)
{
	if (request->snapshot != NULL)
		return;
	request->snapshot = request->service->snapshot;
	request->snapshot->uses++;
	request->policy = request->snapshot->policy;
}

enum service_end engine_open(struct request *request, enum needs needs)
{
	struct service *service = request->service;
	enum service_end end = SERVICE_OK;

	if (needs >= NEEDS_FILES && service->snapshot == NULL)
		end = open_policy(request);
	if (end == SERVICE_OK && needs >= NEEDS_FILES)
		request_hold(request);
	if (end == SERVICE_OK && needs >= NEEDS_VAULT && service->vault == NULL)
		end = open_vault(request);
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->interrupted)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "the engine was told to end, and begins nothing more: try again when lockstep "
		    "status shows that it has ended");
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->wires == NULL)
		end = open_wires(request);
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->rotation == NULL) {
		end = open_rotation(request);
		if (service->daemon == NULL)
			open_server(request);
	}
	return end;
}

/* What stands behind the last signature could be cut off unseen: at the end nothing does. */
static void sign_audit(struct service *service)
{
	struct error error;

	if (service->vault != NULL && vault_audit_sign(service->vault, &error) != ERR_OK)
		log_event(LOG_LEVEL_WARN, "audit_not_signed", "error", error.text, NULL);
}

/* The wires before the vault: the lock is free only when none can send any more. */
void engine_rest(struct service *service)
{
	server_close(service->server);
	listening_free(service->listening);
	metrics_stop(service);
	scrape_free(service->scrape);
	reseal_stop(service);
	scheduler_free(service->scheduler);
	rotation_free(service->rotation);
	requests_drop(service);
	hashing_free(service->hashing);
	reloads_free(service->reloads);
	wires_stop(service->wires);
	sign_audit(service);
	courier_free(service->courier);
	vault_close(service->vault);
	notices_drop(service);
	service->server = NULL;
	service->listening = NULL;
	service->hashing = NULL;
	service->courier = NULL;
	service->scrape = NULL;
	service->scheduler = NULL;
	service->reloads = NULL;
	service->rotation = NULL;
	service->wires = NULL;
	service->vault = NULL;
	service->recovered = false;
}

void engine_close(struct service *service)
{
	engine_rest(service);
	mfa_forget(service, NULL);
	sessions_forget(service, NULL);
	snapshots_clear(service);
}
