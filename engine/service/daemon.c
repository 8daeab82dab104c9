#include "service/daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/engine.h"
#include "service/run.h"
#include "service/server.h"
#include "service/systemd.h"

#define SETTLE_MIN_MS 15000
#define SETTLE_MAX_MS 3600000
#define LOOK_MS	      100   /* while it drains */
#define LAST_MS	      5000  /* for clients to take their answers, at the end */
#define LOCK_MS	      10000 /* for a command that has the vault to end */
#define LOCK_PAUSE_MS 100

struct daemon {
	struct service *service;
	const struct service_daemon *config;
	json_t *reload; /* what came of the last one */
	struct timer settle, watchdog, look, last;
	uint64_t settle_ms; /* the pause before doubts are tried again */
	uint64_t drain_until_ms;
	enum service_end end;
	bool draining;
	bool over;
	bool broken;
};

static struct clock *clock_of(const struct daemon *daemon)
{
	return loop_clock(daemon->service->loop);
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

/* Now, whatever is in flight: it is in doubt and kept. */
static void daemon_stop(struct daemon *daemon)
{
	daemon->over = true;
	loop_stop(daemon->service->loop);
}

static void on_last(void *arg)
{
	daemon_stop(arg);
}

/* Nothing is in work: what is left is that clients take their answers. */
static void daemon_close(struct daemon *daemon)
{
	struct server *server = daemon->service->server;

	if (daemon->last.fn == NULL) {
		daemon->last = (struct timer){.fn = on_last, .arg = daemon};
		timer_start(clock_of(daemon), &daemon->last, LAST_MS);
		server_end(server);
	}
	if (server_is_quiet(server))
		daemon_stop(daemon);
}

static void daemon_look(void *arg)
{
	struct daemon *daemon = arg;
	struct service *service = daemon->service;

	if (daemon->broken ||
	    (rotation_idle(service->rotation) && TAILQ_EMPTY(&service->requests))) {
		daemon_close(daemon);
	} else if (clock_mono_ms(clock_of(daemon)) >= daemon->drain_until_ms) {
		log_event(LOG_LEVEL_WARN, "drain_ended", "why",
		    "its time has passed: what is in flight is in doubt and kept", NULL);
		daemon_stop(daemon);
	}
	if (!daemon->over)
		timer_start(clock_of(daemon), &daemon->look, LOOK_MS);
}

static void daemon_drain(struct daemon *daemon, uint64_t limit_ms)
{
	char state[128];

	daemon->draining = true;
	daemon->drain_until_ms = clock_mono_ms(clock_of(daemon)) + limit_ms;
	daemon->look = (struct timer){.fn = daemon_look, .arg = daemon};
	timer_start(clock_of(daemon), &daemon->look, 0);
	/* Beside what TimeoutStopSec= allows. */
	snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
	    (unsigned long long)(limit_ms + 2 * LAST_MS) * 1000);
	systemd_tell(state);
}

static void on_end(void *arg, int signo)
{
	struct daemon *daemon = arg;
	const struct service *service = daemon->service;
	uint64_t limit_ms = policy_settings(service->snapshot->policy)->drain_ms;

	if (daemon->draining) {
		log_event(LOG_LEVEL_WARN, "stopping", "how",
		    "at once: what is in flight is in doubt and kept", NULL);
		daemon_stop(daemon);
		return;
	}
	log_event(LOG_LEVEL_INFO, "stopping", "signal", strsignal(signo), NULL);
	daemon_drain(daemon, limit_ms);
	engine_drain(daemon->service);
}

void daemon_broken(struct daemon *daemon, const struct error *error)
{
	log_event(LOG_LEVEL_ERROR, "broken", "error", error->text, NULL);
	daemon->broken = true;
	daemon->end = SERVICE_NO_ENGINE;
	if (!daemon->draining)
		daemon_drain(daemon, LAST_MS);
}

/* ── Reloading ───────────────────────────────────────────────────────────────────────────── */

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void warn(json_t *warnings, const char *text)
{
	json_array_append_new(warnings, json_pack("{s:n, s:n, s:s}", "file", "line", "text", text));
}

/* What an engine has once and for all. */
static void warn_fixed(
    struct service *service, const struct settings *before, const struct settings *now, json_t *out)
{
	if (service->secure_mode && !now->secure_mode)
		warn(out, "secure_mode stays on: turning it off needs a restart of lockstepd");
	if (!same(before->vault, now->vault) || !same(before->master_key, now->master_key) ||
	    !same(before->socket, now->socket))
		warn(out, "vault, master_key and socket stay as they were until lockstepd is "
			  "restarted");
	if (before->wires != now->wires || before->sandbox != now->sandbox)
		warn(out, "wires and sandbox stay as they were until lockstepd is restarted");
}

static enum service_end refuse(
    struct snapshot *snapshot, enum service_end end, json_t **result, const struct error *error)
{
	snapshot_free(snapshot);
	if (*result == NULL)
		*result = json_pack("{s:b, s:[{s:n, s:n, s:s}], s:[]}", "ok", 0, "errors", "file",
		    "line", "text", error->text, "warnings");
	return end;
}

static void take(struct service *service, struct snapshot *snapshot, json_t **result)
{
	const struct settings *before = policy_settings(service->snapshot->policy);
	const struct settings *now = policy_settings(snapshot->policy);
	json_int_t assets = (json_int_t)policy_asset_count(snapshot->policy);
	json_int_t tasks = (json_int_t)policy_task_count(snapshot->policy);
	json_t *warnings = json_copy(snapshot->warnings);

	warn_fixed(service, before, now, warnings);
	service->secure_mode = service->secure_mode || now->secure_mode;
	rotation_reload(service->rotation, &(struct rotation_policy){
					       .policy = snapshot->policy,
					       .snapshot = snapshot->number,
					       .secure_mode = service->secure_mode,
					   });
	scheduler_reload(service->scheduler);
	snapshot_use(service, snapshot);
	*result = json_pack("{s:b, s:I, s:I, s:[], s:o}", "ok", 1, "assets", assets, "tasks", tasks,
	    "errors", "warnings", warnings);
}

static enum service_end reload(
    struct daemon *daemon, struct request *request, json_t **result, struct error *error)
{
	struct service *service = daemon->service;
	struct snapshot *snapshot;
	enum err err;

	*result = NULL;
	snapshot = snapshot_load(service, result, error);
	if (snapshot == NULL)
		return refuse(NULL, SERVICE_USAGE, result, error);
	err = snapshot_give_to_wires(service, snapshot, error);
	if (err == ERR_OK)
		err = audit_policy(service, request, &service->files, NULL, true, error);
	if (err != ERR_OK)
		return refuse(snapshot, err == ERR_INVALID ? SERVICE_USAGE : SERVICE_NO_ENGINE,
		    result, error);
	take(service, snapshot, result);
	audit_follow(service);
	return SERVICE_OK;
}

/* The old policy stays in any case, so that one that cannot be recorded is only logged. */
static void audit_refused(struct daemon *daemon, struct request *request, const struct error *why)
{
	struct service *service = daemon->service;
	struct error error;

	if (audit_policy(service, request, &service->files, why->text, true, &error) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, "not_audited", "error", error.text, NULL);
}

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

static void reload_note(
    struct daemon *daemon, enum service_end end, json_t *result, const struct error *error)
{
	bool ok = end == SERVICE_OK;
	uint64_t now_ms = clock_wall_ms(clock_of(daemon));

	json_decref(daemon->reload);
	daemon->reload = json_copy(result);
	json_object_set_new(daemon->reload, "at", json_time(now_ms));
	json_object_set_new(daemon->reload, "error", ok ? json_null() : json_string(error->text));
	if (ok)
		log_event(LOG_LEVEL_INFO, "reloaded", "policy", daemon->service->dir, NULL);
	else
		log_event(LOG_LEVEL_ERROR, "reload_refused", "error", error->text, NULL);
	log_problems(LOG_LEVEL_ERROR, "policy_error", json_object_get(result, "errors"));
	log_problems(LOG_LEVEL_WARN, "policy_warning", json_object_get(result, "warnings"));
}

enum service_end daemon_reload(
    struct daemon *daemon, struct request *request, json_t **result, struct error *error)
{
	char state[64];
	enum service_end end;

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)clock_mono_ms(clock_of(daemon)) * 1000);
	systemd_tell(state);
	end = reload(daemon, request, result, error);
	if (end != SERVICE_OK)
		audit_refused(daemon, request, error);
	reload_note(daemon, end, *result, error);
	systemd_tell(end == SERVICE_OK
			 ? "READY=1\nSTATUS=the policy was loaded anew"
			 : "READY=1\nSTATUS=the new policy was refused: lockstep status");
	return end;
}

json_t *daemon_last_reload(const struct daemon *daemon)
{
	return daemon->reload == NULL ? json_null() : json_incref(daemon->reload);
}

static void on_reload(void *arg, int signo)
{
	struct daemon *daemon = arg;
	struct error error = {.code = ERR_OK};
	json_t *result;

	(void)signo;
	if (daemon->draining)
		return;
	(void)daemon_reload(daemon, NULL, &result, &error);
	json_decref(result);
}

static void on_reopen(void *arg, int signo)
{
	const struct daemon *daemon = arg;

	(void)signo;
	if (daemon->config->reopen_log != NULL)
		daemon->config->reopen_log(daemon->config->arg);
}

/* ── Time ────────────────────────────────────────────────────────────────────────────────── */

static void settle_in(struct daemon *daemon, uint64_t pause_ms)
{
	daemon->settle_ms = pause_ms;
	timer_start(clock_of(daemon), &daemon->settle, pause_ms);
}

/* Doubts have their turn with growing pauses: an asset may be away for long. */
static void on_settle(void *arg)
{
	struct daemon *daemon = arg;
	struct error error;
	uint64_t pause_ms = daemon->settle_ms * 2;

	if (rotation_settle(daemon->service->rotation, &error) != ERR_OK) {
		daemon_broken(daemon, &error);
		return;
	}
	settle_in(daemon, pause_ms < SETTLE_MAX_MS ? pause_ms : SETTLE_MAX_MS);
}

void daemon_ended_execution(struct daemon *daemon)
{
	if (!daemon->draining && daemon->settle_ms > SETTLE_MIN_MS)
		settle_in(daemon, SETTLE_MIN_MS);
}

static void log_end(const struct execution *execution)
{
	static const enum status told[] = {
	    STATUS_SUCCESS, STATUS_FAILED, STATUS_UNVERIFIED, STATUS_SKIPPED};
	char id[ID_TEXT_SIZE], counts[4][24];

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		snprintf(counts[i], sizeof(counts[i]), "%llu",
		    (unsigned long long)execution->counts.by_status[told[i]]);
	log_event(LOG_LEVEL_INFO, "execution", "id", id_text(&execution->id, id), "task",
	    execution->task, "by", execution->trigger, "success", counts[0], "failed", counts[1],
	    "unverified", counts[2], "skipped", counts[3], "stopped", execution->stopped, NULL);
}

void daemon_unwatched(struct daemon *daemon, const struct rotation_event *event)
{
	if (event->kind == ROTATION_RECORD_ENDED)
		run_log_record(event->record);
	if (event->kind != ROTATION_ENDED)
		return;
	log_end(event->execution);
	daemon_ended_execution(daemon);
}

static void on_watchdog(void *arg)
{
	struct daemon *daemon = arg;

	systemd_tell("WATCHDOG=1");
	timer_start(clock_of(daemon), &daemon->watchdog, systemd_watchdog_ms() / 2);
}

/* ── The beginning ───────────────────────────────────────────────────────────────────────── */

/* A command may have the vault for a moment; the wires of an engine that was killed, a little
 * longer. */
static enum service_end open_engine(struct request *request)
{
	enum service_end end = SERVICE_OK;

	for (int waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
		end = engine_open(request, NEEDS_WIRES);
		if (end != SERVICE_NO_ENGINE || request->error->code != ERR_BUSY ||
		    waited_ms >= LOCK_MS)
			return end;
		(void)poll(NULL, 0, LOCK_PAUSE_MS);
	}
}

static enum service_end open_all(struct daemon *daemon, json_t **result, struct error *error)
{
	struct service *service = daemon->service;
	struct request request = {.service = service, .error = error};
	enum service_end end = open_engine(&request);
	const char *path;

	*result = request.result; /* transferred */
	if (request.snapshot != NULL)
		request.snapshot->uses--;
	if (end != SERVICE_OK)
		return end;
	path = policy_settings(service->snapshot->policy)->socket;
	if (rotation_recover(service->rotation, error) != ERR_OK ||
	    server_open(&service->server, service, path, error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	service->recovered = true;
	service->scheduler = scheduler_new(service->rotation);
	return SERVICE_OK;
}

static void daemon_listen(struct daemon *daemon)
{
	struct loop *loop = daemon->service->loop;

	loop_signal(loop, SIGHUP, on_reload, daemon);
	loop_signal(loop, SIGTERM, on_end, daemon);
	loop_signal(loop, SIGINT, on_end, daemon);
	loop_signal(loop, SIGUSR1, on_reopen, daemon);
	daemon->settle = (struct timer){.fn = on_settle, .arg = daemon};
	settle_in(daemon, SETTLE_MIN_MS);
	daemon->watchdog = (struct timer){.fn = on_watchdog, .arg = daemon};
	if (systemd_watchdog_ms() > 0)
		on_watchdog(daemon);
	log_problems(LOG_LEVEL_WARN, "policy_warning", daemon->service->snapshot->warnings);
	log_event(LOG_LEVEL_INFO, "ready", "policy", daemon->service->dir, NULL);
	systemd_tell("READY=1");
}

static void daemon_clear(struct daemon *daemon)
{
	timer_stop(&daemon->settle);
	timer_stop(&daemon->watchdog);
	timer_stop(&daemon->look);
	timer_stop(&daemon->last);
	json_decref(daemon->reload);
}

enum service_end service_serve(struct service *service, const struct service_daemon *config,
    json_t **result, struct error *error)
{
	struct daemon daemon = {.service = service, .config = config};
	enum service_end end;

	service->daemon = &daemon;
	end = open_all(&daemon, result, error);
	if (end == SERVICE_OK) {
		daemon_listen(&daemon);
		while (!daemon.over)
			loop_run(service->loop);
		end = daemon.end;
		log_event(LOG_LEVEL_INFO, "stopped", NULL);
	}
	engine_rest(service);
	daemon_clear(&daemon);
	service->daemon = NULL;
	return end;
}
