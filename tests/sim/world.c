/* Assets and their accounts: what is true, whatever the engine believes. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ── Reporting ── */

void sim_violation(struct sim *sim, const char *what, const char *fmt, ...)
{
	va_list args;

	if (sim->violation != NULL)
		return;
	sim->violation = what;
	va_start(args, fmt);
	vsnprintf(sim->detail, sizeof(sim->detail), fmt, args);
	va_end(args);
	sim_trace(sim, "VIOLATION %s: %s", what, sim->detail);
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (!sim->trace)
		return;
	printf("%8llu ms  ", (unsigned long long)sim->clock.now_ms);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

/* ── Choices ── */

uint32_t sim_below(struct sim *sim, uint32_t limit)
{
	sim->rng ^= sim->rng << 13;
	sim->rng ^= sim->rng >> 7;
	sim->rng ^= sim->rng << 17;
	return (uint32_t)((sim->rng >> 11) % limit);
}

bool sim_chance(struct sim *sim, uint32_t percent)
{
	return sim_below(sim, 100) < percent;
}

/* ── Accounts ── */

void world_init(struct sim *sim)
{
	LIST_INIT(&sim->lates);
	for (size_t i = 0; i < policy_asset_count(sim->policy); i++) {
		const struct asset *asset = policy_asset(sim->policy, i);

		for (size_t k = 0; k < asset->account_count; k++) {
			struct sim_account *account = &sim->accounts[sim->account_count++];

			*account = (struct sim_account){
			    .asset = asset->name,
			    .name = asset->accounts[k],
			    .lockout =
				{
				    .limit = asset->lockout_limit,
				    .window_ms = asset->lockout_window_ms,
				},
			};
			snprintf(
			    account->live, sizeof(account->live), "first-%zu", sim->account_count);
			keys_begin(account);
		}
	}
}

static void late_free(struct sim_late *late)
{
	timer_stop(&late->timer);
	LIST_REMOVE(late, entry);
	free(late);
}

void world_clear(struct sim *sim)
{
	while (!LIST_EMPTY(&sim->lates))
		late_free(LIST_FIRST(&sim->lates));
}

struct sim_account *world_account(struct sim *sim, const char *asset, const char *name)
{
	for (size_t i = 0; i < sim->account_count; i++)
		if (strcmp(sim->accounts[i].asset, asset) == 0 &&
		    strcmp(sim->accounts[i].name, name) == 0)
			return &sim->accounts[i];
	return NULL;
}

bool world_is_privileged(const struct sim *sim, const char *asset, const char *name)
{
	const struct asset *at = policy_asset_find(sim->policy, asset);

	return strcmp(at->admin, name) == 0 ||
	       (at->become == BECOME_SU && strcmp(name, "root") == 0);
}

struct telling {
	const struct sim_account *account;
};

static enum err tell_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct telling *telling = arg;
	const struct sim_account *at = telling->account;
	struct secret *secret = secret_from(at->live, strlen(at->live));
	struct account account;
	enum err err =
	    account_tell(txn, at->asset, at->name, SECRET_PASSWORD, secret, NULL, &account, error);

	secret_free(secret);
	return err;
}

void world_tell(struct sim *sim, struct sim_account *account)
{
	struct telling telling = {.account = account};
	struct error error = {.text = ""};
	char secret[SIM_SECRET_SIZE];

	snprintf(secret, sizeof(secret), "told-%llu", (unsigned long long)++sim->stats->told);
	world_apply(sim, account, secret);
	account->fails = 0;
	if (vault_write(sim->vault, tell_apply, &telling, &error) != ERR_OK)
		sim_violation(sim, "what someone tells is not taken", "%s", error.text);
}

void world_apply(struct sim *sim, struct sim_account *account, const char *secret)
{
	if (keys_is_line(secret)) {
		sim_trace(sim, "    %s %s has %s too", account->asset, account->name, secret);
		keys_add(account, secret);
		return;
	}
	sim_trace(sim, "    %s %s is now %s", account->asset, account->name, secret);
	snprintf(account->live, sizeof(account->live), "%s", secret);
	if (strcmp(account->believed, secret) != 0)
		account->believed[0] = '\0';
}

/* A verdict, whatever it was, says that nothing is under way any more. */
static bool late_is_expected(const struct sim_late *late)
{
	struct vault_txn *txn = vault_read(late->sim->vault);
	struct account account;
	bool expected = account_get_in_doubt(
			    txn, late->account->asset, late->account->name, &account) == ERR_OK;

	vault_read_end(txn);
	return expected;
}

static void late_arrives(void *arg)
{
	struct sim_late *late = arg;
	struct sim *sim = late->sim;

	sim->stats->late++;
	sim_trace(sim, "    LATE for %s %s", late->account->asset, late->account->name);
	if (!keys_is_line(late->secret) && late->account->believed[0] != '\0' &&
	    strcmp(late->account->believed, late->secret) != 0)
		sim_violation(sim, "a send arrives after its account was believed settled", "%s %s",
		    late->account->asset, late->account->name);
	if (!late_is_expected(late))
		sim_violation(sim, "a send arrives after its account was settled", "%s %s",
		    late->account->asset, late->account->name);
	world_apply(sim, late->account, late->secret);
	late_free(late);
}

void world_apply_later(struct sim *sim, struct sim_account *account, const char *secret)
{
	uint32_t deadline_ms = (uint32_t)policy_settings(sim->policy)->change_deadline_ms;
	struct sim_late *late;

	switch (sim_below(sim, 4)) {
	case 0: /* never */ return;
	case 1: world_apply(sim, account, secret); return;
	case 2: /* a cut line: the asset has what nobody knows, until the same is sent again */
		if (!keys_is_line(secret)) /* of a key it is a line that opens nothing */
			world_apply(sim, account, "cut");
		return;
	default: break;
	}
	late = calloc(1, sizeof(*late));
	late->sim = sim;
	late->account = account;
	snprintf(late->secret, sizeof(late->secret), "%s", secret);
	late->timer.fn = late_arrives;
	late->timer.arg = late;
	LIST_INSERT_HEAD(&sim->lates, late, entry);
	timer_start(&sim->clock.clock, &late->timer, sim_below(sim, deadline_ms - 1));
}

/* ── Logins ── */

static void world_count_refusal(struct sim *sim, struct sim_account *account)
{
	uint64_t now_ms = sim->clock.now_ms;
	size_t kept = 0;

	for (size_t i = 0; i < account->fails; i++)
		if (now_ms - account->fails_ms[i] < account->lockout.window_ms)
			account->fails_ms[kept++] = account->fails_ms[i];
	account->fails = kept;
	if (account->fails < 8)
		account->fails_ms[account->fails++] = now_ms;
	if (account->fails >= account->lockout.limit) {
		sim->stats->locked++;
		sim_violation(
		    sim, "locked out by our own logins", "%s %s", account->asset, account->name);
	}
}

bool world_login(struct sim *sim, struct sim_account *account, const char *secret)
{
	if (strcmp(account->live, secret) == 0) {
		account->fails = 0;
		return true;
	}
	world_count_refusal(sim, account);
	return false;
}

/* ── What must hold ── */

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

struct kept {
	struct vault_txn *txn;
	const struct account *account;
	const char *wanted;
	bool found;
};

static bool kept_version(void *arg, const struct version *version)
{
	struct kept *kept = arg;
	struct secret *secret = NULL;
	struct error error;

	if (version_open(kept->txn, kept->account, version->number, &secret, NULL, &error) ==
	    ERR_OK)
		kept->found = strcmp(secret_data(secret), kept->wanted) == 0;
	secret_free(secret);
	return !kept->found;
}

static bool world_is_kept(struct vault_txn *txn, const struct sim_account *at, const char *secret)
{
	struct account account;
	struct kept kept = {.txn = txn, .account = &account, .wanted = secret};

	if (keys_is_line(secret))
		return keys_kept(txn, at, secret);
	if (account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) != ERR_OK)
		return false;
	version_each(txn, &account, kept_version, &kept);
	return kept.found;
}

static void check_kept(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct sim_late *late;

	for (size_t i = 0; i < sim->account_count; i++) {
		const struct sim_account *account = &sim->accounts[i];

		if (!account->dirty && strcmp(account->live, "cut") != 0 &&
		    strncmp(account->live, "first-", 6) != 0 &&
		    !world_is_kept(txn, account, account->live))
			sim_violation(sim, "the live secret is not kept", "%s %s", account->asset,
			    account->name);
		keys_check(sim, txn, account);
	}
	LIST_FOREACH (late, &sim->lates, entry)
		if (!world_is_kept(txn, late->account, late->secret))
			sim_violation(sim, "a secret that may arrive is not kept", "%s %s",
			    late->account->asset, late->account->name);
	vault_read_end(txn);
}

void world_check(struct sim *sim)
{
	for (size_t i = 0; i < sim->account_count; i++)
		check_truth(sim, &sim->accounts[i]);
	check_kept(sim);
}
