#include "service/engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/place.h"
#include "service/server.h"
#include "service/shape.h"

#define SNAPSHOT 1 /* a command has one policy */

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

void service_tell(struct service *service, json_t *event)
{
	struct request *request;

	TAILQ_FOREACH (request, &service->requests, entry)
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

/* ── The policy ──────────────────────────────────────────────────────────────────────────── */

static enum service_end policy_refused(struct request *request, enum err err,
    const struct problems *errors, const struct problems *warnings)
{
	size_t count = errors->count + errors->more;

	request->result = json_pack("{s:b, s:o, s:o}", "ok", 0, "errors", shape_problems(errors),
	    "warnings", shape_problems(warnings));
	if (err == ERR_NOT_FOUND)
		return request_fail(request, SERVICE_USAGE, "%s", errors->items[0].text);
	return request_fail(request, SERVICE_USAGE,
	    "the policy in %s has %zu error%s: mend %s, then lockstep check; nothing was changed",
	    request->service->dir, count, count == 1 ? "" : "s", count == 1 ? "it" : "them");
}

static enum service_end open_policy(struct request *request)
{
	struct service *service = request->service;
	struct problems *problems = xcalloc(2, sizeof(*problems));
	char *platforms = platforms_dir(), *wordlists = wordlists_dir();
	struct policy_config config = {
	    .dir = service->dir, .platforms_dir = platforms, .wordlists_dir = wordlists};
	enum service_end end = SERVICE_OK;
	enum err err;

	err = policy_load(&service->policy, &config, &problems[0], &problems[1]);
	if (err != ERR_OK)
		end = policy_refused(request, err, &problems[0], &problems[1]);
	else
		service->warnings = shape_problems(&problems[1]);
	problems_clear(&problems[0]);
	problems_clear(&problems[1]);
	free(problems);
	free(platforms);
	free(wordlists);
	return end;
}

/* ── The vault ───────────────────────────────────────────────────────────────────────────── */

static enum err open_heap(struct service *service, struct error *error)
{
	size_t size = (size_t)policy_settings(service->policy)->in_flight * HEAP_BYTES_PER_ACCOUNT;
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

static enum service_end open_vault(struct request *request)
{
	struct service *service = request->service;
	const struct settings *settings = policy_settings(service->policy);
	struct vault_config config = {
	    .dir = settings->vault,
	    .key_path = settings->master_key,
	    .purpose = service->purpose,
	    .clock = loop_clock(service->loop),
	    .keep_versions = settings->retention_versions,
	};
	enum err err = drop_to_owner(settings->vault, request->error);

	if (err == ERR_OK)
		err = open_heap(service, request->error);
	if (err == ERR_OK)
		err = vault_open(&service->vault, &config, request->error);
	return err == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
}

/* ── The wires ───────────────────────────────────────────────────────────────────────────── */

static void wire_died(void *arg, uint32_t wire, const char *how)
{
	json_int_t number = wire;

	service_tell(arg, json_pack("{s:s, s:I, s:o}", "event", "wire_died", "wire", number, "how",
			      json_text(how)));
}

static enum err load_scripts(struct service *service, struct error *error)
{
	size_t count = policy_platform_count(service->policy);
	struct wire_script *scripts = xcalloc(count + 1, sizeof(*scripts));
	enum err err;

	for (size_t i = 0; i < count; i++) {
		const struct platform *platform = policy_platform(service->policy, i);

		scripts[i] = (struct wire_script){
		    .platform = platform->name,
		    .file = platform->file,
		    .source = platform->source,
		    .len = platform->source_len,
		};
	}
	err = wires_load(service->wires, SNAPSHOT, scripts, count, error);
	free(scripts);
	return err;
}

static enum service_end open_wires(struct request *request)
{
	struct service *service = request->service;
	const struct settings *settings = policy_settings(service->policy);
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
	err = load_scripts(service, request->error);
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

	if (event->execution != NULL) {
		watch = watch_of(service, &event->execution->id);
		if (watch != NULL)
			watch->event(watch->arg, event);
		return;
	}
	LIST_FOREACH (watch, &service->watches, entry)
		watch->event(watch->arg, event);
}

/* The second one finds nothing more to stop. */
static void interrupted(void *arg, int signo)
{
	struct service *service = arg;

	(void)signo;
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
	    .policy = {.policy = service->policy,
		.snapshot = SNAPSHOT,
		.secure_mode = policy_settings(service->policy)->secure_mode},
	    .vault = service->vault,
	    .wires = service->wires,
	    .clock = loop_clock(service->loop),
	    .event = rotation_said,
	    .arg = service,
	};

	service->rotation = rotation_new(&config);
	loop_signal(service->loop, SIGINT, interrupted, service);
	loop_signal(service->loop, SIGTERM, interrupted, service);
	return SERVICE_OK;
}

/* ── The socket ──────────────────────────────────────────────────────────────────────────── */

/* What takes a while lets other commands in. Where it cannot, they wait for its end. */
static void open_server(struct request *request)
{
	struct service *service = request->service;
	const char *path = policy_settings(service->policy)->socket;
	struct error error;

	if (server_open(&service->server, service, path, &error) == ERR_OK)
		return;
	error_prefix(&error, "other commands wait until this one has ended: ");
	service_tell(
	    service, json_pack("{s:s, s:o}", "event", "warning", "text", json_text(error.text)));
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

enum service_end engine_open(struct request *request, enum needs needs)
{
	struct service *service = request->service;
	enum service_end end = SERVICE_OK;

	if (service->policy == NULL)
		end = open_policy(request);
	request->policy = service->policy;
	if (end == SERVICE_OK && needs >= NEEDS_VAULT && service->vault == NULL)
		end = open_vault(request);
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->interrupted)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "the engine was told to end: nothing more is begun");
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->wires == NULL)
		end = open_wires(request);
	if (end == SERVICE_OK && needs >= NEEDS_WIRES && service->rotation == NULL) {
		end = open_rotation(request);
		open_server(request);
	}
	return end;
}

/* The wires before the vault: the lock is free only when none can send any more. */
void engine_rest(struct service *service)
{
	server_close(service->server);
	rotation_free(service->rotation);
	wires_stop(service->wires);
	vault_close(service->vault);
	service->server = NULL;
	service->rotation = NULL;
	service->wires = NULL;
	service->vault = NULL;
	service->recovered = false;
}

void engine_close(struct service *service)
{
	engine_rest(service);
	policy_free(service->policy);
	json_decref(service->warnings);
}
