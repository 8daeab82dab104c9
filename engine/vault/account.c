#include <string.h>

#include "vault/account.h"
#include "vault/checkout_rows.h"
#include "vault/count.h"
#include "vault/row.h"
#include "vault/seen_rows.h"
#include "vault/vault_state.h"
#include "vault/version.h"

const char *account_state_name(enum account_state state)
{
	switch (state) {
	case ACCOUNT_UNMANAGED: return "unmanaged";
	case ACCOUNT_CURRENT: return "current";
	case ACCOUNT_IN_DOUBT: return "in_doubt";
	case ACCOUNT_MISMATCH: return "mismatch";
	}
	return "";
}

enum account_state account_state(const struct account *account)
{
	if (account->pending != 0)
		return ACCOUNT_IN_DOUBT;
	if (account->mismatch)
		return ACCOUNT_MISMATCH;
	return account->current != 0 ? ACCOUNT_CURRENT : ACCOUNT_UNMANAGED;
}

/* ── The row ─────────────────────────────────────────────────────────────────────────────── */

static bool names_fit(const char *asset, const char *name)
{
	return asset[0] != '\0' && strlen(asset) < ASSET_NAME_SIZE && name[0] != '\0' &&
	       strlen(name) < ACCOUNT_NAME_SIZE;
}

enum err account_parse(struct vault_txn *txn, const struct bytes *row, struct account *account)
{
	struct unpack *unpack;
	const struct value *map;
	uint64_t kind;
	enum err err = row_parse(txn, TABLE_ACCOUNT, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	kind = value_uint(value_get(map, "k"), SECRET_PASSWORD);
	*account = (struct account){
	    .id = value_id(value_get(map, "id")),
	    .kind = (enum secret_kind)kind,
	    .current = (uint32_t)value_uint(value_get(map, "c"), 0),
	    .pending = (uint32_t)value_uint(value_get(map, "p"), 0),
	    .previous = (uint32_t)value_uint(value_get(map, "o"), 0),
	    .last = (uint32_t)value_uint(value_get(map, "l"), 0),
	    .mismatch = value_bool(value_get(map, "m"), false),
	    .pending_record = value_id(value_get(map, "r")),
	    .changed_ms = value_uint(value_get(map, "t"), 0),
	};
	value_text(value_get(map, "a"), account->asset, sizeof(account->asset));
	value_text(value_get(map, "n"), account->name, sizeof(account->name));
	unpack_free(unpack);
	return row_enum(txn, TABLE_ACCOUNT, kind, SECRET_KIND_COUNT) ? ERR_OK : ERR_CORRUPT;
}

static enum err account_write(struct vault_txn *txn, const struct account *account)
{
	struct key key = key_of_account(account->asset, account->name, (uint8_t)account->kind);
	struct buf row;
	enum err err;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 11);
	pack_kv_id(&row, "id", &account->id);
	pack_kv_text(&row, "a", account->asset);
	pack_kv_text(&row, "n", account->name);
	pack_kv_uint(&row, "k", account->kind);
	pack_kv_uint(&row, "c", account->current);
	pack_kv_uint(&row, "p", account->pending);
	pack_kv_uint(&row, "o", account->previous);
	pack_kv_uint(&row, "l", account->last);
	pack_kv_bool(&row, "m", account->mismatch);
	pack_kv_id(&row, "r", &account->pending_record);
	pack_kv_uint(&row, "t", account->changed_ms);
	err = row_put(txn, TABLE_ACCOUNT, &key, &row);
	if (err != ERR_OK)
		return err;
	return account->pending != 0 ? row_mark(txn, TABLE_DOUBT, &key)
				     : store_del(txn, TABLE_DOUBT, &key);
}

enum err account_put(struct vault_txn *txn, const struct account *account)
{
	struct account was;
	enum err err = account_get(txn, account->asset, account->name, account->kind, &was);
	bool is_new = err == ERR_NOT_FOUND;

	if (is_new || err == ERR_OK)
		err = account_write(txn, account);
	return err == ERR_OK ? count_account(txn, is_new ? NULL : &was, account) : err;
}

enum err account_drop(struct vault_txn *txn, const struct account *account)
{
	struct key key = key_of_account(account->asset, account->name, (uint8_t)account->kind);
	enum err err = store_del(txn, TABLE_ACCOUNT, &key);

	if (err == ERR_OK)
		err = store_del(txn, TABLE_DOUBT, &key);
	return err == ERR_OK ? count_account(txn, account, NULL) : err;
}

enum err account_get(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, struct account *account)
{
	struct key key;
	struct bytes row;
	enum err err;

	if (!names_fit(asset, name))
		return ERR_NOT_FOUND;
	key = key_of_account(asset, name, (uint8_t)kind);
	err = store_get(txn, TABLE_ACCOUNT, &key, &row);
	return err == ERR_OK ? account_parse(txn, &row, account) : err;
}

enum err account_get_in_doubt(
    struct vault_txn *txn, const char *asset, const char *name, struct account *account)
{
	enum err err = ERR_NOT_FOUND;

	for (int kind = 0; kind < SECRET_KIND_COUNT && err == ERR_NOT_FOUND; kind++) {
		err = account_get(txn, asset, name, (enum secret_kind)kind, account);
		if (err == ERR_OK && account->pending == 0)
			err = ERR_NOT_FOUND;
	}
	return err;
}

void account_each_after(struct vault_txn *txn, const char *asset, const char *name,
    bool (*fn)(void *arg, const struct account *), void *arg)
{
	struct key key = {.len = 0};
	struct account account;
	struct bytes row;

	if (names_fit(asset, name))
		key = key_of_account(asset, name, UINT8_MAX);
	else
		key_add(&key, "", 1);
	while (store_step(txn, TABLE_ACCOUNT, STEP_UP, &key, &row) == ERR_OK)
		if (account_parse(txn, &row, &account) != ERR_OK || !fn(arg, &account))
			return;
}

void account_each(struct vault_txn *txn, const char *asset,
    bool (*fn)(void *arg, const struct account *), void *arg)
{
	struct key key = {.len = 0}, prefix;
	struct account account;
	struct bytes row;

	if (asset != NULL && !names_fit(asset, "-"))
		return;
	key_add(&key, asset != NULL ? asset : "", asset != NULL ? strlen(asset) + 1 : 1);
	prefix = key;
	while (store_step(txn, TABLE_ACCOUNT, STEP_UP, &key, &row) == ERR_OK) {
		if (asset != NULL && !key_begins(&key, &prefix))
			return;
		if (account_parse(txn, &row, &account) != ERR_OK || !fn(arg, &account))
			return;
	}
}

void account_each_in_doubt(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct account *), void *arg)
{
	struct key key = key_of_names("", "");
	struct account account;
	struct bytes row;

	while (store_step(txn, TABLE_DOUBT, STEP_UP, &key, &row) == ERR_OK) {
		if (store_get(txn, TABLE_ACCOUNT, &key, &row) != ERR_OK) {
			(void)txn_trouble(txn, ERR_CORRUPT, "the index of doubts names no account");
			return;
		}
		if (account_parse(txn, &row, &account) != ERR_OK || !fn(arg, &account))
			return;
	}
}

/* ── The rules ───────────────────────────────────────────────────────────────────────────── */

static uint64_t now_ms(const struct vault_txn *txn)
{
	return clock_wall_ms(txn->vault->clock);
}

static bool proof_is_seen(enum proof proof)
{
	return proof == PROOF_LOGIN || proof == PROOF_SU || proof == PROOF_HASH;
}

static enum err account_error(
    enum err err, const char *asset, const char *name, const char *what, struct error *error)
{
	return error_set(error, err, "%s of %s: %s", name, asset, what);
}

static enum err account_load(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, struct account *account, struct error *error)
{
	enum err err = account_get(txn, asset, name, kind, account);

	if (err == ERR_NOT_FOUND)
		return account_error(err, asset, name,
		    kind == SECRET_KEY ? "the vault knows no SSH key of it"
				       : "the vault knows no password of it",
		    error);
	if (err != ERR_OK)
		return account_error(err, asset, name, "cannot be read from the vault", error);
	return ERR_OK;
}

/* What the rows of an account share: its id, and the sequence that numbers its versions. */
static void account_join(struct account *account, const struct account *other)
{
	account->id = other->id;
	if (account->last < other->last)
		account->last = other->last;
}

/* The row, or a new one that is not kept yet, ready to be given one more version. */
static enum err account_load_or_make(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, struct account *account, struct error *error)
{
	enum secret_kind other_kind = kind == SECRET_KEY ? SECRET_PASSWORD : SECRET_KEY;
	struct account other;
	enum err err, other_err;

	if (!names_fit(asset, name))
		return error_set(error, ERR_INVALID,
		    "names of assets and accounts have 1 to %d and 1 to %d bytes",
		    ASSET_NAME_SIZE - 1, ACCOUNT_NAME_SIZE - 1);
	err = account_get(txn, asset, name, kind, account);
	other_err = account_get(txn, asset, name, other_kind, &other);
	if ((err != ERR_OK && err != ERR_NOT_FOUND) ||
	    (other_err != ERR_OK && other_err != ERR_NOT_FOUND))
		return account_error(err != ERR_OK && err != ERR_NOT_FOUND ? err : other_err, asset,
		    name, "cannot be read from the vault", error);
	if (err == ERR_NOT_FOUND) {
		*account = (struct account){.id = id_make(now_ms(txn)), .kind = kind};
		memcpy(account->asset, asset, strlen(asset) + 1);
		memcpy(account->name, name, strlen(name) + 1);
	}
	if (other_err == ERR_OK)
		account_join(account, &other);
	return ERR_OK;
}

static enum err account_keep(
    struct vault_txn *txn, const struct account *account, struct account *out, struct error *error)
{
	enum err err = account_put(txn, account);

	if (err != ERR_OK)
		return account_error(err, account->asset, account->name, "cannot be kept", error);
	if (out != NULL)
		*out = *account;
	return ERR_OK;
}

static enum err version_load(struct vault_txn *txn, const struct account *account, uint32_t number,
    struct version *version, struct error *error)
{
	enum err err = version_get(txn, account, number, version);

	if (err == ERR_NOT_FOUND)
		err = txn_trouble(txn, ERR_CORRUPT, "%s of %s has lost version %u", account->name,
		    account->asset, (unsigned)number);
	if (err != ERR_OK)
		return account_error(
		    err, account->asset, account->name, "a version cannot be read", error);
	return ERR_OK;
}

/* Who knows its secret by an earlier version knows it. */
static enum err version_make(struct vault_txn *txn, const struct account *account,
    const struct version *version, const struct secret *secret, const struct secret *passphrase,
    struct error *error)
{
	enum err err = version_add(txn, &account->id, version, secret, passphrase, error);

	if (err != ERR_OK)
		return err;
	err = seen_carry(txn, account, version->number, secret);
	return err == ERR_OK ? err
			     : account_error(err, account->asset, account->name,
				   "who has seen its secret cannot be kept", error);
}

/* A version that leaves the stages stays, with why it left. */
static enum err version_end(struct vault_txn *txn, const struct account *account, uint32_t number,
    enum version_end end, struct error *error)
{
	struct version version;
	enum err err;

	if (number == 0)
		return ERR_OK;
	err = version_load(txn, account, number, &version, error);
	if (err != ERR_OK)
		return err;
	version.end = end;
	version.ended_ms = now_ms(txn);
	err = version_put(txn, &account->id, &version);
	if (err != ERR_OK)
		return account_error(
		    err, account->asset, account->name, "a version cannot be kept", error);
	return ERR_OK;
}

/* `number` becomes current, and what was current is kept as the previous one. */
static enum err account_advance(
    struct vault_txn *txn, struct account *account, uint32_t number, struct error *error)
{
	if (account->current != 0) {
		enum err err =
		    version_end(txn, account, account->previous, VERSION_REPLACED, error);

		if (err != ERR_OK)
			return err;
		account->previous = account->current;
	}
	account->current = number;
	account->changed_ms = now_ms(txn);
	account->mismatch = false;
	return ERR_OK;
}

enum err account_tell(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, const struct secret *secret, const struct secret *passphrase,
    struct account *out, struct error *error)
{
	struct account account;
	struct version version;
	enum err err = account_load_or_make(txn, asset, name, kind, &account, error);

	if (err != ERR_OK)
		return err;
	/* One of the other kind may wait for just this: what elevates, or logs in. */
	if (account.pending != 0)
		return account_error(ERR_BUSY, asset, name,
		    "a rotation of it is in doubt, and is settled first: run lockstep, or wait for "
		    "the daemon",
		    error);
	version = (struct version){
	    .number = ++account.last,
	    .kind = kind,
	    .created_ms = now_ms(txn),
	    .generation = txn->vault->life.generation,
	    .proof = PROOF_TOLD,
	};
	err = version_make(txn, &account, &version, secret, passphrase, error);
	if (err == ERR_OK)
		err = account_advance(txn, &account, version.number, error);
	return err == ERR_OK ? account_keep(txn, &account, out, error) : err;
}

enum err account_stage(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, const struct secret *secret, const struct id *record,
    struct account *out, struct error *error)
{
	struct account account, doubt;
	struct version version;
	enum err err = account_load_or_make(txn, asset, name, kind, &account, error);

	if (err != ERR_OK)
		return err;
	if (account_get_in_doubt(txn, asset, name, &doubt) == ERR_OK)
		return account_error(
		    ERR_EXISTS, asset, name, "one of its versions is pending already", error);
	version = (struct version){
	    .number = ++account.last,
	    .kind = kind,
	    .created_ms = now_ms(txn),
	    .generation = txn->vault->life.generation,
	};
	if (record != NULL)
		version.record = *record;
	account.pending = version.number;
	account.pending_record = version.record;
	err = version_make(txn, &account, &version, secret, NULL, error);
	return err == ERR_OK ? account_keep(txn, &account, out, error) : err;
}

/* The account and its pending version. */
static enum err pending_load(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, struct account *account, struct version *version, struct error *error)
{
	enum err err = account_load(txn, asset, name, kind, account, error);

	if (err != ERR_OK)
		return err;
	if (account->pending == 0)
		return account_error(
		    ERR_NOT_FOUND, asset, name, "none of its versions is pending", error);
	return version_load(txn, account, account->pending, version, error);
}

static void pending_leave(struct account *account)
{
	account->pending = 0;
	account->pending_record = (struct id){{0}};
}

enum err account_promote(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, enum proof proof, struct account *out, struct error *error)
{
	struct account account;
	struct version version;
	enum err err;

	if (!proof_is_seen(proof))
		return account_error(
		    ERR_REFUSED, asset, name, "only a secret seen to work becomes current", error);
	err = pending_load(txn, asset, name, kind, &account, &version, error);
	if (err != ERR_OK)
		return err;
	version.proof = proof;
	version.proved_ms = now_ms(txn);
	version.generation = txn->vault->life.generation;
	err = version_put(txn, &account.id, &version);
	if (err == ERR_OK)
		err = account_advance(txn, &account, version.number, error);
	pending_leave(&account);
	if (err == ERR_OK)
		err = version_prune(txn, &account, txn->vault->keep_versions);
	if (err == ERR_OK)
		err = account_keep(txn, &account, out, error);
	return err == ERR_OK ? checkout_rotated(txn, &account) : err;
}

enum err account_retire(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, enum version_end end, struct account *out, struct error *error)
{
	struct account account;
	struct version version;
	enum err err;

	if (end != VERSION_NOT_LIVE && end != VERSION_NO_VERDICT)
		return account_error(ERR_REFUSED, asset, name,
		    "a pending version is retired as not live or without a verdict", error);
	err = pending_load(txn, asset, name, kind, &account, &version, error);
	if (err == ERR_OK)
		err = version_end(txn, &account, account.pending, end, error);
	if (err != ERR_OK)
		return err;
	pending_leave(&account);
	if (end == VERSION_NO_VERDICT)
		account.mismatch = true;
	return account_keep(txn, &account, out, error);
}

/* The methods of seeing stand in order: a login shows more than su, and su more than a hash. */
static enum proof proof_best(enum proof before, enum proof seen)
{
	return proof_is_seen(before) && before < seen ? before : seen;
}

enum err account_prove(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number, enum proof proof, struct error *error)
{
	struct account account;
	struct version version;
	enum err err;

	if (!proof_is_seen(proof))
		return account_error(
		    ERR_REFUSED, asset, name, "that is no way to see a secret work", error);
	err = account_load(txn, asset, name, kind, &account, error);
	if (err != ERR_OK)
		return err;
	if (account.current == 0)
		return account_error(
		    ERR_NOT_FOUND, asset, name, "none of its versions is current", error);
	if (account.current != number)
		return ERR_OK;
	err = version_load(txn, &account, number, &version, error);
	if (err != ERR_OK)
		return err;
	version.proof = proof_best(version.proof, proof);
	version.proved_ms = now_ms(txn);
	version.generation = txn->vault->life.generation;
	account.mismatch = false;
	err = version_put(txn, &account.id, &version);
	return err == ERR_OK ? account_keep(txn, &account, NULL, error) : err;
}

enum err account_mismatch(struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number, struct error *error)
{
	struct account account;
	enum err err = account_load(txn, asset, name, kind, &account, error);

	if (err != ERR_OK || account.current != number)
		return err;
	account.mismatch = true;
	return account_keep(txn, &account, NULL, error);
}
