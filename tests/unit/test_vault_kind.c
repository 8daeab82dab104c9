#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault_help.h"

#define ASSET "web01.example.com"
#define NAME  "app"

/* ── An account's password and its key ───────────────────────────────────────────────────── */

static void test_kinds_are_kept_apart(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account password, key;

	assert_int_equal(tell(place, vault, ASSET, NAME, "word"), ERR_OK);
	assert_int_equal(tell_kind(place, vault, ASSET, NAME, SECRET_KEY, "key"), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, NAME, "newer word"), ERR_OK);
	password = account_now(vault, ASSET, NAME);
	key = account_kind_now(vault, ASSET, NAME, SECRET_KEY);

	/* One account, one sequence of numbers, stages of their own. */
	assert_true(id_equal(&password.id, &key.id));
	assert_int_equal(password.kind, SECRET_PASSWORD);
	assert_int_equal(password.current, 3);
	assert_int_equal(password.previous, 1);
	assert_int_equal(key.kind, SECRET_KEY);
	assert_int_equal(key.current, 2);
	assert_int_equal(key.previous, 0);
	assert_true(version_is(vault, ASSET, NAME, 3, "newer word"));
	assert_true(version_kind_is(vault, ASSET, NAME, SECRET_KEY, 2, "key"));
	/* A number of the other kind is not this row's. */
	assert_int_equal(version_try(vault, ASSET, NAME, 2, NULL), ERR_NOT_FOUND);
	vault_close(vault);
}

/* But someone may tell the other: the doubt may wait for just that. */
static void test_a_doubt_of_either_kind_stops_both(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account doubt;
	struct vault_txn *txn;

	assert_int_equal(tell(place, vault, ASSET, NAME, "word"), ERR_OK);
	assert_int_equal(stage_kind(place, vault, ASSET, NAME, SECRET_KEY, "key"), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, NAME, "fresh"), ERR_EXISTS);
	assert_int_equal(stage_kind(place, vault, ASSET, NAME, SECRET_KEY, "fresh"), ERR_EXISTS);
	assert_int_equal(tell_kind(place, vault, ASSET, NAME, SECRET_KEY, "told"), ERR_BUSY);
	assert_int_equal(tell(place, vault, ASSET, NAME, "told"), ERR_OK);
	assert_int_equal(account_now(vault, ASSET, NAME).current, 3);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_NOT_FOUND);
	txn = vault_read(vault);
	assert_int_equal(account_get_in_doubt(txn, ASSET, NAME, &doubt), ERR_OK);
	vault_read_end(txn);
	assert_int_equal(doubt.kind, SECRET_KEY);
	assert_int_equal(doubt.pending, 2);
	assert_int_equal(promote_kind(place, vault, ASSET, NAME, SECRET_KEY, PROOF_LOGIN), ERR_OK);
	txn = vault_read(vault);
	assert_int_equal(account_get_in_doubt(txn, ASSET, NAME, &doubt), ERR_NOT_FOUND);
	vault_read_end(txn);
	assert_int_equal(account_kind_now(vault, ASSET, NAME, SECRET_KEY).current, 2);

	assert_int_equal(stage(place, vault, ASSET, NAME, "fresh"), ERR_OK);
	assert_int_equal(
	    retire_kind(place, vault, ASSET, NAME, SECRET_PASSWORD, VERSION_NO_VERDICT), ERR_OK);
	assert_true(account_now(vault, ASSET, NAME).mismatch);
	assert_false(account_kind_now(vault, ASSET, NAME, SECRET_KEY).mismatch);
	vault_close(vault);
}

/* Retention counts each kind's own: a password that is rotated often drops no key. */
static void test_retention_is_by_kind(void **state)
{
	struct place *place = *state;
	struct vault *vault;

	place->config.keep_versions = 2;
	vault = must_create(place);
	assert_int_equal(tell_kind(place, vault, ASSET, NAME, SECRET_KEY, "key 1"), ERR_OK);
	assert_int_equal(tell_kind(place, vault, ASSET, NAME, SECRET_KEY, "key 2"), ERR_OK);
	assert_int_equal(tell_kind(place, vault, ASSET, NAME, SECRET_KEY, "key 3"), ERR_OK);
	for (int i = 4; i < 10; i++) {
		assert_int_equal(stage(place, vault, ASSET, NAME, "word"), ERR_OK);
		assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	}
	assert_true(version_kind_is(vault, ASSET, NAME, SECRET_KEY, 1, "key 1"));
	assert_int_equal(version_try(vault, ASSET, NAME, 4, NULL), ERR_NOT_FOUND);
	assert_int_equal(version_try(vault, ASSET, NAME, 6, NULL), ERR_OK);
	vault_close(vault);
}

struct walk {
	char text[256];
};

static bool walk_add(void *arg, const struct account *account)
{
	struct walk *walk = arg;
	size_t len = strlen(walk->text);

	snprintf(walk->text + len, sizeof(walk->text) - len, "%s/%s/%s ", account->asset,
	    account->name, secret_kind_name(account->kind));
	return true;
}

static void test_each_gives_each_row(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct walk all = {""}, one = {""}, doubts = {""};
	struct vault_txn *txn;

	assert_int_equal(tell_kind(place, vault, "a", "app", SECRET_KEY, "k"), ERR_OK);
	assert_int_equal(tell(place, vault, "a", "app", "w"), ERR_OK);
	assert_int_equal(tell(place, vault, "a", "app2", "w"), ERR_OK);
	assert_int_equal(stage_kind(place, vault, "b", "x", SECRET_KEY, "k"), ERR_OK);
	txn = vault_read(vault);
	account_each(txn, NULL, walk_add, &all);
	account_each(txn, "a", walk_add, &one);
	account_each_in_doubt(txn, walk_add, &doubts);
	vault_read_end(txn);
	assert_string_equal(all.text, "a/app/password a/app/key a/app2/password b/x/key ");
	assert_string_equal(one.text, "a/app/password a/app/key a/app2/password ");
	assert_string_equal(doubts.text, "b/x/key ");
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_kinds_are_kept_apart),
	    TEST(test_a_doubt_of_either_kind_stops_both),
	    TEST(test_retention_is_by_kind),
	    TEST(test_each_gives_each_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
