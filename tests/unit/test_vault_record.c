#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "vault_help.h"

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	place_setup(place);
	place->config.no_sync = true;
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	place_teardown(*state);
	free(*state);
	return 0;
}

static struct execution execution_make(uint64_t wall_ms)
{
	struct execution execution;

	memset(&execution, 0, sizeof(execution)); /* it is compared, its gaps included */
	execution.id = id_make(wall_ms);
	snprintf(execution.task, sizeof(execution.task), "weekly");
	snprintf(execution.trigger, sizeof(execution.trigger), "manual");
	execution.started_ms = wall_ms;
	return execution;
}

static struct record record_make(const struct execution *execution, enum status status)
{
	struct record record;

	memset(&record, 0, sizeof(record)); /* likewise */
	record.id = id_make(execution->started_ms);
	record.execution = execution->id;
	snprintf(record.task, sizeof(record.task), "weekly");
	snprintf(record.asset, sizeof(record.asset), "web01.example.com");
	snprintf(record.account, sizeof(record.account), "app");
	record.status = status;
	record.planned_ms = execution->started_ms;
	return record;
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static void test_record_comes_back_whole(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_make(1000), execution_back;
	struct record record = record_make(&execution, STATUS_UNVERIFIED), back;
	struct vault_txn *txn;

	memset(record.error_message, 'm', sizeof(record.error_message) - 1);
	record.error_message[3] = '\x1b';
	record.error_message[4] = '\xff';
	memset(record.asset, 'a', sizeof(record.asset) - 1);
	strcpy(record.reason, "link_lost");
	strcpy(record.error_class, "uncertain");
	strcpy(record.error_code, "link");
	record.old_version = 3;
	record.new_version = UINT32_MAX;
	record.proof = PROOF_SU;
	record.attempts = 4;
	record.sends = 2;
	record.staged_ms = 11;
	record.sent_ms = 12;
	record.proved_ms = 13;
	record.ended_ms = UINT64_MAX;
	assert_int_equal(put_record(vault, &record), ERR_NOT_FOUND); /* no execution yet */
	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	assert_int_equal(put_record(vault, &record), ERR_OK);
	vault_close(vault);

	vault = must_open(place);
	txn = vault_read(vault);
	assert_int_equal(record_get(txn, &record.id, &back), ERR_OK);
	assert_memory_equal(&back, &record, sizeof(record));
	assert_int_equal(execution_get(txn, &execution.id, &execution_back), ERR_OK);
	execution.counts.by_status[STATUS_UNVERIFIED] = 1;
	assert_memory_equal(&execution_back, &execution, sizeof(execution));
	assert_int_equal(record_get(txn, &execution.id, &back), ERR_NOT_FOUND);
	vault_read_end(txn);
	vault_close(vault);
}

static void test_bad_records(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution one = execution_make(1), two = execution_make(2);
	struct record record = record_make(&one, STATUS_PLANNED);

	assert_int_equal(put_execution(vault, &one), ERR_OK);
	assert_int_equal(put_execution(vault, &two), ERR_OK);
	assert_int_equal(put_record(vault, &record), ERR_OK);
	record.execution = two.id;
	assert_int_equal(put_record(vault, &record), ERR_INVALID);
	record.execution = one.id;
	record.status = (enum status)STATUS_COUNT;
	assert_int_equal(put_record(vault, &record), ERR_INVALID);
	record.status = STATUS_PLANNED;
	record.id = (struct id){{0}};
	assert_int_equal(put_record(vault, &record), ERR_INVALID);
	one.id = record.id;
	assert_int_equal(put_execution(vault, &one), ERR_INVALID);
	vault_close(vault);
}

/* ── Lists ───────────────────────────────────────────────────────────────────────────────── */

struct listed {
	struct id ids[64];
	size_t count, stop_after;
};

static bool list_record(void *arg, const struct record *record)
{
	struct listed *listed = arg;

	listed->ids[listed->count++] = record->id;
	return listed->count != listed->stop_after;
}

static bool list_execution(void *arg, const struct execution *execution)
{
	struct listed *listed = arg;

	listed->ids[listed->count++] = execution->id;
	return listed->count != listed->stop_after;
}

static void test_records_paged(void **state)
{
	static const struct id none;
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution executions[2] = {execution_make(1000), execution_make(2000)};
	struct id ids[20];
	struct vault_txn *txn;
	struct listed listed;

	for (int i = 0; i < 20; i++) {
		struct record record = record_make(&executions[i % 2], STATUS_PLANNED);

		if (i < 2)
			assert_int_equal(put_execution(vault, &executions[i]), ERR_OK);
		record.id = id_make((uint64_t)3000 + (uint64_t)i);
		ids[i] = record.id;
		assert_int_equal(put_record(vault, &record), ERR_OK);
	}
	txn = vault_read(vault);
	listed = (struct listed){.count = 0};
	record_each(txn, &none, &none, list_record, &listed);
	assert_int_equal(listed.count, 20);
	for (int i = 0; i < 20; i++)
		assert_true(id_equal(&listed.ids[i], &ids[i]));

	listed = (struct listed){.stop_after = 3};
	record_each(txn, &none, &ids[4], list_record, &listed);
	assert_int_equal(listed.count, 3);
	assert_true(id_equal(&listed.ids[0], &ids[5]));

	listed = (struct listed){.count = 0};
	record_each(txn, &executions[1].id, &none, list_record, &listed);
	assert_int_equal(listed.count, 10);
	for (int i = 0; i < 10; i++)
		assert_true(id_equal(&listed.ids[i], &ids[2 * i + 1]));

	listed = (struct listed){.count = 0};
	record_each(txn, &executions[0].id, &ids[14], list_record, &listed);
	assert_int_equal(listed.count, 2);
	assert_true(id_equal(&listed.ids[0], &ids[16]));
	vault_read_end(txn);
	vault_close(vault);
}

static void test_executions_newest_first(void **state)
{
	static const struct id none;
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution executions[5];
	struct listed listed = {.stop_after = 2};
	struct vault_txn *txn;

	for (int i = 0; i < 5; i++) {
		executions[i] = execution_make((uint64_t)i * 1000);
		assert_int_equal(put_execution(vault, &executions[i]), ERR_OK);
	}
	txn = vault_read(vault);
	execution_each(txn, &none, list_execution, &listed);
	assert_int_equal(listed.count, 2);
	assert_true(id_equal(&listed.ids[0], &executions[4].id));
	assert_true(id_equal(&listed.ids[1], &executions[3].id));
	listed.stop_after = 0;
	execution_each(txn, &executions[3].id, list_execution, &listed);
	assert_int_equal(listed.count, 5);
	assert_true(id_equal(&listed.ids[2], &executions[2].id));
	assert_true(id_equal(&listed.ids[4], &executions[0].id));
	vault_read_end(txn);
	vault_close(vault);
}

static size_t open_count(struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	struct listed listed = {.count = 0};

	execution_each_open(txn, list_execution, &listed);
	vault_read_end(txn);
	return listed.count;
}

struct closing {
	struct vault_txn *txn;
	size_t count;
};

static bool interrupt_one(void *arg, const struct execution *execution)
{
	struct closing *closing = arg;
	struct execution changed = *execution;

	changed.interrupted = true;
	closing->count++;
	return execution_put(closing->txn, &changed) == ERR_OK;
}

static enum err interrupt_all(struct vault_txn *txn, void *arg, struct error *error)
{
	struct closing *closing = arg;

	(void)error;
	*closing = (struct closing){.txn = txn};
	execution_each_open(txn, interrupt_one, closing);
	return ERR_OK;
}

static void test_open_executions(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution executions[10];
	struct closing closing;

	for (int i = 0; i < 10; i++) {
		executions[i] = execution_make((uint64_t)i * 1000);
		assert_int_equal(put_execution(vault, &executions[i]), ERR_OK);
	}
	assert_int_equal(open_count(vault), 10);
	executions[4].ended_ms = 77;
	assert_int_equal(put_execution(vault, &executions[4]), ERR_OK);
	assert_int_equal(open_count(vault), 9);
	vault_close(vault);
	vault = must_open(place);
	assert_int_equal(open_count(vault), 9);
	/* The next engine says that they were interrupted, while it walks them. */
	assert_int_equal(vault_write(vault, interrupt_all, &closing, NULL), ERR_OK);
	assert_int_equal(closing.count, 9);
	assert_int_equal(open_count(vault), 0);
	vault_close(vault);
}

/* ── By the beginning of an id ───────────────────────────────────────────────────────────── */

static void test_find(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct execution execution = execution_make(5), found;
	struct record a = record_make(&execution, STATUS_PLANNED), b = a, back;
	struct vault_txn *txn;
	char text[ID_TEXT_SIZE], shorter[ID_TEXT_SIZE];
	struct error error;

	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	memset(a.id.bytes, 0x11, ID_SIZE);
	memset(b.id.bytes, 0x11, ID_SIZE);
	b.id.bytes[15] = 0x12;
	assert_int_equal(put_record(vault, &a), ERR_OK);
	txn = vault_read(vault);
	id_text(&a.id, text);
	snprintf(shorter, sizeof(shorter), "%.6s", text);
	assert_int_equal(record_find(txn, shorter, &back, &error), ERR_OK);
	vault_read_end(txn);

	assert_int_equal(put_record(vault, &b), ERR_OK);
	txn = vault_read(vault);
	assert_int_equal(record_find(txn, shorter, &back, &error), ERR_INVALID);
	assert_non_null(strstr(error.text, "at least 20 more"));
	assert_int_equal(record_find(txn, text, &back, &error), ERR_OK);
	assert_true(id_equal(&back.id, &a.id));
	id_text(&b.id, text);
	assert_int_equal(record_find(txn, text, &back, &error), ERR_OK);
	assert_true(id_equal(&back.id, &b.id));
	assert_int_equal(record_find(txn, "7ZZ", &back, &error), ERR_NOT_FOUND);
	assert_int_equal(record_find(txn, "", &back, &error), ERR_NOT_FOUND);
	assert_int_equal(record_find(txn, "no!", &back, &error), ERR_NOT_FOUND);
	assert_int_equal(execution_find(txn, "01", &found, &error), ERR_OK);
	assert_string_equal(found.task, "weekly");
	vault_read_end(txn);
	vault_close(vault);
}

/* ── Counts ──────────────────────────────────────────────────────────────────────────────── */

#define EXECUTIONS 4
#define RECORDS	   60

struct mess {
	struct execution executions[EXECUTIONS];
	struct record records[RECORDS];
	struct counts all;
	struct counts each[EXECUTIONS];
	bool there[RECORDS];
};

struct storm {
	struct mess *mess;
	size_t picks[8];
	enum status statuses[8];
	uint32_t days[8];
	size_t count;
	bool fail;
};

static enum err storm_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct storm *storm = arg;

	(void)error;
	for (size_t i = 0; i < storm->count; i++) {
		struct record record = storm->mess->records[storm->picks[i]];

		record.status = storm->statuses[i];
		record.ended_ms =
		    record.status >= STATUS_SUCCESS ? storm->days[i] * UINT64_C(86400000) : 0;
		if (record_put(txn, &record) != ERR_OK)
			return ERR_IO;
	}
	return storm->fail ? ERR_REFUSED : ERR_OK;
}

static uint32_t below(uint32_t limit)
{
	uint32_t value;

	random_bytes(&value, sizeof(value));
	return value % limit;
}

static void mess_follow(struct mess *mess, size_t pick, enum status status)
{
	struct counts *counts = &mess->each[pick % EXECUTIONS];

	if (mess->there[pick]) {
		mess->all.by_status[mess->records[pick].status]--;
		counts->by_status[mess->records[pick].status]--;
	}
	mess->there[pick] = true;
	mess->records[pick].status = status;
	mess->all.by_status[status]++;
	counts->by_status[status]++;
}

static void storm_end_execution(struct mess *mess, struct vault *vault, size_t at, bool ended)
{
	mess->executions[at].ended_ms = ended ? 5 : 0;
	mess->executions[at].interrupted = ended && below(3) == 0;
	assert_int_equal(put_execution(vault, &mess->executions[at]), ERR_OK);
}

static void mess_check(struct mess *mess, struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	struct execution execution;
	struct error error;
	struct totals totals;

	vault_totals(txn, &totals);
	assert_memory_equal(&totals.records, &mess->all, sizeof(mess->all));
	assert_int_equal(vault_recount(txn, &error), ERR_OK);
	for (int i = 0; i < EXECUTIONS; i++) {
		assert_int_equal(execution_get(txn, &mess->executions[i].id, &execution), ERR_OK);
		assert_memory_equal(&execution.counts, &mess->each[i], sizeof(mess->each[i]));
	}
	vault_read_end(txn);
}

static void test_counts_after_random_changes(void **state)
{
	static struct mess mess;
	struct place *place = *state;
	struct vault *vault = must_create(place);

	random_seed(20261124);
	for (int i = 0; i < EXECUTIONS; i++) {
		mess.executions[i] = execution_make((uint64_t)i);
		assert_int_equal(put_execution(vault, &mess.executions[i]), ERR_OK);
	}
	for (int i = 0; i < RECORDS; i++) {
		struct record *record = &mess.records[i];

		*record = record_make(&mess.executions[i % EXECUTIONS], STATUS_PLANNED);
		snprintf(record->account, sizeof(record->account), "app%d", i % 7);
		record->look = i % 5 == 0;
	}
	for (int round = 0; round < 300; round++) {
		struct storm storm = {.mess = &mess, .count = 1 + below(8), .fail = below(5) == 0};

		for (size_t i = 0; i < storm.count; i++) {
			storm.picks[i] = below(RECORDS);
			storm.statuses[i] = (enum status)below(STATUS_COUNT);
			storm.days[i] = below(4);
		}
		assert_int_equal(vault_write(vault, storm_apply, &storm, NULL),
		    storm.fail ? ERR_REFUSED : ERR_OK);
		for (size_t i = 0; !storm.fail && i < storm.count; i++)
			mess_follow(&mess, storm.picks[i], storm.statuses[i]);
		if (round % 100 == 50) {
			vault_close(vault);
			vault = must_open(place);
		}
		storm_end_execution(&mess, vault, below(EXECUTIONS), below(2) == 0);
		mess_check(&mess, vault);
	}
	random_unseed();
	vault_close(vault);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(status_name(STATUS_PLANNED), "planned");
	assert_string_equal(status_name(STATUS_SKIPPED), "skipped");
	assert_string_equal(proof_name(PROOF_NONE), "");
	assert_string_equal(proof_name(PROOF_TOLD), "told");
	assert_string_equal(proof_name(PROOF_HASH), "hash");
	assert_string_equal(account_state_name(ACCOUNT_UNMANAGED), "unmanaged");
	assert_string_equal(account_state_name(ACCOUNT_IN_DOUBT), "in_doubt");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_record_comes_back_whole),
	    TEST(test_bad_records),
	    TEST(test_records_paged),
	    TEST(test_executions_newest_first),
	    TEST(test_open_executions),
	    TEST(test_find),
	    TEST(test_counts_after_random_changes),
	    TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
