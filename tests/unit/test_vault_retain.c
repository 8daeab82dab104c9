/* Retention: what is old goes, step by step; what may be needed stays; what is counted stays right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "vault_help.h"

#define ASSET "web01"

static struct execution execution_at(struct vault *vault, uint64_t started_ms, bool ended)
{
	struct execution execution = {
	    .id = id_make(started_ms),
	    .task = "weekly",
	    .started_ms = started_ms,
	    .ended_ms = ended ? started_ms + 10 : 0,
	};

	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	return execution;
}

static struct record put(struct vault *vault, const struct execution *execution,
    const char *account, bool look, enum status status)
{
	struct record record = {
	    .id = id_make(execution->started_ms),
	    .execution = execution->id,
	    .task = "weekly",
	    .asset = ASSET,
	    .look = look,
	    .status = status,
	    .ended_ms = status >= STATUS_SUCCESS ? execution->started_ms + 5 : 0,
	};

	snprintf(record.account, sizeof(record.account), "%s", account);
	assert_int_equal(put_record(vault, &record), ERR_OK);
	return record;
}

struct removing {
	struct removal now, next;
};

static enum err remove_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct removing *removing = arg;

	(void)error;
	removing->next = removing->now;
	return vault_remove_old(txn, &removing->next);
}

static void recount(struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	struct error error;

	if (vault_recount(txn, &error) != ERR_OK)
		fail_msg("%s", error.text);
	vault_read_end(txn);
}

/* All that goes, and in how many steps. */
static struct removal remove_before(struct vault *vault, uint64_t before_ms, unsigned *steps)
{
	struct removing removing = {.now = {.before_ms = before_ms}};

	*steps = 0;
	do {
		assert_int_equal(vault_write(vault, remove_apply, &removing, NULL), ERR_OK);
		assert_true(removing.next.records + removing.next.executions -
				removing.now.records - removing.now.executions <=
			    500);
		removing.now = removing.next;
		++*steps;
	} while (removing.now.more);
	recount(vault);
	return removing.now;
}

static bool has_record(struct vault *vault, const struct record *record)
{
	struct vault_txn *txn = vault_read(vault);
	struct record found;
	bool has = record_get(txn, &record->id, &found) == ERR_OK;

	vault_read_end(txn);
	return has;
}

static bool has_execution(struct vault *vault, const struct execution *execution)
{
	struct vault_txn *txn = vault_read(vault);
	struct execution found;
	bool has = execution_get(txn, &execution->id, &found) == ERR_OK;

	vault_read_end(txn);
	return has;
}

struct staging {
	const struct record *record;
	struct secret *secret;
};

static enum err stage_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct staging *staging = arg;

	return account_stage(txn, ASSET, staging->record->account, SECRET_PASSWORD, staging->secret,
	    &staging->record->id, NULL, error);
}

/* Its account is in doubt by it. */
static void stage_by(struct vault *vault, const struct record *record, const char *secret)
{
	struct staging staging = {record, secret_of(secret)};

	assert_int_equal(vault_write(vault, stage_apply, &staging, NULL), ERR_OK);
	secret_free(staging.secret);
}

static void test_old_ones_go(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution old = execution_at(vault, 1000, true),
			 empty = execution_at(vault, 1001, true);
	struct execution later = execution_at(vault, 2000, true);
	struct record gone = put(vault, &old, "app", false, STATUS_FAILED);
	struct record last = put(vault, &later, "app", false, STATUS_SUCCESS);
	struct removal removal;
	unsigned steps;

	/* Not old enough yet. */
	removal = remove_before(vault, 1000, &steps);
	assert_int_equal(removal.records + removal.executions, 0);
	removal = remove_before(vault, 1500, &steps);
	assert_int_equal(removal.records, 1);
	assert_int_equal(removal.executions, 2);
	assert_int_equal(steps, 1);
	assert_false(has_record(vault, &gone));
	assert_false(has_execution(vault, &old));
	assert_false(has_execution(vault, &empty));
	/* The last one of an account stays, and its execution with it. */
	removal = remove_before(vault, UINT64_MAX, &steps);
	assert_int_equal(removal.records + removal.executions, 0);
	assert_true(has_record(vault, &last));
	assert_true(has_execution(vault, &later));
	vault_close(vault);
}

/* What a look or a skip says is no reason to forget the last change, nor the other way round. */
static void test_last_of_each_kind_stays(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution old = execution_at(vault, 1000, true);
	struct execution later = execution_at(vault, 2000, true);
	struct record change = put(vault, &old, "app", false, STATUS_FAILED);
	struct record look = put(vault, &old, "app", true, STATUS_SUCCESS);
	struct record skipped = put(vault, &old, "app", false, STATUS_SKIPPED);
	struct record look_later = put(vault, &later, "app", true, STATUS_SUCCESS);
	unsigned steps;

	assert_int_equal(remove_before(vault, UINT64_MAX, &steps).records, 1);
	assert_true(has_record(vault, &change));
	assert_false(has_record(vault, &look));
	assert_true(has_record(vault, &skipped));
	assert_true(has_record(vault, &look_later));
	vault_close(vault);
}

static void test_what_may_be_live_stays(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution old = execution_at(vault, 1000, true);
	struct execution running = execution_at(vault, 1001, false);
	struct record doubt, planned, staged, of_running;
	struct account account;
	unsigned steps;

	doubt = put(vault, &old, "app", false, STATUS_UNVERIFIED);
	planned = put(vault, &old, "db", false, STATUS_PLANNED);
	staged = put(vault, &old, "db", false, STATUS_STAGED);
	of_running = put(vault, &running, "svc", false, STATUS_SUCCESS);
	for (int i = 0; i < 3; i++) { /* later ones of each */
		struct execution later = execution_at(vault, 2000, true);

		(void)put(vault, &later, "app", false, STATUS_SKIPPED);
		(void)put(vault, &later, "app", false, STATUS_SUCCESS);
		(void)put(vault, &later, "db", false, STATUS_SUCCESS);
		(void)put(vault, &later, "svc", false, STATUS_SUCCESS);
	}
	stage_by(vault, &doubt, "secret");
	(void)remove_before(vault, UINT64_MAX, &steps);
	assert_true(has_record(vault, &doubt));
	assert_true(has_record(vault, &planned));
	assert_true(has_record(vault, &staged));
	assert_true(has_record(vault, &of_running));
	/* Once it is settled nothing holds it any more. */
	assert_int_equal(promote(place, vault, ASSET, "app", PROOF_LOGIN), ERR_OK);
	(void)remove_before(vault, UINT64_MAX, &steps);
	assert_false(has_record(vault, &doubt));
	account = account_now(vault, ASSET, "app");
	assert_true(version_is(vault, ASSET, "app", account.current, "secret"));
	vault_close(vault);
}

static void test_many_go_in_steps(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct removal removal;
	unsigned steps;

	for (uint64_t i = 0; i < 12; i++) {
		struct execution execution = execution_at(vault, 1000 + i, true);

		for (int k = 0; k < 100; k++)
			(void)put(vault, &execution, k % 2 == 0 ? "a" : "b", false, STATUS_SUCCESS);
	}
	removal = remove_before(vault, UINT64_MAX, &steps);
	assert_int_equal(removal.records, 12 * 100 - 2);
	assert_int_equal(removal.executions, 11);
	assert_int_equal(steps, 3);
	vault_close(vault);
}

/* ── At random ───────────────────────────────────────────────────────────────────────────── */

#define RECORDS 300

static uint32_t below(uint32_t limit)
{
	uint32_t value;

	random_bytes(&value, sizeof(value));
	return value % limit;
}

static bool is_needed(const struct record *records, size_t at, uint64_t before_ms)
{
	const struct record *record = &records[at];

	if (record->status < STATUS_SUCCESS || record->ended_ms >= before_ms)
		return true;
	for (size_t i = at + 1; i < RECORDS; i++) {
		const struct record *later = &records[i];
		bool skipped = record->status == STATUS_SKIPPED;

		if (strcmp(later->account, record->account) != 0 ||
		    later->status < STATUS_SUCCESS || skipped != (later->status == STATUS_SKIPPED))
			continue;
		if (skipped || later->look == record->look)
			return false;
	}
	return true;
}

static void test_random(void **state)
{
	static struct record records[RECORDS];
	struct place *place = *state;

	random_seed(20261127);
	for (int round = 0; round < 5; round++) {
		struct vault *vault = must_create(place);
		uint64_t before_ms = 1000 + below(30);
		struct execution execution;
		unsigned steps;

		for (size_t i = 0; i < RECORDS; i++) {
			char account[8];

			if (i % 10 == 0)
				execution = execution_at(vault, 1000 + i / 10, true);
			snprintf(account, sizeof(account), "a%u", below(20));
			records[i] = put(vault, &execution, account, below(3) == 0,
			    (enum status)below(STATUS_COUNT));
		}
		(void)remove_before(vault, before_ms, &steps);
		for (size_t i = 0; i < RECORDS; i++)
			assert_int_equal(
			    has_record(vault, &records[i]), is_needed(records, i, before_ms));
		vault_close(vault);
		place_teardown(place);
		place_setup(place);
		place->config.no_sync = true;
	}
	random_unseed();
}

static int begin(void **state)
{
	int failed = place_begin(state);

	((struct place *)*state)->config.no_sync = true;
	return failed;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_old_ones_go),
	    TEST(test_last_of_each_kind_stays),
	    TEST(test_what_may_be_live_stays),
	    TEST(test_many_go_in_steps),
	    TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
