/*
 * What is counted and indexed, against what was done; that a recount sees what is wrong; and that a
 * vault from before has it all after its next open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pack.h"
#include "vault/store.h"
#include "vault_help.h"

#define DAY_MS UINT64_C(86400000)
#define ASSET  "web01"

static struct execution execution_at(struct vault *vault, uint64_t started_ms)
{
	struct execution execution = {
	    .id = id_make(started_ms),
	    .task = "weekly",
	    .trigger = "manual",
	    .started_ms = started_ms,
	};

	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	return execution;
}

static struct record record_of(
    const struct execution *execution, const char *account, const char *task, enum status status)
{
	struct record record = {
	    .id = id_make(execution->started_ms),
	    .execution = execution->id,
	    .asset = ASSET,
	    .status = status,
	    .ended_ms = execution->started_ms + 1,
	};

	snprintf(record.account, sizeof(record.account), "%s", account);
	snprintf(record.task, sizeof(record.task), "%s", task);
	record.look = task[0] == '\0';
	return record;
}

static struct record put(struct vault *vault, const struct execution *execution,
    const char *account, const char *task, enum status status)
{
	struct record record = record_of(execution, account, task, status);

	assert_int_equal(put_record(vault, &record), ERR_OK);
	return record;
}

static void put_as(
    struct vault *vault, struct record *record, enum status status, uint64_t ended_ms)
{
	record->status = status;
	record->ended_ms = ended_ms;
	assert_int_equal(put_record(vault, record), ERR_OK);
}

static struct totals totals_now(struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	struct error error;
	struct totals totals;

	vault_totals(txn, &totals);
	if (vault_recount(txn, &error) != ERR_OK)
		fail_msg("%s", error.text);
	vault_read_end(txn);
	return totals;
}

static bool keep_day(void *arg, const struct day *day)
{
	*(struct day *)arg = *day;
	return false;
}

static struct day day_now(struct vault *vault, uint32_t number)
{
	struct vault_txn *txn = vault_read(vault);
	struct day day = {.number = UINT32_MAX};

	day_each(txn, number, keep_day, &day);
	vault_read_end(txn);
	return day.number == number ? day : (struct day){.number = number};
}

struct seen {
	struct id ids[16];
	size_t count;
};

static bool see(void *arg, const struct record *record)
{
	struct seen *seen = arg;

	assert_true(seen->count < 16);
	seen->ids[seen->count++] = record->id;
	return true;
}

static struct seen failing_now(struct vault *vault)
{
	const struct id newest = {{0}};
	struct vault_txn *txn = vault_read(vault);
	struct seen seen = {.count = 0};

	failing_each(txn, &newest, see, &seen);
	vault_read_end(txn);
	assert_int_equal(seen.count, totals_now(vault).failing);
	return seen;
}

static void assert_fails_by(struct vault *vault, const struct record *record)
{
	struct seen seen = failing_now(vault);

	assert_int_equal(seen.count, record == NULL ? 0 : 1);
	if (record != NULL)
		assert_true(id_equal(&seen.ids[0], &record->id));
}

/* ── Days ────────────────────────────────────────────────────────────────────────────────── */

static void test_records_by_day(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_at(vault, 10 * DAY_MS);
	struct record record = record_of(&execution, "app", "weekly", STATUS_PLANNED);

	put_as(vault, &record, STATUS_PLANNED, 0);
	assert_int_equal(day_now(vault, 10).records.by_status[STATUS_PLANNED], 0);
	put_as(vault, &record, STATUS_UNVERIFIED, 11 * DAY_MS - 1);
	assert_int_equal(day_now(vault, 10).records.by_status[STATUS_UNVERIFIED], 1);
	/* Settled on another day: it is counted for that one alone. */
	put_as(vault, &record, STATUS_SUCCESS, 11 * DAY_MS);
	assert_int_equal(day_now(vault, 10).records.by_status[STATUS_UNVERIFIED], 0);
	assert_int_equal(day_now(vault, 11).records.by_status[STATUS_SUCCESS], 1);
	assert_int_equal(totals_now(vault).records.by_status[STATUS_SUCCESS], 1);
	vault_close(vault);
}

static void assert_outcomes(struct vault *vault, uint64_t running, uint64_t good, uint64_t bad)
{
	struct day day = day_now(vault, 10);

	assert_int_equal(day.executions[OUTCOME_RUNNING], running);
	assert_int_equal(day.executions[OUTCOME_SUCCEEDED], good);
	assert_int_equal(day.executions[OUTCOME_FAILED], bad);
	(void)totals_now(vault);
}

static void test_executions_by_day(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution good = execution_at(vault, 10 * DAY_MS);
	struct execution bad = execution_at(vault, 10 * DAY_MS + 1);
	struct record record = put(vault, &bad, "app", "weekly", STATUS_UNVERIFIED);

	assert_outcomes(vault, 2, 0, 0);
	good.ended_ms = bad.ended_ms = 10 * DAY_MS + 2;
	assert_int_equal(put_execution(vault, &good), ERR_OK);
	assert_int_equal(put_execution(vault, &bad), ERR_OK);
	assert_outcomes(vault, 0, 1, 1);
	/* What was in doubt is settled after its execution has ended. */
	put_as(vault, &record, STATUS_SUCCESS, 12 * DAY_MS);
	assert_outcomes(vault, 0, 2, 0);
	good.interrupted = true;
	assert_int_equal(put_execution(vault, &good), ERR_OK);
	assert_outcomes(vault, 0, 1, 1);
	vault_close(vault);
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

static void assert_states(
    struct vault *vault, uint64_t current, uint64_t in_doubt, uint64_t mismatch)
{
	struct totals totals = totals_now(vault);

	assert_int_equal(totals.accounts[ACCOUNT_CURRENT], current);
	assert_int_equal(totals.accounts[ACCOUNT_IN_DOUBT], in_doubt);
	assert_int_equal(totals.accounts[ACCOUNT_MISMATCH], mismatch);
}

static enum err rename_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct renamed renamed;

	(void)arg;
	return asset_rename(txn, ASSET, "web02", &renamed, error);
}

static void test_accounts_by_state_and_age(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	place->clock.wall_ms = 20 * DAY_MS;
	assert_int_equal(tell(place, vault, ASSET, "app", "a"), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, "db", "b"), ERR_OK);
	assert_states(vault, 2, 0, 0);
	assert_int_equal(day_now(vault, 20).secrets, 2);
	place->clock.wall_ms = 21 * DAY_MS;
	assert_int_equal(stage(place, vault, ASSET, "app", "c"), ERR_OK);
	assert_states(vault, 1, 1, 0);
	assert_int_equal(day_now(vault, 20).secrets, 2);
	assert_int_equal(promote(place, vault, ASSET, "app", PROOF_LOGIN), ERR_OK);
	assert_states(vault, 2, 0, 0);
	assert_int_equal(day_now(vault, 20).secrets, 1);
	assert_int_equal(day_now(vault, 21).secrets, 1);
	assert_int_equal(stage(place, vault, ASSET, "db", "d"), ERR_OK);
	assert_int_equal(retire(place, vault, ASSET, "db", VERSION_NO_VERDICT), ERR_OK);
	assert_states(vault, 1, 0, 1);
	assert_int_equal(vault_write(vault, rename_apply, NULL, NULL), ERR_OK);
	assert_states(vault, 1, 0, 1);
	vault_close(vault);
}

/* ── Accounts that fail ──────────────────────────────────────────────────────────────────── */

static void test_failing(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_at(vault, DAY_MS);
	struct record failed, look, doubt;

	assert_fails_by(vault, NULL);
	failed = put(vault, &execution, "app", "weekly", STATUS_FAILED);
	assert_fails_by(vault, &failed);
	/* What was left alone, or found to be as it was, does not mend it. */
	(void)put(vault, &execution, "app", "weekly", STATUS_SKIPPED);
	(void)put(vault, &execution, "app", "", STATUS_SUCCESS);
	assert_fails_by(vault, &failed);
	(void)put(vault, &execution, "app", "weekly", STATUS_SUCCESS);
	assert_fails_by(vault, NULL);
	look = put(vault, &execution, "app", "", STATUS_FAILED);
	assert_fails_by(vault, &look);
	(void)put(vault, &execution, "app", "", STATUS_SUCCESS);
	assert_fails_by(vault, NULL);
	doubt = put(vault, &execution, "app", "weekly", STATUS_UNVERIFIED);
	assert_fails_by(vault, &doubt);
	put_as(vault, &doubt, STATUS_SUCCESS, 2 * DAY_MS);
	assert_fails_by(vault, NULL);
	vault_close(vault);
}

static void test_failing_newest_first(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_at(vault, DAY_MS);
	struct record b = put(vault, &execution, "b", "weekly", STATUS_FAILED);
	struct record a = put(vault, &execution, "a", "weekly", STATUS_UNVERIFIED);
	struct record again = put(vault, &execution, "b", "weekly", STATUS_FAILED);
	struct record key = record_of(&execution, "a", "weekly", STATUS_FAILED);
	struct seen seen;

	key.kind = SECRET_KEY; /* of its own */
	assert_int_equal(put_record(vault, &key), ERR_OK);
	seen = failing_now(vault);
	assert_int_equal(seen.count, 3);
	assert_true(id_equal(&seen.ids[0], &key.id));
	assert_true(id_equal(&seen.ids[1], &again.id));
	assert_true(id_equal(&seen.ids[2], &a.id));
	/* An old record changes nothing any more; and whose it is stays. */
	put_as(vault, &b, STATUS_SUCCESS, DAY_MS);
	assert_int_equal(failing_now(vault).count, 3);
	strcpy(b.account, "c");
	assert_int_equal(put_record(vault, &b), ERR_INVALID);
	vault_close(vault);
}

struct saying {
	const struct record *record;
	const char *why;
};

static enum err say_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct saying *saying = arg;

	(void)error;
	return record_ignore(txn, &saying->record->id, "ann", saying->why);
}

static void say(struct vault *vault, const struct record *record, const char *why)
{
	struct saying saying = {record, why};

	assert_int_equal(vault_write(vault, say_apply, &saying, NULL), ERR_OK);
}

static struct record record_now(struct vault *vault, const struct record *record)
{
	struct vault_txn *txn = vault_read(vault);
	struct record now;

	assert_int_equal(record_get(txn, &record->id, &now), ERR_OK);
	vault_read_end(txn);
	return now;
}

static void test_ignored(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_at(vault, DAY_MS);
	struct record failed = put(vault, &execution, "app", "weekly", STATUS_FAILED), again;
	struct record now;

	place->clock.wall_ms = 5 * DAY_MS;
	say(vault, &failed, "it was taken down");
	assert_fails_by(vault, NULL);
	now = record_now(vault, &failed);
	assert_string_equal(now.ignored_by, "ann");
	assert_string_equal(now.ignored_why, "it was taken down");
	assert_int_equal(now.ignored_ms, 5 * DAY_MS);
	/* Whoever writes it again knows nothing of that. */
	failed.attempts = 3;
	assert_int_equal(put_record(vault, &failed), ERR_OK);
	now = record_now(vault, &failed);
	assert_int_equal(now.attempts, 3);
	assert_int_equal(now.ignored_ms, 5 * DAY_MS);
	assert_fails_by(vault, NULL);
	/* It is said of that record alone. */
	again = put(vault, &execution, "app", "weekly", STATUS_FAILED);
	assert_fails_by(vault, &again);
	say(vault, &again, "again");
	say(vault, &again, NULL);
	assert_fails_by(vault, &again);
	assert_string_equal(record_now(vault, &again).ignored_why, "");
	vault_close(vault);
}

static size_t with_status(
    struct vault *vault, const struct execution *execution, enum status status)
{
	struct vault_txn *txn = vault_read(vault);
	struct seen seen = {.count = 0};

	record_each_with(txn, &execution->id, status, &(struct id){{0}}, see, &seen);
	vault_read_end(txn);
	return seen.count;
}

static void test_records_with_a_status(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution one = execution_at(vault, 1), other = execution_at(vault, 2);
	struct record failed = put(vault, &one, "a", "weekly", STATUS_FAILED);

	(void)put(vault, &one, "b", "weekly", STATUS_SUCCESS);
	(void)put(vault, &one, "c", "weekly", STATUS_FAILED);
	(void)put(vault, &one, "d", "weekly", STATUS_PLANNED);
	(void)put(vault, &other, "a", "weekly", STATUS_FAILED);
	assert_int_equal(with_status(vault, &one, STATUS_FAILED), 2);
	assert_int_equal(with_status(vault, &one, STATUS_SUCCESS), 1);
	assert_int_equal(with_status(vault, &one, STATUS_PLANNED), 1);
	assert_int_equal(with_status(vault, &one, STATUS_UNVERIFIED), 0);
	assert_int_equal(with_status(vault, &other, STATUS_FAILED), 1);
	put_as(vault, &failed, STATUS_SUCCESS, 5);
	assert_int_equal(with_status(vault, &one, STATUS_FAILED), 1);
	assert_int_equal(with_status(vault, &one, STATUS_SUCCESS), 2);
	vault_close(vault);
}

/* ── What a recount sees, and what an older vault is given ───────────────────────────────── */

static void fill(struct place *place, struct vault *vault)
{
	struct execution execution = execution_at(vault, 3 * DAY_MS);

	(void)put(vault, &execution, "a", "weekly", STATUS_FAILED);
	(void)put(vault, &execution, "b", "weekly", STATUS_SUCCESS);
	(void)put(vault, &execution, "b", "", STATUS_SKIPPED);
	(void)put(vault, &execution, "c", "", STATUS_UNVERIFIED);
	execution.ended_ms = 4 * DAY_MS;
	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	assert_int_equal(tell(place, vault, ASSET, "a", "x"), ERR_OK);
	assert_int_equal(stage(place, vault, ASSET, "b", "y"), ERR_OK);
}

static bool empty_table(struct vault_txn *txn, enum table table)
{
	struct key key = {.len = 0};
	struct bytes row;
	bool any = false;

	key_add(&key, "", 1);
	while (store_step(txn, table, STEP_AT, &key, &row) == ERR_OK) {
		assert_int_equal(store_del(txn, table, &key), ERR_OK);
		any = true;
	}
	return any;
}

/* Takes away what `table` holds, behind the rules' back. */
static void spoil(struct place *place, enum table table)
{
	struct store *store;
	struct vault_txn txn;

	assert_int_equal(store_open(&store, place->dir, 0, true, NULL), ERR_OK);
	assert_int_equal(store_begin(store, true, &txn, NULL), ERR_OK);
	assert_true(empty_table(&txn, table));
	assert_int_equal(store_commit(&txn, NULL), ERR_OK);
	store_close(store);
}

static void test_recount_sees(void **state)
{
	static const enum table tables[] = {
	    TABLE_COUNT, TABLE_DAY, TABLE_BAD, TABLE_PAST, TABLE_FAILING};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct vault *vault = must_create(place);
		struct vault_txn *txn;
		struct error error;

		fill(place, vault);
		(void)totals_now(vault);
		vault_close(vault);
		spoil(place, tables[i]);
		vault = must_open(place);
		txn = vault_read(vault);
		assert_int_equal(vault_recount(txn, &error), ERR_CORRUPT);
		vault_read_end(txn);
		vault_close(vault);
		place_teardown(place);
		place_setup(place);
	}
}

/* Schema 3 had none of it. */
static void make_old(struct place *place)
{
	static const enum table tables[] = {TABLE_DAY, TABLE_BAD, TABLE_PAST, TABLE_FAILING};
	struct key schema = key_of_word("schema"), accounts = key_of_word("accounts"),
		   failing = key_of_word("failing");
	struct store *store;
	struct vault_txn txn;
	struct buf row;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		spoil(place, tables[i]);
	assert_int_equal(store_open(&store, place->dir, 0, true, NULL), ERR_OK);
	assert_int_equal(store_begin(store, true, &txn, NULL), ERR_OK);
	assert_int_equal(store_del(&txn, TABLE_COUNT, &accounts), ERR_OK);
	assert_int_equal(store_del(&txn, TABLE_COUNT, &failing), ERR_OK);
	buf_init(&row, 64);
	pack_map(&row, 1);
	pack_kv_uint(&row, "n", 3);
	assert_int_equal(store_put(&txn, TABLE_META, &schema, row.data, row.len), ERR_OK);
	buf_clear(&row);
	assert_int_equal(store_commit(&txn, NULL), ERR_OK);
	store_close(store);
}

static void test_older_vault(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct totals before, after;

	fill(place, vault);
	before = totals_now(vault);
	assert_int_equal(before.failing, 2);
	vault_close(vault);
	make_old(place);
	vault = must_open(place);
	after = totals_now(vault);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(failing_now(vault).count, 2);
	assert_int_equal(day_now(vault, 3).executions[OUTCOME_FAILED], 1);
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_records_by_day),
	    TEST(test_executions_by_day),
	    TEST(test_accounts_by_state_and_age),
	    TEST(test_failing),
	    TEST(test_failing_newest_first),
	    TEST(test_ignored),
	    TEST(test_records_with_a_status),
	    TEST(test_recount_sees),
	    TEST(test_older_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
