/* Copies of a vault: whole, without what was freed, noticed when they are put back, and checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/copy.h"
#include "vault_help.h"

static char copy_path[400], draft_path[400];

static void copy(struct place *place, struct vault *vault)
{
	snprintf(copy_path, sizeof(copy_path), "%s/copy", place->root);
	snprintf(draft_path, sizeof(draft_path), "%s/copy.part", place->root);
	(void)unlink(copy_path);
	if (vault_copy(place->dir, draft_path, &place->error) != ERR_OK ||
	    vault_outdate_copies(vault, &place->error) != ERR_OK ||
	    draft_name(draft_path, copy_path, &place->error) != ERR_OK)
		fail_msg("%s", place->error.text);
}

static enum err check(struct place *place, const char *file, struct check_report *report)
{
	struct vault *vault;
	struct vault_txn *txn;
	enum err err = vault_open_reading(&vault, &place->config, file, &place->error);

	if (err != ERR_OK)
		return err;
	txn = vault_read(vault);
	err = vault_check(txn, report, &place->error);
	vault_read_end(txn);
	vault_close(vault);
	return err;
}

static enum err put_back(struct place *place)
{
	char *kept;
	enum err err = vault_put_back(&place->config, copy_path, &kept, &place->error);

	free(kept);
	return err;
}

static bool is_stale(struct vault *vault, const char *name)
{
	struct account account = account_now(vault, "web1", name);
	struct vault_txn *txn = vault_read(vault);
	bool stale = account_is_stale(txn, &account);

	vault_read_end(txn);
	return stale;
}

static void test_copy_and_check(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct check_report report;

	assert_int_equal(tell(place, vault, "web1", "app", "tiger-1"), ERR_OK);
	assert_int_equal(tell(place, vault, "web1", "app", "tiger-2"), ERR_OK);
	assert_int_equal(tell(place, vault, "web2", "app", "tiger-3"), ERR_OK);
	copy(place, vault);
	assert_int_equal(check(place, copy_path, &report), ERR_OK);
	assert_int_equal(report.accounts, 2);
	assert_int_equal(report.values, 3);
	assert_false(file_holds(copy_path, "tiger"));
	vault_close(vault);
	assert_int_equal(check(place, NULL, &report), ERR_OK);
	assert_int_equal(report.values, 3);
}

/* Beside the engine nothing is written. */
static void test_reading_changes_nothing(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place), *beside;

	assert_int_equal(tell(place, vault, "web1", "app", "tiger"), ERR_OK);
	vault_close(vault);
	assert_int_equal(vault_open_reading(&beside, &place->config, NULL, &place->error), ERR_OK);
	assert_int_equal(tell(place, beside, "web1", "app", "lion"), ERR_REFUSED);
	vault_close(beside);
	vault = must_open(place);
	assert_true(version_is(vault, "web1", "app", 1, "tiger"));
	vault_close(vault);
}

static void test_what_was_put_back_is_noticed(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web1", "app", "tiger-1"), ERR_OK);
	assert_int_equal(tell(place, vault, "web1", "deploy", "tiger-2"), ERR_OK);
	copy(place, vault);
	place->clock.wall_ms += 1000;
	assert_int_equal(tell(place, vault, "web1", "app", "newer"), ERR_OK);
	assert_int_equal(put_back(place), ERR_BUSY);
	vault_close(vault);
	vault = must_open(place);
	assert_false(vault_was_put_back(vault));
	assert_int_equal(vault_restored_ms(vault), 0);
	vault_close(vault);

	place->clock.wall_ms += 1000;
	if (put_back(place) != ERR_OK)
		fail_msg("%s", place->error.text);
	vault = must_open(place);
	assert_true(vault_was_put_back(vault));
	assert_true(vault_restore_is_open(vault));
	assert_true(version_is(vault, "web1", "app", 1, "tiger-1"));
	assert_true(is_stale(vault, "app"));
	place->clock.wall_ms += 1000;
	assert_int_equal(prove(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	assert_false(is_stale(vault, "app"));
	assert_true(is_stale(vault, "deploy"));
	assert_int_equal(vault_restore_settled(vault, &place->error), ERR_OK);
	vault_close(vault);
	/* Once. */
	vault = must_open(place);
	assert_false(vault_was_put_back(vault));
	assert_false(vault_restore_is_open(vault));
	assert_true(is_stale(vault, "deploy"));
	vault_close(vault);
}

/* The same copy again, and without the file beside it: both are noticed. */
static void test_put_back_twice_and_elsewhere(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	uint64_t first;

	assert_int_equal(tell(place, vault, "web1", "app", "tiger"), ERR_OK);
	copy(place, vault);
	copy(place, vault);
	vault_close(vault);
	assert_int_equal(put_back(place), ERR_OK);
	vault = must_open(place);
	first = vault_restored_ms(vault);
	vault_close(vault);
	place->clock.wall_ms += 5000;
	assert_int_equal(put_back(place), ERR_OK);
	vault = must_open(place);
	assert_true(vault_was_put_back(vault));
	assert_int_equal(vault_restored_ms(vault), first + 5000);
	vault_close(vault);
	assert_int_equal(unlink(vault_file(place, "generation")), 0);
	vault = must_open(place);
	assert_true(vault_was_put_back(vault));
	vault_close(vault);
}

/* By the wall clock it would be younger than what put it back. */
static void test_a_clock_set_back_makes_nothing_fresh(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web1", "app", "tiger"), ERR_OK);
	assert_int_equal(prove(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	copy(place, vault);
	vault_close(vault);
	place->clock.wall_ms -= 3600000;
	assert_int_equal(put_back(place), ERR_OK);
	vault = must_open(place);
	assert_true(is_stale(vault, "app"));
	assert_int_equal(prove(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	assert_false(is_stale(vault, "app"));
	vault_close(vault);
}

static void put_reason(struct vault *vault, struct record *record, const char *reason)
{
	snprintf(record->reason, sizeof(record->reason), "%s", reason);
	assert_int_equal(put_record(vault, record), ERR_OK);
}

static void assert_reason(struct vault *vault, const struct record *record, const char *reason)
{
	struct vault_txn *txn = vault_read(vault);
	struct record kept;

	assert_int_equal(record_get(txn, &record->id, &kept), ERR_OK);
	assert_string_equal(kept.reason, reason);
	vault_read_end(txn);
}

/* What a copy knows of how far a doubt's settling came is forgotten, once. */
static void test_doubts_begin_anew(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct record record = {
	    .status = STATUS_UNVERIFIED,
	    .asset = "web1",
	    .account = "app",
	    .new_version = 2,
	};
	struct execution execution = {.id = id_make(place->clock.wall_ms), .task = "t"};

	assert_int_equal(tell(place, vault, "web1", "app", "tiger"), ERR_OK);
	assert_int_equal(stage(place, vault, "web1", "app", "lion"), ERR_OK);
	record.id = account_now(vault, "web1", "app").pending_record;
	record.execution = execution.id;
	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	put_reason(vault, &record, "refused_new_closed");
	copy(place, vault);
	vault_close(vault);
	vault = must_open(place);
	assert_reason(vault, &record, "refused_new_closed");
	vault_close(vault);

	assert_int_equal(put_back(place), ERR_OK);
	vault = must_open(place);
	assert_reason(vault, &record, "restored");
	put_reason(vault, &record, "refused_new_closed");
	assert_int_equal(vault_outdate_copies(vault, &place->error), ERR_OK);
	assert_int_equal(vault_restore_settled(vault, &place->error), ERR_OK);
	vault_close(vault);
	vault = must_open(place);
	assert_reason(vault, &record, "refused_new_closed");
	vault_close(vault);
}

static void test_what_is_no_vault_is_not_put_back(void **state)
{
	struct place *place = *state;
	struct vault *vault;
	FILE *file;

	must_make(place);
	snprintf(copy_path, sizeof(copy_path), "%s/copy", place->root);
	file = fopen(copy_path, "w");
	fputs("tiger", file);
	fclose(file);
	assert_int_not_equal(put_back(place), ERR_OK);
	vault = must_open(place);
	assert_false(vault_was_put_back(vault));
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_copy_and_check, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_reading_changes_nothing, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_what_was_put_back_is_noticed, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_put_back_twice_and_elsewhere, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_a_clock_set_back_makes_nothing_fresh, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_doubts_begin_anew, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_what_is_no_vault_is_not_put_back, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
