/*
 * What a commit is made of: noted by standing before the functions of the vault's door that change
 * a transaction (--wrap), so that a crash can be placed at each kind of commit, and counted.
 */
#include "commits.h"

#include <string.h>

#include "vault/store.h"

void note_add(struct sim *sim, enum cover_group group, const char *name)
{
	struct note *note;

	for (size_t i = 0; i < sim->note_count; i++)
		if (sim->notes[i].group == group && strcmp(sim->notes[i].name, name) == 0)
			return;
	if (sim->note_count == NOTES_MAX)
		sim_die("a transaction of more kinds than there is room for");
	note = &sim->notes[sim->note_count++];
	note->group = group;
	snprintf(note->name, sizeof(note->name), "%s", name);
}

static void note(const char *name)
{
	if (sim_running != NULL)
		note_add(sim_running, COVER_COMMIT, name);
}

/* ── Transactions ── */

enum err __real_store_begin(struct store *, bool, struct vault_txn *, struct error *);
enum err __wrap_store_begin(struct store *, bool, struct vault_txn *, struct error *);
enum err __real_store_commit(struct vault_txn *, struct error *);
enum err __wrap_store_commit(struct vault_txn *, struct error *);

enum err __wrap_store_begin(
    struct store *store, bool writes, struct vault_txn *txn, struct error *error)
{
	if (writes && sim_running != NULL) {
		sim_running->note_count = 0;
		commit_begin(sim_running);
		if (sim_running->masters.doing != NULL)
			note(sim_running->masters.doing);
	}
	return __real_store_begin(store, writes, txn, error);
}

enum err __wrap_store_commit(struct vault_txn *txn, struct error *error)
{
	struct sim *sim = sim_running;
	enum err err;

	if (sim != NULL) {
		commit_check(sim, txn);
		core_commit_at(sim, MOMENT_BEFORE);
	}
	err = bug_commit(__real_store_commit(txn, error));
	if (sim != NULL && err == ERR_OK) {
		stops_check_commit(sim);
		core_commit_at(sim, MOMENT_AFTER);
	}
	return err;
}

enum err __real_store_grow(struct store *, struct error *);
enum err __wrap_store_grow(struct store *, struct error *);

enum err __wrap_store_grow(struct store *store, struct error *error)
{
	enum err err;

	if (sim_running == NULL)
		return __real_store_grow(store, error);
	core_point(sim_running, "map full");
	err = __real_store_grow(store, error);
	core_point(sim_running, err == ERR_OK ? "map grown" : "map not grown");
	return err;
}

/* What may be live is looked for again when a version was deleted. */
enum err __real_store_del(struct vault_txn *, enum table, const struct key *);
enum err __wrap_store_del(struct vault_txn *, enum table, const struct key *);

enum err __wrap_store_del(struct vault_txn *txn, enum table table, const struct key *key)
{
	if (sim_running != NULL && (table == TABLE_VERSION || table == TABLE_SEAL)) {
		sim_running->pruned = true;
		commit_drop(sim_running, txn, key);
	}
	return __real_store_del(txn, table, key);
}

/* ── Records ── */

enum err __real_record_put(struct vault_txn *, const struct record *);
enum err __wrap_record_put(struct vault_txn *, const struct record *);

/* What a status alone does not tell. */
static const char *life_word(const struct record *record)
{
	if (record->status == STATUS_STAGED && strcmp(record->reason, "put_back") == 0)
		return " (put back)";
	if (record->status == STATUS_STAGED && record->proved_ms != 0)
		return " (seen)";
	return "";
}

enum err __wrap_record_put(struct vault_txn *txn, const struct record *record)
{
	struct sim *sim = sim_running;
	struct record before, other;
	char name[56];
	bool had;

	if (sim == NULL)
		return __real_record_put(txn, record);
	record = bug_record(record, &other);
	had = record_get(txn, &record->id, &before) == ERR_OK;
	snprintf(name, sizeof(name), "%s%s → %s%s", had ? status_name(before.status) : "nothing",
	    had ? life_word(&before) : "", status_name(record->status), life_word(record));
	note_add(sim, COVER_TRANSITION, name);
	commit_record(sim, &record->id);
	if (had && before.status == STATUS_PLANNED && record->status == STATUS_STAGED) {
		stops_staged(sim, record);
		lending_staged(sim, record);
	}
	return __real_record_put(txn, record);
}

enum err __real_execution_put(struct vault_txn *, const struct execution *);
enum err __wrap_execution_put(struct vault_txn *, const struct execution *);

enum err __wrap_execution_put(struct vault_txn *txn, const struct execution *execution)
{
	note(execution->ended_ms == 0 ? "execution planned"
	     : execution->interrupted ? "execution interrupted"
				      : "execution ended");
	if (sim_running != NULL)
		when_execution(sim_running, txn, execution);
	return __real_execution_put(txn, execution);
}

/* ── Tasks ── */

enum err __real_task_state_put(struct vault_txn *, const struct task_state *);
enum err __wrap_task_state_put(struct vault_txn *, const struct task_state *);

enum err __wrap_task_state_put(struct vault_txn *txn, const struct task_state *state)
{
	struct task_state before, other;

	if (sim_running == NULL)
		return __real_task_state_put(txn, state);
	note(sim_running->when.by_people ? "task paused" : "task handled");
	state = bug_state(
	    task_state_get(txn, state->task, &before) == ERR_OK ? &before : NULL, state, &other);
	when_state(sim_running, txn, state);
	return __real_task_state_put(txn, state);
}

/* ── Accounts ── */

enum err __real_account_tell(struct vault_txn *, const char *, const char *, enum secret_kind,
    const struct secret *, const struct secret *, struct account *, struct error *);
enum err __wrap_account_tell(struct vault_txn *, const char *, const char *, enum secret_kind,
    const struct secret *, const struct secret *, struct account *, struct error *);
enum err __real_account_stage(struct vault_txn *, const char *, const char *, enum secret_kind,
    const struct secret *, const struct id *, struct account *, struct error *);
enum err __wrap_account_stage(struct vault_txn *, const char *, const char *, enum secret_kind,
    const struct secret *, const struct id *, struct account *, struct error *);
enum err __real_account_promote(struct vault_txn *, const char *, const char *, enum secret_kind,
    enum proof, struct account *, struct error *);
enum err __wrap_account_promote(struct vault_txn *, const char *, const char *, enum secret_kind,
    enum proof, struct account *, struct error *);
enum err __real_account_retire(struct vault_txn *, const char *, const char *, enum secret_kind,
    enum version_end, struct account *, struct error *);
enum err __wrap_account_retire(struct vault_txn *, const char *, const char *, enum secret_kind,
    enum version_end, struct account *, struct error *);
enum err __real_account_prove(struct vault_txn *, const char *, const char *, enum secret_kind,
    uint32_t, enum proof, struct error *);
enum err __wrap_account_prove(struct vault_txn *, const char *, const char *, enum secret_kind,
    uint32_t, enum proof, struct error *);
enum err __real_account_mismatch(
    struct vault_txn *, const char *, const char *, enum secret_kind, uint32_t, struct error *);
enum err __wrap_account_mismatch(
    struct vault_txn *, const char *, const char *, enum secret_kind, uint32_t, struct error *);

enum err __wrap_account_tell(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, const struct secret *secret, const struct secret *passphrase,
    struct account *out, struct error *error)
{
	enum err err;

	note("secret told");
	err = __real_account_tell(txn, asset, name, kind, secret, passphrase, out, error);
	return bug_prune(err, BUG_TOLD_PROVES, txn, asset, name, kind);
}

enum err __wrap_account_stage(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, const struct secret *secret, const struct id *record,
    struct account *account, struct error *error)
{
	enum err err;

	note(kind == SECRET_KEY ? "key staged" : "password staged");
	err = __real_account_stage(txn, asset, name, kind, secret, record, account, error);
	err = bug_prune(err, BUG_PRUNE_IN_DOUBT, txn, asset, name, kind);
	return bug_drop_current(err, txn, asset, name, kind);
}

enum err __wrap_account_promote(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, enum proof proof, struct account *account, struct error *error)
{
	enum err err;

	note(kind == SECRET_KEY ? "key promoted" : "password promoted");
	err = __real_account_promote(txn, asset, name, kind, proof, account, error);
	if (sim_running != NULL && err == ERR_OK)
		seen_check(sim_running, txn, asset, name, kind);
	return err;
}

enum err __wrap_account_retire(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, enum version_end end, struct account *account, struct error *error)
{
	enum err err;

	note(end == VERSION_NOT_LIVE ? "retired, not live" : "retired, no verdict");
	err = __real_account_retire(txn, asset, name, kind, end, account, error);
	return bug_prune(err, BUG_RETIRED_PROVES, txn, asset, name, kind);
}

enum err __wrap_account_prove(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number, enum proof proof, struct error *error)
{
	enum err err;

	note("current seen");
	err = __real_account_prove(txn, asset, name, kind, number, proof, error);
	if (sim_running != NULL && err == ERR_OK)
		seen_check(sim_running, txn, asset, name, kind);
	return err;
}

enum err __wrap_account_mismatch(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number, struct error *error)
{
	note("mismatch");
	return __real_account_mismatch(txn, asset, name, kind, number, error);
}

/* ── Host keys and attempts ── */

enum err __real_host_key_pin(struct vault_txn *, const char *, const struct host_key *);
enum err __wrap_host_key_pin(struct vault_txn *, const char *, const struct host_key *);
enum err __real_probe_return(
    struct vault_txn *, const char *, const char *, const struct lockout *, uint32_t);
enum err __wrap_probe_return(
    struct vault_txn *, const char *, const char *, const struct lockout *, uint32_t);

enum err __wrap_host_key_pin(struct vault_txn *txn, const char *asset, const struct host_key *pin)
{
	note("host key pinned");
	if (sim_bug == BUG_NOT_PINNED)
		return ERR_OK;
	return __real_host_key_pin(txn, asset, pin);
}

enum err __wrap_probe_return(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts)
{
	note("attempt given back");
	return __real_probe_return(txn, asset, account, lockout, attempts);
}
