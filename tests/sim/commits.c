/*
 * What must hold of each commit, looked at in its own transaction before it is made: so that a
 * record and its account cannot say different things, not even for as long as it takes to crash
 * between two commits.
 */
#include "commits.h"

#include <string.h>

#include "vault/store.h"

void commit_begin(struct sim *sim)
{
	sim->touched_count = sim->dropped_count = 0;
	when_begin_commit(sim);
	stops_begin_commit(sim);
}

void commit_record(struct sim *sim, const struct id *record)
{
	for (size_t i = 0; i < sim->touched_count; i++)
		if (id_equal(&sim->touched[i], record))
			return;
	if (sim->touched_count == SIM_TOUCHED)
		sim_die("a transaction of more records than there is room for");
	sim->touched[sim->touched_count++] = *record;
}

/* ── Nothing that may be live is dropped ── */

static void drop_note(struct sim *sim, const struct account *account, const struct version *version)
{
	struct dropped *dropped;

	if (sim->dropped_count == SIM_DROPPED)
		sim_die("a transaction that deletes more versions than there is room for");
	if (world_account(sim, account->asset, account->name) == NULL)
		return;
	dropped = &sim->dropped[sim->dropped_count++];
	*dropped = (struct dropped){
	    .at = world_account(sim, account->asset, account->name),
	    .kind = account->kind,
	    .number = version->number,
	};
}

struct search {
	struct sim *sim;
	struct vault_txn *txn;
	const struct key *key; /* of the version that is deleted */
};

/* The key is the account's id and the version's number. */
static bool drop_search(void *arg, const struct account *account)
{
	struct search *search = arg;
	const uint8_t *number = search->key->bytes + ID_SIZE;
	struct version version;

	if (memcmp(search->key->bytes, account->id.bytes, ID_SIZE) == 0 &&
	    version_get(search->txn, account,
		(uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 | (uint32_t)number[2] << 8 |
		    number[3],
		&version) == ERR_OK)
		drop_note(search->sim, account, &version);
	return true;
}

void commit_drop(struct sim *sim, struct vault_txn *txn, const struct key *key)
{
	struct search search = {.sim = sim, .txn = txn, .key = key};

	account_each(txn, NULL, drop_search, &search);
}

struct ended {
	const struct account *account;
	uint32_t count; /* versions in no stage */
};

static bool ended_count(void *arg, const struct version *version)
{
	struct ended *ended = arg;

	ended->count += version->end != VERSION_LIVE &&
			version->number != ended->account->previous &&
			version->number != ended->account->current;
	return true;
}

static bool was_seen(
    struct vault_txn *txn, const struct account *account, uint32_t number, uint32_t newer_than)
{
	struct version version;

	return number > newer_than && version_get(txn, account, number, &version) == ERR_OK &&
	       version.proof >= PROOF_LOGIN;
}

/*
 * Why the version should still be there; NULL = it may be deleted. In the same commit someone may
 * tell another: then what was seen to work is the previous one.
 */
static const char *drop_fault(
    const struct sim *sim, struct vault_txn *txn, const struct dropped *dropped)
{
	const char *asset = dropped->at->asset, *name = dropped->at->name;
	struct account account;
	struct ended ended = {.account = &account};

	if (account_get_in_doubt(txn, asset, name, &account) == ERR_OK)
		return "a version deleted while one is in doubt";
	if (account_get(txn, asset, name, dropped->kind, &account) != ERR_OK ||
	    (!was_seen(txn, &account, account.current, dropped->number) &&
		!was_seen(txn, &account, account.previous, dropped->number)))
		return "a version deleted, and no newer one seen to work";
	version_each(txn, &account, ended_count, &ended);
	return ended.count < sim->keep_versions ? "a version deleted that is to be kept" : NULL;
}

/* ── A record says what its account does ── */

/* In the same commit someone may tell another: then it is the previous one. */
static const char *success_fault(
    struct vault_txn *txn, const struct account *account, const struct record *record)
{
	struct version version;

	if (account->current != record->new_version && account->previous != record->new_version)
		return "a success, and its version is not current";
	if (version_get(txn, account, record->new_version, &version) != ERR_OK ||
	    version.proof < PROOF_LOGIN)
		return "a success without a proof";
	return NULL;
}

static const char *failure_fault(
    struct vault_txn *txn, const struct account *account, const struct record *record)
{
	struct version version;

	if (version_get(txn, account, record->new_version, &version) != ERR_OK)
		return NULL; /* long ago */
	return version.end == VERSION_NOT_LIVE ? NULL : "failed, and its version is not retired";
}

/* Where nothing was staged there is nothing to compare. */
static const char *record_fault(struct vault_txn *txn, const struct record *record)
{
	struct account account;
	bool doubt;

	if (record->new_version == 0)
		return NULL;
	if (account_get(txn, record->asset, record->account, record->kind, &account) != ERR_OK)
		return "a record of an account that is not kept";
	doubt = account.pending == record->new_version &&
		id_equal(&account.pending_record, &record->id);
	switch (record->status) {
	case STATUS_STAGED: return doubt ? NULL : "staged, and its version is not pending";
	case STATUS_SUCCESS: return success_fault(txn, &account, record);
	case STATUS_FAILED: return failure_fault(txn, &account, record);
	case STATUS_SKIPPED:
	case STATUS_PLANNED:
		return doubt ? "a record denies what its account is in doubt of" : NULL;
	case STATUS_UNVERIFIED: break;
	}
	return NULL;
}

/* Of the account one version at most is in doubt, and its record says so. */
static const char *doubt_fault(struct vault_txn *txn, const char *asset, const char *name)
{
	struct account account, key;
	struct record record;

	if (account_get_in_doubt(txn, asset, name, &account) != ERR_OK)
		return NULL;
	if (account.kind == SECRET_PASSWORD &&
	    account_get(txn, asset, name, SECRET_KEY, &key) == ERR_OK && key.pending != 0)
		return "two versions of an account are in doubt";
	if (record_get(txn, &account.pending_record, &record) == ERR_OK &&
	    record.status != STATUS_STAGED && record.status != STATUS_UNVERIFIED)
		return "a record denies what its account is in doubt of";
	return NULL;
}

/* ── All of it ── */

static void check_record(struct sim *sim, struct vault_txn *txn, const struct id *id)
{
	struct record record;
	const char *fault;

	if (record_get(txn, id, &record) != ERR_OK || record.status == STATUS_PLANNED)
		return;
	fault = record_fault(txn, &record);
	if (fault == NULL)
		fault = doubt_fault(txn, record.asset, record.account);
	if (fault != NULL)
		sim_violation(sim, fault, "%s %s", record.asset, record.account);
}

void commit_check(struct sim *sim, struct vault_txn *txn)
{
	for (size_t i = 0; i < sim->touched_count; i++)
		check_record(sim, txn, &sim->touched[i]);
	for (size_t i = 0; i < sim->dropped_count; i++) {
		const struct dropped *dropped = &sim->dropped[i];
		const char *fault = drop_fault(sim, txn, dropped);

		if (fault != NULL)
			sim_violation(sim, fault, "%s %s version %u", dropped->at->asset,
			    dropped->at->name, (unsigned)dropped->number);
	}
	when_check_commit(sim, txn);
}
