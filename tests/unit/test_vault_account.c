#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault_help.h"

#define ASSET "web01.example.com"
#define NAME  "app"

/* ── The rules ───────────────────────────────────────────────────────────────────────────── */

static void test_told(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account account;
	struct version version;

	assert_int_equal(tell(place, vault, ASSET, NAME, "first"), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account.current, 1);
	assert_int_equal(account.previous, 0);
	assert_int_equal(account.pending, 0);
	assert_int_equal(account_state(&account), ACCOUNT_CURRENT);
	assert_int_equal(account.changed_ms, place->clock.wall_ms);
	version = version_now(vault, ASSET, NAME, 1);
	assert_int_equal(version.proof, PROOF_TOLD);
	assert_int_equal(version.proved_ms, 0);
	assert_int_equal(version.created_ms, place->clock.wall_ms);
	assert_true(version_is(vault, ASSET, NAME, 1, "first"));

	/* Told again and again: all is kept, as nothing was seen. */
	for (int i = 2; i <= 20; i++)
		assert_int_equal(tell(place, vault, ASSET, NAME, "more"), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account.current, 20);
	assert_int_equal(account.previous, 19);
	assert_true(version_is(vault, ASSET, NAME, 1, "first"));
	assert_int_equal(version_now(vault, ASSET, NAME, 18).end, VERSION_REPLACED);
	assert_int_equal(version_now(vault, ASSET, NAME, 19).end, VERSION_LIVE);
	vault_close(vault);
}

static void test_staged_then_promoted(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account account;
	struct version version;

	assert_int_equal(tell(place, vault, ASSET, NAME, "old"), ERR_OK);
	place->clock.wall_ms += 5000;
	assert_int_equal(stage(place, vault, ASSET, NAME, "new"), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_IN_DOUBT);
	assert_int_equal(account.current, 1);
	assert_int_equal(account.pending, 2);
	assert_int_equal(account.pending_record.bytes[0], 7);
	assert_int_equal(version_now(vault, ASSET, NAME, 2).proof, PROOF_NONE);

	assert_int_equal(stage(place, vault, ASSET, NAME, "other"), ERR_EXISTS);
	assert_int_equal(tell(place, vault, ASSET, NAME, "other"), ERR_BUSY);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_NONE), ERR_REFUSED);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_TOLD), ERR_REFUSED);
	assert_int_equal(account_now(vault, ASSET, NAME).pending, 2);

	place->clock.wall_ms += 5000;
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_CURRENT);
	assert_int_equal(account.current, 2);
	assert_int_equal(account.previous, 1);
	assert_int_equal(account.pending, 0);
	assert_true(id_is_none(&account.pending_record));
	assert_int_equal(account.changed_ms, place->clock.wall_ms);
	version = version_now(vault, ASSET, NAME, 2);
	assert_int_equal(version.proof, PROOF_LOGIN);
	assert_int_equal(version.proved_ms, place->clock.wall_ms);
	assert_int_equal(version.created_ms, place->clock.wall_ms - 5000);
	assert_int_equal(version.record.bytes[0], 7);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_NOT_FOUND);
	vault_close(vault);

	vault = must_open(place);
	assert_true(version_is(vault, ASSET, NAME, 1, "old"));
	assert_true(version_is(vault, ASSET, NAME, 2, "new"));
	vault_close(vault);
}

static void test_first_rotation_without_current(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account account;

	assert_int_equal(stage(place, vault, ASSET, NAME, "new"), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_IN_DOUBT);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NOT_LIVE), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_UNMANAGED);
	assert_int_equal(stage(place, vault, ASSET, NAME, "newer"), ERR_OK);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_SU), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account.current, 2);
	assert_int_equal(account.previous, 0);
	vault_close(vault);
}

static void test_retired(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account account;

	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NOT_LIVE), ERR_NOT_FOUND);
	assert_int_equal(tell(place, vault, ASSET, NAME, "old"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NOT_LIVE), ERR_NOT_FOUND);
	assert_int_equal(stage(place, vault, ASSET, NAME, "v2"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_LIVE), ERR_REFUSED);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_REPLACED), ERR_REFUSED);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NOT_LIVE), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_CURRENT);
	assert_int_equal(version_now(vault, ASSET, NAME, 2).end, VERSION_NOT_LIVE);
	assert_int_equal(version_now(vault, ASSET, NAME, 2).ended_ms, place->clock.wall_ms);

	assert_int_equal(stage(place, vault, ASSET, NAME, "v3"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NO_VERDICT), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_MISMATCH);
	assert_int_equal(account.current, 1);
	assert_true(version_is(vault, ASSET, NAME, 2, "v2"));
	assert_true(version_is(vault, ASSET, NAME, 3, "v3"));

	/* Each of these says that one of ours opens it. */
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_TOLD), ERR_REFUSED);
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_CURRENT);
	assert_int_equal(version_now(vault, ASSET, NAME, 1).proof, PROOF_LOGIN);

	assert_int_equal(stage(place, vault, ASSET, NAME, "v4"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NO_VERDICT), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, NAME, "v5"), ERR_OK);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	assert_false(account_now(vault, ASSET, NAME).mismatch);

	assert_int_equal(stage(place, vault, ASSET, NAME, "v6"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, NAME, VERSION_NO_VERDICT), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, NAME, "v7"), ERR_OK);
	assert_false(account_now(vault, ASSET, NAME).mismatch);
	vault_close(vault);
}

static enum err mismatch_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	(void)arg;
	return account_mismatch(txn, ASSET, NAME, SECRET_PASSWORD, 1, error);
}

static enum err prove_first_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	(void)arg;
	return account_prove(txn, ASSET, NAME, SECRET_PASSWORD, 1, PROOF_LOGIN, error);
}

/* What was seen of one version says nothing of another that was told meanwhile. */
static void test_seen_too_late(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, ASSET, NAME, "old"), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, NAME, "new"), ERR_OK);
	assert_int_equal(vault_write(vault, prove_first_apply, NULL, &place->error), ERR_OK);
	assert_int_equal(version_now(vault, ASSET, NAME, 2).proof, PROOF_TOLD);
	assert_int_equal(vault_write(vault, mismatch_apply, NULL, &place->error), ERR_OK);
	assert_false(account_now(vault, ASSET, NAME).mismatch);
	vault_close(vault);
}

/* What is seen not to work any more stays current: it is all that is known. */
static void test_mismatch(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account account;

	assert_int_equal(vault_write(vault, mismatch_apply, NULL, &place->error), ERR_NOT_FOUND);
	assert_int_equal(tell(place, vault, ASSET, NAME, "old"), ERR_OK);
	assert_int_equal(vault_write(vault, mismatch_apply, NULL, &place->error), ERR_OK);
	account = account_now(vault, ASSET, NAME);
	assert_int_equal(account_state(&account), ACCOUNT_MISMATCH);
	assert_int_equal(account.current, 1);
	assert_true(version_is(vault, ASSET, NAME, 1, "old"));
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	assert_false(account_now(vault, ASSET, NAME).mismatch);
	vault_close(vault);
}

static void test_best_proof_is_remembered(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_HASH), ERR_NOT_FOUND);
	assert_int_equal(tell(place, vault, ASSET, NAME, "x"), ERR_OK);
	place->clock.wall_ms += 1000;
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_HASH), ERR_OK);
	assert_int_equal(version_now(vault, ASSET, NAME, 1).proof, PROOF_HASH);
	assert_int_equal(version_now(vault, ASSET, NAME, 1).proved_ms, place->clock.wall_ms);
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	place->clock.wall_ms += 1000;
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_HASH), ERR_OK);
	assert_int_equal(version_now(vault, ASSET, NAME, 1).proof, PROOF_LOGIN);
	assert_int_equal(version_now(vault, ASSET, NAME, 1).proved_ms, place->clock.wall_ms);
	vault_close(vault);
}

/* ── Retention ───────────────────────────────────────────────────────────────────────────── */

struct numbers {
	uint32_t list[64];
	size_t count;
};

static bool number_add(void *arg, const struct version *version)
{
	struct numbers *numbers = arg;

	numbers->list[numbers->count++] = version->number;
	return true;
}

static struct numbers numbers_now(struct vault *vault)
{
	struct account account = account_now(vault, ASSET, NAME);
	struct vault_txn *txn = vault_read(vault);
	struct numbers numbers = {.count = 0};

	version_each(txn, &account, number_add, &numbers);
	vault_read_end(txn);
	return numbers;
}

static void test_retention(void **state)
{
	struct place *place = *state;
	struct vault *vault;
	struct numbers numbers;
	struct error error;

	place->config.keep_versions = 2;
	vault = must_create(place);
	assert_int_equal(tell(place, vault, ASSET, NAME, "v1"), ERR_OK);
	/* Retired ones are kept until a newer one is seen to work. */
	for (int i = 2; i <= 6; i++) {
		assert_int_equal(stage(place, vault, ASSET, NAME, "n"), ERR_OK);
		assert_int_equal(retire(place, vault, ASSET, NAME,
				     i % 2 ? VERSION_NO_VERDICT : VERSION_NOT_LIVE),
		    ERR_OK);
	}
	assert_int_equal(numbers_now(vault).count, 6);
	assert_int_equal(prove(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, NAME, "v7"), ERR_OK);
	assert_int_equal(numbers_now(vault).count, 7);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);

	/* Current 7, previous 1 (old as it is), and the two newest retired. */
	numbers = numbers_now(vault);
	assert_int_equal(numbers.count, 4);
	assert_int_equal(numbers.list[0], 7);
	assert_int_equal(numbers.list[1], 6);
	assert_int_equal(numbers.list[2], 5);
	assert_int_equal(numbers.list[3], 1);
	assert_true(version_is(vault, ASSET, NAME, 1, "v1"));
	assert_int_equal(version_try(vault, ASSET, NAME, 4, &error), ERR_NOT_FOUND);
	assert_non_null(strstr(error.text, "no version 4"));

	assert_int_equal(stage(place, vault, ASSET, NAME, "v8"), ERR_OK);
	assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_SU), ERR_OK);
	numbers = numbers_now(vault);
	assert_int_equal(numbers.count, 4);
	assert_int_equal(numbers.list[0], 8);
	assert_int_equal(numbers.list[1], 7);
	assert_int_equal(numbers.list[2], 6);
	assert_int_equal(numbers.list[3], 5);
	vault_close(vault);
}

static void test_keeps_ten_by_default(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	for (int i = 0; i < 30; i++) {
		assert_int_equal(stage(place, vault, ASSET, NAME, "n"), ERR_OK);
		assert_int_equal(promote(place, vault, ASSET, NAME, PROOF_LOGIN), ERR_OK);
	}
	assert_int_equal(numbers_now(vault).count, 12);
	vault_close(vault);
}

/* ── Lists ───────────────────────────────────────────────────────────────────────────────── */

struct names {
	char text[512];
	size_t stop_after;
	size_t count;
};

static bool name_add(void *arg, const struct account *account)
{
	struct names *names = arg;
	size_t len = strlen(names->text);

	snprintf(
	    names->text + len, sizeof(names->text) - len, "%s/%s ", account->asset, account->name);
	return ++names->count != names->stop_after;
}

static void test_lists(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct names all = {.count = 0}, one = {.count = 0}, doubts = {.count = 0};
	struct names two = {.stop_after = 2}, none = {.count = 0};
	struct vault_txn *txn;

	assert_int_equal(tell(place, vault, "web1", "root", "x"), ERR_OK);
	assert_int_equal(tell(place, vault, "web", "z", "x"), ERR_OK);
	assert_int_equal(tell(place, vault, "web", "a", "x"), ERR_OK);
	assert_int_equal(tell(place, vault, "web-2", "a", "x"), ERR_OK);
	assert_int_equal(stage(place, vault, "web1", "root", "x"), ERR_OK);
	assert_int_equal(stage(place, vault, "web", "a", "x"), ERR_OK);
	assert_int_equal(stage(place, vault, "new", "a", "x"), ERR_OK);
	assert_int_equal(promote(place, vault, "new", "a", PROOF_LOGIN), ERR_OK);
	txn = vault_read(vault);
	account_each(txn, NULL, name_add, &all);
	assert_string_equal(all.text, "new/a web/a web/z web-2/a web1/root ");
	account_each(txn, "web", name_add, &one);
	assert_string_equal(one.text, "web/a web/z ");
	account_each(txn, "we", name_add, &none);
	assert_string_equal(none.text, "");
	account_each(txn, NULL, name_add, &two);
	assert_string_equal(two.text, "new/a web/a ");
	account_each_in_doubt(txn, name_add, &doubts);
	assert_string_equal(doubts.text, "web/a web1/root ");
	vault_read_end(txn);
	vault_close(vault);
}

struct settling {
	struct vault_txn *txn;
	size_t count;
};

static bool settle_one(void *arg, const struct account *account)
{
	struct settling *settling = arg;

	settling->count++;
	return account_retire(settling->txn, account->asset, account->name, account->kind,
		   VERSION_NOT_LIVE, NULL, NULL) == ERR_OK;
}

static enum err settle_all(struct vault_txn *txn, void *arg, struct error *error)
{
	struct settling *settling = arg;

	(void)error;
	settling->txn = txn;
	settling->count = 0;
	account_each_in_doubt(txn, settle_one, settling);
	return ERR_OK;
}

/* The list may be changed by whoever walks it. */
static void test_doubts_settled_while_walking(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct settling settling;
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%02d", i);
		assert_int_equal(stage(place, vault, ASSET, name, "x"), ERR_OK);
	}
	assert_int_equal(vault_write(vault, settle_all, &settling, NULL), ERR_OK);
	assert_int_equal(settling.count, 50);
	assert_int_equal(vault_write(vault, settle_all, &settling, NULL), ERR_OK);
	assert_int_equal(settling.count, 0);
	vault_close(vault);
}

static void test_names(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char name[ACCOUNT_NAME_SIZE + 1];

	memset(name, 'n', sizeof(name));
	name[ACCOUNT_NAME_SIZE] = '\0';
	assert_int_equal(tell(place, vault, ASSET, "", "x"), ERR_INVALID);
	assert_int_equal(tell(place, vault, "", NAME, "x"), ERR_INVALID);
	assert_int_equal(tell(place, vault, ASSET, name, "x"), ERR_INVALID);
	assert_int_equal(stage(place, vault, name, NAME, "x"), ERR_INVALID);
	assert_int_equal(promote(place, vault, name, NAME, PROOF_LOGIN), ERR_NOT_FOUND);
	name[ACCOUNT_NAME_SIZE - 1] = '\0';
	assert_int_equal(tell(place, vault, name, name, "x"), ERR_OK);
	assert_true(version_is(vault, name, name, 1, "x"));
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told),
	    TEST(test_staged_then_promoted),
	    TEST(test_first_rotation_without_current),
	    TEST(test_retired),
	    TEST(test_mismatch),
	    TEST(test_seen_too_late),
	    TEST(test_best_proof_is_remembered),
	    TEST(test_retention),
	    TEST(test_keeps_ten_by_default),
	    TEST(test_lists),
	    TEST(test_doubts_settled_while_walking),
	    TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
