/*
 * Notices: what is kept of them, how many there may be, and that the counters say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/notice.h"
#include "vault_help.h"

#define AT_ONCE 500 /* notices a commit */

struct step {
	struct notice notice;
	size_t times;
	bool gathers, removes, sent;
};

static enum err step_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;
	enum err err = ERR_OK;

	(void)error;
	if (step->removes)
		return notice_remove(txn, &step->notice.id, step->sent);
	for (size_t i = 0; err == ERR_OK && i < step->times; i++) {
		if (step->times > 1)
			step->notice.id = (struct id){{0}};
		err = step->gathers ? notice_gather(txn, &step->notice)
				    : notice_put(txn, &step->notice);
	}
	return err;
}

static void do_step(struct place *place, struct vault *vault, struct step *step)
{
	assert_int_equal(vault_write(vault, step_apply, step, &place->error), ERR_OK);
}

static struct step step_of(const char *to)
{
	struct step step = {
	    .times = 1, .notice = {.channel = "mail", .event = "settled", .task = "weekly"}};

	snprintf(step.notice.to, sizeof(step.notice.to), "%s", to);
	return step;
}

static void assert_counts(
    struct vault *vault, uint64_t waiting, uint64_t given_up, uint64_t sent, uint64_t lost)
{
	struct vault_txn *txn = vault_read(vault);
	struct notice_counts counts;
	struct error error;

	notice_count(txn, &counts);
	assert_int_equal(counts.waiting, waiting);
	assert_int_equal(counts.given_up, given_up);
	assert_int_equal(counts.sent, sent);
	assert_int_equal(counts.lost, lost);
	assert_int_equal(vault_recount(txn, &error), ERR_OK);
	vault_read_end(txn);
}

static void all_of_it_is_kept(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct step step = step_of("ops@example.com");
	struct notice kept, *notice = &step.notice;
	struct vault_txn *txn;

	notice->execution = (struct id){{1, 2, 3}};
	notice->counts.by_status[STATUS_FAILED] = 7;
	notice->record_count = NOTICE_RECORDS_MAX;
	memset(notice->records, 0x5a, sizeof(notice->records));
	notice->more = 9;
	memset(notice->text, 't', sizeof(notice->text) - 1);
	memset(notice->why, 'w', sizeof(notice->why) - 1);
	notice->queued_ms = 1;
	notice->due_ms = 2;
	notice->tries = 3;
	notice->tried_ms = 4;
	do_step(place, vault, &step);
	assert_false(id_is_none(&notice->id));
	vault_close(vault);
	vault = must_open(place);
	txn = vault_read(vault);
	assert_int_equal(notice_get(txn, &notice->id, &kept), ERR_OK);
	assert_memory_equal(&kept, notice, sizeof(kept));
	vault_read_end(txn);
	assert_counts(vault, 1, 0, 0, 0);
	notice->given_up_ms = 5;
	do_step(place, vault, &step);
	assert_counts(vault, 0, 1, 0, 0);
	step.removes = true;
	do_step(place, vault, &step);
	do_step(place, vault, &step); /* it is gone */
	assert_counts(vault, 0, 0, 0, 0);
	vault_close(vault);
}

static void sent_ones_are_counted(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct step step = step_of("ops@example.com");

	do_step(place, vault, &step);
	step.removes = step.sent = true;
	do_step(place, vault, &step);
	do_step(place, vault, &step);
	assert_counts(vault, 0, 0, 1, 0);
	vault_close(vault);
}

static size_t records_of(struct vault *vault, const struct id *id, uint64_t *more)
{
	struct vault_txn *txn = vault_read(vault);
	struct notice notice;

	assert_int_equal(notice_get(txn, id, &notice), ERR_OK);
	vault_read_end(txn);
	*more = notice.more;
	return notice.record_count;
}

/* As long as it was not tried and is not due, and only what goes to the same. */
static void records_are_gathered(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct step first = step_of("a@example.com"), other = step_of("b@example.com"), next;
	uint64_t more;

	first.gathers = other.gathers = true;
	first.notice.record_count = other.notice.record_count = 1;
	first.notice.due_ms = other.notice.due_ms = place->clock.wall_ms + 1000;
	next = first;
	do_step(place, vault, &first);
	do_step(place, vault, &other);
	next.times = 120;
	do_step(place, vault, &next);
	assert_counts(vault, 2, 0, 0, 0);
	assert_int_equal(records_of(vault, &first.notice.id, &more), NOTICE_RECORDS_MAX);
	assert_int_equal(more, 121 - NOTICE_RECORDS_MAX);
	assert_int_equal(records_of(vault, &other.notice.id, &more), 1);
	place->clock.wall_ms += 1000;
	next.times = 1;
	next.notice.id = (struct id){{0}};
	do_step(place, vault, &next);
	assert_counts(vault, 3, 0, 0, 0);
	vault_close(vault);
}

/* A queue that is full keeps what it has; of what was given up the newest stay. */
static void there_is_a_bound(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct step step = step_of("ops@example.com");

	step.times = AT_ONCE;
	for (size_t i = 0; i < NOTICES_MAX / AT_ONCE; i++)
		do_step(place, vault, &step);
	assert_counts(vault, NOTICES_MAX, 0, 0, 0);
	step.times = 3;
	do_step(place, vault, &step);
	assert_true(id_is_none(&step.notice.id));
	assert_counts(vault, NOTICES_MAX, 0, 0, 3);
	vault_close(vault);
}

static void what_was_given_up_has_a_bound_of_its_own(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct step step = step_of("ops@example.com");
	struct id last = {{0}};

	for (size_t i = 0; i < 1003; i++) {
		step = step_of("ops@example.com");
		do_step(place, vault, &step);
		step.notice.given_up_ms = 1;
		do_step(place, vault, &step);
		last = step.notice.id;
	}
	assert_counts(vault, 0, 1000, 0, 0);
	step.removes = true;
	step.notice.id = last;
	do_step(place, vault, &step);
	assert_counts(vault, 0, 999, 0, 0);
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_of_it_is_kept, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(sent_ones_are_counted, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(records_are_gathered, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(there_is_a_bound, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		what_was_given_up_has_a_bound_of_its_own, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
