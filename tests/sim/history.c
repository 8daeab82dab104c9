/*
 * One history: an engine's runs in the simulated world, crashed and meddled with as the seed says,
 * then left in peace. After each step the invariants are checked; in the end all is settled.
 */
#include "sim.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/secret.h"
#include "base/ssh_key.h"

#define STEPS_MAX	 20000
#define CALM_RUNS	 6
#define LOCKOUT_PAUSE_MS (20 * 60 * 1000)

/* ── The engine of a history ── */

static void on_event(void *arg, const struct rotation_event *event);

static void engine_open(struct sim *sim, bool create)
{
	char key[300];
	struct vault_config config = {
	    .dir = sim->dir,
	    .key_path = key,
	    .purpose = "simulation",
	    .clock = &sim->clock.clock,
	    .no_sync = true,
	};
	struct error error = {.text = ""};

	snprintf(key, sizeof(key), "%s.key", sim->dir);
	if (create && vault_create(&config, &error) != ERR_OK)
		fail_msg("vault_create: %s", error.text);
	if (vault_open(&sim->vault, &config, &error) != ERR_OK)
		fail_msg("vault_open: %s", error.text);
	sim_wires_init(sim);
	sim->rotation = rotation_new(&(struct rotation_config){
	    .policy = sim->policy,
	    .vault = sim->vault,
	    .wires = &sim->wires,
	    .clock = &sim->clock.clock,
	    .event = on_event,
	    .arg = sim,
	});
	if (rotation_recover(sim->rotation, &error) != ERR_OK)
		fail_msg("rotation_recover: %s", error.text);
}

static void engine_close(struct sim *sim)
{
	rotation_free(sim->rotation);
	vault_close(sim->vault);
	sim->rotation = NULL;
	sim->vault = NULL;
}

/* ── A disk that forgets ── */

static void disk_copy(const struct sim *sim, const char *from, const char *to)
{
	char command[700];

	snprintf(command, sizeof(command), "cp '%s/%s' '%s/%s' 2>/dev/null", sim->dir, from,
	    sim->dir, to);
	if (system(command) != 0) /* nothing to copy yet */
		return;
}

static void engine_crash(struct sim *sim)
{
	sim->stats->crashes++;
	sim_trace(sim, "CRASH");
	sim_wires_crash(sim);
	engine_close(sim);
	if (sim_bug == BUG_SKIP_COMMIT)
		disk_copy(sim, "data.old", "data.mdb");
	engine_open(sim, false);
}

/* ── What the engine says ── */

static void believe(struct sim *sim, const struct record *record)
{
	struct sim_account *at = world_account(sim, record->asset, record->account);
	struct vault_txn *txn = vault_read(sim->vault);
	struct secret *secret = NULL;
	struct account account;
	struct error error;

	if (account_get(txn, record->asset, record->account, record->kind, &account) != ERR_OK ||
	    version_open(txn, &account, record->new_version, &secret, NULL, &error) != ERR_OK) {
		sim_violation(sim, "a record's new version is not kept", "%s %s", record->asset,
		    record->account);
	} else if (record->status == STATUS_SUCCESS && record->kind == SECRET_KEY) {
		keys_believe(sim, at, secret);
	} else if (record->status == STATUS_SUCCESS) {
		if (!at->dirty && strcmp(at->live, secret_data(secret)) != 0)
			sim_violation(
			    sim, "success, but it does not open", "%s %s", at->asset, at->name);
		snprintf(at->believed, sizeof(at->believed), "%s", secret_data(secret));
	} else if (sim->failed_count < 256) {
		char *failed = sim->failed[sim->failed_count++];

		if (record->kind == SECRET_KEY)
			keys_line_of(secret, failed);
		else
			snprintf(failed, SIM_SECRET_SIZE, "%s", secret_data(secret));
	}
	secret_free(secret);
	vault_read_end(txn);
}

static void count_record(struct sim_stats *stats, const struct record *record, bool settled)
{
	bool success = record->status == STATUS_SUCCESS, failed = record->status == STATUS_FAILED;

	if (settled) {
		stats->settled_success += success;
		stats->settled_failed += failed;
		stats->settled_mismatch += record->status == STATUS_UNVERIFIED;
	} else {
		stats->success += success;
		stats->failed += failed;
		stats->unverified += record->status == STATUS_UNVERIFIED;
		stats->skipped += record->status == STATUS_SKIPPED;
	}
	stats->resent += record->sends > 1;
	stats->retried += record->attempts > 1 && success;
	stats->not_asked += strcmp(record->reason, "not_asked") == 0;
	stats->old_unknown += strcmp(record->reason, "old_unknown") == 0;
	stats->not_persisted += strcmp(record->reason, "not_persisted") == 0;
	stats->cut_off += strcmp(record->reason, "neither_opens") == 0;
	stats->put_back_lost += strcmp(record->error_code, "put_back") == 0 && !failed;
	stats->targeted += strcmp(record->reason, "no_lifeline") == 0;
	stats->by_next_proof += strcmp(record->account, "db") == 0 && success;
}

static bool opens_with_current(struct vault_txn *txn, const struct sim_account *at)
{
	struct secret *secret = NULL;
	struct account account;
	struct error error;
	bool opens =
	    account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
	    account.current != 0 &&
	    version_open(txn, &account, account.current, &secret, NULL, &error) == ERR_OK &&
	    strcmp(secret_data(secret), at->live) == 0;

	secret_free(secret);
	return opens;
}

/* What is verified is a mismatch only where it is. */
static void check_mismatch(struct sim *sim, const struct record *record)
{
	const struct sim_account *at = world_account(sim, record->asset, record->account);
	struct vault_txn *txn = vault_read(sim->vault);

	if (record->kind == SECRET_KEY ? keys_open_with_current(txn, at)
				       : opens_with_current(txn, at))
		sim_violation(sim, "a mismatch, and it opens", "%s %s", at->asset, at->name);
	vault_read_end(txn);
	sim->stats->mismatches++;
}

static void on_event(void *arg, const struct rotation_event *event)
{
	struct sim *sim = arg;
	const struct record *record = event->record;
	bool settled = event->kind == ROTATION_SETTLED;

	if (event->kind == ROTATION_BROKEN)
		sim_violation(sim, "the engine broke", "%s", event->error->text);
	if (event->kind != ROTATION_RECORD_ENDED && !settled)
		return;
	if (strcmp(record->reason, "mismatch") == 0)
		check_mismatch(sim, record);
	sim_trace(sim, "%s %s %s: %s %s", settled ? "SETTLED" : "ENDED", record->asset,
	    record->account, status_name(record->status), record->reason);
	count_record(sim->stats, record, settled);
	if (record->new_version != 0 &&
	    (record->status == STATUS_SUCCESS || record->status == STATUS_FAILED))
		believe(sim, record);
}

/* ── A history ── */

struct told {
	struct sim *sim;
	bool all;
};

/* A key that is ours already, so that the first rotation has one to replace. */
static enum err tell_key(struct vault_txn *txn, struct sim_account *at, struct error *error)
{
	char line[SIM_SECRET_SIZE], mark[ID_TEXT_SIZE];
	struct account account;
	struct secret *key;
	enum err err = ssh_key_make(SSH_KEY_ED25519, &key, error);

	if (err == ERR_OK)
		err =
		    account_tell(txn, at->asset, at->name, SECRET_KEY, key, NULL, &account, error);
	if (err == ERR_OK) {
		keys_line_of(key, line);
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " lockstep:%s",
		    id_text(&account.id, mark));
		keys_add(at, line);
	}
	secret_free(key);
	return err;
}

static enum err tell_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct told *told = arg;
	struct account account;

	for (size_t i = 0; i < told->sim->account_count; i++) {
		struct sim_account *at = &told->sim->accounts[i];
		struct secret *secret;
		enum err err;

		if (strcmp(at->name, "svc") == 0) /* unmanaged: its first rotation takes it over */
			continue;
		secret = secret_from(at->live, strlen(at->live));
		err = account_tell(
		    txn, at->asset, at->name, SECRET_PASSWORD, secret, NULL, &account, error);
		secret_free(secret);
		if (err == ERR_OK && strcmp(at->name, "app") == 0)
			err = tell_key(txn, at, error);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static void history_order(struct sim *sim, const char *name, enum rotation_kind kind)
{
	static const char *const words[] = {"RUN", "REHEARSE", "VERIFY"};
	const struct task *task = policy_task_find(sim->policy, name);
	struct selection selection;
	struct error error = {.text = ""};
	struct id id;

	if (policy_select(sim->policy, task, &selection, &error) != ERR_OK)
		fail_msg("policy_select: %s", error.text);
	sim_trace(sim, "%s %s", words[kind], name);
	if (rotation_run(sim->rotation,
		&(struct rotation_order){
		    .kind = kind,
		    .task = task,
		    .items = selection.items,
		    .count = selection.count,
		    .trigger = "manual",
		},
		&id, &error) != ERR_OK)
		fail_msg("rotation_run: %s", error.text);
	selection_clear(&selection);
}

static void history_run(struct sim *sim, const char *name)
{
	history_order(sim, name, ROTATION_CHANGE);
}

static uint64_t record_total(const struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct counts counts;
	uint64_t total = 0;

	vault_counts(txn, &counts);
	vault_read_end(txn);
	for (int status = 0; status < STATUS_COUNT; status++)
		total += counts.by_status[status];
	return total;
}

static void by_hand(struct sim *sim)
{
	struct sim_account *at = &sim->accounts[sim_below(sim, (uint32_t)sim->account_count)];

	if (world_is_privileged(sim, at->asset, at->name))
		return;
	at->dirty = true;
	sim_trace(sim, "BY HAND %s %s", at->asset, at->name);
	world_apply(sim, at, "by-hand");
}

/* Steps until nothing is left to do, crashing and meddling as the seed says. */
static void history_steps(struct sim *sim, uint32_t crash_in)
{
	for (int i = 0; i < STEPS_MAX && sim->violation == NULL; i++) {
		if (sim_bug == BUG_SKIP_COMMIT && i % 16 == 0)
			disk_copy(sim, "data.mdb", "data.old");
		if (rotation_idle(sim->rotation) || !sim_clock_step(&sim->clock))
			return;
		sim->stats->steps++;
		world_check(sim);
		if (crash_in > 0 && --crash_in == 0) {
			engine_crash(sim);
			world_check(sim);
			crash_in = sim_chance(sim, 30) ? 1 + sim_below(sim, 60) : 0;
		}
		if (!sim->calm && sim_below(sim, 2000) == 0)
			by_hand(sim);
	}
	if (sim->violation == NULL)
		sim_violation(sim, "it never ends", "%d steps", STEPS_MAX);
}

static bool count_doubt(void *arg, const struct account *account)
{
	(void)account;
	++*(size_t *)arg;
	return true;
}

/* NULL where nothing is in doubt and each current secret opens; else what is not so. */
static const char *history_unsettled(const struct sim *sim, struct vault_txn *txn)
{
	size_t doubts = 0;

	account_each_in_doubt(txn, count_doubt, &doubts);
	if (doubts > 0)
		return "a doubt is never settled";
	for (size_t i = 0; i < sim->account_count; i++) {
		const struct sim_account *at = &sim->accounts[i];

		if (!at->dirty && !opens_with_current(txn, at))
			return "in the end, current does not open";
		if (strcmp(at->name, "app") == 0 && !keys_open_with_current(txn, at))
			return "in the end, the current key does not open";
	}
	return NULL;
}

static const char *history_judge(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct counts kept, counted;
	const char *unsettled = history_unsettled(sim, txn);

	vault_counts(txn, &kept);
	vault_recount(txn, &counted);
	vault_read_end(txn);
	if (memcmp(&kept, &counted, sizeof(kept)) != 0)
		sim_violation(sim, "counters differ from a recount", "-");
	return unsettled;
}

/* What only looks: nothing is sent for it, and of a rehearsal nothing is kept. */
static void history_look(struct sim *sim)
{
	enum rotation_kind kind = sim_chance(sim, 50) ? ROTATION_REHEARSE : ROTATION_VERIFY;
	uint64_t before = record_total(sim);

	if (!rotation_idle(sim->rotation))
		return;
	sim->looks = true;
	history_order(sim, "ordered", kind);
	history_steps(sim, 0);
	sim->looks = false;
	if (kind == ROTATION_REHEARSE && record_total(sim) != before)
		sim_violation(sim, "a rehearsal is kept", "-");
	sim->stats->looks++;
}

/* What nobody knows any more shuts an asset: then, and only then, someone has to tell. */
static void history_tell(struct sim *sim)
{
	for (size_t i = 0; i < sim->account_count; i++) {
		struct sim_account *at = &sim->accounts[i];
		struct vault_txn *txn = vault_read(sim->vault);
		struct account account;
		bool shut =
		    world_is_privileged(sim, at->asset, at->name) &&
		    account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
		    account.mismatch;

		vault_read_end(txn);
		if (shut && strcmp(at->live, "cut") != 0)
			sim_violation(sim, "given up, though a kept secret opens it", "%s %s",
			    at->asset, at->name);
		if (shut)
			world_tell(sim, at);
	}
}

/* Nobody meddles any more: within a few runs and lockout windows everything is settled and opens,
 * and it does so still after another run. */
static void history_calm(struct sim *sim)
{
	const char *unsettled = "";

	sim->calm = true;
	for (int i = 0; i < CALM_RUNS && sim->violation == NULL; i++) {
		bool again = unsettled == NULL;

		sim->clock.now_ms += LOCKOUT_PAUSE_MS;
		engine_crash(sim);
		history_tell(sim);
		history_run(sim, "ordered");
		history_steps(sim, 0);
		unsettled = history_judge(sim);
		if (again)
			break;
	}
	if (unsettled != NULL)
		sim_violation(sim, unsettled, "after %d runs", CALM_RUNS);
}

static void history_dir(struct sim *sim, const char *scratch)
{
	char command[600];

	snprintf(sim->dir, sizeof(sim->dir), "%s/vault", scratch);
	snprintf(command, sizeof(command), "rm -rf '%s' '%s.key'", sim->dir, sim->dir);
	if (system(command) != 0)
		fail_msg("%s", command);
}

bool history(
    const struct sim_place *place, const struct beginning *beginning, struct sim_stats *stats)
{
	static const char *const tasks[] = {
	    "login", "ordered", "hash", "unproved", "login", "keys"};
	struct sim *sim = calloc(1, sizeof(*sim));
	struct error error = {.text = ""};
	struct told told = {.sim = sim};
	uint64_t seed = beginning->seed;
	uint32_t crash_in = beginning->crash_in;
	const char *task = beginning->task;
	bool good;

	sim->seed = seed;
	sim->rng = seed * 0x9E3779B97F4A7C15 + 1;
	sim->policy = place->policy;
	sim->stats = stats;
	sim->trace = beginning->trace;
	random_seed(seed);
	sim_clock_init(&sim->clock);
	world_init(sim);
	history_dir(sim, place->scratch);
	engine_open(sim, true);
	if (vault_write(sim->vault, tell_apply, &told, &error) != ERR_OK)
		fail_msg("tell: %s", error.text);
	for (uint32_t runs = 1 + sim_below(sim, 3); runs > 0 && sim->violation == NULL; runs--) {
		history_run(sim, task != NULL ? task : tasks[sim_below(sim, 6)]);
		history_steps(sim, crash_in > 0 ? crash_in : sim_below(sim, 120));
		crash_in = 0;
		task = NULL;
		if (sim->violation == NULL && sim_chance(sim, 30))
			history_look(sim);
	}
	history_calm(sim);
	stats->histories++;
	good = sim->violation == NULL;
	if (!good && sim_bug == BUG_NONE)
		printf(
		    "seed %llu: %s: %s\n", (unsigned long long)seed, sim->violation, sim->detail);
	engine_close(sim);
	world_clear(sim);
	sim_clock_clear(&sim->clock);
	random_unseed();
	free(sim);
	return good;
}
