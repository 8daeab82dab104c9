/* Who has seen which version: remembered for as long as it may open the account, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/audit.h"
#include "vault/row.h"
#include "vault/seen.h"
#include "vault_help.h"

struct sight {
	const char *who;
	uint32_t version; /* 0 = all there is */
};

static enum err see_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct sight *sight = arg;
	struct account account;

	(void)error;
	assert_int_equal(account_get(txn, "web1", "app", SECRET_PASSWORD, &account), ERR_OK);
	return sight->version == 0 ? seen_put_all(txn, sight->who)
				   : seen_put(txn, &account.id, sight->version, sight->who);
}

static void see(struct place *place, struct vault *vault, const char *who, uint32_t version)
{
	struct sight sight = {who, version};

	place->clock.wall_ms += 1000;
	assert_int_equal(vault_write(vault, see_apply, &sight, &place->error), ERR_OK);
	place->clock.wall_ms += 1000;
}

static bool knows_since(struct vault *vault, const char *who, enum secret_kind kind, uint64_t ms)
{
	struct vault_txn *txn = vault_read(vault);
	struct account account;
	bool knows = account_get(txn, "web1", "app", kind, &account) == ERR_OK &&
		     seen_may_open(txn, &account, who, ms);

	vault_read_end(txn);
	return knows;
}

static bool knows(struct vault *vault, const char *who)
{
	return knows_since(vault, who, SECRET_PASSWORD, 0);
}

static void rotate(struct place *place, struct vault *vault, const char *secret)
{
	place->clock.wall_ms += 1000;
	assert_int_equal(stage(place, vault, "web1", "app", secret), ERR_OK);
	assert_int_equal(promote(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	place->clock.wall_ms += 1000;
}

static struct vault *begin(struct place *place)
{
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	return vault;
}

/* Until a rotation was seen to work, and of one person only. */
static void test_until_rotated(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	see(place, vault, "ann", 1);
	assert_true(knows(vault, "ann"));
	assert_false(knows(vault, "an"));
	assert_false(knows(vault, "anna"));
	assert_int_equal(stage(place, vault, "web1", "app", "two"), ERR_OK);
	assert_true(knows(vault, "ann"));
	assert_int_equal(retire(place, vault, "web1", "app", VERSION_NO_VERDICT), ERR_OK);
	assert_true(knows(vault, "ann"));
	rotate(place, vault, "three");
	assert_false(knows(vault, "ann"));
	vault_close(vault);
	vault = must_open(place);
	assert_false(knows(vault, "ann"));
	vault_close(vault);
}

/* What someone tells is no proof that the one before opens no more, and may be the same. */
static void test_told_is_no_rotation(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	see(place, vault, "ann", 1);
	assert_int_equal(tell(place, vault, "web1", "app", "other"), ERR_OK);
	assert_int_equal(prove(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	assert_true(knows(vault, "ann"));
	vault_close(vault);
}

/* A version that was proven not to be the account's tells nothing. */
static void test_not_live(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	assert_int_equal(stage(place, vault, "web1", "app", "two"), ERR_OK);
	see(place, vault, "ann", 2);
	assert_true(knows(vault, "ann"));
	assert_int_equal(retire(place, vault, "web1", "app", VERSION_NOT_LIVE), ERR_OK);
	assert_false(knows(vault, "ann"));
	vault_close(vault);
}

/* The same secret again, by a restore or a task that specifies it, is known to the same people. */
static void test_same_secret(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	see(place, vault, "ann", 1);
	rotate(place, vault, "two");
	see(place, vault, "bob", 2);
	assert_false(knows(vault, "ann"));
	rotate(place, vault, "one");
	assert_true(knows(vault, "ann"));
	assert_false(knows(vault, "bob"));
	rotate(place, vault, "one");
	assert_true(knows(vault, "ann"));
	rotate(place, vault, "five");
	assert_false(knows(vault, "ann"));
	vault_close(vault);
}

/* An account's password and key are apart. */
static void test_kinds(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	assert_int_equal(tell_kind(place, vault, "web1", "app", SECRET_KEY, "key"), ERR_OK);
	see(place, vault, "ann", 2);
	assert_false(knows(vault, "ann"));
	assert_true(knows_since(vault, "ann", SECRET_KEY, 0));
	rotate(place, vault, "two");
	assert_true(knows_since(vault, "ann", SECRET_KEY, 0));
	vault_close(vault);
}

static void test_since(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	uint64_t before_ms;

	see(place, vault, "ann", 1);
	before_ms = place->clock.wall_ms;
	assert_false(knows_since(vault, "ann", SECRET_PASSWORD, before_ms));
	see(place, vault, "ann", 1);
	assert_true(knows_since(vault, "ann", SECRET_PASSWORD, before_ms));
	vault_close(vault);
}

/* An export has all that there was, and nothing that was made since. */
static void test_all(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct vault_txn *txn;

	see(place, vault, "ann", 0);
	assert_true(knows(vault, "ann"));
	rotate(place, vault, "two");
	assert_false(knows(vault, "ann"));
	txn = vault_read(vault);
	assert_true(seen_knows(txn, "ann"));
	assert_false(seen_knows(txn, "bob"));
	vault_read_end(txn);
	vault_close(vault);
}

static size_t seen_rows(struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	struct key key = {.bytes = {0}, .len = 1};
	struct bytes row;
	size_t count = 0;

	while (store_step(txn, TABLE_SEEN, STEP_UP, &key, &row) == ERR_OK)
		count++;
	vault_read_end(txn);
	return count;
}

/* The index goes with the versions that it is about. */
static void test_goes_with_its_version(void **state)
{
	struct place *place = *state;
	struct vault *vault;
	char secret[16];

	place->config.keep_versions = 2;
	vault = begin(place);
	see(place, vault, "ann", 1);
	see(place, vault, "bob", 1);
	assert_int_equal(seen_rows(vault), 4);
	for (int i = 0; i < 6; i++) {
		snprintf(secret, sizeof(secret), "next%d", i);
		rotate(place, vault, secret);
	}
	assert_int_equal(seen_rows(vault), 2); /* of ann and bob */
	vault_close(vault);
}

/* ── From the audit log ──────────────────────────────────────────────────────────────────── */

static enum err append_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return audit_append(txn, arg, error);
}

static void append(struct vault *vault, struct audit_event event)
{
	struct error error;

	event.who.user = event.who.user != NULL ? event.who.user : "ann";
	assert_int_equal(vault_write(vault, append_apply, &event, &error), ERR_OK);
}

static void make_older(struct place *place)
{
	struct key schema = key_of_word("schema");
	struct store *store;
	struct vault_txn txn;
	struct buf row;

	assert_int_equal(store_open(&store, place->dir, 0, true, NULL), ERR_OK);
	assert_int_equal(store_begin(store, true, &txn, NULL), ERR_OK);
	buf_init(&row, 64);
	pack_map(&row, 1);
	pack_kv_uint(&row, "n", 5);
	assert_int_equal(store_put(&txn, TABLE_META, &schema, row.data, row.len), ERR_OK);
	buf_clear(&row);
	assert_int_equal(store_commit(&txn, NULL), ERR_OK);
	store_close(store);
}

/* A vault of an older release: what was revealed is read from its log, under the asset's new name
 * too, and what was refused is not. */
static void test_older_vault(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	place->clock.wall_ms += 1000;
	append(vault, (struct audit_event){.what = AUDIT_REVEAL,
			  .asset = "old1",
			  .account = "app",
			  .object = "password",
			  .version = 1});
	append(
	    vault, (struct audit_event){.what = AUDIT_RENAME, .asset = "old1", .object = "web1"});
	append(vault, (struct audit_event){.what = AUDIT_REVEAL,
			  .outcome = AUDIT_REFUSED,
			  .who = {.user = "bob"},
			  .asset = "web1",
			  .account = "app",
			  .object = "password",
			  .version = 1});
	append(vault, (struct audit_event){.what = AUDIT_EXPORT, .who = {.user = "eve"}});
	assert_false(knows(vault, "ann"));
	vault_close(vault);
	make_older(place);
	vault = must_open(place);
	assert_true(knows(vault, "ann"));
	assert_false(knows(vault, "bob"));
	assert_true(knows(vault, "eve"));
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_until_rotated),
	    TEST(test_told_is_no_rotation),
	    TEST(test_not_live),
	    TEST(test_same_secret),
	    TEST(test_kinds),
	    TEST(test_since),
	    TEST(test_all),
	    TEST(test_goes_with_its_version),
	    TEST(test_older_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
