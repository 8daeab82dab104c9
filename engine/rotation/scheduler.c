/*
 * The scheduler: starts the executions of tasks when they are due.
 *
 * It looks at the wall clock at least once a minute and asks for each task what comes after that
 * which was handled, so that it need not know when the clock was set: what was leapt over was
 * missed, as when the machine was off; what comes once more was handled. How far a task was handled
 * is in the vault, in the commit that starts its execution: no moment is run twice, whatever
 * crashes.
 */
#include "rotation/checkout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define LOOK_MS	 60000	/* at the latest: the wall clock may be set at any time */
#define AGAIN_MS 10000	/* what is due has to wait for something */
#define LATE_MS	 300000 /* so late it is still on time: the engine was busy, or just started */

/* Clocks are set back a little now and then, and what ran is not run again. By more than this they
 * were wrong before, and what was handled then is no measure any more; cron(8) has the same three
 * hours. */
#define CORRECTION_MS 10800000

/* A task with a schedule that is active. */
struct slot {
	const struct task *task;
	struct task_state state;
	struct moment next;
	bool comes;	  /* `next` is known */
	bool owed;	  /* it is due, was not too late, and has not begun */
	uint64_t done_ms; /* that `next` comes after */
};

/* An execution that has to stop when its window closes. */
struct bounded {
	LIST_ENTRY(bounded) entry;
	struct id execution;
	uint64_t until_ms;
};

struct scheduler {
	struct rotation *rotation;
	bool adopted; /* the newest policy's tasks are in `slots` */
	struct slot *slots;
	size_t count;
	struct slot *earlier; /* of the policy before, until the newest one's are there */
	size_t earlier_count;
	struct timer timer;
	LIST_HEAD(, bounded) bounded;
};

/* ── What is kept of tasks ── */

static bool task_runs(const struct task *task)
{
	return task->active && task->schedule.kind != SCHEDULE_NONE;
}

struct adopting {
	const struct policy *policy;
	uint64_t now_ms;
	struct task_state *gone; /* of tasks that the policy has no more */
	size_t gone_count;
};

static bool adopt_gone(void *arg, const struct task_state *state)
{
	struct adopting *adopting = arg;

	if (state->schedule == 0 || policy_task_find(adopting->policy, state->task) != NULL)
		return true;
	adopting->gone =
	    xrealloc(adopting->gone, (adopting->gone_count + 1) * sizeof(*adopting->gone));
	adopting->gone[adopting->gone_count++] = *state;
	return true;
}

/* A schedule that is new, or another than before, has missed nothing. */
static enum err adopt_task(
    struct vault_txn *txn, const struct adopting *adopting, const struct task *task)
{
	struct task_state state = {.handled_ms = 0};
	uint64_t mark = task_schedule_mark(task);
	enum err err = task_state_get(txn, task->name, &state);

	if (err == ERR_NOT_FOUND && !task_runs(task))
		return ERR_OK;
	if (err == ERR_NOT_FOUND)
		snprintf(state.task, sizeof(state.task), "%s", task->name);
	else if (err != ERR_OK || state.schedule == mark)
		return err;
	state.schedule = mark;
	state.handled_ms = adopting->now_ms;
	return task_state_put(txn, &state);
}

static enum err adopt_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct adopting *adopting = arg;
	enum err err = ERR_OK;

	adopting->gone_count = 0;
	task_state_each(txn, adopt_gone, adopting);
	for (size_t i = 0; err == ERR_OK && i < adopting->gone_count; i++) {
		adopting->gone[i].schedule = 0;
		err = task_state_put(txn, &adopting->gone[i]);
	}
	for (size_t i = 0; err == ERR_OK && i < policy_task_count(adopting->policy); i++)
		err = adopt_task(txn, adopting, policy_task(adopting->policy, i));
	return err == ERR_OK ? ERR_OK
			     : error_set(error, err, "what is kept of tasks cannot be written");
}

static const struct policy *policy_of(const struct scheduler *scheduler)
{
	return scheduler->rotation->config.policy.policy;
}

/* What came due in time, and waits, is due still where the schedule is the same. */
static void slot_inherit(struct slot *slot, const struct slot *earlier)
{
	if (!earlier->owed || strcmp(earlier->state.task, slot->task->name) != 0 ||
	    earlier->state.schedule != task_schedule_mark(slot->task))
		return;
	slot->next = earlier->next;
	slot->done_ms = earlier->done_ms;
	slot->comes = slot->owed = true;
}

static void slot_add(struct scheduler *scheduler, const struct task *task)
{
	struct slot *slot = &scheduler->slots[scheduler->count++];

	slot->task = task;
	for (size_t i = 0; i < scheduler->earlier_count; i++)
		slot_inherit(slot, &scheduler->earlier[i]);
}

static void earlier_clear(struct scheduler *scheduler)
{
	free(scheduler->earlier);
	scheduler->earlier = NULL;
	scheduler->earlier_count = 0;
}

static void slots_fill(struct scheduler *scheduler)
{
	const struct policy *policy = policy_of(scheduler);
	size_t count = policy_task_count(policy);

	scheduler->slots = xcalloc(count + 1, sizeof(*scheduler->slots));
	for (size_t i = 0; i < count; i++)
		if (task_runs(policy_task(policy, i)))
			slot_add(scheduler, policy_task(policy, i));
	earlier_clear(scheduler);
}

/* The tasks of the newest policy, once that is kept. False while it cannot be. */
static bool adopt(struct scheduler *scheduler)
{
	struct rotation *rotation = scheduler->rotation;
	struct adopting adopting = {
	    .policy = policy_of(scheduler),
	    .now_ms = rotation_wall(rotation),
	};
	struct error error;
	enum err err;

	if (scheduler->adopted)
		return true;
	err = vault_write(rotation->config.vault, adopt_apply, &adopting, &error);
	free(adopting.gone);
	if (err != ERR_OK && err != ERR_FULL)
		rotation_break(rotation, &error);
	scheduler->adopted = err == ERR_OK;
	if (scheduler->adopted)
		slots_fill(scheduler);
	return scheduler->adopted;
}

static enum err state_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	enum err err = task_state_put(txn, arg);

	return err == ERR_OK ? ERR_OK
			     : error_set(error, err, "what is kept of a task cannot be written");
}

/* False when it could not be kept; the engine ends where the vault failed for good. */
static bool slot_keep(struct scheduler *scheduler, const struct task_state *state)
{
	struct rotation *rotation = scheduler->rotation;
	struct task_state copy = *state;
	struct error error;
	enum err err = vault_write(rotation->config.vault, state_apply, &copy, &error);

	if (err != ERR_OK && err != ERR_FULL)
		rotation_break(rotation, &error);
	return err == ERR_OK;
}

/* ── What comes next ── */

static bool task_is_paused(const struct task_state *state, uint64_t now_ms)
{
	return state->paused_ms != 0 && (state->until_ms == 0 || now_ms < state->until_ms);
}

static uint64_t slot_limit_ms(const struct slot *slot)
{
	uint64_t catch_up_ms = slot->task->schedule.catch_up_ms;

	return catch_up_ms > LATE_MS ? catch_up_ms : LATE_MS;
}

/* Moments up to here are done with: handled, or in a pause. */
static uint64_t slot_done_ms(const struct slot *slot)
{
	const struct task_state *state = &slot->state;
	bool by_pause = state->paused_ms != 0 && state->until_ms > state->handled_ms;

	return by_pause ? state->until_ms : state->handled_ms;
}

/* And those that are too long ago. */
static uint64_t slot_from_ms(const struct slot *slot, uint64_t now_ms)
{
	uint64_t reach_ms = slot_limit_ms(slot) + slot->task->schedule.jitter_ms;
	uint64_t from_ms = now_ms > reach_ms ? now_ms - reach_ms : 0;
	uint64_t done_ms = slot_done_ms(slot);

	return done_ms > from_ms ? done_ms : from_ms;
}

static void slot_find_next(struct slot *slot, uint64_t now_ms)
{
	uint64_t after_ms = slot_from_ms(slot, now_ms), limit_ms = slot_limit_ms(slot);

	slot->owed = false;
	slot->done_ms = slot_done_ms(slot);
	do {
		slot->comes = task_next(slot->task, after_ms, &slot->next);
		after_ms = slot->next.due_ms;
	} while (slot->comes && slot->next.start_ms + limit_ms < now_ms);
}

static void slot_update(struct slot *slot, uint64_t now_ms)
{
	bool known = slot->comes && slot->done_ms == slot_done_ms(slot);

	if (!known || (!slot->owed && slot->next.start_ms <= now_ms))
		slot_find_next(slot, now_ms);
	slot->owed = slot->comes && slot->next.start_ms <= now_ms;
}

bool scheduler_foresee(
    const struct task *task, const struct task_state *state, uint64_t now_ms, struct moment *moment)
{
	struct slot slot = {.task = task, .state = {.handled_ms = now_ms}};

	if (state != NULL)
		slot.state = *state;
	if (!task_runs(task) || (slot.state.paused_ms != 0 && slot.state.until_ms == 0))
		return false;
	slot_find_next(&slot, now_ms);
	*moment = slot.next;
	return slot.comes;
}

/* ── Starting ── */

struct open_search {
	const char *task;
	bool found;
};

static bool open_is_of(void *arg, const struct execution *execution)
{
	struct open_search *search = arg;

	search->found = search->found || strcmp(execution->task, search->task) == 0;
	return !search->found;
}

/* A task does not overlap with itself, whoever started it. */
static bool task_is_running(const struct rotation *rotation, const struct task *task)
{
	struct vault_txn *txn = vault_read(rotation->config.vault);
	struct open_search search = {.task = task->name};

	if (txn != NULL)
		execution_each_open(txn, open_is_of, &search);
	vault_read_end(txn);
	return search.found;
}

static void note_bound(struct scheduler *scheduler, const struct id *id, uint64_t until_ms)
{
	struct bounded *bounded;

	if (until_ms == UINT64_MAX)
		return;
	bounded = xcalloc(1, sizeof(*bounded));
	bounded->execution = *id;
	bounded->until_ms = until_ms;
	LIST_INSERT_HEAD(&scheduler->bounded, bounded, entry);
}

static void log_start(const struct slot *slot, uint64_t now_ms)
{
	char due[32], late[24];

	snprintf(late, sizeof(late), "%llu",
	    (unsigned long long)((now_ms - slot->next.start_ms) / 1000));
	log_event(LOG_LEVEL_INFO, "schedule", "task", slot->task->name, "due",
	    text_rfc3339(due, slot->next.due_ms), "late_s", late, NULL);
}

static enum err slot_run(
    struct scheduler *scheduler, struct slot *slot, uint64_t until_ms, struct error *error)
{
	struct rotation *rotation = scheduler->rotation;
	const struct task *task = slot->task;
	struct selection selection;
	struct id id;
	enum err err = policy_select(policy_of(scheduler), task, &selection, error);

	if (err != ERR_OK)
		return err;
	err = rotation_run(rotation,
	    &(struct rotation_order){
		.kind = task->kind == TASK_VERIFY ? ROTATION_VERIFY : ROTATION_CHANGE,
		.task = task,
		.items = selection.items,
		.count = selection.count,
		.trigger = "schedule",
		.state = &slot->state,
		.audit = &(struct audit_event){.who = {.origin = AUDIT_SCHEDULE}},
	    },
	    &id, error);
	selection_clear(&selection);
	if (err == ERR_OK)
		note_bound(scheduler, &id, until_ms);
	return err;
}

/* What cannot be selected now is not tried again and again. */
static void slot_failed(
    struct scheduler *scheduler, struct slot *slot, enum err err, const struct error *error)
{
	log_event(LOG_LEVEL_ERROR, "schedule_failed", "task", slot->task->name, "error",
	    error->text, NULL);
	if (err == ERR_INVALID)
		(void)slot_keep(scheduler, &slot->state);
	else if (err == ERR_IO || err == ERR_CORRUPT)
		rotation_break(scheduler->rotation, error);
}

/* Starts it, or says in how long to look again. */
static uint64_t slot_start(struct scheduler *scheduler, struct slot *slot)
{
	uint64_t now_ms = rotation_wall(scheduler->rotation), until_ms;
	uint64_t opens_ms = task_opens(slot->task, now_ms, &until_ms);
	struct task_state before = slot->state;
	struct error error;
	enum err err;

	if (opens_ms > now_ms)
		return opens_ms - now_ms;
	if (task_is_running(scheduler->rotation, slot->task))
		return AGAIN_MS;
	slot->state.handled_ms = now_ms;
	log_start(slot, now_ms);
	err = slot_run(scheduler, slot, until_ms, &error);
	if (err != ERR_OK)
		slot_failed(scheduler, slot, err, &error);
	if (err != ERR_OK && err != ERR_INVALID)
		slot->state = before;
	return AGAIN_MS;
}

/* ── Looking ── */

static bool slot_read(struct scheduler *scheduler, struct slot *slot)
{
	struct vault_txn *txn = vault_read(scheduler->rotation->config.vault);
	enum err err = ERR_IO;

	if (txn != NULL)
		err = task_state_get(txn, slot->task->name, &slot->state);
	vault_read_end(txn);
	return err == ERR_OK;
}

/* Does what there is to do for it, and says in how long to look again. */
static uint64_t slot_look(struct scheduler *scheduler, struct slot *slot)
{
	uint64_t now_ms = rotation_wall(scheduler->rotation);

	if (!slot_read(scheduler, slot) || task_is_paused(&slot->state, now_ms))
		return LOOK_MS;
	if (slot->state.handled_ms > now_ms + CORRECTION_MS) {
		slot->state.handled_ms = now_ms;
		if (!slot_keep(scheduler, &slot->state))
			return AGAIN_MS;
	}
	slot_update(slot, now_ms);
	if (slot->owed)
		return slot_start(scheduler, slot);
	return slot->comes ? slot->next.start_ms - now_ms : LOOK_MS;
}

static uint64_t bounds_look(struct scheduler *scheduler)
{
	struct rotation *rotation = scheduler->rotation;
	uint64_t now_ms = rotation_wall(rotation), wait_ms = LOOK_MS;
	struct bounded *bounded = LIST_FIRST(&scheduler->bounded);

	while (bounded != NULL) {
		struct bounded *next = LIST_NEXT(bounded, entry);

		if (bounded->until_ms <= now_ms) {
			run_stop_by_window(rotation, &bounded->execution);
			LIST_REMOVE(bounded, entry);
			free(bounded);
		} else if (bounded->until_ms - now_ms < wait_ms) {
			wait_ms = bounded->until_ms - now_ms;
		}
		bounded = next;
	}
	return wait_ms;
}

static void scheduler_on_timer(void *arg)
{
	struct scheduler *scheduler = arg;
	struct rotation *rotation = scheduler->rotation;
	uint64_t wait_ms = bounds_look(scheduler);

	if (!rotation->draining && !rotation->broken) {
		uint64_t ms = checkouts_look(rotation);

		wait_ms = ms < wait_ms ? ms : wait_ms;
	}
	if (!rotation->draining && !rotation->broken && !adopt(scheduler))
		wait_ms = AGAIN_MS;
	for (size_t i = 0; i < scheduler->count && !rotation->draining && !rotation->broken; i++) {
		uint64_t ms = slot_look(scheduler, &scheduler->slots[i]);

		wait_ms = ms < wait_ms ? ms : wait_ms;
	}
	timer_start(rotation->config.clock, &scheduler->timer, wait_ms);
}

void scheduler_look(struct scheduler *scheduler)
{
	scheduler->timer.fn = scheduler_on_timer;
	scheduler->timer.arg = scheduler;
	timer_start(scheduler->rotation->config.clock, &scheduler->timer, 0);
}

/* ── Its life ── */

void scheduler_reload(struct scheduler *scheduler)
{
	if (scheduler->slots != NULL) { /* else another policy came before this one was adopted */
		earlier_clear(scheduler);
		scheduler->earlier = scheduler->slots; /* transferred */
		scheduler->earlier_count = scheduler->count;
	}
	scheduler->slots = NULL;
	scheduler->count = 0;
	scheduler->adopted = false;
	scheduler_look(scheduler);
}

struct scheduler *scheduler_new(struct rotation *rotation)
{
	struct scheduler *scheduler = xcalloc(1, sizeof(*scheduler));

	scheduler->rotation = rotation;
	LIST_INIT(&scheduler->bounded);
	scheduler_look(scheduler);
	return scheduler;
}

void scheduler_free(struct scheduler *scheduler)
{
	struct bounded *bounded;

	if (scheduler == NULL)
		return;
	timer_stop(&scheduler->timer);
	while ((bounded = LIST_FIRST(&scheduler->bounded)) != NULL) {
		LIST_REMOVE(bounded, entry);
		free(bounded);
	}
	earlier_clear(scheduler);
	free(scheduler->slots);
	free(scheduler);
}
