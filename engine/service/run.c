/* Running a task: from its selection to an execution that has ended, and its counts. */
#include "service/run.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "service/names.h"
#include "service/shape.h"

#define TICK_MS	     100
#define LAST_TICK_MS 10 /* once the execution has ended, only the last visits close */

struct running {
	struct request *request;
	struct id execution;
	uint64_t started_ms; /* monotonic */
	uint32_t in_flight;
	struct timer tick;
	bool ended;
	bool broken;
};

/* ── Progress ────────────────────────────────────────────────────────────────────────────── */

static void log_record(const struct record *record)
{
	char id[ID_TEXT_SIZE];

	log_event(LOG_LEVEL_INFO, "record", "id", id_text(&record->id, id), "asset", record->asset,
	    "account", record->account, "status", status_name(record->status), "reason",
	    record->reason, "error", record->error_code, NULL);
}

static void tell_record(
    struct running *running, const char *word, const struct rotation_event *event)
{
	log_record(event->record);
	service_tell(running->request->service,
	    json_pack("{s:s, s:o}", "event", word, "record", shape_record(event->record)));
}

static void tell_waiting(struct running *running, uint64_t until_ms)
{
	struct service *service = running->request->service;
	uint64_t now_ms = clock_mono_ms(loop_clock(service->loop));
	json_int_t wait_ms = until_ms > now_ms ? (json_int_t)(until_ms - now_ms) : 0;

	service_tell(service, json_pack("{s:s, s:I}", "event", "waiting", "wait_ms", wait_ms));
}

static void running_broken(struct running *running, const struct error *error)
{
	struct service *service = running->request->service;

	running->broken = true;
	error_set(running->request->error, ERR_IO,
	    "the vault failed, so the engine ended: %s\nwhat may be in doubt is kept; the next run "
	    "settles it",
	    error->text);
	loop_stop(service->loop);
}

static void running_event(void *arg, const struct rotation_event *event)
{
	struct running *running = arg;
	struct service *service = running->request->service;

	running->in_flight = event->in_flight;
	switch (event->kind) {
	case ROTATION_STARTED: break;
	case ROTATION_RECORD_ENDED: tell_record(running, "record", event); break;
	case ROTATION_SETTLED: tell_record(running, "settled", event); break;
	case ROTATION_PAUSED: service_tell(service, json_pack("{s:s}", "event", "paused")); break;
	case ROTATION_RESUMED: service_tell(service, json_pack("{s:s}", "event", "resumed")); break;
	case ROTATION_WAITING: tell_waiting(running, event->until_ms); break;
	case ROTATION_ENDED: running->ended = true; break;
	case ROTATION_BROKEN: running_broken(running, event->error); break;
	}
}

static void running_tick(void *arg)
{
	struct running *running = arg;
	struct service *service = running->request->service;
	json_int_t in_flight = running->in_flight;

	if (running->ended && rotation_idle(service->rotation)) {
		loop_stop(service->loop);
		return;
	}
	service_tell(service, json_pack("{s:s, s:I}", "event", "tick", "in_flight", in_flight));
	timer_start(
	    loop_clock(service->loop), &running->tick, running->ended ? LAST_TICK_MS : TICK_MS);
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

static bool note_trouble(void *arg, const struct record *record)
{
	bool *fine = arg;

	*fine = record_is_fine(record);
	return *fine;
}

static enum service_end running_result(struct running *running)
{
	static const enum status shown[] = {
	    STATUS_SUCCESS, STATUS_FAILED, STATUS_UNVERIFIED, STATUS_SKIPPED};
	const struct id first = {{0}};
	struct request *request = running->request;
	uint64_t now_ms = clock_mono_ms(loop_clock(request->service->loop));
	struct vault_txn *txn = request_read(request);
	struct execution execution;
	json_int_t total = 0;
	bool fine = true;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	if (execution_get(txn, &running->execution, &execution) != ERR_OK) {
		vault_read_end(txn);
		return request_fail(
		    request, SERVICE_NO_ENGINE, "the execution is not in the vault");
	}
	record_each(txn, &running->execution, &first, note_trouble, &fine);
	vault_read_end(txn);
	for (int status = 0; status < STATUS_COUNT; status++)
		total += (json_int_t)execution.counts.by_status[status];
	request->result = json_pack("{s:o, s:o, s:I}", "execution", json_id(&execution.id), "task",
	    json_text(execution.task), "total", total);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		json_object_set_new(request->result, status_name(shown[i]),
		    json_integer((json_int_t)execution.counts.by_status[shown[i]]));
	json_object_set_new(request->result, "elapsed_ms",
	    json_integer((json_int_t)(now_ms - running->started_ms)));
	return fine ? SERVICE_OK : SERVICE_SOME;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum err running_start(struct running *running, const struct task *task,
    const struct selected *items, size_t count, const char *trigger)
{
	struct service *service = running->request->service;
	json_int_t total = (json_int_t)count;
	enum err err = rotation_recover(service->rotation, running->request->error);

	if (err != ERR_OK)
		return err;
	service_tell(service, json_pack("{s:s, s:o, s:I}", "event", "started", "task",
				  json_text(task->name), "total", total));
	return rotation_run(service->rotation, task, items, count, trigger, &running->execution,
	    running->request->error);
}

enum service_end run_items(struct request *request, const struct task *task,
    const struct selected *items, size_t count, const char *trigger)
{
	struct service *service = request->service;
	struct clock *clock = loop_clock(service->loop);
	struct running running = {.request = request, .started_ms = clock_mono_ms(clock)};
	enum service_end end = engine_open(request, NEEDS_WIRES);

	if (end != SERVICE_OK)
		return end;
	running.tick = (struct timer){.fn = running_tick, .arg = &running};
	service->event = running_event;
	service->event_arg = &running;
	end = SERVICE_NO_ENGINE;
	if (running_start(&running, task, items, count, trigger) == ERR_OK) {
		timer_start(clock, &running.tick, TICK_MS);
		loop_run(service->loop);
		timer_stop(&running.tick);
		if (!running.broken)
			end = running_result(&running);
	}
	service->event = NULL;
	return end;
}

enum service_end run_task(struct request *request)
{
	const char *name = param_need(request, "task");
	const struct task *task = name == NULL ? NULL : need_task(request, name);
	struct selection selection;
	enum service_end end;

	if (task == NULL)
		return SERVICE_USAGE;
	if (!task->active)
		return request_fail(request, SERVICE_USAGE,
		    "task \"%s\" is not active (active = false in %s:%zu)", name, task->file,
		    task->line);
	if (policy_select(request->service->policy, task, &selection, request->error) != ERR_OK)
		return SERVICE_USAGE;
	end = run_items(request, task, selection.items, selection.count, "manual");
	selection_clear(&selection);
	return end;
}
