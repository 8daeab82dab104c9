/* Bugs in what begins by itself, what is stopped, and which policy is meant. */
#include "sim.h"

#include <string.h>

#include "rotation/engine.h"

/* ── Schedules ── */

static enum err handled_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	enum err err = task_state_put(txn, arg);

	return err == ERR_OK ? err : error_set(error, err, "a task cannot be kept");
}

/* How far a task was handled is kept with its execution: here a commit before. */
enum err bug_plan(enum err (*plan)(struct rotation *, const struct rotation_order *, struct run **,
		      struct error *),
    struct rotation *rotation, const struct rotation_order *order, struct run **run,
    struct error *error)
{
	struct rotation_order other = *order;
	enum err err;

	if (sim_bug != BUG_HANDLED_FIRST || order->state == NULL)
		return plan(rotation, order, run, error);
	other.state = NULL;
	err = vault_write(rotation->config.vault, handled_apply, order->state, error);
	return err == ERR_OK ? plan(rotation, &other, run, error) : err;
}

void __real_execution_each_open(
    struct vault_txn *, bool (*fn)(void *arg, const struct execution *), void *arg);
void __wrap_execution_each_open(
    struct vault_txn *, bool (*fn)(void *arg, const struct execution *), void *arg);

/* A task does not overlap with itself: here nobody looks. */
void __wrap_execution_each_open(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct execution *), void *arg)
{
	if (sim_bug != BUG_OVERLAPS || bug_is_recovering())
		__real_execution_each_open(txn, fn, arg);
}

bool __real_task_next(const struct task *, uint64_t after_ms, struct moment *);
bool __wrap_task_next(const struct task *, uint64_t after_ms, struct moment *);
uint64_t __real_task_opens(const struct task *, uint64_t from_ms, uint64_t *until_ms);
uint64_t __wrap_task_opens(const struct task *, uint64_t from_ms, uint64_t *until_ms);

/* What was missed is made up for: here never. */
bool __wrap_task_next(const struct task *task, uint64_t after_ms, struct moment *moment)
{
	uint64_t now_ms = sim_running != NULL ? sim_wall_ms(sim_running) : 0;

	if (sim_bug == BUG_NEVER_MISSED && after_ms < now_ms)
		after_ms = now_ms;
	return __real_task_next(task, after_ms, moment);
}

/* What is due waits for its window to open: here it is always. */
uint64_t __wrap_task_opens(const struct task *task, uint64_t from_ms, uint64_t *until_ms)
{
	uint64_t opens_ms = __real_task_opens(task, from_ms, until_ms);

	return sim_bug == BUG_WINDOW_IGNORED ? from_ms : opens_ms;
}

enum err __real_task_state_get(struct vault_txn *, const char *, struct task_state *);
enum err __wrap_task_state_get(struct vault_txn *, const char *, struct task_state *);

/* In a pause nothing begins: here nobody knows of it. */
enum err __wrap_task_state_get(struct vault_txn *txn, const char *task, struct task_state *state)
{
	enum err err = __real_task_state_get(txn, task, state);

	if (sim_bug == BUG_PAUSE_IGNORED && err == ERR_OK)
		state->paused_ms = 0;
	return err;
}

const struct task_state *bug_state(
    const struct task_state *before, const struct task_state *state, struct task_state *other)
{
	if (sim_bug != BUG_NEW_MISSED || before == NULL || state->schedule == before->schedule)
		return state;
	*other = *state;
	other->handled_ms = before->handled_ms;
	return other;
}

/* ── Another policy ── */

void __real_scheduler_reload(struct scheduler *);
void __wrap_scheduler_reload(struct scheduler *);
bool __real_rotation_uses(struct rotation *, const struct policy *);
bool __wrap_rotation_uses(struct rotation *, const struct policy *);
void __real_site_adopt(struct site *);
void __wrap_site_adopt(struct site *);

/* From now on its tasks are followed: here those of the one before are. */
void __wrap_scheduler_reload(struct scheduler *scheduler)
{
	if (sim_bug != BUG_SCHEDULE_STALE)
		__real_scheduler_reload(scheduler);
}

/* A policy stays for as long as something uses it: here it goes at once. */
bool __wrap_rotation_uses(struct rotation *rotation, const struct policy *policy)
{
	return sim_bug != BUG_LET_GO && __real_rotation_uses(rotation, policy);
}

/* A visit sees its asset as it began: here as the newest policy has it. */
void __wrap_site_adopt(struct site *site)
{
	const struct rotation_policy *newest = &site->rotation->config.policy;
	const struct asset *asset = policy_asset_find(newest->policy, site->asset->name);

	if (sim_bug == BUG_SEEN_ANEW && asset != NULL) {
		site->asset = asset;
		site->policy = newest->policy;
		site->settings = site->rotation->settings;
		site->snapshot = newest->snapshot;
	}
	__real_site_adopt(site);
}

/* ── Stopping ── */

enum err __real_rotation_cancel(struct rotation *, const struct id *, struct error *);
enum err __wrap_rotation_cancel(struct rotation *, const struct id *, struct error *);
void __real_rotation_drain(struct rotation *);
void __wrap_rotation_drain(struct rotation *);

static bool staged_find(void *arg, const struct record *record)
{
	*(struct record *)arg = *record;
	return record->status != STATUS_STAGED;
}

/* What was begun ends as it ends: here it is told as not begun. */
static enum err staged_deny(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct id first = {{0}};
	struct record record = {.status = STATUS_PLANNED};
	enum err err = ERR_OK;

	record_each(txn, arg, &first, staged_find, &record);
	if (record.status == STATUS_STAGED) {
		record.status = STATUS_SKIPPED;
		err = record_put(txn, &record);
	}
	return err == ERR_OK ? err : error_set(error, err, "a record cannot be denied");
}

enum err __wrap_rotation_cancel(
    struct rotation *rotation, const struct id *execution, struct error *error)
{
	struct id id = *execution;

	if (sim_bug == BUG_CANCEL_DEAF)
		return rotation_runs(rotation, execution) ? ERR_OK : ERR_NOT_FOUND;
	if (sim_bug == BUG_CANCEL_DENIES && rotation_runs(rotation, execution))
		(void)(vault_write(rotation->config.vault, staged_deny, &id, error) == ERR_OK);
	return __real_rotation_cancel(rotation, execution, error);
}

/* It starts nothing more: here it goes on. */
void __wrap_rotation_drain(struct rotation *rotation)
{
	if (sim_bug != BUG_DRAIN_DEAF)
		__real_rotation_drain(rotation);
}
