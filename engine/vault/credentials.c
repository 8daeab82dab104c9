/* How people prove who they are: a row each; the second factor's secret is sealed, under a name. */
#include <stdio.h>
#include <string.h>

#include "vault/named.h"
#include "vault/row.h"
#include "vault/vault_state.h"

static enum err user_key(const char *user, struct key *key)
{
	if (user[0] == '\0' || strlen(user) >= WHO_SIZE)
		return ERR_INVALID;
	*key = key_of_word(user);
	return ERR_OK;
}

static void recovery_parse(const struct value *array, struct credentials *credentials)
{
	for (size_t i = 0; i < value_count(array) && i < RECOVERY_MAX; i++) {
		size_t len = 0;
		const void *digest = value_bytes(value_item(array, i), &len);

		if (digest != NULL && len == DIGEST_SIZE)
			memcpy(credentials->recovery[credentials->recovery_count++], digest, len);
	}
}

static void credentials_parse(const struct value *map, struct credentials *credentials)
{
	credentials->made_ms = value_uint(value_get(map, "m"), 0);
	credentials->enrolled_ms = value_uint(value_get(map, "e"), 0);
	credentials->used_step = value_uint(value_get(map, "u"), 0);
	credentials->early_steps = value_uint(value_get(map, "d"), 0);
	credentials->early_step = value_uint(value_get(map, "a"), 0);
	credentials->failures = (uint32_t)value_uint(value_get(map, "f"), 0);
	credentials->locked_ms = value_uint(value_get(map, "l"), 0);
	recovery_parse(value_get(map, "r"), credentials);
	credentials->password_ms = value_uint(value_get(map, "s"), 0);
	credentials->login_failures = (uint32_t)value_uint(value_get(map, "g"), 0);
	credentials->login_locked_ms = value_uint(value_get(map, "k"), 0);
}

enum err credentials_get(struct vault_txn *txn, const char *user, struct credentials *credentials)
{
	struct unpack *unpack;
	struct key key;
	enum err err = user_key(user, &key);

	*credentials = (struct credentials){.made_ms = 0};
	snprintf(credentials->user, sizeof(credentials->user), "%s", user);
	if (err == ERR_OK)
		err = row_get(txn, TABLE_PERSON, &key, &unpack);
	if (err != ERR_OK)
		return err;
	credentials_parse(unpack_root(unpack), credentials);
	unpack_free(unpack);
	return ERR_OK;
}

enum err credentials_put(struct vault_txn *txn, const struct credentials *credentials)
{
	struct key key;
	struct buf row;
	enum err err = user_key(credentials->user, &key);

	if (err != ERR_OK)
		return err;
	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 11);
	pack_kv_uint(&row, "m", credentials->made_ms);
	pack_kv_uint(&row, "e", credentials->enrolled_ms);
	pack_kv_uint(&row, "u", credentials->used_step);
	pack_kv_uint(&row, "d", credentials->early_steps);
	pack_kv_uint(&row, "a", credentials->early_step);
	pack_kv_uint(&row, "f", credentials->failures);
	pack_kv_uint(&row, "l", credentials->locked_ms);
	pack_text(&row, "r");
	pack_array(&row, credentials->recovery_count);
	for (size_t i = 0; i < credentials->recovery_count; i++)
		pack_bytes(&row, credentials->recovery[i], DIGEST_SIZE);
	pack_kv_uint(&row, "s", credentials->password_ms);
	pack_kv_uint(&row, "g", credentials->login_failures);
	pack_kv_uint(&row, "k", credentials->login_locked_ms);
	return row_put(txn, TABLE_PERSON, &key, &row);
}

void credentials_each(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct credentials *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every name */
	struct credentials credentials;
	struct bytes row;
	char user[WHO_SIZE];

	while (store_step(txn, TABLE_PERSON, STEP_UP, &key, &row) == ERR_OK) {
		if (key.len >= sizeof(user)) {
			(void)txn_trouble(txn, ERR_CORRUPT, "the name of a user is damaged");
			return;
		}
		memcpy(user, key.bytes, key.len);
		user[key.len] = '\0';
		if (credentials_get(txn, user, &credentials) != ERR_OK || !fn(arg, &credentials))
			return;
	}
}

/* ── What is sealed ──────────────────────────────────────────────────────────────────────── */

static void secret_name(const char *kind, const char *user, char out[SECRET_NAME_SIZE])
{
	snprintf(out, SECRET_NAME_SIZE, "%s:%s", kind, user);
}

static enum err sealed_put(struct vault_txn *txn, const char *kind, const char *user,
    const struct secret *secret, struct error *error)
{
	char name[SECRET_NAME_SIZE];

	secret_name(kind, user, name);
	return secret != NULL ? named_keep(txn, name, secret, error) : named_drop(txn, name);
}

static enum err sealed_get(struct vault_txn *txn, const char *kind, const char *user,
    struct secret **secret, struct error *error)
{
	char name[SECRET_NAME_SIZE];

	secret_name(kind, user, name);
	return named_open(txn, name, secret, error);
}

enum err credentials_put_secret(
    struct vault_txn *txn, const char *user, const struct secret *secret, struct error *error)
{
	return sealed_put(txn, "factor", user, secret, error);
}

enum err credentials_get_secret(
    struct vault_txn *txn, const char *user, struct secret **secret, struct error *error)
{
	return sealed_get(txn, "factor", user, secret, error);
}

enum err credentials_put_password(
    struct vault_txn *txn, const char *user, const struct secret *hash, struct error *error)
{
	return sealed_put(txn, "password", user, hash, error);
}

enum err credentials_get_password(
    struct vault_txn *txn, const char *user, struct secret **hash, struct error *error)
{
	return sealed_get(txn, "password", user, hash, error);
}
