/* Secrets that a policy names: one row each, its facts beside the sealed value. */
#include <string.h>

#include "vault/named.h"
#include "vault/row.h"
#include "vault/vault_state.h"

#define SIGNS "._-/@"

/* A row holds a sealed secret, which is longer than others may be. */
#define NAMED_ROW_SIZE (SEALED_SIZE_MAX + 64)

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool named_secret_name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= SECRET_NAME_SIZE || !is_word(name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_word(name[i]) && strchr(SIGNS, name[i]) == NULL)
			return false;
	return true;
}

static enum err bad_name(const char *name, struct error *error)
{
	return error_set(error, ERR_INVALID,
	    "\"%.*s\" cannot be a secret's name: give 1 to %d letters, digits and " SIGNS
	    ", the first a letter or a digit",
	    SECRET_NAME_SIZE, name, SECRET_NAME_SIZE - 1);
}

static enum err not_there(const char *name, struct error *error)
{
	return error_set(error, ERR_NOT_FOUND,
	    "there is no secret \"%s\" in the vault: lockstep secret set %s", name, name);
}

static enum err facts_parse(struct vault_txn *txn, const struct key *key, const struct bytes *row,
    struct named_secret *named)
{
	struct unpack *unpack;
	const struct value *map;
	enum err err = row_parse(txn, TABLE_NAMED, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	*named = (struct named_secret){
	    .made_ms = value_uint(value_get(map, "m"), 0),
	    .changed_ms = value_uint(value_get(map, "t"), 0),
	};
	unpack_free(unpack);
	if (key->len >= sizeof(named->name))
		return txn_trouble(txn, ERR_CORRUPT, "the name of a secret is damaged");
	memcpy(named->name, key->bytes, key->len);
	return ERR_OK;
}

/* Its facts, whoever's name it is. */
static enum err row_facts(struct vault_txn *txn, const char *name, struct named_secret *named)
{
	struct key key = key_of_word(name);
	struct bytes row;
	enum err err = store_get(txn, TABLE_NAMED, &key, &row);

	return err == ERR_OK ? facts_parse(txn, &key, &row, named) : err;
}

enum err named_secret_facts(struct vault_txn *txn, const char *name, struct named_secret *named)
{
	return named_secret_name_is_good(name) ? row_facts(txn, name, named) : ERR_NOT_FOUND;
}

static enum err named_write(
    struct vault_txn *txn, const struct named_secret *named, const struct buf *sealed)
{
	struct key key = key_of_word(named->name);
	struct buf row;

	buf_init(&row, NAMED_ROW_SIZE);
	pack_map(&row, 3);
	pack_kv_uint(&row, "m", named->made_ms);
	pack_kv_uint(&row, "t", named->changed_ms);
	pack_kv_bytes(&row, "s", sealed->data, sealed->len);
	return row_put(txn, TABLE_NAMED, &key, &row);
}

enum err named_keep(
    struct vault_txn *txn, const char *name, const struct secret *secret, struct error *error)
{
	struct named_secret named;
	struct buf sealed;
	enum err err = row_facts(txn, name, &named);

	if (err == ERR_NOT_FOUND) {
		named = (struct named_secret){.made_ms = clock_wall_ms(txn->vault->clock)};
		memcpy(named.name, name, strlen(name) + 1);
	} else if (err != ERR_OK) {
		return error_set(error, err, "secret \"%s\" cannot be read from the vault", name);
	}
	named.changed_ms = clock_wall_ms(txn->vault->clock);
	buf_init(&sealed, SEALED_SIZE_MAX);
	err = seal_close_named(txn->vault->seal, name, secret, &sealed, error);
	if (err == ERR_OK) {
		err = named_write(txn, &named, &sealed);
		if (err != ERR_OK)
			error_set(error, err, "secret \"%s\" cannot be kept", name);
	}
	buf_clear(&sealed);
	return err;
}

enum err named_secret_put(
    struct vault_txn *txn, const char *name, const struct secret *secret, struct error *error)
{
	if (!named_secret_name_is_good(name))
		return bad_name(name, error);
	if (secret_len(secret) == 0)
		return error_set(
		    error, ERR_INVALID, "secret \"%s\": it is empty: give one that is not", name);
	return named_keep(txn, name, secret, error);
}

static enum err row_open(struct vault_txn *txn, const char *name, const struct bytes *row,
    struct secret **secret, struct error *error)
{
	struct unpack *unpack;
	const void *sealed;
	size_t len = 0;
	enum err err = row_parse(txn, TABLE_NAMED, row, &unpack);

	if (err != ERR_OK)
		return error_set(error, err, "it cannot be read: put back a backup");
	sealed = value_bytes(value_get(unpack_root(unpack), "s"), &len);
	if (sealed == NULL)
		err = error_set(error, ERR_CORRUPT, "its value is lost: put back a backup");
	else
		err = seal_open_named(txn->vault->seal, name, sealed, len, secret, error);
	unpack_free(unpack);
	return err;
}

enum err named_open(
    struct vault_txn *txn, const char *name, struct secret **secret, struct error *error)
{
	struct key key = key_of_word(name);
	struct bytes row;
	enum err err = store_get(txn, TABLE_NAMED, &key, &row);

	*secret = NULL;
	if (err == ERR_NOT_FOUND)
		return not_there(name, error);
	if (err == ERR_OK)
		err = row_open(txn, name, &row, secret, error);
	else
		error_set(error, err, "it cannot be read from the vault");
	if (err != ERR_OK)
		error_prefix(error, "secret \"%s\": ", name);
	return err;
}

enum err named_secret_get(
    struct vault_txn *txn, const char *name, struct secret **secret, struct error *error)
{
	*secret = NULL;
	return named_secret_name_is_good(name) ? named_open(txn, name, secret, error)
					       : bad_name(name, error);
}

void named_secret_each(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct named_secret *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every name */
	struct named_secret named;
	struct bytes row;

	while (store_step(txn, TABLE_NAMED, STEP_UP, &key, &row) == ERR_OK) {
		if (facts_parse(txn, &key, &row, &named) != ERR_OK)
			return;
		/* Not what the vault itself keeps there. */
		if (named_secret_name_is_good(named.name) && !fn(arg, &named))
			return;
	}
}

enum err named_drop(struct vault_txn *txn, const char *name)
{
	struct key key = key_of_word(name);

	return store_del(txn, TABLE_NAMED, &key);
}

enum err named_secret_delete(struct vault_txn *txn, const char *name, struct error *error)
{
	struct named_secret named;
	enum err err = named_secret_facts(txn, name, &named);

	if (err == ERR_OK) {
		err = named_drop(txn, name);
	} else if (err == ERR_NOT_FOUND) {
		return error_set(error, err,
		    "there is no secret \"%.*s\" in the vault: lockstep secret list tells which "
		    "there are",
		    SECRET_NAME_SIZE, name);
	}
	return err == ERR_OK ? err : error_set(error, err, "secret \"%s\" cannot be deleted", name);
}

enum err named_reseal(
    struct vault_txn *txn, const struct key *key, const struct bytes *row, struct error *error)
{
	struct named_secret named;
	struct secret *secret;
	struct buf sealed;
	enum err err = facts_parse(txn, key, row, &named);

	if (err == ERR_OK)
		err = row_open(txn, named.name, row, &secret, error);
	if (err != ERR_OK)
		return err;
	buf_init(&sealed, SEALED_SIZE_MAX);
	err = seal_close_named(txn->vault->seal, named.name, secret, &sealed, error);
	if (err == ERR_OK)
		err = named_write(txn, &named, &sealed);
	buf_clear(&sealed);
	secret_free(secret);
	return err;
}
