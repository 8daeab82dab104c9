/*
 * One history: an engine's runs in the simulated world, crashed and meddled with as the seed says,
 * then left in peace. After each step the invariants are checked; in the end all is settled.
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define STEPS_MAX	 20000
#define CALM_RUNS	 6
#define LOCKOUT_PAUSE_MS (20 * 60 * 1000)

/* ── Steps ── */

/* Nothing is left to do: what was asked to end does. */
static void history_rest(struct sim *sim)
{
	check_idle(sim);
	if (disk_broke(sim->ground->disk)) /* of which an idle engine hears when it next asks */
		sim->broke = true;
	if (sim->drained)
		core_kill(sim, "drained");
	core_settle(sim);
}

/* One step, no further than until then; false when there was none. */
static bool history_step(struct sim *sim, uint64_t until_ms)
{
	if (sim_clock_next_ms(&sim->clock) > until_ms)
		return false;
	(void)sim_clock_step(&sim->clock);
	sim->cover->steps++;
	core_settle(sim);
	check_step(sim);
	if (!sim->calm && sim->violation == NULL) {
		meddle(sim);
		core_settle(sim);
	}
	return true;
}

static bool is_at_rest(const struct sim *sim)
{
	return rotation_idle(sim->rotation) && sim->looking == 0;
}

/* Steps until nothing is left to do. */
static void history_steps(struct sim *sim)
{
	for (int i = 0; i < STEPS_MAX && sim->violation == NULL; i++) {
		if (is_at_rest(sim)) {
			history_rest(sim);
			return;
		}
		if (!history_step(sim, UINT64_MAX - 1)) {
			sim_violation(sim, "it stands still", "work is left, and no timer");
			return;
		}
	}
	sim_violation(sim, "it never ends", "%d steps", STEPS_MAX);
}

/* Steps until then, whatever begins by itself, and until that has ended. */
static void history_wait(struct sim *sim, uint64_t until_ms)
{
	for (int i = 0; i < STEPS_MAX && sim->violation == NULL; i++) {
		if (is_at_rest(sim))
			history_rest(sim);
		if (sim->violation == NULL && !history_step(sim, until_ms))
			break;
	}
	if (sim->violation != NULL)
		return;
	sim_clock_run_until(&sim->clock, until_ms);
	history_steps(sim);
}

static uint64_t record_total(const struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct totals totals;
	uint64_t total = 0;

	vault_totals(txn, &totals);
	vault_read_end(txn);
	for (int status = 0; status < STATUS_COUNT; status++)
		total += totals.records.by_status[status];
	return total;
}

/* What only looks: nothing is sent for it, and of a rehearsal nothing is kept. */
static void history_look(struct sim *sim)
{
	enum rotation_kind kind =
	    sim_choose(sim, "how to look", "", 2) == 0 ? ROTATION_REHEARSE : ROTATION_VERIFY;
	uint64_t before;
	bool alone;

	if (!rotation_idle(sim->rotation))
		return;
	before = record_total(sim);
	sim_seen(sim, "a look");
	sim->looks = true;
	if (kind == ROTATION_VERIFY && sim_event(sim, "changed by hand before a look", "", 600))
		meddle_by_hand(sim, false);
	people_order_task(sim, "ordered", kind);
	if (sim->violation == NULL)
		history_steps(sim);
	alone = sim->looks;
	sim->looks = false;
	if (sim->violation == NULL && kind == ROTATION_REHEARSE && alone &&
	    record_total(sim) > before)
		sim_violation(sim, "a rehearsal is kept", "-");
}

/* A lockout's window later it settles what is in doubt, while all that happens goes on. */
static void history_restart(struct sim *sim)
{
	sim->clock.now_ms += LOCKOUT_PAUSE_MS;
	core_kill(sim, "started anew");
	core_settle(sim);
	history_steps(sim);
}

/* All is looked at then, as the engine does by itself. */
static void history_put_back(struct sim *sim)
{
	copies_put_back(sim);
	if (sim->violation == NULL && !rotation_idle(sim->rotation))
		history_steps(sim);
	if (sim->violation == NULL)
		people_order_task(sim, "ordered", ROTATION_VERIFY);
	if (sim->violation == NULL)
		history_steps(sim);
	if (sim->violation == NULL)
		copies_settled(sim);
}

/* ── In the end ── */

/*
 * What nobody knows any more shuts an asset: then, and only then, someone has to tell. Where
 * someone else had changed it or told what is wrong, its refused logins say so; else it is a
 * mismatch.
 */
static bool is_shut(struct sim *sim, const struct sim_account *at)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct account account;
	bool meddled = at->dirty || at->mistold, kept = check_is_kept(txn, at), shut;

	if (account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) != ERR_OK)
		account = (struct account){.current = 0};
	if (account.current == 0) /* nobody ever knew it, which shuts what asks for it */
		shut = ground_is_keyed(at->at, at->name) && sim->asks;
	else
		shut = account.mismatch || (meddled && !check_opens_with_current(txn, at));
	shut = shut && account.pending == 0;
	vault_read_end(txn);
	if (shut && !meddled && kept)
		sim_violation(
		    sim, "given up, though a kept secret opens it", "%s %s", at->asset, at->name);
	return shut;
}

static void history_tell(struct sim *sim)
{
	for (size_t i = 0; i < sim->account_count && sim->violation == NULL; i++) {
		struct sim_account *at = &sim->accounts[i];

		if (!at->privileged)
			continue;
		keys_mend(sim, at);
		if (is_shut(sim, at))
			people_mend(sim, at);
	}
}

/*
 * The engine is started once more, a lockout's window later; what is in doubt it settles by itself.
 * In a history in four a run follows its start at once, as where nothing but a timer's runs start
 * it. NULL where nothing is left to do.
 */
static const char *calm_settle(struct sim *sim, bool hasty)
{
	sim->clock.now_ms += LOCKOUT_PAUSE_MS;
	core_kill(sim, "calm");
	core_settle(sim);
	history_tell(sim);
	check_doubts_begin(sim);
	if (sim->violation == NULL && !hasty)
		history_steps(sim);
	if (sim->violation == NULL && !hasty)
		check_doubts_end(sim);
	return sim->violation == NULL ? check_unsettled(sim) : NULL;
}

/* Each account gets a new secret, too. */
static const char *calm_run(struct sim *sim)
{
	history_tell(sim);
	if (sim->violation == NULL)
		people_order_task(sim, "ordered", ROTATION_CHANGE);
	if (sim->violation == NULL)
		history_steps(sim);
	return sim->violation == NULL ? check_unsettled(sim) : NULL;
}

/* Nobody meddles any more: within a few runs and lockout windows everything is settled and opens,
 * and one more run, which a history in four has, leaves it so. */
static void history_calm(struct sim *sim)
{
	const char *unsettled;
	bool again = sim_choose(sim, "whether to run once more", "", 4) == 0;
	bool hasty = sim_choose(sim, "whether a run follows at once", "", 4) == 0;

	sim->calm = true;
	reload_first(sim);
	disk_fill(sim->ground->disk, 0);
	meddle_end(sim);
	unsettled = calm_settle(sim, hasty);
	for (int i = 0; i < CALM_RUNS && unsettled != NULL; i++) {
		unsettled = calm_run(sim);
		if (unsettled != NULL)
			unsettled = calm_settle(sim, hasty);
	}
	if (sim->violation == NULL && unsettled == NULL && again)
		unsettled = calm_run(sim);
	/* What it made, and the asset refused for its age, may need another window or two. */
	for (int i = 0; i < 2 && unsettled != NULL; i++)
		unsettled = calm_settle(sim, false);
	if (sim->violation == NULL && unsettled != NULL)
		sim_violation(sim, unsettled, "after %d runs", CALM_RUNS);
	if (sim->violation == NULL)
		check_all(sim);
}

/* ── The whole ── */

/* How often it crashes: in some histories hardly, in some at every turn. */
static uint32_t crash_permille(struct sim *sim)
{
	static const uint32_t often[] = {0, 2, 2, 5, 5, 10, 20, 60};

	return often[sim_choose(sim, "how often it crashes", "", 8)];
}

static void history_runs(struct sim *sim, const struct beginning *beginning)
{
	static const char *const tasks[] = {"login", "ordered", "hash", "unproved", "login", "keys",
	    "careful", "entries", "entry_keys"};
	static const uint32_t counts[] = {1, 1, 1, 1, 1, 2, 2, 3};
	uint32_t runs = counts[sim_choose(sim, "how many runs", "", 8)];
	const char *task = beginning->task;

	sim->crash_in = beginning->crash_in;
	for (; runs > 0 && sim->violation == NULL; runs--) {
		if (task == NULL)
			task = tasks[sim_choose(sim, "a task", "", 9)];
		people_order_task(sim, task, ROTATION_CHANGE);
		if (sim->violation == NULL)
			history_steps(sim);
		if (sim->violation == NULL && sim_choose(sim, "whether to look", "", 4) == 0)
			history_look(sim);
		task = NULL;
		/* Long enough, or not, for a lockout's window to end. */
		if (sim->violation == NULL &&
		    sim_event(sim, "a while passes", "", sim->follows ? 700 : 200))
			history_wait(sim, sim->clock.now_ms + sim_amount(sim, LOCKOUT_PAUSE_MS));
	}
	if (sim->violation == NULL && sim->copies.there)
		history_put_back(sim);
	if (sim->violation == NULL && sim_event(sim, "started anew", "", 300))
		history_restart(sim);
}

/* One for all histories: most of it stays as it is. */
static struct sim the_sim;

static void history_begin(struct sim *sim, const struct beginning *beginning, struct cover *cover)
{
	static const uint32_t keep[] = {1, 2, 4, 10};

	memset((char *)sim + sizeof(sim->choices), 0, sizeof(*sim) - sizeof(sim->choices));
	sim->cover = cover;
	sim->trace = beginning->trace;
	choices_begin(&sim->choices, beginning->seed, beginning->only, beginning->only_count);
	random_seed(beginning->seed);
	sim_clock_init(&sim->clock);
	sim->ground = ground(sim_choose(sim, "the ground", "", (uint32_t)ground_count()));
	disk_begin(sim->ground->disk, sim);
	world_init(sim, beginning->asset);
	sim->crash_permille = crash_permille(sim);
	sim->keep_versions = keep[sim_choose(sim, "how many versions are kept", "", 4)];
	sim->follows = sim_choose(sim, "whether schedules are followed", "", 4) == 0;
}

void history(const struct beginning *beginning, struct cover *cover, struct ending *ending)
{
	struct sim *sim = &the_sim;

	history_begin(sim, beginning, cover);
	core_start(sim);
	history_runs(sim, beginning);
	if (sim->violation == NULL)
		history_calm(sim);
	core_stop(sim);
	copies_end(sim);
	world_clear(sim);
	sim_clock_clear(&sim->clock);
	disk_begin(sim->ground->disk, NULL);
	random_unseed();
	cover->histories++;
	cover->violations += sim->violation != NULL;
	ending->violation = sim->violation;
	memcpy(ending->detail, sim->detail, sizeof(ending->detail));
	ending->events = sim->choices.events; /* transferred */
	ending->event_count = sim->choices.event_count;
	sim->choices.events = NULL;
	sim->choices.event_count = sim->choices.event_room = 0;
}

void ending_clear(struct ending *ending)
{
	free(ending->events);
	ending->events = NULL;
}
