/*
 * A command's call: by the engine that runs, where one does; else by one of its own, for as long as
 * the call takes. Two that start at once meet: who finds the vault in use looks for the socket
 * again.
 */
#include "service.h"

#include <poll.h>
#include <stdlib.h>

#include "base/mem.h"
#include "service/client.h"
#include "service/engine.h"
#include "service/server.h"

#define WAIT_MS	     10000 /* for an engine that holds the vault and does not listen yet, or ends */
#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 200

struct call {
	struct service *service;
	enum service_end end;
	json_t **result;
	struct error *error;
	char *next; /* where a list goes on */
	bool ended;
	bool told; /* that others are waited for */
};

/* ── In an engine of its own ─────────────────────────────────────────────────────────────── */

static void call_progress(void *arg, const json_t *event)
{
	const struct call *call = arg;

	if (call->service->progress != NULL)
		call->service->progress(call->service->arg, event);
}

/* Of an object the lists that it has go on. */
static void call_extend(json_t *all, json_t *page)
{
	const char *key;
	json_t *list;

	if (json_is_array(all))
		json_array_extend(all, page);
	json_object_foreach(page, key, list) if (json_is_array(list))
	    json_array_extend(json_object_get(all, key), list);
}

/* A page more of a list, or all that there is. */
static void call_take(struct call *call, json_t *result)
{
	if (*call->result == NULL) {
		*call->result = result; /* transferred */
		return;
	}
	call_extend(*call->result, result);
	json_decref(result);
}

static void call_drop(struct call *call)
{
	json_decref(*call->result);
	*call->result = NULL;
	free(call->next);
	call->next = NULL;
}

static void call_done(
    void *arg, enum service_end end, json_t *result, const char *next, const struct error *error)
{
	struct call *call = arg;

	if (end != SERVICE_OK && end != SERVICE_SOME)
		call_drop(call);
	call_take(call, result);
	free(call->next);
	call->next = next == NULL ? NULL : xstrdup(next);
	call->end = end;
	*call->error = *error;
	call->ended = true;
}

/* The parameters of the next page. */
static json_t *call_page(const struct call *call, const json_t *params)
{
	json_t *page = json_copy((json_t *)(uintptr_t)params);

	if (call->next != NULL)
		json_object_set_new(page, "after", json_string(call->next));
	return page;
}

/* Our own is done, and others whose requests this engine took up are not. */
static void tell_others(struct call *call)
{
	json_t *event;

	if (call->told)
		return;
	call->told = true;
	event = json_pack("{s:s}", "event", "others");
	call_progress(call, event);
	json_decref(event);
}

static bool call_is_over(struct call *call)
{
	struct service *service = call->service;

	if (!call->ended)
		return false;
	if (!TAILQ_EMPTY(&service->requests)) {
		tell_others(call);
		return false;
	}
	if (service->server == NULL)
		return true;
	server_end(service->server);
	return server_is_quiet(service->server);
}

void service_look(struct service *service)
{
	loop_stop(service->loop);
}

static enum service_end call_here(struct call *call, const char *method, const json_t *params)
{
	struct listener listener = {.progress = call_progress,
	    .done = call_done,
	    .arg = call,
	    .caller = {.uid = call->service->uid, .here = true}};

	do {
		call->ended = false;
		(void)request_begin(call->service, method, call_page(call, params), &listener);
		while (!call_is_over(call))
			loop_run(call->service->loop);
	} while (call->next != NULL);
	engine_rest(call->service);
	return call->end;
}

/* ── Wherever ────────────────────────────────────────────────────────────────────────────── */

static bool call_there(struct call *call, const char *method, const json_t *params)
{
	const struct service *service = call->service;
	struct client_call asked = {
	    .dir = service->dir,
	    .server = service->elsewhere,
	    .method = method,
	    .progress = service->progress,
	    .arg = service->arg,
	};
	struct error error = {.code = ERR_OK};
	enum client_end told;

	do {
		json_t *page = call_page(call, params), *result;
		enum service_end end;
		char *next;

		asked.params = page;
		told = client_call(&asked, &end, &result, &next, &error);
		json_decref(page);
		if (told != CLIENT_ANSWERED) {
			call_drop(call);
			return false;
		}
		call_done(call, end, result, next, &error);
		free(next);
	} while (call->next != NULL);
	return true;
}

/* Nothing is done here: who is to do it is elsewhere. */
static enum service_end call_elsewhere(struct call *call, const char *method, const json_t *params)
{
	struct clock *clock = loop_clock(call->service->loop);
	uint64_t until_ms = clock_mono_ms(clock) + WAIT_MS;

	if (service_is_of_files(method)) {
		error_set(call->error, ERR_REFUSED,
		    "this works on the policy's files, and %s has them: do it on that machine, "
		    "without --server",
		    call->service->elsewhere->url);
		return SERVICE_USAGE;
	}
	while (!call_there(call, method, params)) {
		if (clock_mono_ms(clock) >= until_ms) {
			error_set(call->error, ERR_BUSY,
			    "%s has no room for more requests, or ends: try again in a moment",
			    call->service->elsewhere->url);
			return SERVICE_NO_ENGINE;
		}
		(void)poll(NULL, 0, PAUSE_MAX_MS);
	}
	return call->end;
}

enum service_end service_call(struct service *service, const char *method, const json_t *params,
    json_t **result, struct error *error)
{
	struct call call = {.service = service, .result = result, .error = error};
	struct clock *clock = loop_clock(service->loop);
	uint64_t until_ms = clock_mono_ms(clock) + WAIT_MS;
	int pause_ms = PAUSE_MIN_MS;

	*result = NULL;
	if (service->elsewhere != NULL)
		return call_elsewhere(&call, method, params);
	for (;;) {
		if (!service_is_of_files(method) && call_there(&call, method, params))
			return call.end;
		if (call_here(&call, method, params) != SERVICE_NO_ENGINE ||
		    error->code != ERR_BUSY || clock_mono_ms(clock) >= until_ms)
			return call.end;
		call_drop(&call);
		(void)poll(NULL, 0, pause_ms);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
	}
}
