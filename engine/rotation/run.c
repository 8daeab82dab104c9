/*
 * A run, from its first life to its end: what of it went wrong, whether its canaries let the rest
 * go on, and what stops it.
 */
#include "rotation/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "rotation/note.h"

/* What an execution keeps of why it was stopped. */
#define BY_CANARY "canary"
#define BY_LIMIT  "stop_after"
#define BY_CANCEL "cancelled"
#define BY_WINDOW "window"

/* ── Words ── */

static void run_tell(struct run *run, enum rotation_event_kind kind)
{
	struct rotation *rotation = run->rotation;
	struct rotation_event event = {
	    .kind = kind,
	    .execution = &run->execution,
	    .in_flight = rotation->visits,
	    .canaries = run->canaries,
	    .trouble = run->failed + run->unverified,
	    .total = run->total,
	};

	if (rotation->config.event != NULL)
		rotation->config.event(rotation->config.arg, &event);
}

/* ── Stopping ── */

bool life_is_stopped(const struct life *life)
{
	return life->site->rotation->draining || (life->run != NULL && life->run->stopped);
}

static const char *run_reason(const struct run *run)
{
	const char *why = run->execution.stopped;

	return strcmp(why, BY_CANARY) == 0 || strcmp(why, BY_LIMIT) == 0 ? "stopped" : why;
}

const char *life_stop_reason(const struct life *life)
{
	return life->run != NULL && life->run->stopped ? run_reason(life->run) : "stopped";
}

/* What the record was to wait for is settled all the same. */
static void life_leave_doubt(struct life *life)
{
	uint64_t now_ms = rotation_now(life->site->rotation);
	struct life *rest = life_new(life->site);

	rest->doubt = true;
	rest->doubt_tried = life->doubt_tried;
	rest->account = life->account;
	rest->doubted = life->doubted;
	rest->subject = &rest->doubted;
	life_queue(rest, life->ready_ms > now_ms ? life->ready_ms - now_ms : 0);
}

static void site_stop(struct site *site, const struct run *run)
{
	struct life *life = TAILQ_FIRST(&site->lives);

	while (life != NULL) {
		struct life *next = TAILQ_NEXT(life, entry);

		if (life->run == run && !life->working && !life->reported) {
			if (life->doubt)
				life_leave_doubt(life);
			life_stop(life, run_reason(run));
		}
		life = next;
	}
}

void run_stop(struct run *run, const char *why)
{
	struct rotation *rotation = run->rotation;

	if (run->stopped)
		return;
	run->stopped = true;
	run->held = false;
	snprintf(run->execution.stopped, sizeof(run->execution.stopped), "%s", why);
	run_tell(run, ROTATION_STOPPED);
	run->open++; /* it is not over before all were looked at */
	for (size_t i = 0; i < rotation->site_count; i++)
		site_stop(rotation->sites[i], run);
	run_ended_life(run);
}

static struct run *run_find(struct rotation *rotation, const struct id *execution)
{
	struct run *run;

	LIST_FOREACH (run, &rotation->runs, entry)
		if (id_equal(&run->execution.id, execution))
			return run;
	return NULL;
}

bool rotation_runs(struct rotation *rotation, const struct id *execution)
{
	return run_find(rotation, execution) != NULL;
}

enum err rotation_cancel(struct rotation *rotation, const struct id *execution, struct error *error)
{
	struct run *run = run_find(rotation, execution);
	char id[ID_TEXT_SIZE];

	if (run == NULL || run->open == 0) /* its end is being written */
		return error_set(
		    error, ERR_NOT_FOUND, "execution %s is not running", id_text(execution, id));
	run_stop(run, BY_CANCEL);
	return ERR_OK;
}

void run_stop_by_window(struct rotation *rotation, const struct id *execution)
{
	struct run *run = run_find(rotation, execution);

	if (run != NULL && run->open > 0) /* else its end is being written */
		run_stop(run, BY_WINDOW);
}

/* ── What went wrong ── */

/* True where that much of `total` went wrong that the run must not go on. */
static bool portion_reached(const struct portion *portion, size_t trouble, size_t total)
{
	if (portion->per_10000 > 0)
		return trouble * 10000 >= total * portion->per_10000;
	return trouble >= (portion->count < total ? portion->count : total);
}

static bool run_has_failed(const struct run *run, size_t trouble)
{
	const struct portion *limit = &run->task->limits.stop_after;
	bool limited = limit->count > 0 || limit->per_10000 > 0;

	if (trouble == 0 || run->kind == ROTATION_REHEARSE)
		return false;
	if (run->held)
		return !limited || portion_reached(limit, trouble, run->canaries);
	return limited && portion_reached(limit, trouble, run->total);
}

/* That no proof was asked for is nobody's fault. */
static enum status record_counts_as(const struct record *record)
{
	bool asked = strcmp(record->reason, "not_asked") != 0;

	return record->status == STATUS_UNVERIFIED && !asked ? STATUS_SUCCESS : record->status;
}

void run_note(struct life *life)
{
	struct run *run = life->run;
	enum status now = record_counts_as(&life->record);

	run->failed -= life->counted == STATUS_FAILED;
	run->unverified -= life->counted == STATUS_UNVERIFIED;
	run->failed += now == STATUS_FAILED;
	run->unverified += now == STATUS_UNVERIFIED;
	life->counted = now;
	/* A canary's doubt has its turn before it is held against the rest. */
	if (run->held && run_has_failed(run, run->failed))
		run_stop(run, BY_CANARY);
	else if (!run->held && run_has_failed(run, run->failed + run->unverified))
		run_stop(run, BY_LIMIT);
}

/* ── Canaries ── */

static struct life *run_next_held(const struct run *run)
{
	const struct rotation *rotation = run->rotation;
	struct life *life, *next = NULL;

	for (size_t i = 0; i < rotation->site_count; i++)
		TAILQ_FOREACH (life, &rotation->sites[i]->lives, entry)
			if (life->run == run && life->held &&
			    (next == NULL || life->rank < next->rank))
				next = life;
	return next;
}

static void life_release(struct life *life)
{
	life->held = false;
	site_wake(life->site);
}

static void run_go_on(struct run *run)
{
	struct rotation *rotation = run->rotation;
	struct life *life;

	run_tell(run, ROTATION_CANARY);
	run->held = false;
	for (size_t i = 0; i < rotation->site_count; i++)
		TAILQ_FOREACH (life, &rotation->sites[i]->lives, entry)
			if (life->run == run && life->held)
				life_release(life);
}

void run_ended_canary(struct run *run, enum status status)
{
	struct life *other = status == STATUS_SKIPPED ? run_next_held(run) : NULL;

	if (run->rotation->draining)
		return;
	if (other != NULL) {
		life_release(other);
		return;
	}
	run->canaries -= status == STATUS_SKIPPED;
	if (--run->canaries_open > 0)
		return;
	if (run_has_failed(run, run->failed + run->unverified))
		run_stop(run, BY_CANARY);
	else
		run_go_on(run);
}

void run_begin(struct run *run, size_t total)
{
	const struct portion *canary = &run->task->limits.canary;
	bool asked = (canary->count > 0 || canary->per_10000 > 0) && run->kind != ROTATION_REHEARSE;

	run->total = total;
	run->canaries = asked ? portion_of(canary, total) : total;
	run->held = run->canaries < total;
	run->canaries_open = run->canaries;
}

/* ── The end ── */

static enum err run_end_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct run *run = arg;
	enum err err;

	run->execution.ended_ms = rotation_wall(run->rotation);
	if (run->kind == ROTATION_REHEARSE)
		return ERR_OK;
	err = execution_put(txn, &run->execution);
	if (err == ERR_OK)
		err = execution_get(txn, &run->execution.id, &run->execution);
	if (err != ERR_OK)
		return error_set(error, err, "the end of an execution cannot be written");
	return rotation_note(run->rotation, txn, ROTATION_ENDED, &run->execution, NULL, error);
}

static void run_ended(void *arg, enum err result, const struct error *error)
{
	struct run *run = arg;
	struct rotation *rotation = run->rotation;

	if (result != ERR_OK) {
		rotation_break(rotation, error);
		return;
	}
	CRASH_POINT("core.execution_ended");
	LIST_REMOVE(run, entry);
	turns_close(run);
	rotation_tell(rotation, ROTATION_ENDED, &run->execution, NULL);
	free(run);
	dispatch_soon(rotation);
}

void run_ended_life(struct run *run)
{
	if (--run->open == 0)
		keep_write(&run->keep, run->rotation, run_end_apply, run_ended, run);
}
