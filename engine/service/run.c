/* Running a task: from its selection to an execution that has ended, and its counts. */
#include "service/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/checkout.h"
#include "service/daemon.h"
#include "service/names.h"
#include "service/shape.h"
#include "service/viewed.h"

#define TICK_MS	     100
#define LAST_TICK_MS 10 /* once the execution has ended, only the last visits close */

struct running {
	struct request *request;
	struct watch watch;
	char *task; /* its name */
	enum task_kind kind;
	uint64_t started_ms; /* monotonic */
	uint32_t in_flight;
	json_t *foreseen; /* a rehearsal's records; NULL for the real thing */
	bool trouble;	  /* among them */
	struct timer tick;
	bool ended;
	bool ending; /* what is old is being taken away: running_finish comes from there */
	bool broken;
};

/* ── Progress ────────────────────────────────────────────────────────────────────────────── */

void run_log_record(const struct record *record)
{
	char id[ID_TEXT_SIZE];

	log_event(LOG_LEVEL_INFO, "record", "id", id_text(&record->id, id), "asset", record->asset,
	    "account", record->account, "status", status_name(record->status), "reason",
	    record->reason, "error", record->error_code, NULL);
}

static void tell_record(
    struct running *running, const char *word, const struct rotation_event *event)
{
	run_log_record(event->record);
	request_tell(running->request,
	    json_pack("{s:s, s:o}", "event", word, "record", shape_record(event->record, NULL)));
}

static void running_ended_record(struct running *running, const struct rotation_event *event)
{
	if (running->foreseen != NULL) {
		json_array_append_new(running->foreseen, shape_record(event->record, NULL));
		running->trouble = running->trouble || !record_is_fine(event->record);
	}
	tell_record(running, "record", event);
}

static void tell_waiting(struct running *running, uint64_t until_ms)
{
	struct service *service = running->request->service;
	uint64_t now_ms = clock_mono_ms(loop_clock(service->loop));
	json_int_t wait_ms = until_ms > now_ms ? (json_int_t)(until_ms - now_ms) : 0;

	request_tell(
	    running->request, json_pack("{s:s, s:I}", "event", "waiting", "wait_ms", wait_ms));
}

static void tell_word(struct running *running, const char *word)
{
	request_tell(running->request, json_pack("{s:s}", "event", word));
}

static void tell_canary(struct running *running, const struct rotation_event *event)
{
	json_int_t canaries = (json_int_t)event->canaries;
	json_int_t fine = canaries - (json_int_t)event->trouble;

	request_tell(running->request,
	    json_pack("{s:s, s:I, s:I}", "event", "canary", "ok", fine, "canaries", canaries));
}

static void tell_stopped(struct running *running, const struct rotation_event *event)
{
	json_int_t trouble = (json_int_t)event->trouble, total = (json_int_t)event->total;
	json_int_t canaries = (json_int_t)event->canaries;

	request_tell(running->request, json_pack("{s:s, s:s, s:I, s:I, s:I}", "event", "stopped",
					   "why", event->execution->stopped, "trouble", trouble,
					   "canaries", canaries, "total", total));
}

/* Ends with the next tick: others are still to hear of it. */
static void running_broken(struct running *running, const struct error *error)
{
	struct service *service = running->request->service;

	running->broken = true;
	error_set(running->request->error, ERR_IO,
	    "the vault failed, so the engine ended: %s\nwhat may be in doubt is kept; the next run "
	    "settles it",
	    error->text);
	if (!running->ending)
		timer_start(loop_clock(service->loop), &running->tick, 0);
}

static void running_event(void *arg, const struct rotation_event *event)
{
	struct running *running = arg;

	running->in_flight = event->in_flight;
	switch (event->kind) {
	case ROTATION_STARTED: break;
	case ROTATION_RECORD_ENDED: running_ended_record(running, event); break;
	case ROTATION_SETTLED: tell_record(running, "settled", event); break;
	case ROTATION_PAUSED: tell_word(running, "paused"); break;
	case ROTATION_RESUMED: tell_word(running, "resumed"); break;
	case ROTATION_CANARY: tell_canary(running, event); break;
	case ROTATION_STOPPED: tell_stopped(running, event); break;
	case ROTATION_WAITING: tell_waiting(running, event->until_ms); break;
	case ROTATION_ENDED: running->ended = true; break;
	case ROTATION_BROKEN: running_broken(running, event->error); break;
	}
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

static bool note_trouble(void *arg, const struct record *record)
{
	bool *fine = arg;

	*fine = record_is_fine(record);
	return *fine;
}

static void result_counts(struct running *running, json_t *result, const json_int_t *counts)
{
	static const enum status shown[] = {
	    STATUS_SUCCESS, STATUS_FAILED, STATUS_UNVERIFIED, STATUS_SKIPPED};
	struct loop *loop = running->request->service->loop;
	json_int_t total = 0;

	for (int status = 0; status < STATUS_COUNT; status++)
		total += counts[status];
	json_object_set_new(result, "total", json_integer(total));
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		json_object_set_new(result, status_name(shown[i]), json_integer(counts[shown[i]]));
	json_object_set_new(result, "elapsed_ms",
	    json_integer((json_int_t)(clock_mono_ms(loop_clock(loop)) - running->started_ms)));
}

static enum service_end running_result(struct running *running)
{
	const struct id first = {{0}};
	struct request *request = running->request;
	struct vault_txn *txn = request_read(request);
	json_int_t counts[STATUS_COUNT];
	struct execution execution;
	bool fine = true;
	json_t *shape;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	if (execution_get(txn, &running->watch.execution, &execution) != ERR_OK) {
		vault_read_end(txn);
		return request_fail(request, SERVICE_NO_ENGINE,
		    "the execution is not in the vault any more: look at the vault's disk");
	}
	record_each(txn, &running->watch.execution, &first, note_trouble, &fine);
	shape = shape_execution(&execution, txn, request->service);
	vault_read_end(txn);
	for (int status = 0; status < STATUS_COUNT; status++)
		counts[status] = (json_int_t)execution.counts.by_status[status];
	request->result = json_pack("{s:O, s:O, s:O, s:O, s:s}", "execution",
	    json_object_get(shape, "id"), "short", json_object_get(shape, "short"), "task",
	    json_object_get(shape, "task"), "stopped", json_object_get(shape, "stopped"), "kind",
	    task_kind_name(running->kind));
	json_decref(shape);
	result_counts(running, request->result, counts);
	return fine ? SERVICE_OK : SERVICE_SOME;
}

/* Nothing of a rehearsal is kept: its records are in the result. */
static enum service_end running_foresight(struct running *running)
{
	struct request *request = running->request;
	json_int_t counts[STATUS_COUNT] = {0};
	json_t *record;
	size_t i;

	json_array_foreach(running->foreseen, i, record)
	{
		const char *word = json_string_value(json_object_get(record, "status"));

		for (int status = 0; status < STATUS_COUNT; status++)
			counts[status] += strcmp(status_name(status), word) == 0;
	}
	request->result = json_pack("{s:b, s:o}", "dry_run", 1, "task", json_text(running->task));
	result_counts(running, request->result, counts);
	json_object_set(request->result, "records", running->foreseen);
	return running->trouble ? SERVICE_SOME : SERVICE_OK;
}

static void running_free(void *arg)
{
	struct running *running = arg;

	timer_stop(&running->tick);
	watch_remove(&running->watch);
	json_decref(running->foreseen);
	free(running->task);
	free(running);
}

static void running_finish(void *arg)
{
	struct running *running = arg;
	struct request *request = running->request;
	enum service_end end = SERVICE_NO_ENGINE;

	if (!running->broken)
		end = running->foreseen != NULL ? running_foresight(running)
						: running_result(running);
	running_free(running);
	request_end(request, end);
}

/* What is too old by now goes first. Of a rehearsal nothing was kept that could make room. */
static void running_end(struct running *running)
{
	struct service *service = running->request->service;

	if (service->daemon != NULL)
		daemon_ended_execution(service->daemon);
	running->ending = !running->broken && running->foreseen == NULL &&
			  retain_begin(service, running_finish, running);
	if (!running->ending)
		running_finish(running);
}

/* The last one sees the doubts of earlier executions settled too, as far as they can be now. */
static bool is_last(const struct service *service)
{
	return service->daemon != NULL || service_is_shared(service) ||
	       rotation_idle(service->rotation);
}

static void running_tick(void *arg)
{
	struct running *running = arg;
	struct service *service = running->request->service;
	json_int_t in_flight = running->in_flight;

	if (running->broken || (running->ended && is_last(service))) {
		running_end(running);
		return;
	}
	request_tell(
	    running->request, json_pack("{s:s, s:I}", "event", "tick", "in_flight", in_flight));
	timer_start(
	    loop_clock(service->loop), &running->tick, running->ended ? LAST_TICK_MS : TICK_MS);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

/* Doubts are settled by what changes, not by what only looks. */
static enum err recover(struct request *request, const struct rotation_order *order)
{
	struct service *service = request->service;
	enum err err;

	if (order->kind != ROTATION_CHANGE || service->recovered)
		return ERR_OK;
	err = rotation_recover(service->rotation, request->error);
	service->recovered = err == ERR_OK;
	return err;
}

/*
 * The entry is kept in the commit that begins the execution. Of a rehearsal nothing is kept but its
 * entry: it logs in with privileged accounts.
 */
static enum err running_audit(
    struct request *request, struct rotation_order *order, struct audit_event *event)
{
	if (order->count == 1) {
		event->asset = order->items[0].asset->name;
		event->account = order->items[0].account;
	}
	if (order->kind == ROTATION_REHEARSE) {
		event->what = AUDIT_RUN;
		event->task = order->task->name;
		event->object = "rehearsal";
		return request_write(request, NULL, NULL, event);
	}
	request_who(request, &event->who);
	order->audit = event;
	request->audited = true;
	return ERR_OK;
}

static enum err running_start(struct running *running, const struct rotation_order *order)
{
	struct request *request = running->request;
	struct rotation_order audited = *order;
	const char *who = param_text(request, "revealed_to");
	char detail[WHO_SIZE + 32];
	struct audit_event event = {.version = order->restore};
	json_int_t total = (json_int_t)order->count;
	enum err err;

	snprintf(detail, sizeof(detail), "revealed to %.63s", who != NULL ? who : "");
	event.detail = who != NULL ? detail : NULL;
	err = running_audit(request, &audited, &event);
	if (err != ERR_OK)
		return err;

	request_tell(request, json_pack("{s:s, s:o, s:I}", "event", "started", "task",
				  json_text(order->task->name), "total", total));
	running->watch.starting = true;
	err = rotation_run(
	    request->service->rotation, &audited, &running->watch.execution, request->error);
	running->watch.starting = false;
	return err;
}

/* All of it or nothing: a part that is left out in silence would look rotated. */
static bool order_is_permitted(const struct request *request, const struct rotation_order *order)
{
	bool permitted = order->count > 0 || request_may(request, NULL, order->task->name);

	for (size_t i = 0; permitted && i < order->count; i++)
		permitted = request_may(request, order->items[i].asset->node, order->task->name);
	return permitted;
}

enum service_end run_order(struct request *request, const struct rotation_order *order)
{
	enum service_end end;
	struct running *running;

	if (!order_is_permitted(request, order))
		return request_deny(request, "all of these accounts");
	end = engine_open(request, NEEDS_WIRES);
	if (end != SERVICE_OK)
		return end;
	if (recover(request, order) != ERR_OK)
		return SERVICE_NO_ENGINE;
	if (request->service->scheduler == NULL && order->kind == ROTATION_CHANGE &&
	    strcmp(order->trigger, "checkin") != 0)
		checkouts_warn(request);
	running = xcalloc(1, sizeof(*running));
	*running = (struct running){
	    .request = request,
	    .watch = {.event = running_event, .arg = running},
	    .task = xstrdup(order->task->name),
	    .kind = order->task->kind,
	    .started_ms = clock_mono_ms(loop_clock(request->service->loop)),
	    .foreseen = order->kind == ROTATION_REHEARSE ? json_array() : NULL,
	    .tick = {.fn = running_tick, .arg = running},
	};
	watch_add(request->service, &running->watch);
	if (running_start(running, order) != ERR_OK) {
		running_free(running);
		return SERVICE_NO_ENGINE;
	}
	request->drop = running_free;
	request->drop_arg = running;
	timer_start(loop_clock(request->service->loop), &running->tick, TICK_MS);
	return SERVICE_LATER;
}

enum rotation_kind run_kind(const struct task *task)
{
	return task->kind == TASK_VERIFY ? ROTATION_VERIFY : ROTATION_CHANGE;
}

/* ── A task's ────────────────────────────────────────────────────────────────────────────── */

/* Leaves what someone has seen and was not rotated since. */
static enum service_end narrow_to_viewed(
    struct request *request, const struct task *task, struct selection *selection)
{
	enum secret_kind kind = task->source == SOURCE_SSH_KEY ? SECRET_KEY : SECRET_PASSWORD;
	enum service_end end = engine_open(request, NEEDS_VAULT);
	struct viewed viewed;
	struct vault_txn *txn;
	size_t kept = 0;

	if (end != SERVICE_OK)
		return end;
	if (!viewed_read(request, &viewed))
		return SERVICE_USAGE;
	if (viewed.who == NULL)
		return SERVICE_OK;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	for (size_t i = 0; i < selection->count; i++)
		if (viewed_may_open(&viewed, txn, selection->items[i].asset->name,
			selection->items[i].account, kind))
			selection->items[kept++] = selection->items[i];
	vault_read_end(txn);
	selection->count = kept;
	return SERVICE_OK;
}

enum service_end run_task(struct request *request)
{
	const char *who = param_text(request, "revealed_to");
	const char *name = param_need(request, "task");
	const struct task *task = name == NULL ? NULL : need_active_task(request, name);
	bool rehearse = param_flag(request, "dry_run");
	struct selection selection;
	enum service_end end;

	if (task == NULL)
		return SERVICE_USAGE;
	if (rehearse && task->kind == TASK_VERIFY)
		return request_fail(request, SERVICE_USAGE,
		    "task \"%s\" is of kind \"verify\", which changes nothing: lockstep run %s",
		    task->name, task->name);
	if (who != NULL && task->kind == TASK_VERIFY)
		return request_fail(request, SERVICE_USAGE,
		    "task \"%s\" is of kind \"verify\", which makes nothing new: give one that "
		    "rotates",
		    task->name);
	if (policy_select(request->policy, task, &selection, request->error) != ERR_OK)
		return SERVICE_USAGE;
	end = narrow_to_viewed(request, task, &selection);
	if (end == SERVICE_OK)
		end = run_order(request, &(struct rotation_order){
					     .kind = rehearse ? ROTATION_REHEARSE : run_kind(task),
					     .task = task,
					     .items = selection.items,
					     .count = selection.count,
					     .trigger = "manual",
					 });
	selection_clear(&selection);
	return end;
}
