/*
 * The order of work at a wire (turn), and its sessions by number (table).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/loop.h"
#include "wire/table.h"
#include "wire/turn.h"

struct bench {
	struct loop *loop;
	struct turns *turns;
	struct timer timer;
	unsigned served, served_at_timer;
};

struct worker {
	struct bench *bench;
	struct turn turn;
	struct turn *forgets;
	unsigned rounds; /* it asks again this often */
	unsigned served;
	unsigned order;
};

static void worker_serve(void *arg)
{
	struct worker *worker = arg;
	struct bench *bench = worker->bench;

	if (bench->served == 0)
		timer_start(loop_clock(bench->loop), &bench->timer, 0);
	worker->order = bench->served++;
	worker->served++;
	usleep(500);
	if (worker->forgets != NULL)
		turn_forget(bench->turns, worker->forgets);
	if (worker->rounds-- > 1)
		turn_ask(bench->turns, &worker->turn);
}

static void on_timer(void *arg)
{
	struct bench *bench = arg;

	bench->served_at_timer = bench->served;
}

static int begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->loop = loop_new();
	bench->turns = turns_new(loop_base(bench->loop), NULL);
	bench->timer.fn = on_timer;
	bench->timer.arg = bench;
	*state = bench;
	return 0;
}

static int finish(void **state)
{
	struct bench *bench = *state;

	turns_free(bench->turns);
	loop_free(bench->loop);
	free(bench);
	return 0;
}

static void worker_ask(struct worker *worker, struct bench *bench, unsigned rounds)
{
	*worker = (struct worker){.bench = bench, .rounds = rounds};
	worker->turn.fn = worker_serve;
	worker->turn.arg = worker;
	turn_ask(bench->turns, &worker->turn);
}

/* First come, first served; asked twice is served once. */
static void test_order(void **state)
{
	struct bench *bench = *state;
	struct worker workers[5];

	for (unsigned i = 0; i < 5; i++) {
		worker_ask(&workers[i], bench, 1);
		turn_ask(bench->turns, &workers[0].turn);
	}
	assert_int_equal(bench->served, 0);
	loop_run(bench->loop);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(workers[i].served, 1);
		assert_int_equal(workers[i].order, i);
	}
}

static void test_forget(void **state)
{
	struct bench *bench = *state;
	struct worker workers[3];

	for (unsigned i = 0; i < 3; i++)
		worker_ask(&workers[i], bench, 1);
	workers[0].forgets = &workers[1].turn;
	loop_run(bench->loop);
	assert_int_equal(workers[1].served, 0);
	assert_int_equal(workers[2].served, 1);
}

/* Neither many nor a busy one hold up a timer, and the busy one does not hold up the others. */
static void test_slice(void **state)
{
	struct bench *bench = *state;
	struct worker workers[100], busy;

	worker_ask(&busy, bench, 200);
	for (unsigned i = 0; i < 100; i++)
		worker_ask(&workers[i], bench, 1);
	loop_run(bench->loop);
	assert_int_equal(bench->served, 300);
	assert_in_range(bench->served_at_timer, 1, 30);
	assert_int_equal(busy.order, 299);
	assert_int_equal(workers[99].order, 100);
}

/* ── What is yet to begin ────────────────────────────────────────────────────────────────── */

#define COST_US 500 /* of each turn, by a clock of our own */

static uint64_t fake_us;

static uint64_t fake_now_us(void)
{
	return fake_us;
}

struct crowd {
	struct bench *bench;
	struct worker at_work[100], to_begin[10];
};

static void crowd_serve(void *arg)
{
	struct worker *worker = arg;

	fake_us += COST_US;
	worker->order = worker->bench->served++;
	worker->served++;
	if (worker->rounds-- > 1)
		turn_ask(worker->bench->turns, &worker->turn);
}

/* The first of those at work has served often enough for the wait to be known. */
static void crowd_lead(void *arg)
{
	struct crowd *crowd = arg;

	if (crowd->at_work[0].served == 5)
		for (unsigned i = 0; i < 10; i++)
			turn_begin(crowd->bench->turns, &crowd->to_begin[i].turn);
	crowd_serve(&crowd->at_work[0]);
}

static void crowd_run(struct crowd *crowd, struct bench *bench, unsigned count, unsigned rounds)
{
	turns_free(bench->turns);
	bench->turns = turns_new(loop_base(bench->loop), fake_now_us);
	bench->served = 0;
	*crowd = (struct crowd){.bench = bench};
	for (unsigned i = 0; i < 10; i++) {
		crowd->to_begin[i] = (struct worker){.bench = bench, .rounds = 1};
		crowd->to_begin[i].turn.fn = crowd_serve;
		crowd->to_begin[i].turn.arg = &crowd->to_begin[i];
	}
	for (unsigned i = 0; i < count; i++) {
		struct worker *worker = &crowd->at_work[i];

		*worker = (struct worker){.bench = bench, .rounds = rounds};
		worker->turn.fn = i == 0 ? crowd_lead : crowd_serve;
		worker->turn.arg = i == 0 ? (void *)crowd : worker;
		turn_ask(bench->turns, &worker->turn);
	}
	loop_run(bench->loop);
	assert_int_equal(bench->served, count * rounds + 10);
}

/* A hundred at half a millisecond wait for fifty, and ten for five. */
static void test_begins_when_others_need_not_wait(void **state)
{
	struct bench *bench = *state;
	struct crowd crowd;

	crowd_run(&crowd, bench, 100, 20);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(crowd.to_begin[i].order, 100 * 20 + i);
	crowd_run(&crowd, bench, 10, 20);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(crowd.to_begin[i].order, 10 * 5 + 1 + 2 * i);
	/* Nothing is at work. */
	crowd_run(&crowd, bench, 1, 6);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(crowd.to_begin[i].order, 6 + i);
}

static void test_asked_it_is_at_work(void **state)
{
	struct bench *bench = *state;
	struct worker workers[3];

	for (unsigned i = 0; i < 3; i++)
		worker_ask(&workers[i], bench, 1);
	turn_forget(bench->turns, &workers[1].turn);
	turn_begin(bench->turns, &workers[1].turn);
	turn_forget(bench->turns, &workers[0].turn);
	turn_begin(bench->turns, &workers[0].turn);
	turn_ask(bench->turns, &workers[0].turn);
	/* Nor does it go back to where it begins. */
	turn_begin(bench->turns, &workers[2].turn);
	turn_forget(bench->turns, &workers[1].turn);
	loop_run(bench->loop);
	assert_int_equal(workers[0].order, 1);
	assert_int_equal(workers[1].served, 0);
	assert_int_equal(workers[2].order, 0);
}

static void test_table(void **state)
{
	static struct table_entry entries[1000];
	struct table table = {.count = 0};

	(void)state;
	assert_null(table_get(&table, 1));
	for (uint32_t i = 0; i < 1000; i++)
		table_put(&table, &entries[i], i * 64, &entries[i]);
	for (uint32_t i = 0; i < 1000; i += 2)
		table_remove(&table, &entries[i]);
	assert_int_equal(table.count, 500);
	for (uint32_t i = 0; i < 1000; i++)
		assert_ptr_equal(table_get(&table, i * 64), i % 2 == 0 ? NULL : &entries[i]);
	assert_null(table_get(&table, 1));
	table_clear(&table);
	assert_null(table_get(&table, 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order, begin, finish),
	    cmocka_unit_test_setup_teardown(test_forget, begin, finish),
	    cmocka_unit_test_setup_teardown(test_slice, begin, finish),
	    cmocka_unit_test_setup_teardown(test_begins_when_others_need_not_wait, begin, finish),
	    cmocka_unit_test_setup_teardown(test_asked_it_is_at_work, begin, finish),
	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
