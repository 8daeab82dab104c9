/* Secrets that a policy names: kept sealed, replaced, listed, deleted; and never another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <lmdb.h>

#include "vault_help.h"

struct putting {
	const char *name;
	const struct secret *secret;
};

static enum err put_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct putting *putting = arg;

	return named_secret_put(txn, putting->name, putting->secret, error);
}

static enum err put(struct place *place, struct vault *vault, const char *name, const char *text)
{
	struct secret *secret = secret_of(text);
	struct putting putting = {name, secret};
	enum err err = vault_write(vault, put_apply, &putting, &place->error);

	secret_free(secret);
	return err;
}

static enum err delete_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return named_secret_delete(txn, arg, error);
}

static enum err get(
    struct place *place, struct vault *vault, const char *name, struct secret **secret)
{
	struct vault_txn *txn = vault_read(vault);
	enum err err = named_secret_get(txn, name, secret, &place->error);

	vault_read_end(txn);
	return err;
}

static void assert_named(
    struct place *place, struct vault *vault, const char *name, const char *text)
{
	struct secret *secret;

	if (get(place, vault, name, &secret) != ERR_OK)
		fail_msg("%s", place->error.text);
	assert_string_equal(secret_data(secret), text);
	secret_free(secret);
}

static bool add_name(void *arg, const struct named_secret *named)
{
	strcat(arg, named->name);
	strcat(arg, " ");
	return true;
}

static void assert_names(struct vault *vault, const char *expected)
{
	struct vault_txn *txn = vault_read(vault);
	char names[256] = "";

	named_secret_each(txn, add_name, names);
	vault_read_end(txn);
	assert_string_equal(names, expected);
}

static void test_put_get_list_delete(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct named_secret facts;
	struct vault_txn *txn;

	assert_names(vault, "");
	assert_int_equal(put(place, vault, "smtp", "tiger-1"), ERR_OK);
	assert_int_equal(put(place, vault, "db/main", "tiger-2"), ERR_OK);
	place->clock.wall_ms += 5000;
	assert_int_equal(put(place, vault, "smtp", "tiger-3"), ERR_OK);
	assert_named(place, vault, "smtp", "tiger-3");
	assert_named(place, vault, "db/main", "tiger-2");
	assert_names(vault, "db/main smtp ");
	txn = vault_read(vault);
	assert_int_equal(named_secret_facts(txn, "smtp", &facts), ERR_OK);
	assert_int_equal(facts.changed_ms - facts.made_ms, 5000);
	vault_read_end(txn);
	vault_close(vault);

	vault = must_open(place);
	assert_named(place, vault, "smtp", "tiger-3");
	assert_int_equal(vault_write(vault, delete_apply, (char[]){"smtp"}, &place->error), ERR_OK);
	assert_names(vault, "db/main ");
	assert_int_equal(
	    vault_write(vault, delete_apply, (char[]){"smtp"}, &place->error), ERR_NOT_FOUND);
	assert_non_null(strstr(place->error.text, "lockstep secret list"));
	vault_close(vault);
	assert_false(file_holds(vault_file(place, "data.mdb"), "tiger-"));
}

static void test_absent_says_what_to_do(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *secret;

	assert_int_equal(get(place, vault, "smtp", &secret), ERR_NOT_FOUND);
	assert_null(secret);
	assert_non_null(strstr(place->error.text, "lockstep secret set smtp"));
	vault_close(vault);
}

static void test_names(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *secret;
	char longest[SECRET_NAME_SIZE + 1];

	memset(longest, 'n', sizeof(longest));
	longest[SECRET_NAME_SIZE - 1] = '\0';
	assert_int_equal(put(place, vault, longest, "x"), ERR_OK);
	assert_named(place, vault, longest, "x");
	longest[SECRET_NAME_SIZE - 1] = 'n';
	longest[SECRET_NAME_SIZE] = '\0';
	for (size_t i = 0; i < 6; i++) {
		const char *bad[] = {"", "-x", "a b", "a\nb", "s\xc3\xbc\xc3\x9f", longest};

		assert_int_equal(put(place, vault, bad[i], "x"), ERR_INVALID);
		assert_non_null(strstr(place->error.text, "the first a letter or a digit"));
		assert_int_equal(get(place, vault, bad[i], &secret), ERR_INVALID);
	}
	assert_int_equal(put(place, vault, "empty", ""), ERR_INVALID);
	vault_close(vault);
}

static void test_the_longest_one(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *longest = secret_new(SECRET_SIZE_MAX), *read;
	struct putting putting = {"key", longest};

	memset(secret_bytes(longest), 'k', SECRET_SIZE_MAX);
	assert_int_equal(vault_write(vault, put_apply, &putting, &place->error), ERR_OK);
	assert_int_equal(get(place, vault, "key", &read), ERR_OK);
	assert_true(secret_equal(read, longest));
	secret_free(read);
	secret_free(longest);
	vault_close(vault);
}

/* ── Behind the vault's back ─────────────────────────────────────────────────────────────── */

struct raw {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi named;
};

static void raw_open(struct raw *raw, const char *dir)
{
	assert_int_equal(mdb_env_create(&raw->env), 0);
	assert_int_equal(mdb_env_set_maxdbs(raw->env, 32), 0);
	assert_int_equal(mdb_env_open(raw->env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(raw->env, NULL, 0, &raw->txn), 0);
	assert_int_equal(mdb_dbi_open(raw->txn, "named", 0, &raw->named), 0);
}

static void raw_close(struct raw *raw)
{
	assert_int_equal(mdb_txn_commit(raw->txn), 0);
	mdb_env_close(raw->env);
}

static MDB_val val(char *name)
{
	return (MDB_val){.mv_size = strlen(name), .mv_data = name};
}

static void test_a_value_is_its_name_s_alone(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *secret;
	MDB_val from = val((char[]){"cheap"}), to = val((char[]){"dear"}), row, copy;
	char bytes[512];
	struct raw raw;

	assert_int_equal(put(place, vault, "cheap", "x"), ERR_OK);
	assert_int_equal(put(place, vault, "dear", "y"), ERR_OK);
	vault_close(vault);
	raw_open(&raw, place->dir);
	assert_int_equal(mdb_get(raw.txn, raw.named, &from, &row), 0);
	assert_true(row.mv_size <= sizeof(bytes));
	memcpy(bytes, row.mv_data, row.mv_size);
	copy = (MDB_val){.mv_size = row.mv_size, .mv_data = bytes};
	assert_int_equal(mdb_put(raw.txn, raw.named, &to, &copy, 0), 0);
	raw_close(&raw);
	vault = must_open(place);
	assert_int_equal(get(place, vault, "dear", &secret), ERR_CORRUPT);
	assert_non_null(strstr(place->error.text, "\"dear\""));
	assert_named(place, vault, "cheap", "x");
	vault_close(vault);
}

/* A vault from before it: the table is made at open. */
static void test_a_vault_without_the_table(void **state)
{
	struct place *place = *state;
	struct vault *vault;
	struct raw raw;

	must_make(place);
	raw_open(&raw, place->dir);
	assert_int_equal(mdb_drop(raw.txn, raw.named, 1), 0);
	raw_close(&raw);
	vault = must_open(place);
	assert_names(vault, "");
	assert_int_equal(put(place, vault, "smtp", "x"), ERR_OK);
	assert_named(place, vault, "smtp", "x");
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_put_get_list_delete, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_absent_says_what_to_do, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_names, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_the_longest_one, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_a_value_is_its_name_s_alone, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_a_vault_without_the_table, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
