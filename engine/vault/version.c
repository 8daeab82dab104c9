#include <inttypes.h>
#include <string.h>

#include "vault/row.h"
#include "vault/seen_rows.h"
#include "vault/vault_state.h"
#include "vault/version.h"

#define PROOF_LAST PROOF_HASH
#define END_LAST   VERSION_NO_VERDICT

const char *proof_name(enum proof proof)
{
	switch (proof) {
	case PROOF_TOLD: return "told";
	case PROOF_LOGIN: return "login";
	case PROOF_SU: return "su";
	case PROOF_HASH: return "hash";
	case PROOF_NONE: break;
	}
	return "";
}

const char *secret_kind_name(enum secret_kind kind)
{
	return kind == SECRET_KEY ? "key" : "password";
}

static struct key version_key(const struct id *account, uint32_t number)
{
	struct key key = key_of_id(account);

	key_add_u32(&key, number);
	return key;
}

enum err version_put(struct vault_txn *txn, const struct id *account, const struct version *version)
{
	struct key key = version_key(account, version->number);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 9);
	pack_kv_uint(&row, "n", version->number);
	pack_kv_uint(&row, "k", version->kind);
	pack_kv_uint(&row, "t", version->created_ms);
	pack_kv_uint(&row, "p", version->proof);
	pack_kv_uint(&row, "pt", version->proved_ms);
	pack_kv_uint(&row, "e", version->end);
	pack_kv_uint(&row, "et", version->ended_ms);
	pack_kv_id(&row, "r", &version->record);
	pack_kv_uint(&row, "g", version->generation);
	return row_put(txn, TABLE_VERSION, &key, &row);
}

enum err version_add(struct vault_txn *txn, const struct id *account, const struct version *version,
    const struct secret *secret, const struct secret *passphrase, struct error *error)
{
	struct key key = version_key(account, version->number);
	struct buf sealed;
	enum err err;

	buf_init(&sealed, SEALED_SIZE_MAX);
	err = seal_close(
	    txn->vault->seal, account, version->number, secret, passphrase, &sealed, error);
	if (err == ERR_OK)
		err = store_put(txn, TABLE_SEAL, &key, sealed.data, sealed.len);
	if (err == ERR_OK)
		err = version_put(txn, account, version);
	buf_clear(&sealed);
	return err;
}

static enum err version_parse(
    struct vault_txn *txn, const struct bytes *row, struct version *version)
{
	struct unpack *unpack;
	const struct value *map;
	uint64_t kind, proof, end;
	enum err err = row_parse(txn, TABLE_VERSION, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	kind = value_uint(value_get(map, "k"), 0);
	proof = value_uint(value_get(map, "p"), 0);
	end = value_uint(value_get(map, "e"), 0);
	*version = (struct version){
	    .number = (uint32_t)value_uint(value_get(map, "n"), 0),
	    .kind = (enum secret_kind)kind,
	    .created_ms = value_uint(value_get(map, "t"), 0),
	    .proof = (enum proof)proof,
	    .proved_ms = value_uint(value_get(map, "pt"), 0),
	    .end = (enum version_end)end,
	    .ended_ms = value_uint(value_get(map, "et"), 0),
	    .record = value_id(value_get(map, "r")),
	    .generation = value_uint(value_get(map, "g"), 0),
	};
	unpack_free(unpack);
	if (!row_enum(txn, TABLE_VERSION, kind, SECRET_KIND_COUNT) ||
	    !row_enum(txn, TABLE_VERSION, proof, PROOF_LAST + 1) ||
	    !row_enum(txn, TABLE_VERSION, end, END_LAST + 1))
		return ERR_CORRUPT;
	return ERR_OK;
}

enum err version_get(
    struct vault_txn *txn, const struct account *account, uint32_t number, struct version *version)
{
	struct key key = version_key(&account->id, number);
	struct bytes row;
	enum err err = store_get(txn, TABLE_VERSION, &key, &row);

	if (err == ERR_OK)
		err = version_parse(txn, &row, version);
	return err == ERR_OK && version->kind != account->kind ? ERR_NOT_FOUND : err;
}

/* The version below `*key` among those of the account that are of its row's kind. */
static bool version_below(
    struct vault_txn *txn, const struct account *account, struct key *key, struct version *version)
{
	struct key prefix = key_of_id(&account->id);
	struct bytes row;

	while (store_step(txn, TABLE_VERSION, STEP_DOWN, key, &row) == ERR_OK &&
	       key_begins(key, &prefix) && version_parse(txn, &row, version) == ERR_OK) {
		if (version->kind == account->kind)
			return true;
	}
	return false;
}

void version_each(struct vault_txn *txn, const struct account *account,
    bool (*fn)(void *arg, const struct version *), void *arg)
{
	struct key key = version_key(&account->id, UINT32_MAX);
	struct version version;

	while (version_below(txn, account, &key, &version)) {
		if (!fn(arg, &version))
			return;
	}
}

enum err version_reseal(
    struct vault_txn *txn, const struct key *key, const struct bytes *sealed, struct error *error)
{
	struct secret *secret, *passphrase;
	struct id account;
	struct buf anew;
	uint32_t number = 0;
	enum err err;

	if (key->len != ID_SIZE + 4)
		return txn_trouble(txn, ERR_CORRUPT, "the key of a sealed value is damaged");
	memcpy(account.bytes, key->bytes, ID_SIZE);
	for (size_t i = ID_SIZE; i < key->len; i++)
		number = number << 8 | key->bytes[i];
	err = seal_open(txn->vault->seal, &account, number, sealed->data, sealed->len, &secret,
	    &passphrase, error);
	if (err != ERR_OK)
		return err;
	buf_init(&anew, SEALED_SIZE_MAX);
	err = seal_close(txn->vault->seal, &account, number, secret, passphrase, &anew, error);
	if (err == ERR_OK)
		err = store_put(txn, TABLE_SEAL, key, anew.data, anew.len);
	buf_clear(&anew);
	secret_free(secret);
	secret_free(passphrase);
	return err;
}

static enum err version_delete(
    struct vault_txn *txn, const struct id *account, uint32_t number, const struct key *key)
{
	enum err err = store_del(txn, TABLE_SEAL, key);

	if (err == ERR_OK)
		err = store_del(txn, TABLE_VERSION, key);
	return err == ERR_OK ? seen_drop(txn, account, number) : err;
}

enum err version_prune(struct vault_txn *txn, const struct account *account, uint32_t keep)
{
	struct key key = version_key(&account->id, UINT32_MAX);
	struct version version;
	uint32_t ended = 0;
	enum err err = ERR_OK;

	while (err == ERR_OK && version_below(txn, account, &key, &version)) {
		bool staged = version.number == account->current ||
			      version.number == account->pending ||
			      version.number == account->previous;

		if (version.end == VERSION_LIVE || staged)
			continue;
		if (++ended > keep)
			err = version_delete(txn, &account->id, version.number, &key);
	}
	return err;
}

enum err version_open(struct vault_txn *txn, const struct account *account, uint32_t number,
    struct secret **secret, struct secret **passphrase, struct error *error)
{
	struct key key = version_key(&account->id, number);
	struct version version;
	struct bytes sealed;
	enum err err;

	*secret = NULL;
	if (passphrase != NULL)
		*passphrase = NULL;
	err = version_get(txn, account, number, &version);
	if (err == ERR_OK) {
		err = store_get(txn, TABLE_SEAL, &key, &sealed);
		err = err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
	}
	if (err != ERR_OK)
		return error_set(error, err,
		    err == ERR_NOT_FOUND ? "%s of %s has no version %" PRIu32 " (any more)"
					 : "%s of %s: version %" PRIu32
					   " cannot be read: put back a backup",
		    account->name, account->asset, number);
	err = seal_open(txn->vault->seal, &account->id, number, sealed.data, sealed.len, secret,
	    passphrase, error);
	if (err != ERR_OK)
		error_prefix(error, "%s of %s, version %" PRIu32 ": ", account->name,
		    account->asset, number);
	return err;
}
