#include "service/daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/courier.h"
#include "service/engine.h"
#include "service/listen.h"
#include "service/reload.h"
#include "service/run.h"
#include "service/scrape.h"
#include "service/server.h"
#include "service/systemd.h"
#include "vault/copy.h"

#define SETTLE_MIN_MS 15000
#define SETTLE_MAX_MS 3600000
#define LOOK_MS	      100   /* while it drains */
#define LAST_MS	      5000  /* for clients to take their answers, at the end */
#define LOCK_MS	      10000 /* for a command that has the vault to end */
#define LOCK_PAUSE_MS 100

struct daemon {
	struct service *service;
	const struct service_daemon *config;
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
	struct listening *listening = daemon->service->listening;

	if (daemon->last.fn == NULL) {
		daemon->last = (struct timer){.fn = on_last, .arg = daemon};
		timer_start(clock_of(daemon), &daemon->last, LAST_MS);
		server_end(server);
		listening_end(listening);
	}
	if (server_is_quiet(server) && listening_is_quiet(listening))
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

static void on_reload(void *arg, int signo)
{
	struct daemon *daemon = arg;

	(void)signo;
	if (!daemon->draining)
		reloads_signalled(daemon->service->reloads);
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

/* Rotations do not wait for a certificate: without one there is the socket. */
static void open_listening(struct service *service)
{
	const struct settings *settings = policy_settings(service->snapshot->policy);
	struct listen_change change;
	struct error error;
	char warning[WHY_SIZE];

	service->listening = listening_new(service);
	if (listen_prepare(service->listening, settings, &change, &error) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, "not_listening", "error", error.text, NULL);
		return;
	}
	listen_take(service->listening, settings, &change);
	listening_warning(service->listening, warning, sizeof(warning));
	if (warning[0] != '\0')
		log_event(LOG_LEVEL_WARN, "listening", "warning", warning, NULL);
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
	loop_signal(service->loop, SIGTERM, on_end, daemon);
	loop_signal(service->loop, SIGINT, on_end, daemon);
	path = policy_settings(service->snapshot->policy)->socket;
	if (rotation_recover(service->rotation, error) != ERR_OK ||
	    server_open(&service->server, service, path, error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	service->recovered = true;
	service->scheduler = scheduler_new(service->rotation);
	service->courier = courier_new(service);
	metrics_start(service);
	scrape_update(service);
	open_listening(service);
	service->reloads = reloads_new(service);
	return SERVICE_OK;
}

static void restored_looked_at(
    void *arg, enum service_end end, json_t *result, const char *next, const struct error *error)
{
	struct service *service = arg;
	struct error failed;

	(void)next;
	json_decref(result);
	if (end != SERVICE_OK && end != SERVICE_SOME)
		log_event(LOG_LEVEL_WARN, "restored_not_verified", "error", error->text, NULL);
	else if (vault_restore_settled(service->vault, &failed) != ERR_OK)
		log_event(LOG_LEVEL_WARN, "restored_not_verified", "error", failed.text, NULL);
}

/* A vault that was put back may hold secrets that its assets have no more: each is looked at before
 * anything is begun with it by itself. */
static void look_at_restored(struct daemon *daemon)
{
	struct service *service = daemon->service;
	const struct listener listener = {
	    .done = restored_looked_at,
	    .arg = service,
	    .caller = {.uid = service->uid, .here = true, .engine = true},
	};

	if (!vault_restore_is_open(service->vault))
		return;
	log_event(LOG_LEVEL_WARN, "restored", "what", "every account is verified", NULL);
	(void)request_begin(service, "account.verify", json_object(), &listener);
}

static void daemon_listen(struct daemon *daemon)
{
	reseal_begin(daemon->service, NULL, NULL);
	look_at_restored(daemon);
	daemon->settle = (struct timer){.fn = on_settle, .arg = daemon};
	settle_in(daemon, SETTLE_MIN_MS);
	daemon->watchdog = (struct timer){.fn = on_watchdog, .arg = daemon};
	if (systemd_watchdog_ms() > 0)
		on_watchdog(daemon);
	reload_log_warnings(daemon->service->snapshot->warnings);
	log_event(LOG_LEVEL_INFO, "ready", "policy", daemon->service->dir, NULL);
	systemd_tell("READY=1");
}

static void daemon_clear(struct daemon *daemon)
{
	timer_stop(&daemon->settle);
	timer_stop(&daemon->watchdog);
	timer_stop(&daemon->look);
	timer_stop(&daemon->last);
}

enum service_end service_serve(struct service *service, const struct service_daemon *config,
    json_t **result, struct error *error)
{
	struct daemon daemon = {.service = service, .config = config};
	enum service_end end;

	service->daemon = &daemon;
	/* They wait for the loop; without this, one that comes early would end us. What ends us is
	 * heeded from when there is something to end. */
	loop_signal(service->loop, SIGHUP, on_reload, &daemon);
	loop_signal(service->loop, SIGUSR1, on_reopen, &daemon);
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
