/*
 * What must hold after every step, and in the end. A step is checked where it touched something: an
 * account's secret changed, or something was committed. At each start of the engine and in the end
 * all is looked at.
 */
#include "sim.h"

#include <string.h>

/* ── What was said is true ── */

static void check_truth(struct sim *sim, const struct sim_account *account)
{
	if (account->dirty)
		return;
	if (account->believed[0] != '\0' && strcmp(account->believed, account->live) != 0)
		sim_violation(
		    sim, "a success is not true any more", "%s %s", account->asset, account->name);
	for (size_t i = 0; i < sim->failed_count; i++)
		if (strcmp(sim->failed[i], account->live) == 0)
			sim_violation(
			    sim, "a failed secret is live", "%s %s", account->asset, account->name);
}

/* ── What may be live is kept ── */

struct kept {
	struct vault_txn *txn;
	const struct account *account;
	const char *wanted;
	uint32_t number; /* 0 = in none */
};

static bool kept_version(void *arg, const struct version *version)
{
	struct kept *kept = arg;
	struct secret *secret = NULL;
	struct error error;

	if (version_open(kept->txn, kept->account, version->number, &secret, NULL, &error) ==
		ERR_OK &&
	    strcmp(secret_data(secret), kept->wanted) == 0)
		kept->number = version->number;
	secret_free(secret);
	return kept->number == 0;
}

/* The version that holds this secret; 0 = none. */
static uint32_t version_of(struct vault_txn *txn, const struct sim_account *at, const char *secret)
{
	struct account account;
	struct kept kept = {.txn = txn, .account = &account, .wanted = secret};

	if (account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK)
		version_each(txn, &account, kept_version, &kept);
	return kept.number;
}

bool check_is_kept(struct vault_txn *txn, const struct sim_account *at)
{
	return version_of(txn, at, at->live) != 0;
}

/* Of what someone else set, or was cut, or stood there before the vault knew it, nothing was
 * promised. */
static bool is_ours(const struct sim_account *account)
{
	return !account->dirty && strcmp(account->live, "cut") != 0 &&
	       (ground_has_password(account->at, account->name) ||
		   strncmp(account->live, "first-", 6) != 0);
}

/* The version where it was found last is there still. */
static bool is_kept_still(struct vault_txn *txn, const struct sim_account *at)
{
	struct account account;
	struct version version;

	return account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
	       version_get(txn, &account, at->kept_as, &version) == ERR_OK;
}

static void check_kept(struct sim *sim, struct vault_txn *txn, struct sim_account *account)
{
	if (is_ours(account) && (account->kept_as == 0 || sim->pruned)) {
		if (account->kept_as == 0 || !is_kept_still(txn, account))
			account->kept_as = version_of(txn, account, account->live);
		if (account->kept_as == 0)
			sim_violation(sim, "the live secret is not kept", "%s %s", account->asset,
			    account->name);
	}
	keys_check(sim, txn, account);
}

static void check_lates(struct sim *sim, struct vault_txn *txn)
{
	struct sim_late *late;

	LIST_FOREACH (late, &sim->lates, entry)
		if (keys_is_line(late->secret) ? !keys_kept(txn, late->account, late->secret)
					       : version_of(txn, late->account, late->secret) == 0)
			sim_violation(sim, "a secret that may arrive is not kept", "%s %s",
			    late->account->asset, late->account->name);
}

/* ── Steps ── */

static bool is_touched(const struct sim *sim)
{
	if (sim->pruned)
		return true;
	for (size_t i = 0; i < sim->account_count; i++) {
		const struct sim_account *account = &sim->accounts[i];

		if (!account->lines_good || (account->kept_as == 0 && is_ours(account)))
			return true;
	}
	return false;
}

bool check_is_blind(const struct sim *sim)
{
	return sim->dead || sim->broke || sim->vault == NULL || disk_broke(sim->ground->disk);
}

void check_step(struct sim *sim)
{
	struct vault_txn *txn;

	if (check_is_blind(sim))
		return;
	for (size_t i = 0; i < sim->account_count; i++)
		check_truth(sim, &sim->accounts[i]);
	when_look(sim);
	stops_look(sim);
	if (!is_touched(sim))
		return;
	txn = vault_read(sim->vault);
	for (size_t i = 0; i < sim->account_count; i++)
		check_kept(sim, txn, &sim->accounts[i]);
	check_lates(sim, txn);
	vault_read_end(txn);
	sim->pruned = false;
}

/* ── All ── */

static void check_counters(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct error error;
	enum err err = vault_recount(txn, &error);

	vault_read_end(txn);
	if (err != ERR_OK)
		sim_violation(sim, "counters differ from a recount", "%s", error.text);
}

static bool count_open(void *arg, const struct execution *execution)
{
	(void)execution;
	++*(size_t *)arg;
	return true;
}

/* Nothing is left to do: each execution has ended, and each of its records. */
void check_idle(struct sim *sim)
{
	struct vault_txn *txn;
	struct totals totals;
	const uint64_t *counts = totals.records.by_status;
	size_t open = 0;

	if (check_is_blind(sim))
		return;
	txn = vault_read(sim->vault);
	vault_totals(txn, &totals);
	execution_each_open(txn, count_open, &open);
	vault_read_end(txn);
	if (open > 0)
		sim_violation(sim, "an execution never ends", "%zu", open);
	if (counts[STATUS_PLANNED] + counts[STATUS_STAGED] > 0)
		sim_violation(sim, "a record never ends", "%llu planned, %llu staged",
		    (unsigned long long)counts[STATUS_PLANNED],
		    (unsigned long long)counts[STATUS_STAGED]);
	reload_check_idle(sim);
}

static bool doubts_add(void *arg, const struct account *account)
{
	struct sim *sim = arg;

	if (sim->doubt_count < SIM_ACCOUNTS)
		sim->doubts[sim->doubt_count++].record = account->pending_record;
	return true;
}

void check_doubts_begin(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct record record;

	sim->doubt_count = 0;
	account_each_in_doubt(txn, doubts_add, sim);
	for (size_t i = 0; i < sim->doubt_count; i++)
		sim->doubts[i].attempts = record_get(txn, &sim->doubts[i].record, &record) == ERR_OK
					      ? record.attempts
					      : 0;
	vault_read_end(txn);
}

void check_doubts_end(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct record record;

	for (size_t i = 0; i < sim->doubt_count; i++)
		if (record_get(txn, &sim->doubts[i].record, &record) == ERR_OK &&
		    record.attempts <= sim->doubts[i].attempts)
			sim_violation(sim, "a doubt was forgotten at a start", "%s %s",
			    record.asset, record.account);
	vault_read_end(txn);
}

static void cover_states(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	char name[56];

	for (size_t i = 0; i < sim->account_count; i++) {
		struct account account;

		if (account_get(txn, sim->accounts[i].asset, sim->accounts[i].name, SECRET_PASSWORD,
			&account) != ERR_OK)
			continue;
		snprintf(
		    name, sizeof(name), "account: %s", account_state_name(account_state(&account)));
		cover_add(sim->cover, COVER_STATE, name, MOMENT_PASSED);
	}
	vault_read_end(txn);
}

void check_start(struct sim *sim)
{
	sim->pruned = true;
	check_step(sim);
	check_counters(sim);
	cover_states(sim);
}

void check_all(struct sim *sim)
{
	for (size_t i = 0; i < sim->account_count; i++) {
		sim->accounts[i].kept_as = 0;
		for (size_t k = 0; k < SIM_LINES; k++)
			sim->accounts[i].lines[k].kept_as = 0;
	}
	check_start(sim);
}

/* ── In the end ── */

bool check_opens_with_current(struct vault_txn *txn, const struct sim_account *at)
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

static bool count_doubt(void *arg, const struct account *account)
{
	(void)account;
	++*(size_t *)arg;
	return true;
}

/* Nothing was ever made for it. */
static bool is_unmanaged(struct vault_txn *txn, const struct sim_account *at)
{
	struct account account;

	return account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_NOT_FOUND;
}

static const char *unsettled(const struct sim *sim, struct vault_txn *txn)
{
	size_t doubts = 0;

	account_each_in_doubt(txn, count_doubt, &doubts);
	if (doubts > 0)
		return "a doubt is never settled";
	for (size_t i = 0; i < sim->account_count; i++) {
		const struct sim_account *at = &sim->accounts[i];

		if (is_unmanaged(txn, at))
			continue;
		if (!check_opens_with_current(txn, at))
			return "in the end, current does not open";
		if ((ground_has_key(at->at, at->name) || keys_have_current(txn, at)) &&
		    !at->keys_dirty && !keys_open_with_current(txn, at))
			return "in the end, the current key does not open";
	}
	return NULL;
}

const char *check_unsettled(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	const char *what = unsettled(sim, txn);

	vault_read_end(txn);
	return what;
}
