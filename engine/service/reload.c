#include "service/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/courier.h"
#include "service/diff.h"
#include "service/keys.h"
#include "service/listen.h"
#include "service/loading.h"
#include "service/notices.h"
#include "service/scrape.h"
#include "service/server.h"
#include "service/systemd.h"

/* What a load is for. */
struct wish {
	TAILQ_ENTRY(wish) entry;
	struct reloads *reloads;
	struct request *request; /* NULL = nobody waits */
	bool take;
};

TAILQ_HEAD(wishes, wish);

struct reloads {
	struct service *service;
	struct loading *loading; /* NULL = none is under way */
	struct wishes now;
	/* Made while it loads: it may have read files before they were changed. */
	struct wishes next;
	json_t *last;
};

static struct clock *clock_of(const struct reloads *reloads)
{
	return loop_clock(reloads->service->loop);
}

/* ── Wishes ──────────────────────────────────────────────────────────────────────────────── */

static struct wishes *list_of(struct reloads *reloads, const struct wish *wish)
{
	const struct wish *other;

	TAILQ_FOREACH (other, &reloads->now, entry)
		if (other == wish)
			return &reloads->now;
	return &reloads->next;
}

/* The engine ends before its request does. */
static void wish_drop(void *arg)
{
	struct wish *wish = arg;

	TAILQ_REMOVE(list_of(wish->reloads, wish), wish, entry);
	free(wish);
}

static void wish_end(struct wish *wish, enum service_end end, json_t *result, struct error *error)
{
	struct request *request = wish->request;

	free(wish);
	if (request == NULL) {
		json_decref(result);
		return;
	}
	request->result = result; /* transferred */
	*request->error = *error;
	request_end(request, end);
}

static bool any_takes(const struct wishes *wishes)
{
	const struct wish *wish;

	TAILQ_FOREACH (wish, wishes, entry)
		if (wish->take)
			return true;
	return false;
}

/* ── The change ──────────────────────────────────────────────────────────────────────────── */

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void warn(json_t *warnings, const char *text)
{
	json_array_append_new(warnings, json_pack("{s:n, s:n, s:s}", "file", "line", "text", text));
}

/* What an engine has once and for all. */
static void warn_fixed(const struct service *service, const struct settings *before,
    const struct settings *now, json_t *out)
{
	if (service->secure_mode && !now->secure_mode)
		warn(out, "secure_mode stays on: turning it off needs a restart of lockstepd");
	if (!same(before->vault, now->vault) || !same(before->socket, now->socket))
		warn(out, "vault and socket stay as they were until lockstepd is restarted");
	if (before->wires != now->wires || before->sandbox != now->sandbox)
		warn(out, "wires and sandbox stay as they were until lockstepd is restarted");
}

json_t *reload_warnings(const struct service *service, const struct snapshot *snapshot)
{
	json_t *warnings = json_copy(snapshot->warnings);

	warn_fixed(service, policy_settings(service->snapshot->policy),
	    policy_settings(snapshot->policy), warnings);
	return warnings;
}

/* A restart would ask for the key that the settings name now. */
static void warn_key(struct service *service, const struct settings *now, json_t *out)
{
	char *text = key_warning(service, &now->master_key);

	if (text != NULL)
		warn(out, text);
	free(text);
}

static void warn_listening(const struct service *service, json_t *out)
{
	char text[WHY_SIZE];

	listening_warning(service->listening, text, sizeof(text));
	if (text[0] != '\0')
		warn(out, text);
}

static void take(struct service *service, struct snapshot *snapshot, json_t **result)
{
	bool secure_mode = policy_settings(snapshot->policy)->secure_mode;
	json_int_t assets = (json_int_t)policy_asset_count(snapshot->policy);
	json_int_t tasks = (json_int_t)policy_task_count(snapshot->policy);
	json_t *warnings = reload_warnings(service, snapshot);

	warn_key(service, policy_settings(snapshot->policy), warnings);
	warn_listening(service, warnings);
	service->secure_mode = service->secure_mode || secure_mode;
	rotation_reload(service->rotation, &(struct rotation_policy){
					       .policy = snapshot->policy,
					       .snapshot = snapshot->number,
					       .secure_mode = service->secure_mode,
					   });
	scheduler_reload(service->scheduler);
	snapshot_use(service, snapshot);
	server_follow(service->server);
	courier_look_anew(service->courier);
	scrape_update(service);
	*result = json_pack("{s:b, s:I, s:I, s:[], s:o}", "ok", 1, "assets", assets, "tasks", tasks,
	    "errors", "warnings", warnings);
}

/* An entry for each that asks; `why` NULL = it is taken. */
static enum err audit_all(struct reloads *reloads, const char *why, struct error *error)
{
	struct service *service = reloads->service;
	const struct wish *wish;
	enum err err = ERR_OK;

	TAILQ_FOREACH (wish, &reloads->now, entry)
		if (err == ERR_OK)
			err =
			    audit_policy(service, wish->request, &service->files, why, true, error);
	return err;
}

/* The old policy stays in any case, so that one that cannot be recorded is only logged. */
static void audit_refused(struct reloads *reloads, const struct error *why)
{
	struct error error;

	if (audit_all(reloads, why->text, &error) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, "not_audited", "error", error.text, NULL);
}

/* The snapshot becomes the service's, or is freed. */
static enum service_end try_take(
    struct reloads *reloads, struct snapshot *snapshot, json_t **result, struct error *error)
{
	struct service *service = reloads->service;
	const struct settings *settings = policy_settings(snapshot->policy);
	struct listen_change change = {.fd = -1};
	enum err err;

	if (service->interrupted)
		err = error_set(error, ERR_BUSY,
		    "the engine ends, and loads nothing more: try again when lockstep status "
		    "shows that it has ended");
	else
		err = listen_prepare(service->listening, settings, &change, error);
	if (err == ERR_OK)
		err = snapshot_give_to_wires(service, snapshot, error);
	if (err == ERR_OK)
		err = audit_all(reloads, NULL, error);
	if (err == ERR_OK) {
		listen_take(service->listening, settings, &change);
		take(service, snapshot, result);
		audit_follow(service);
		return SERVICE_OK;
	}
	listen_drop(&change);
	snapshot_free(snapshot);
	return err == ERR_INVALID ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

/* ── What is said of it ──────────────────────────────────────────────────────────────────── */

static void log_problems(enum log_level level, const char *event, const json_t *problems)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		const char *text = json_string_value(json_object_get(problem, "text"));

		log_event(level, event, "text", text, NULL);
	}
}

void reload_log_warnings(const json_t *warnings)
{
	log_problems(LOG_LEVEL_WARN, "policy_warning", warnings);
}

static void say_begun(const struct reloads *reloads)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)clock_mono_ms(clock_of(reloads)) * 1000);
	systemd_tell(state);
}

static void say_refused(
    const struct reloads *reloads, const json_t *result, const struct error *error)
{
	const json_t *first = json_array_get(json_object_get(result, "errors"), 0);
	const char *text = text_of(first, "text");

	log_event(LOG_LEVEL_ERROR, "reload_refused", "error", error->text, NULL);
	notices_rejected(reloads->service, text[0] != '\0' ? text : error->text);
}

static void say_ended(
    struct reloads *reloads, enum service_end end, json_t *result, const struct error *error)
{
	struct metrics *metrics = &reloads->service->metrics;
	bool ok = end == SERVICE_OK;
	uint64_t now_ms = clock_wall_ms(clock_of(reloads));

	metrics->reload_failed = !ok;
	metrics->reloaded_ms = ok ? now_ms : metrics->reloaded_ms;
	json_decref(reloads->last);
	reloads->last = json_copy(result);
	json_object_set_new(reloads->last, "at", json_time(now_ms));
	json_object_set_new(reloads->last, "error", ok ? json_null() : json_string(error->text));
	if (ok)
		log_event(LOG_LEVEL_INFO, "reloaded", "policy", reloads->service->dir, NULL);
	else
		say_refused(reloads, result, error);
	log_problems(LOG_LEVEL_ERROR, "policy_error", json_object_get(result, "errors"));
	reload_log_warnings(json_object_get(result, "warnings"));
	systemd_tell(ok ? "READY=1\nSTATUS=the policy was loaded anew"
			: "READY=1\nSTATUS=the new policy was refused: lockstep status");
}

/* ── A load ──────────────────────────────────────────────────────────────────────────────── */

/* Those that only compare have the policy that is in force until the others change it. */
static void end_comparing(
    struct reloads *reloads, const struct snapshot *snapshot, json_t *problems, struct error *error)
{
	struct wish *wish = TAILQ_FIRST(&reloads->now);

	while (wish != NULL) {
		struct wish *next = TAILQ_NEXT(wish, entry);
		json_t *result = json_incref(problems);
		enum service_end end = SERVICE_USAGE;

		if (!wish->take) {
			TAILQ_REMOVE(&reloads->now, wish, entry);
			if (snapshot != NULL)
				end = diff_snapshots(reloads->service, snapshot, &result, error);
			wish_end(wish, end, result, error);
		} else {
			json_decref(result);
		}
		wish = next;
	}
}

static void end_taking(
    struct reloads *reloads, struct snapshot *snapshot, json_t *problems, struct error *error)
{
	enum service_end end = problems != NULL ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	json_t *result = json_incref(problems);
	struct wish *wish;

	if (snapshot != NULL)
		end = try_take(reloads, snapshot, &result, error);
	if (end != SERVICE_OK)
		audit_refused(reloads, error);
	if (result == NULL)
		result = json_pack("{s:b, s:[{s:n, s:n, s:s}], s:[]}", "ok", 0, "errors", "file",
		    "line", "text", error->text, "warnings");
	say_ended(reloads, end, result, error);
	while ((wish = TAILQ_FIRST(&reloads->now)) != NULL) {
		TAILQ_REMOVE(&reloads->now, wish, entry);
		wish_end(wish, end, json_incref(result), error);
	}
	json_decref(result);
}

static void reloads_end(
    struct reloads *reloads, struct snapshot *snapshot, json_t *problems, struct error *error)
{
	end_comparing(reloads, snapshot, problems, error);
	if (any_takes(&reloads->now))
		end_taking(reloads, snapshot, problems, error);
	else
		snapshot_free(snapshot);
	json_decref(problems);
}

static enum err reloads_begin(struct reloads *, struct error *);

static void on_loaded(
    void *arg, struct snapshot *snapshot, json_t *problems, const struct error *error)
{
	struct reloads *reloads = arg;
	struct error copy = *error;

	reloads->loading = NULL;
	reloads_end(reloads, snapshot, problems, &copy);
	TAILQ_CONCAT(&reloads->now, &reloads->next, entry);
	if (!TAILQ_EMPTY(&reloads->now) && reloads_begin(reloads, &copy) != ERR_OK)
		reloads_end(reloads, NULL, NULL, &copy);
}

static enum err reloads_begin(struct reloads *reloads, struct error *error)
{
	if (any_takes(&reloads->now))
		say_begun(reloads);
	reloads->loading = loading_start(reloads->service, on_loaded, reloads, error);
	return reloads->loading == NULL ? error->code : ERR_OK;
}

static struct wish *wish_add(struct reloads *reloads, bool take)
{
	struct wish *wish = xcalloc(1, sizeof(*wish));

	wish->reloads = reloads;
	wish->take = take;
	if (reloads->loading != NULL)
		TAILQ_INSERT_TAIL(&reloads->next, wish, entry);
	else
		TAILQ_INSERT_TAIL(&reloads->now, wish, entry);
	return wish;
}

enum service_end reloads_ask(struct reloads *reloads, struct request *request, bool take)
{
	struct wish *wish = wish_add(reloads, take);

	if (reloads->loading == NULL && reloads_begin(reloads, request->error) != ERR_OK) {
		wish_drop(wish);
		return SERVICE_NO_ENGINE;
	}
	wish->request = request;
	request->drop = wish_drop;
	request->drop_arg = wish;
	return SERVICE_LATER;
}

/* Once is enough, however many come while one is under way. */
void reloads_signalled(struct reloads *reloads)
{
	struct error error;

	if (any_takes(&reloads->next))
		return;
	(void)wish_add(reloads, true);
	if (reloads->loading == NULL && reloads_begin(reloads, &error) != ERR_OK)
		reloads_end(reloads, NULL, NULL, &error);
}

/* ── Its life ────────────────────────────────────────────────────────────────────────────── */

struct reloads *reloads_new(struct service *service)
{
	struct reloads *reloads = xcalloc(1, sizeof(*reloads));

	reloads->service = service;
	TAILQ_INIT(&reloads->now);
	TAILQ_INIT(&reloads->next);
	return reloads;
}

/* The requests that wait were dropped. */
void reloads_free(struct reloads *reloads)
{
	struct wish *wish;

	if (reloads == NULL)
		return;
	loading_stop(reloads->loading);
	TAILQ_CONCAT(&reloads->now, &reloads->next, entry);
	while ((wish = TAILQ_FIRST(&reloads->now)) != NULL) {
		TAILQ_REMOVE(&reloads->now, wish, entry);
		free(wish);
	}
	json_decref(reloads->last);
	free(reloads);
}

json_t *reloads_last(const struct reloads *reloads)
{
	return reloads == NULL || reloads->last == NULL ? json_null() : json_incref(reloads->last);
}
