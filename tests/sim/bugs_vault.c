/* Bugs in what is kept: commits, retention, counters, attempts, and what a restart finds. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "rotation/engine.h"
#include "vault/count.h"
#include "vault/version.h"

/* ── Commits ── */

/* After a commit that failed nobody knows what is on disk: here it is taken for done. */
enum err bug_commit(enum err err)
{
	return sim_bug == BUG_COMMIT_BELIEVED && err == ERR_IO ? ERR_OK : err;
}

enum err __real_count_record(struct vault_txn *, const struct record *, const struct record *);
enum err __wrap_count_record(struct vault_txn *, const struct record *, const struct record *);

/* Counters change with what they count: here a success is not counted. */
enum err __wrap_count_record(
    struct vault_txn *txn, const struct record *was, const struct record *is)
{
	if (sim_bug == BUG_COUNTERS && is != NULL && is->status == STATUS_SUCCESS)
		return ERR_OK;
	return __real_count_record(txn, was, is);
}

/* ── Retention ── */

/* A version is deleted only when a newer one was seen to work, and nothing is in doubt. */
enum err bug_prune(enum err err, enum sim_bug bug, struct vault_txn *txn, const char *asset,
    const char *name, enum secret_kind kind)
{
	struct account account;

	if (err != ERR_OK || bug != sim_bug ||
	    account_get(txn, asset, name, kind, &account) != ERR_OK)
		return err;
	return version_prune(txn, &account, 0);
}

enum err bug_drop_current(
    enum err err, struct vault_txn *txn, const char *asset, const char *name, enum secret_kind kind)
{
	struct account account;
	struct version version;

	if (err != ERR_OK || sim_bug != BUG_DROP_CURRENT ||
	    account_get(txn, asset, name, kind, &account) != ERR_OK || account.current == 0)
		return err;
	err = version_get(txn, &account, account.current, &version);
	account.current = account.previous = 0;
	version.end = VERSION_REPLACED;
	if (err == ERR_OK)
		err = version_put(txn, &account.id, &version);
	return err == ERR_OK ? version_prune(txn, &account, 0) : err;
}

/* ── A restart ── */

enum err __real_rotation_recover(struct rotation *, struct error *);
enum err __wrap_rotation_recover(struct rotation *, struct error *);
void __real_account_each_in_doubt(
    struct vault_txn *, bool (*fn)(void *arg, const struct account *), void *arg);
void __wrap_account_each_in_doubt(
    struct vault_txn *, bool (*fn)(void *arg, const struct account *), void *arg);

static bool recovering;

bool bug_is_recovering(void)
{
	return recovering;
}

/* What may have been sent is told as in doubt: here as if it had not been tried. */
const struct record *bug_record(const struct record *record, struct record *other)
{
	if (sim_bug != BUG_RECOVER_SKIPPED || !recovering || record->status != STATUS_UNVERIFIED)
		return record;
	*other = *record;
	other->status = STATUS_SKIPPED;
	return other;
}

struct doubts {
	struct account accounts[SIM_ACCOUNTS];
	size_t count;
};

static bool doubts_add(void *arg, const struct account *account)
{
	struct doubts *doubts = arg;

	doubts->accounts[doubts->count++] = *account;
	return true;
}

/* All doubts are settled: here the first is passed over. */
void __wrap_account_each_in_doubt(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct account *), void *arg)
{
	struct doubts doubts = {.count = 0};

	if (sim_bug != BUG_FORGET_DOUBT || !recovering) {
		__real_account_each_in_doubt(txn, fn, arg);
		return;
	}
	__real_account_each_in_doubt(txn, doubts_add, &doubts);
	for (size_t i = 1; i < doubts.count; i++)
		(void)fn(arg, &doubts.accounts[i]);
}

/* Nothing that may be live is dropped: here a restart retires what is in doubt, unseen. */
static enum err doubts_forget(struct vault_txn *txn, void *arg, struct error *error)
{
	struct doubts *doubts = arg;
	struct account account;
	enum err err = ERR_OK;

	doubts->count = 0;
	__real_account_each_in_doubt(txn, doubts_add, doubts);
	for (size_t i = 0; err == ERR_OK && i < doubts->count; i++)
		err = account_retire(txn, doubts->accounts[i].asset, doubts->accounts[i].name,
		    doubts->accounts[i].kind, VERSION_NOT_LIVE, &account, error);
	return err;
}

/* Attempts are counted on disk: here a restart knows of none. */
static enum err attempts_forget(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct sim *sim = arg;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < sim->account_count; i++) {
		const struct sim_account *at = &sim->accounts[i];
		struct lockout lockout = {.by_source = at->at->lockout_by_source};

		err = probe_return(txn, at->asset, at->name, &lockout, UINT32_MAX);
	}
	return err == ERR_OK ? ERR_OK : error_set(error, err, "attempts cannot be forgotten");
}

enum err __wrap_rotation_recover(struct rotation *rotation, struct error *error)
{
	struct vault *vault = rotation->config.vault;
	struct doubts doubts = {.count = 0};
	enum err err = ERR_OK;

	bugs_begin();
	if (sim_bug == BUG_DROP_PENDING)
		err = vault_write(vault, doubts_forget, &doubts, error);
	if (sim_bug == BUG_BUDGET_IN_MEMORY)
		err = vault_write(vault, attempts_forget, sim_running, error);
	recovering = true;
	if (err == ERR_OK)
		err = __real_rotation_recover(rotation, error);
	recovering = false;
	return err;
}

/* ── Attempts ── */

enum err __real_probe_book(struct vault_txn *, const char *, const char *, const struct lockout *,
    uint32_t, uint64_t, uint64_t *);
enum err __wrap_probe_book(struct vault_txn *, const char *, const char *, const struct lockout *,
    uint32_t, uint64_t, uint64_t *);

static bool is_free(const char *asset, const char *account)
{
	return sim_bug == BUG_FREE_PROBES ||
	       (sim_bug == BUG_ADMIN_FREE && world_is_privileged(sim_running, asset, account));
}

/* Each is counted before it is made, and below the limit: here there is one more, or always. */
enum err __wrap_probe_book(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts, uint64_t now_ms, uint64_t *free_at_ms)
{
	struct lockout other = *lockout;

	if (sim_running != NULL)
		note_add(sim_running, COVER_COMMIT, "attempt booked");
	if (is_free(asset, account))
		return ERR_OK;
	if (sim_bug == BUG_ONE_TOO_MANY)
		other.limit++;
	if (sim_bug == BUG_SHORT_WINDOW)
		other.window_ms /= 2;
	return __real_probe_book(txn, asset, account, &other, attempts, now_ms, free_at_ms);
}
