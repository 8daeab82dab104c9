/*
 * Schedules, seen from outside: what is due by the policy and the wall clock, and what must hold of
 * what is begun for it. Each moment is begun once, in the commit that says so; never beside itself,
 * in a pause or outside its window, nor for what was missed too long ago; and what is due is begun
 * as soon as nothing keeps it.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "disk.h"

#define LOOK_MS	      5000
#define KNOWN_MS      75000    /* so long after it came due the engine has looked */
#define WAITED_MS     90000    /* and so long after nothing keeps it any more it has begun */
#define LATE_MS	      300000   /* as late as this is on time */
#define CORRECTION_MS 10800000 /* a clock that is set back by more was wrong before */

/* Not as a bug has it. */
bool __real_task_next(const struct task *, uint64_t after_ms, struct moment *);
uint64_t __real_task_opens(const struct task *, uint64_t from_ms, uint64_t *until_ms);
enum err __real_task_state_get(struct vault_txn *, const char *, struct task_state *);
void __real_execution_each_open(
    struct vault_txn *, bool (*fn)(void *arg, const struct execution *), void *arg);

/* ── Tasks ── */

static bool is_followed(const struct task *task)
{
	return task->active && task->schedule.kind != SCHEDULE_NONE;
}

static const struct when_task *when_task(const struct when *when, const char *name)
{
	for (size_t i = 0; i < when->count; i++)
		if (strcmp(when->tasks[i].task->name, name) == 0)
			return &when->tasks[i];
	return NULL;
}

static void task_add(struct sim *sim, const struct when *before, const struct task *task)
{
	const struct when_task *earlier = when_task(before, task->name);
	struct when_task *at = &sim->when.tasks[sim->when.count++];

	*at = (struct when_task){.task = task};
	/* What was due is due still, where the schedule is the same. */
	if (earlier != NULL && earlier->certain &&
	    task_schedule_mark(earlier->task) == task_schedule_mark(task)) {
		at->owed = earlier->owed;
		at->state = earlier->state;
		at->certain = true;
	}
}

void when_begin(struct sim *sim, bool anew)
{
	const struct policy *policy = reload_now(sim)->policy;
	struct when before = sim->when;

	sim->when = (struct when){.touched = true, .span_count = 1};
	sim->when.spans[0].from_ms = sim_wall_ms(sim);
	if (!anew)
		before.count = 0;
	for (size_t i = 0; sim->follows && i < policy_task_count(policy); i++)
		if (is_followed(policy_task(policy, i)))
			task_add(sim, &before, policy_task(policy, i));
}

void when_set_clock(struct sim *sim, int64_t by_ms)
{
	struct when *when = &sim->when;

	if (when->span_count < WHEN_SPANS)
		when->spans[when->span_count - 1].to_ms = sim_wall_ms(sim);
	sim->clock.wall_ms += by_ms;
	if (when->span_count < WHEN_SPANS && ++when->span_count < WHEN_SPANS)
		when->spans[when->span_count - 1].from_ms = sim_wall_ms(sim);
	when->touched = true;
}

/* ── What is due ── */

static uint64_t limit_ms(const struct task *task)
{
	uint64_t catch_up_ms = task->schedule.catch_up_ms;

	return catch_up_ms > LATE_MS ? catch_up_ms : LATE_MS;
}

static bool is_paused(const struct task_state *state, uint64_t now_ms)
{
	return state->paused_ms != 0 && (state->until_ms == 0 || now_ms < state->until_ms);
}

/* Up to here all is done with. */
static uint64_t done_until_ms(const struct task_state *state)
{
	return state->paused_ms != 0 && state->until_ms > state->handled_ms ? state->until_ms
									    : state->handled_ms;
}

/* The first moment after what is done that has come, and is not too long ago for `fits`. */
static bool due_find(const struct sim *sim, const struct task *task, uint64_t after_ms,
    bool (*fits)(const struct sim *, const struct task *, const struct moment *),
    struct moment *moment)
{
	while (__real_task_next(task, after_ms, moment) && moment->due_ms <= sim_wall_ms(sim)) {
		if (moment->start_ms <= sim_wall_ms(sim) && fits(sim, task, moment))
			return true;
		after_ms = moment->due_ms;
	}
	return false;
}

static bool fits_now(const struct sim *sim, const struct task *task, const struct moment *moment)
{
	return moment->start_ms + limit_ms(task) >= sim_wall_ms(sim);
}

/* The engine could have seen in time that it was due. */
static bool fits_then(const struct sim *sim, const struct task *task, const struct moment *moment)
{
	const struct when *when = &sim->when;

	if (fits_now(sim, task, moment) || when->span_count == WHEN_SPANS)
		return true;
	for (size_t i = 0; i < when->span_count; i++) {
		bool last = i + 1 == when->span_count;
		uint64_t to_ms = last ? sim_wall_ms(sim) : when->spans[i].to_ms;

		if (when->spans[i].from_ms <= moment->start_ms + limit_ms(task) &&
		    to_ms >= moment->start_ms)
			return true;
	}
	return false;
}

/* ── Looking ── */

struct open_search {
	const char *task;
	const struct id *but; /* NULL = none */
	bool found;
};

static bool open_is_of(void *arg, const struct execution *execution)
{
	struct open_search *search = arg;

	search->found = strcmp(execution->task, search->task) == 0 &&
			(search->but == NULL || !id_equal(&execution->id, search->but));
	return !search->found;
}

static bool is_open(struct vault_txn *txn, const char *task, const struct id *but)
{
	struct open_search search = {.task = task, .but = but};

	__real_execution_each_open(txn, open_is_of, &search);
	return search.found;
}

/* The engine is kept from beginning anything. */
static bool is_barred(const struct sim *sim)
{
	return sim->drained || sim->calm || sim->scheduler == NULL ||
	       disk_is_full(sim->ground->disk);
}

/* Nothing has come due since what is done: mostly it is so. */
static bool is_early(const struct sim *sim, struct when_task *at)
{
	uint64_t from_ms = done_until_ms(&at->state);

	if (at->from_ms != from_ms && !__real_task_next(at->task, from_ms, &at->first))
		at->first.due_ms = UINT64_MAX;
	at->from_ms = from_ms;
	return at->first.due_ms > sim_wall_ms(sim);
}

static void task_see_due(struct sim *sim, struct when_task *at)
{
	uint64_t now_ms = sim_wall_ms(sim);
	struct moment moment;

	if (at->certain && at->owed.start_ms <= now_ms)
		return;
	at->certain = false;
	if (is_paused(&at->state, now_ms) || is_early(sim, at) ||
	    !due_find(sim, at->task, done_until_ms(&at->state), fits_now, &moment)) {
		at->owed.due_ms = at->due_since_ms = 0;
		return;
	}
	if (at->owed.due_ms == 0)
		at->due_since_ms = sim->clock.now_ms;
	at->owed = moment;
	at->certain = sim->clock.now_ms - at->due_since_ms > KNOWN_MS;
}

static void task_see_could(struct sim *sim, struct vault_txn *txn, struct when_task *at)
{
	uint64_t now_ms = sim_wall_ms(sim), until_ms;
	bool followed = at->state.schedule == task_schedule_mark(at->task);
	bool could = !is_barred(sim) &&
		     (!followed || (at->certain && !is_paused(&at->state, now_ms) &&
				       __real_task_opens(at->task, now_ms, &until_ms) == now_ms &&
				       !is_open(txn, at->task->name, NULL)));

	if (!could)
		at->could_since_ms = 0;
	else if (at->could_since_ms == 0)
		at->could_since_ms = sim->clock.now_ms;
	else if (sim->clock.now_ms - at->could_since_ms > WAITED_MS)
		sim_violation(sim,
		    followed ? "what is due is not begun" : "a schedule is not followed", "%s",
		    at->task->name);
}

static void task_look(struct sim *sim, struct vault_txn *txn, struct when_task *at)
{
	struct task_state state = {.handled_ms = 0};

	if (__real_task_state_get(txn, at->task->name, &state) != ERR_OK)
		state.schedule = 0;
	if (state.handled_ms != at->state.handled_ms || state.schedule != at->state.schedule ||
	    state.paused_ms != at->state.paused_ms)
		*at = (struct when_task){.task = at->task, .state = state};
	if (is_barred(sim) || state.schedule != task_schedule_mark(at->task))
		at->due_since_ms = sim->clock.now_ms;
	else
		task_see_due(sim, at);
	task_see_could(sim, txn, at);
}

void when_look(struct sim *sim)
{
	struct when *when = &sim->when;
	struct vault_txn *txn;

	if (when->count == 0 || sim->dead || sim->broke || sim->vault == NULL ||
	    (!when->touched && sim->clock.now_ms < when->look_ms))
		return;
	txn = vault_read(sim->vault);
	for (size_t i = 0; i < when->count; i++)
		task_look(sim, txn, &when->tasks[i]);
	vault_read_end(txn);
	when->touched = false;
	when->look_ms = sim->clock.now_ms + LOOK_MS;
}

/* ── Commits ── */

void when_begin_commit(struct sim *sim)
{
	sim->when.begun.started_ms = 0;
	sim->when.change_count = 0;
}

void when_execution(struct sim *sim, struct vault_txn *txn, const struct execution *execution)
{
	struct execution before;

	sim->when.touched = true;
	if (strcmp(execution->trigger, "schedule") == 0 &&
	    execution_get(txn, &execution->id, &before) == ERR_NOT_FOUND)
		sim->when.begun = *execution;
	if (strcmp(execution->trigger, "checkin") == 0) {
		sim->looks = false; /* alone */
		sim_seen(sim, "begun when a check-out was over");
	}
}

void when_state(struct sim *sim, struct vault_txn *txn, const struct task_state *state)
{
	struct when_change *change = &sim->when.changes[sim->when.change_count];

	if (sim->when.change_count == WHEN_TASKS)
		sim_die("a transaction of more tasks than there is room for");
	change->had = __real_task_state_get(txn, state->task, &change->before) == ERR_OK;
	change->after = *state;
	sim->when.change_count++;
	sim->when.touched = true;
}

/* Why what is begun should not be; NULL = it may be. */
static const char *begun_fault(
    const struct sim *sim, struct vault_txn *txn, const struct when_change *change)
{
	const struct execution *begun = &sim->when.begun;
	const struct when_task *at = when_task(&sim->when, begun->task);
	uint64_t now_ms = sim_wall_ms(sim), after_ms, until_ms;
	struct moment moment;

	if (at == NULL)
		return "begun by a schedule that is no more";
	if (change == NULL || !change->had || change->after.handled_ms != now_ms ||
	    !id_equal(&change->after.execution, &begun->id))
		return "begun by a schedule, and not kept so";
	if (change->before.schedule != task_schedule_mark(at->task))
		return "begun by a schedule that is not kept";
	if (is_paused(&change->before, now_ms))
		return "begun in a pause";
	if (is_open(txn, begun->task, &begun->id))
		return "a task overlaps with itself";
	if (__real_task_opens(at->task, now_ms, &until_ms) != now_ms)
		return "begun outside its window";
	after_ms = done_until_ms(&change->before);
	if (!__real_task_next(at->task, after_ms, &moment) || moment.start_ms > now_ms)
		return "begun, and nothing is due";
	return due_find(sim, at->task, after_ms, fits_then, &moment)
		   ? NULL
		   : "begun, and what is due was missed too long ago";
}

/* What is handled was begun; or the schedule is new, or the clock was wrong. */
static const char *handled_fault(const struct sim *sim, const struct when_change *change)
{
	bool corrected = change->before.handled_ms > sim_wall_ms(sim) + CORRECTION_MS;
	bool is_new = change->after.schedule != 0 &&
		      (!change->had || change->after.schedule != change->before.schedule);

	if (is_new && !sim->when.by_people)
		return change->after.handled_ms == sim_wall_ms(sim)
			   ? NULL
			   : "a new schedule has missed something";
	if (!change->had || sim->when.by_people || corrected ||
	    change->after.handled_ms == change->before.handled_ms)
		return NULL;
	return "handled, and not begun";
}

static void begun_note(struct sim *sim, const struct execution *begun)
{
	sim->looks = false; /* alone */
	sim_seen(sim, "begun by a schedule");
	sim_trace(sim, "BEGUN %s by its schedule", begun->task);
}

void when_check_commit(struct sim *sim, struct vault_txn *txn)
{
	struct when *when = &sim->when;
	const struct execution *begun = when->begun.started_ms != 0 ? &when->begun : NULL;
	const struct when_change *of_begun = NULL;
	const char *fault = NULL;

	for (size_t i = 0; fault == NULL && i < when->change_count; i++) {
		const struct when_change *change = &when->changes[i];

		if (begun != NULL && strcmp(change->after.task, begun->task) == 0)
			of_begun = change;
		else
			fault = handled_fault(sim, change);
	}
	if (fault == NULL && begun != NULL)
		fault = begun_fault(sim, txn, of_begun);
	if (fault != NULL)
		sim_violation(
		    sim, fault, "%s", begun != NULL ? begun->task : when->changes[0].after.task);
	else if (begun != NULL)
		begun_note(sim, begun);
}

/* ── Pauses ── */

struct pausing {
	const struct task *task;
	uint64_t now_ms, until_ms;
	bool paused; /* it was, and goes on */
};

static enum err pausing_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct pausing *pausing = arg;
	struct task_state state = {.handled_ms = pausing->now_ms};
	enum err err = __real_task_state_get(txn, pausing->task->name, &state);

	if (err == ERR_OK || err == ERR_NOT_FOUND) {
		snprintf(state.task, sizeof(state.task), "%s", pausing->task->name);
		pausing->paused = state.paused_ms != 0;
		if (pausing->paused) /* what was due meanwhile is not made up for */
			state.handled_ms = pausing->now_ms;
		state.paused_ms = pausing->paused ? 0 : pausing->now_ms;
		state.until_ms = pausing->paused ? 0 : pausing->until_ms;
		err = task_state_put(txn, &state);
	}
	return err == ERR_OK ? ERR_OK : error_set(error, err, "a task cannot be paused");
}

void when_pause(struct sim *sim)
{
	static const uint32_t for_ms[] = {0, 60 * 1000, 10 * 60 * 1000};
	struct pausing pausing = {.now_ms = sim_wall_ms(sim)};
	struct error error = {.text = ""};
	enum err err;

	if (sim->when.count == 0)
		return;
	pausing.task = sim->when.tasks[sim_amount(sim, (uint32_t)sim->when.count)].task;
	pausing.until_ms = for_ms[sim_amount(sim, 3)];
	if (pausing.until_ms != 0)
		pausing.until_ms += pausing.now_ms;
	sim->when.by_people = true;
	err = vault_write(sim->vault, pausing_apply, &pausing, &error);
	sim->when.by_people = false;
	if (err != ERR_OK && !sim->dead && !sim->broke)
		core_failed(sim, "a task cannot be paused", &error);
	if (err != ERR_OK || sim->dead || sim->broke)
		return;
	sim_seen(sim, pausing.paused ? "a task goes on" : "a task paused");
	scheduler_look(sim->scheduler);
}
