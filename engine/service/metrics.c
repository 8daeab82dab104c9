#include "service/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>

#include "base/buf.h"
#include "service/engine.h"
#include "service/http.h"
#include "vault/notice.h"

#define TEXT_MAX (4UL * 1024 * 1024)
#define BEAT_MS	 1000
#define BEATS	 (sizeof(((struct metrics *)0)->lags_ms) / sizeof(uint64_t))

/* ── Counting ────────────────────────────────────────────────────────────────────────────── */

void metrics_count(struct metrics *metrics, const struct rotation_event *event)
{
	if (event->kind == ROTATION_RECORD_ENDED)
		metrics->records[event->record->status]++;
	if (event->kind == ROTATION_SETTLED)
		metrics->settled[event->record->status]++;
	if (event->kind == ROTATION_ENDED)
		metrics->executions[execution_outcome(event->execution)]++;
}

/* A timer that comes late tells how long the loop was busy with something else. */
static void on_beat(void *arg)
{
	struct service *service = arg;
	struct metrics *metrics = &service->metrics;
	struct clock *clock = loop_clock(service->loop);
	uint64_t now_ms = clock_mono_ms(clock);

	metrics->lags_ms[metrics->at++ % BEATS] =
	    now_ms > metrics->beat_ms ? now_ms - metrics->beat_ms : 0;
	metrics->beat_ms = now_ms + BEAT_MS;
	timer_start(clock, &metrics->beat, BEAT_MS);
}

void metrics_start(struct service *service)
{
	struct metrics *metrics = &service->metrics;
	struct clock *clock = loop_clock(service->loop);

	metrics->reloaded_ms = service->snapshot->loaded_ms;
	metrics->beat = (struct timer){.fn = on_beat, .arg = service};
	metrics->beat_ms = clock_mono_ms(clock) + BEAT_MS;
	timer_start(clock, &metrics->beat, BEAT_MS);
}

void metrics_stop(struct service *service)
{
	timer_stop(&service->metrics.beat);
}

static uint64_t worst_lag_ms(const struct metrics *metrics)
{
	uint64_t worst = 0;

	for (size_t i = 0; i < BEATS; i++)
		worst = metrics->lags_ms[i] > worst ? metrics->lags_ms[i] : worst;
	return worst;
}

/* ── The format ──────────────────────────────────────────────────────────────────────────── */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(
    struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	buf_addf(out, "%s %" PRIu64 "\n", name, value);
}

static void seconds(struct buf *out, const char *name, const char *help, uint64_t ms)
{
	head(out, name, "gauge", help);
	buf_addf(out, "%s %" PRIu64 ".%03" PRIu64 "\n", name, ms / 1000, ms % 1000);
}

static void labelled(
    struct buf *out, const char *name, const char *label, const char *word, uint64_t value)
{
	buf_addf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, word, value);
}

/* A name that people gave: `"`, `\` and a line's end are escaped. */
static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			buf_add_text(out, "\\n");
		else if (*text == '"' || *text == '\\')
			buf_addf(out, "\\%c", *text);
		else
			buf_add(out, text, 1);
	}
}

/* ── What there is ───────────────────────────────────────────────────────────────────────── */

static void write_statuses(struct buf *out, const char *name, const uint64_t *counts)
{
	for (int status = STATUS_SUCCESS; status < STATUS_COUNT; status++)
		labelled(out, name, "status", status_name((enum status)status), counts[status]);
}

static void write_work(struct buf *out, const struct service *service)
{
	const struct metrics *metrics = &service->metrics;
	const struct policy *policy = service->snapshot->policy;

	head(out, "lockstep_records_ended_total", "counter",
	    "Records that ended since the start, by what they were then.");
	write_statuses(out, "lockstep_records_ended_total", metrics->records);
	head(out, "lockstep_doubts_settled_total", "counter",
	    "Doubts of earlier executions that ended since the start, by what they came to.");
	write_statuses(out, "lockstep_doubts_settled_total", metrics->settled);
	head(out, "lockstep_executions_ended_total", "counter",
	    "Executions that ended since the start.");
	labelled(out, "lockstep_executions_ended_total", "outcome", "succeeded",
	    metrics->executions[OUTCOME_SUCCEEDED]);
	labelled(out, "lockstep_executions_ended_total", "outcome", "failed",
	    metrics->executions[OUTCOME_FAILED]);
	one(out, "lockstep_assets_in_flight", "gauge", "Assets that are being worked on.",
	    rotation_in_flight(service->rotation));
	one(out, "lockstep_assets", "gauge", "Assets of the policy.", policy_asset_count(policy));
	one(out, "lockstep_tasks", "gauge", "Tasks of the policy.", policy_task_count(policy));
}

static void write_engine(struct buf *out, const struct service *service)
{
	const struct metrics *metrics = &service->metrics;
	struct vault_size size;

	vault_size(service->vault, &size);
	head(out, "lockstep_build_info", "gauge", "Which release runs; always 1.");
	labelled(out, "lockstep_build_info", "version", PACKAGE_VERSION, 1);
	seconds(out, "process_start_time_seconds", "When it was started, since 1970.",
	    service->since_ms);
	one(out, "lockstep_policy_last_reload_successful", "gauge",
	    "1 where the last policy that was to be loaded was taken.", !metrics->reload_failed);
	seconds(out, "lockstep_policy_last_reload_success_timestamp_seconds",
	    "When a policy was last taken, since 1970.", metrics->reloaded_ms);
	one(out, "lockstep_secure_mode", "gauge", "1 where privileged accounts are left alone.",
	    service->secure_mode);
	one(out, "lockstep_wires", "gauge", "Processes that speak to assets.",
	    wires_alive(service->wires));
	one(out, "lockstep_wires_died_total", "counter",
	    "Processes that died while they spoke to assets, since the start.",
	    metrics->wires_died);
	seconds(out, "lockstep_loop_lag_seconds",
	    "How late the loop came to a timer, at worst in the last minute.",
	    worst_lag_ms(metrics));
	one(out, "lockstep_vault_size_bytes", "gauge", "Pages of the vault that were ever used.",
	    size.bytes);
	one(out, "lockstep_vault_commits_total", "counter", "Commits since the start.",
	    size.commits);
}

static bool count_open(void *arg, const struct execution *execution)
{
	(void)execution;
	++*(uint64_t *)arg;
	return true;
}

static void write_kept(struct buf *out, struct vault_txn *txn)
{
	struct notice_counts notices;
	struct totals totals;
	uint64_t running = 0;

	vault_totals(txn, &totals);
	notice_count(txn, &notices);
	execution_each_open(txn, count_open, &running);
	one(out, "lockstep_executions_running", "gauge", "Executions that have not ended.",
	    running);
	head(out, "lockstep_records", "gauge", "Records that are kept, by what they are now.");
	write_statuses(out, "lockstep_records", totals.records.by_status);
	head(out, "lockstep_secrets", "gauge", "Passwords and keys that are kept, by their state.");
	for (int state = 0; state < ACCOUNT_STATE_COUNT; state++)
		labelled(out, "lockstep_secrets", "state",
		    account_state_name((enum account_state)state), totals.accounts[state]);
	one(out, "lockstep_accounts_failing", "gauge",
	    "Accounts whose last record failed or is in doubt, and is not ignored.",
	    totals.failing);
	head(out, "lockstep_notices", "gauge", "What is to be told to others and was not yet.");
	labelled(out, "lockstep_notices", "state", "waiting", notices.waiting);
	labelled(out, "lockstep_notices", "state", "given_up", notices.given_up);
	one(out, "lockstep_notices_sent_total", "counter", "Notices that were sent, ever.",
	    notices.sent);
	one(out, "lockstep_notices_lost_total", "counter",
	    "Notices for which the queue had no room, ever.", notices.lost);
}

static void write_tasks(struct buf *out, const struct policy *policy, struct vault_txn *txn)
{
	static const char name[] = "lockstep_task_last_success_timestamp_seconds";

	head(out, name, "gauge",
	    "When an execution of the task last ended with nothing failed or in doubt.");
	for (size_t i = 0; i < policy_task_count(policy); i++) {
		const char *task = policy_task(policy, i)->name;
		uint64_t at_ms = task_succeeded_ms(txn, task);

		if (at_ms == 0)
			continue;
		buf_addf(out, "%s{task=\"", name);
		add_escaped(out, task);
		buf_addf(out, "\"} %" PRIu64 ".%03" PRIu64 "\n", at_ms / 1000, at_ms % 1000);
	}
}

static bool write_all(struct service *service, struct buf *out)
{
	struct vault_txn *txn = vault_read(service->vault);

	if (txn == NULL)
		return false;
	write_engine(out, service);
	write_work(out, service);
	write_kept(out, txn);
	write_tasks(out, service->snapshot->policy, txn);
	vault_read_end(txn);
	return !buf_failed(out);
}

void metrics_answer(struct service *service, struct evbuffer *out)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (write_all(service, &text)) {
		http_answer_head(out, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", "");
		evbuffer_add(out, text.data, text.len);
	} else {
		http_answer_head(out, HTTP_UNAVAILABLE, "text/plain", "");
		evbuffer_add_printf(out, "the vault cannot be read\n");
	}
	buf_clear(&text);
}
