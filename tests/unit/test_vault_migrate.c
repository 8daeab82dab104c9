/*
 * Vaults of schema 1, where an account had one row for secrets of both kinds: their rows are made
 * by hand here, and must be whole after the next open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pack.h"
#include "vault/store.h"
#include "vault/version.h"
#include "vault_help.h"

#define ASSET "web01.example.com"

/* ── An old vault ────────────────────────────────────────────────────────────────────────── */

/* What an old account's row said. */
struct old {
	const char *name;
	const char *kinds; /* of its versions, in order: "pk" is a password, then a key */
	uint32_t current, pending, previous;
	bool mismatch;
	uint32_t no_verdict; /* this version ended so */
};

/* Their seals, by the vault itself: account id and number are what they are bound to, then and
 * now. */
static struct id old_versions(struct place *place, struct vault *vault, const struct old *old)
{
	struct account account;

	for (size_t i = 0; old->kinds[i] != '\0'; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s %zu", old->name, i + 1);
		assert_int_equal(tell_kind(place, vault, ASSET, old->name,
				     old->kinds[i] == 'k' ? SECRET_KEY : SECRET_PASSWORD, text),
		    ERR_OK);
	}
	account = account_kind_now(
	    vault, ASSET, old->name, old->kinds[0] == 'k' ? SECRET_KEY : SECRET_PASSWORD);
	return account.id;
}

static void old_version_ends(struct vault_txn *txn, const struct old *old, const struct id *id)
{
	for (uint32_t number = 1; number <= strlen(old->kinds); number++) {
		struct account account = {
		    .id = *id,
		    .kind = old->kinds[number - 1] == 'k' ? SECRET_KEY : SECRET_PASSWORD,
		};
		bool staged =
		    number == old->current || number == old->pending || number == old->previous;
		struct version version;

		assert_int_equal(version_get(txn, &account, number, &version), ERR_OK);
		version.end = staged			  ? VERSION_LIVE
			      : number == old->no_verdict ? VERSION_NO_VERDICT
							  : VERSION_REPLACED;
		version.ended_ms = staged ? 0 : 1234;
		assert_int_equal(version_put(txn, id, &version), ERR_OK);
	}
}

static void old_row(struct vault_txn *txn, const struct old *old, const struct id *id)
{
	struct id record = {{9}};
	struct key key = key_of_names(ASSET, old->name);
	struct buf row;

	for (uint8_t kind = 0; kind < SECRET_KIND_COUNT; kind++) {
		struct key split = key_of_account(ASSET, old->name, kind);

		assert_int_equal(store_del(txn, TABLE_ACCOUNT, &split), ERR_OK);
	}
	buf_init(&row, 1024);
	pack_map(&row, 10);
	pack_kv_id(&row, "id", id);
	pack_kv_text(&row, "a", ASSET);
	pack_kv_text(&row, "n", old->name);
	pack_kv_uint(&row, "c", old->current);
	pack_kv_uint(&row, "p", old->pending);
	pack_kv_uint(&row, "o", old->previous);
	pack_kv_uint(&row, "l", strlen(old->kinds));
	pack_kv_bool(&row, "m", old->mismatch);
	pack_kv_id(&row, "r", &record);
	pack_kv_uint(&row, "t", 777);
	assert_int_equal(store_put(txn, TABLE_ACCOUNT, &key, row.data, row.len), ERR_OK);
	if (old->pending != 0)
		assert_int_equal(store_put(txn, TABLE_DOUBT, &key, NULL, 0), ERR_OK);
	buf_clear(&row);
}

static void old_schema(struct vault_txn *txn)
{
	struct key key = key_of_word("schema");
	struct buf row;

	buf_init(&row, 64);
	pack_map(&row, 1);
	pack_kv_uint(&row, "n", 1);
	assert_int_equal(store_put(txn, TABLE_META, &key, row.data, row.len), ERR_OK);
	buf_clear(&row);
}

static void old_vault(struct place *place, const struct old *olds, size_t count)
{
	struct vault *vault = must_create(place);
	struct id ids[8];
	struct store *store;
	struct vault_txn txn;

	for (size_t i = 0; i < count; i++)
		ids[i] = old_versions(place, vault, &olds[i]);
	vault_close(vault);
	assert_int_equal(store_open(&store, place->dir, 0, true, NULL), ERR_OK);
	assert_int_equal(store_begin(store, true, &txn, NULL), ERR_OK);
	for (size_t i = 0; i < count; i++) {
		old_version_ends(&txn, &olds[i], &ids[i]);
		old_row(&txn, &olds[i], &ids[i]);
	}
	old_schema(&txn);
	assert_int_equal(store_commit(&txn, NULL), ERR_OK);
	store_close(store);
}

/* ── What it comes to ────────────────────────────────────────────────────────────────────── */

static void assert_row(const struct account *account, uint32_t current, uint32_t previous,
    uint32_t pending, bool mismatch)
{
	assert_int_equal(account->current, current);
	assert_int_equal(account->previous, previous);
	assert_int_equal(account->pending, pending);
	assert_int_equal(account->mismatch, mismatch);
}

static bool has(struct vault *vault, const char *name, enum secret_kind kind)
{
	struct vault_txn *txn = vault_read(vault);
	struct account account;
	bool found = account_get(txn, ASSET, name, kind, &account) == ERR_OK;

	vault_read_end(txn);
	return found;
}

static void test_one_kind(void **state)
{
	static const struct old olds[] = {
	    {"keys", "kk", .current = 2, .previous = 1},
	    {"words", "pppp", .current = 3, .previous = 2, .pending = 4},
	    {"lost", "pp", .current = 1, .mismatch = true, .no_verdict = 2},
	};
	struct place *place = *state;
	struct account account;
	struct vault *vault;

	old_vault(place, olds, 3);
	vault = must_open(place);
	account = account_kind_now(vault, ASSET, "keys", SECRET_KEY);
	assert_row(&account, 2, 1, 0, false);
	assert_int_equal(account.changed_ms, 777);
	assert_int_equal(account.last, 2);
	assert_false(has(vault, "keys", SECRET_PASSWORD));
	assert_true(version_kind_is(vault, ASSET, "keys", SECRET_KEY, 2, "keys 2"));

	account = account_now(vault, ASSET, "words");
	assert_row(&account, 3, 2, 4, false);
	assert_int_equal(account.pending_record.bytes[0], 9);
	assert_true(version_is(vault, ASSET, "words", 4, "words 4"));
	assert_int_equal(version_now(vault, ASSET, "words", 1).end, VERSION_REPLACED);
	assert_false(has(vault, "words", SECRET_KEY));
	assert_int_equal(promote(place, vault, ASSET, "words", PROOF_LOGIN), ERR_OK);

	account = account_now(vault, ASSET, "lost");
	assert_row(&account, 1, 0, 0, true);
	vault_close(vault);
}

/* Each kind has its own back: the key that stood in for a password does not hide it. */
static void test_both_kinds(void **state)
{
	static const struct old olds[] = {
	    {"admin", "ppk", .current = 3, .previous = 2},
	    {"turned", "pkk", .current = 3, .previous = 2},
	    {"staged", "pkp", .current = 2, .previous = 1, .pending = 3},
	    {"again", "kpk", .current = 3, .previous = 2},
	    {"doubtful", "ppk", .current = 3, .previous = 1, .no_verdict = 2},
	};
	struct place *place = *state;
	struct account account;
	struct vault *vault;

	old_vault(place, olds, 5);
	vault = must_open(place);
	account = account_kind_now(vault, ASSET, "admin", SECRET_KEY);
	assert_row(&account, 3, 0, 0, false);
	account = account_now(vault, ASSET, "admin");
	assert_row(&account, 2, 0, 0, false);
	assert_int_equal(account.changed_ms, place->clock.wall_ms);
	assert_true(version_is(vault, ASSET, "admin", 1, "admin 1"));

	account = account_now(vault, ASSET, "turned");
	assert_row(&account, 1, 0, 0, false);
	assert_int_equal(version_now(vault, ASSET, "turned", 1).end, VERSION_LIVE);
	assert_int_equal(version_now(vault, ASSET, "turned", 1).ended_ms, 0);
	account = account_kind_now(vault, ASSET, "turned", SECRET_KEY);
	assert_row(&account, 3, 2, 0, false);

	account = account_now(vault, ASSET, "staged");
	assert_row(&account, 1, 0, 3, false);
	account = account_kind_now(vault, ASSET, "staged", SECRET_KEY);
	assert_row(&account, 2, 0, 0, false);

	account = account_kind_now(vault, ASSET, "again", SECRET_KEY);
	assert_row(&account, 3, 0, 0, false);
	assert_int_equal(
	    version_kind_now(vault, ASSET, "again", SECRET_KEY, 1).end, VERSION_REPLACED);

	account = account_now(vault, ASSET, "doubtful");
	assert_row(&account, 1, 0, 0, true);
	/* Numbers go on above all that were ever given. */
	assert_int_equal(tell(place, vault, ASSET, "doubtful", "new"), ERR_OK);
	assert_int_equal(account_now(vault, ASSET, "doubtful").current, 4);
	vault_close(vault);
}

static bool count_one(void *arg, const struct account *account)
{
	(void)account;
	++*(size_t *)arg;
	return true;
}

static void test_nothing_old_is_left(void **state)
{
	static const struct old olds[] = {
	    {"a", "pkp", .current = 2, .previous = 1, .pending = 3},
	    {"b", "p", .current = 1},
	};
	struct place *place = *state;
	size_t rows = 0, doubts = 0;
	struct vault_txn *txn;
	struct vault *vault;

	old_vault(place, olds, 2);
	vault_close(must_open(place));
	vault = must_open(place); /* and again, with nothing to do */
	txn = vault_read(vault);
	account_each(txn, NULL, count_one, &rows);
	account_each_in_doubt(txn, count_one, &doubts);
	vault_read_end(txn);
	assert_int_equal(rows, 3);
	assert_int_equal(doubts, 1);
	vault_close(vault);
}

/* Attempts that schema 2 booked count on, whatever the machine's other clock says. */
static void test_attempts(void **state)
{
	static const struct lockout lockout = {.limit = 3, .window_ms = 60000};
	struct place *place = *state;
	uint64_t now_ms = place->clock.wall_ms;
	struct key key = key_of_names(ASSET, "app");
	struct store *store;
	struct vault_txn txn, *read;
	struct vault *vault;
	struct buf row;

	old_vault(place, NULL, 0);
	buf_init(&row, 64);
	pack_array(&row, 2);
	pack_uint(&row, now_ms);
	pack_uint(&row, 2);
	assert_int_equal(store_open(&store, place->dir, 0, true, NULL), ERR_OK);
	assert_int_equal(store_begin(store, true, &txn, NULL), ERR_OK);
	assert_int_equal(store_put(&txn, TABLE_PROBE, &key, row.data, row.len), ERR_OK);
	assert_int_equal(store_commit(&txn, NULL), ERR_OK);
	store_close(store);
	buf_clear(&row);
	place->clock.mono_ms = 100000;
	vault = must_open(place);
	read = vault_read(vault);
	assert_int_equal(probe_count(read, ASSET, "app", &lockout, now_ms + 59999), 2);
	assert_int_equal(probe_count(read, ASSET, "app", &lockout, now_ms + 60000), 0);
	vault_read_end(read);
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_kind),
	    TEST(test_both_kinds),
	    TEST(test_nothing_old_is_left),
	    TEST(test_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
