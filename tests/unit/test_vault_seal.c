#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <lmdb.h>

#include "vault_help.h"

#define ASSET "web01.example.com"
#define NAME  "app"

/* ── The seal ────────────────────────────────────────────────────────────────────────────── */

struct long_key {
	struct secret *secret, *passphrase;
};

static enum err tell_key(struct vault_txn *txn, void *arg, struct error *error)
{
	struct long_key *key = arg;

	return account_tell(
	    txn, ASSET, NAME, SECRET_KEY, key->secret, key->passphrase, NULL, error);
}

static void test_longest_key_with_passphrase(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct long_key key = {secret_new(SECRET_SIZE_MAX), secret_new(SECRET_SIZE_MAX)};
	struct secret *secret, *passphrase;
	struct account account;
	struct vault_txn *txn;

	memset(secret_bytes(key.secret), 'k', SECRET_SIZE_MAX);
	memset(secret_bytes(key.passphrase), 'p', SECRET_SIZE_MAX);
	assert_int_equal(vault_write(vault, tell_key, &key, NULL), ERR_OK);
	account = account_kind_now(vault, ASSET, NAME, SECRET_KEY);
	assert_int_equal(version_kind_now(vault, ASSET, NAME, SECRET_KEY, 1).kind, SECRET_KEY);
	txn = vault_read(vault);
	assert_int_equal(version_open(txn, &account, 1, &secret, &passphrase, NULL), ERR_OK);
	assert_true(secret_equal(secret, key.secret));
	assert_true(secret_equal(passphrase, key.passphrase));
	secret_free(secret);
	secret_free(passphrase);
	assert_int_equal(version_open(txn, &account, 1, &secret, NULL, NULL), ERR_OK);
	assert_true(secret_equal(secret, key.secret));
	secret_free(secret);
	assert_int_equal(version_open(txn, &account, 9, &secret, &passphrase, NULL), ERR_NOT_FOUND);
	assert_null(secret);
	assert_null(passphrase);
	vault_read_end(txn);
	secret_free(key.secret);
	secret_free(key.passphrase);
	vault_close(vault);
}

static void test_empty_secret_and_no_passphrase(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *secret, *passphrase;
	struct account account;
	struct vault_txn *txn;

	assert_int_equal(tell(place, vault, ASSET, NAME, ""), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	txn = vault_read(vault);
	assert_int_equal(version_open(txn, &account, 1, &secret, &passphrase, NULL), ERR_OK);
	assert_int_equal(secret_len(secret), 0);
	assert_null(passphrase);
	vault_read_end(txn);
	secret_free(secret);
	vault_close(vault);
}

static void test_plaintext_never_in_file(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, ASSET, NAME, "tiger-Lily-91-first"), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, NAME, "tiger-Lily-91-second"), ERR_OK);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	vault_close(vault);
	assert_true(file_holds(vault_file(place, "data.mdb"), ASSET));
	assert_false(file_holds(vault_file(place, "data.mdb"), "tiger"));
	assert_false(file_holds(vault_file(place, "data.mdb"), "Lily-91"));
}

/* ── Behind the vault's back ─────────────────────────────────────────────────────────────── */

struct raw {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi seals;
};

static void raw_open(struct raw *raw, const char *dir)
{
	assert_int_equal(mdb_env_create(&raw->env), 0);
	assert_int_equal(mdb_env_set_maxdbs(raw->env, 16), 0);
	assert_int_equal(mdb_env_open(raw->env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(raw->env, NULL, 0, &raw->txn), 0);
	assert_int_equal(mdb_dbi_open(raw->txn, "seal", 0, &raw->seals), 0);
}

static void raw_close(struct raw *raw)
{
	assert_int_equal(mdb_txn_commit(raw->txn), 0);
	mdb_env_close(raw->env);
}

/* Puts the first sealed value in the second one's place and the reverse. */
static void seals_swap(const char *dir)
{
	struct raw raw;
	MDB_cursor *cursor;
	MDB_val key_a, key_b, a, b;
	char copy_a[256], copy_b[256], copy_key_a[64], copy_key_b[64];

	raw_open(&raw, dir);
	assert_int_equal(mdb_cursor_open(raw.txn, raw.seals, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key_a, &a, MDB_FIRST), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key_b, &b, MDB_NEXT), 0);
	memcpy(copy_a, a.mv_data, a.mv_size);
	memcpy(copy_b, b.mv_data, b.mv_size);
	memcpy(copy_key_a, key_a.mv_data, key_a.mv_size);
	memcpy(copy_key_b, key_b.mv_data, key_b.mv_size);
	key_a.mv_data = copy_key_a;
	key_b.mv_data = copy_key_b;
	a.mv_data = copy_a;
	b.mv_data = copy_b;
	mdb_cursor_close(cursor);
	assert_int_equal(mdb_put(raw.txn, raw.seals, &key_a, &b, 0), 0);
	assert_int_equal(mdb_put(raw.txn, raw.seals, &key_b, &a, 0), 0);
	raw_close(&raw);
}

static void test_seal_is_bound_to_the_account(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct error error;

	assert_int_equal(tell(place, vault, ASSET, "a", "of-a"), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, "b", "of-b"), ERR_OK);
	vault_close(vault);
	seals_swap(place->dir);
	vault = must_open(place);
	assert_int_equal(version_try(vault, ASSET, "a", 1, &error), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "a of " ASSET));
	assert_int_equal(version_try(vault, ASSET, "b", 1, &error), ERR_CORRUPT);
	vault_close(vault);
	seals_swap(place->dir);
	vault = must_open(place);
	assert_true(version_is(vault, ASSET, "a", 1, "of-a"));
	vault_close(vault);
}

static void test_seal_is_bound_to_the_version(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, ASSET, NAME, "old"), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, NAME, "new"), ERR_OK);
	vault_close(vault);
	seals_swap(place->dir);
	vault = must_open(place);
	assert_int_equal(version_try(vault, ASSET, NAME, 1, NULL), ERR_CORRUPT);
	assert_int_equal(version_try(vault, ASSET, NAME, 2, NULL), ERR_CORRUPT);
	vault_close(vault);
}

static void test_changed_and_cut_seal(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct raw raw;
	MDB_cursor *cursor;
	MDB_val key, value;
	char key_copy[64], value_copy[256];

	assert_int_equal(tell(place, vault, ASSET, NAME, "secret"), ERR_OK);
	vault_close(vault);
	for (int cut = 0; cut < 3; cut++) {
		raw_open(&raw, place->dir);
		assert_int_equal(mdb_cursor_open(raw.txn, raw.seals, &cursor), 0);
		assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
		memcpy(key_copy, key.mv_data, key.mv_size);
		memcpy(value_copy, value.mv_data, value.mv_size);
		mdb_cursor_close(cursor);
		key.mv_data = key_copy;
		value.mv_data = value_copy;
		value_copy[14] ^= 1;
		value.mv_size = cut == 2 ? 0 : value.mv_size - (size_t)cut * 7;
		assert_int_equal(mdb_put(raw.txn, raw.seals, &key, &value, 0), 0);
		raw_close(&raw);
		vault = must_open(place);
		assert_int_equal(version_try(vault, ASSET, NAME, 1, NULL), ERR_CORRUPT);
		vault_close(vault);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_longest_key_with_passphrase),
	    TEST(test_empty_secret_and_no_passphrase),
	    TEST(test_plaintext_never_in_file),
	    TEST(test_seal_is_bound_to_the_account),
	    TEST(test_seal_is_bound_to_the_version),
	    TEST(test_changed_and_cut_seal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
