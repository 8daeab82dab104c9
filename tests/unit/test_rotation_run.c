/*
 * Runs beside each other: limits, turns, canaries, and what stops one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/secret.h"
#include "engine_help.h"

#define POLICY_MAX (256UL * 1024)

/* So many assets of a name with a number, each with the fields. */
static void add_assets(struct buf *policy, const char *name, int count, const char *fields)
{
	for (int i = 0; i < count; i++)
		assert_true(buf_addf(policy,
		    "asset '%s%03d' { admin = 'root', accounts = 'app', %s }\n", name, i, fields));
}

static void add_text(struct buf *policy, const char *text)
{
	assert_true(buf_add_text(policy, text));
}

static void add_task(struct buf *policy, const char *name, const char *fields)
{
	assert_true(buf_addf(policy,
	    "task '%s' { accounts = 'app', nodes = '/', verify = 'hash', %s }\n", name, fields));
}

static void begin(struct engine *engine, struct buf *policy)
{
	engine_init(engine, buf_text(policy));
	buf_clear(policy);
}

static size_t starts_of(const struct engine *engine, size_t from, size_t to, const char *prefix)
{
	size_t count = 0;

	for (size_t i = from; i < to; i++)
		count += strncmp(engine->starts[i].asset->name, prefix, strlen(prefix)) == 0;
	return count;
}

static void assert_said(const struct engine *engine, const char *text)
{
	if (strstr(engine->said, text) == NULL)
		fail_msg("\"%s\" was not said, but:\n%s", text, engine->said);
}

/* ── Limits ──────────────────────────────────────────────────────────────────────────────── */

static void a_task_has_so_many_at_once(void **state)
{
	struct engine engine;
	struct buf policy;
	uint32_t most = 0;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 40, "");
	add_task(&policy, "t", "limits = { in_flight = 7 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SUCCESS], 40);
	for (size_t i = 0; i < engine.start_count; i++)
		most = engine.starts[i].open > most ? engine.starts[i].open : most;
	assert_int_equal(most, 7);
	engine_clear(&engine);
}

static void a_task_begins_so_many_a_second(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 200, "");
	add_task(&policy, "t", "limits = { per_second = 50 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_int_equal(engine.start_count, 200);
	for (size_t i = 50; i < engine.start_count; i++)
		assert_true(engine.starts[i].at_ms - engine.starts[i - 50].at_ms >= 1000);
	/* And no slower: the last one comes 199 twentieths of a second after the first. */
	assert_true(engine.starts[199].at_ms - engine.starts[0].at_ms < 4100);
	engine_clear(&engine);
}

static void nodes_have_so_many_at_once(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 20, "node = '/a'");
	add_assets(&policy, "b", 20, "node = '/b'");
	add_task(&policy, "t", "limits = { per_node = 3 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	while (!rotation_idle(engine.rotation)) {
		engine_wait(&engine, 5);
		assert_true(engine_open_sessions(&engine, "a") <= 3);
		assert_true(engine_open_sessions(&engine, "b") <= 3);
	}
	/* Neither waits for the other. */
	assert_int_equal(starts_of(&engine, 0, 6, "a"), 3);
	assert_int_equal(engine.ended[STATUS_SUCCESS], 40);
	engine_clear(&engine);
}

static void gateways_have_so_many_at_once(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_text(&policy, "asset 'jump' { admin = 'root' }\n");
	add_assets(&policy, "a", 12, "gateway = 'jump'");
	add_assets(&policy, "b", 12, "");
	add_task(&policy, "t", "limits = { per_gateway = 2 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	while (!rotation_idle(engine.rotation)) {
		engine_wait(&engine, 5);
		assert_true(engine_open_sessions(&engine, "a") <= 2);
	}
	assert_int_equal(engine.ended[STATUS_SUCCESS], 24);
	engine_clear(&engine);
}

/* ── Turns ───────────────────────────────────────────────────────────────────────────────── */

/* Three runs, of all assets of their own, when there is room for eight. */
static void begin_turns(struct engine *engine, const char *settings)
{
	static const char *const priorities[] = {"low", "normal", "high"};
	struct buf policy;

	buf_init(&policy, POLICY_MAX);
	add_text(&policy, settings);
	for (int i = 0; i < 3; i++) {
		char name[2] = {(char)('a' + i), '\0'}, task[256];

		add_assets(&policy, name, 200, "");
		snprintf(task, sizeof(task),
		    "task '%s' { accounts = 'app', assets = '%c*', verify = 'hash', "
		    "priority = '%s' }\n",
		    priorities[i], 'a' + i, priorities[i]);
		add_text(&policy, task);
	}
	begin(engine, &policy);
}

static void a_later_run_does_not_wait(void **state)
{
	struct engine engine;
	size_t before;

	(void)state;
	begin_turns(&engine, "settings { in_flight = 8 }\n");
	engine_run(&engine, "high", "schedule");
	engine_wait(&engine, 200);
	before = engine.start_count;
	assert_true(before > 8);
	engine_run(&engine, "low", "manual");
	engine_wait(&engine, 200);
	/* The next place that becomes free is its. */
	assert_true(starts_of(&engine, before, before + 8, "a") >= 1);
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SUCCESS], 400);
	engine_clear(&engine);
}

static void priorities_share(void **state)
{
	struct engine engine;
	size_t low, normal, high;

	(void)state;
	begin_turns(&engine, "settings { in_flight = 21 }\n");
	engine_run(&engine, "low", "schedule");
	engine_run(&engine, "normal", "schedule");
	engine_run(&engine, "high", "schedule");
	engine_wait(&engine, 300);
	low = starts_of(&engine, 0, engine.start_count, "a");
	normal = starts_of(&engine, 0, engine.start_count, "b");
	high = starts_of(&engine, 0, engine.start_count, "c");
	assert_true(low > 0 && normal >= 3 * low && high >= 3 * normal);
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SUCCESS], 600);
	engine_clear(&engine);
}

/* With room for one alone, who has more at work tells nothing: turns are counted. */
static void one_place_is_shared_too(void **state)
{
	struct engine engine;
	size_t low, normal, high;

	(void)state;
	begin_turns(&engine, "settings { in_flight = 1 }\n");
	engine_run(&engine, "low", "schedule");
	engine_run(&engine, "normal", "schedule");
	engine_run(&engine, "high", "schedule");
	while (engine.start_count < 84)
		engine_wait(&engine, 50);
	low = starts_of(&engine, 0, 84, "a");
	normal = starts_of(&engine, 0, 84, "b");
	high = starts_of(&engine, 0, 84, "c");
	assert_int_equal(low, 4);
	assert_int_equal(normal, 16);
	assert_int_equal(high, 64);
	engine_clear(&engine);
}

/* ── Canaries ────────────────────────────────────────────────────────────────────────────── */

static void canaries_go_first(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 150, "node = '/a'");
	add_assets(&policy, "b", 30, "node = '/b'");
	add_assets(&policy, "c", 20, "node = '/c'");
	add_task(&policy, "t", "limits = { canary = '3%' }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_wait(&engine, 45);
	/* Six of them, two of each place, and nothing else before they have ended. */
	assert_int_equal(engine.start_count, 6);
	assert_int_equal(starts_of(&engine, 0, 6, "a"), 2);
	assert_int_equal(starts_of(&engine, 0, 6, "b"), 2);
	assert_int_equal(starts_of(&engine, 0, 6, "c"), 2);
	engine_finish(&engine);
	assert_said(&engine, "t canary: 0 of 6 went wrong\nt ended\n");
	assert_int_equal(engine.ended[STATUS_SUCCESS], 200);
	engine_clear(&engine);
}

static int by_name(const void *left, const void *right)
{
	const struct start *a = left, *b = right;

	return strcmp(a->asset->name, b->asset->name);
}

/* All of them are canaries then, and nothing is left to wait for. */
static void more_canaries_than_there_are(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 3, "");
	add_assets(&policy, "dead", 1, "");
	add_task(&policy, "t", "limits = { canary = 1000, retries = 0 }");
	add_task(&policy, "none", "limits = { canary = 1000 }, exclude = { nodes = '/' }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t ended\n");
	assert_int_equal(engine.ended[STATUS_SUCCESS], 3);
	assert_int_equal(engine.ended[STATUS_FAILED], 1);
	engine_run(&engine, "none", "manual");
	engine_finish(&engine);
	assert_said(&engine, "none ended\n");
	engine_clear(&engine);
}

static void canaries_are_the_same_again(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 100, "");
	add_task(&policy, "t", "limits = { canary = 5 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	qsort(engine.starts, 5, sizeof(engine.starts[0]), by_name);
	qsort(engine.starts + 100, 5, sizeof(engine.starts[0]), by_name);
	for (size_t i = 0; i < 5; i++)
		assert_ptr_equal(engine.starts[i].asset, engine.starts[100 + i].asset);
	/* Not those whose names come first. */
	assert_string_not_equal(engine.starts[4].asset->name, "a004");
	engine_clear(&engine);
}

static void a_failed_canary_keeps_the_rest_back(void **state)
{
	struct engine engine;
	struct execution execution;
	struct buf policy;
	struct id id;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 50, "node = '/a'");
	add_assets(&policy, "dead", 1, "node = '/b'");
	add_task(&policy, "t", "limits = { canary = 4 }");
	begin(&engine, &policy);
	id = engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_FAILED], 1);
	assert_int_equal(engine.ended[STATUS_SUCCESS], 3);
	assert_int_equal(engine.ended[STATUS_SKIPPED], 47);
	assert_said(&engine, "t stopped: canary, 1 of 51\nt ended\n");
	execution = engine_execution(&engine, &id);
	assert_string_equal(execution.stopped, "canary");
	assert_int_equal(execution.counts.by_status[STATUS_SKIPPED], 47);
	engine_clear(&engine);
}

/* Of eight canaries three may go wrong before half have: then the same holds for the rest. */
static void stop_after_counts_among_canaries(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 50, "node = '/a'");
	add_assets(&policy, "dead", 3, "node = '/b'");
	add_task(&policy, "t", "limits = { canary = 8, stop_after = '50%', retries = 0 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t canary: 3 of 8 went wrong\nt ended\n");
	assert_int_equal(engine.ended[STATUS_SUCCESS], 50);
	engine_clear(&engine);
}

/* One that is skipped says nothing about the rest: the next one takes its place. */
static void a_skipped_canary_is_replaced(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 50, "node = '/a'");
	add_assets(&policy, "locked", 2, "node = '/b'");
	add_task(&policy, "t", "limits = { canary = 4 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t canary: 0 of 4 went wrong\nt ended\n");
	assert_int_equal(engine.ended[STATUS_SUCCESS], 50);
	assert_int_equal(engine.ended[STATUS_SKIPPED], 2);
	engine_clear(&engine);
}

static void skipped_canaries_are_no_reason(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "locked", 6, "");
	add_task(&policy, "t", "limits = { canary = 4 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SKIPPED], 6);
	assert_null(strstr(engine.said, "stopped"));
	engine_clear(&engine);
}

/* A canary in doubt is settled first, and then it is what it came to. */
static void a_canary_in_doubt_is_waited_for(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 20, "node = '/a'");
	add_assets(&policy, "lost", 1, "node = '/b'");
	add_task(&policy, "t", "limits = { canary = 3 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t canary: 0 of 3 went wrong\nt ended\n");
	assert_int_equal(engine.ended[STATUS_SUCCESS], 21);
	engine_clear(&engine);
}

/* ── Stopping ────────────────────────────────────────────────────────────────────────────── */

static void a_run_stops_after_so_many(void **state)
{
	struct engine engine;
	struct execution execution;
	struct buf policy;
	struct id id;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 20, "");
	add_assets(&policy, "dead", 60, "");
	add_task(&policy, "t", "limits = { stop_after = 5, in_flight = 4, retries = 0 }");
	begin(&engine, &policy);
	id = engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	/* What was in flight ended too. */
	assert_in_range(engine.ended[STATUS_FAILED], 5, 8);
	assert_int_equal(engine.ended[STATUS_FAILED] + engine.ended[STATUS_SUCCESS] +
			     engine.ended[STATUS_SKIPPED],
	    80);
	assert_said(&engine, "t stopped: stop_after, 5 of 80\n");
	execution = engine_execution(&engine, &id);
	assert_string_equal(execution.stopped, "stop_after");
	assert_true(execution.ended_ms > 0);
	engine_clear(&engine);
}

/* Five in a hundred are reached with the fifth. */
static void a_part_is_reached_exactly(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 96, "");
	add_assets(&policy, "dead", 4, "");
	add_task(&policy, "t", "limits = { stop_after = '5%', retries = 0 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_null(strstr(engine.said, "stopped"));
	assert_int_equal(engine.ended[STATUS_SUCCESS], 96);
	engine_clear(&engine);

	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 95, "");
	add_assets(&policy, "dead", 5, "");
	add_task(&policy, "t", "limits = { stop_after = '5%', retries = 0 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t stopped: stop_after, 5 of 100\n");
	engine_clear(&engine);
}

/* A cut network: what was sent and not seen counts as what failed does. */
static void doubts_count(void **state)
{
	struct engine engine;
	struct buf policy;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "lost", 40, "");
	add_task(&policy, "t", "limits = { stop_after = '10%', in_flight = 2 }");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_finish(&engine);
	assert_said(&engine, "t stopped: stop_after, 4 of 40\n");
	/* And what was begun is settled, though the run was stopped. */
	assert_int_equal(engine.ended[STATUS_UNVERIFIED], 0);
	assert_in_range(engine.ended[STATUS_SUCCESS], 4, 5);
	engine_clear(&engine);
}

static void a_run_is_cancelled(void **state)
{
	struct engine engine;
	struct execution execution;
	struct error error;
	struct buf policy;
	struct id id, other;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "a", 60, "");
	add_assets(&policy, "b", 10, "");
	add_text(&policy, "task 't' { accounts = 'app', assets = 'a*', verify = 'hash', limits = { "
			  "in_flight = 5 } }\n"
			  "task 'u' { accounts = 'app', assets = 'b*', verify = 'hash' }\n");
	begin(&engine, &policy);
	id = engine_run(&engine, "t", "manual");
	engine_wait(&engine, 25);
	other = engine_run(&engine, "u", "manual");
	assert_int_equal(rotation_cancel(engine.rotation, &id, &error), ERR_OK);
	engine_finish(&engine);
	assert_said(&engine, "t stopped: cancelled, 0 of 60\n");
	execution = engine_execution(&engine, &id);
	assert_string_equal(execution.stopped, "cancelled");
	assert_int_equal(execution.counts.by_status[STATUS_SUCCESS], 5);
	assert_int_equal(execution.counts.by_status[STATUS_SKIPPED], 55);
	/* The other one goes on. */
	execution = engine_execution(&engine, &other);
	assert_int_equal(execution.counts.by_status[STATUS_SUCCESS], 10);
	assert_string_equal(execution.stopped, "");
	assert_int_equal(rotation_cancel(engine.rotation, &id, &error), ERR_NOT_FOUND);
	engine_clear(&engine);
}

/* What the run was to begin with is settled though it was cancelled: an earlier execution's doubt.
 */
static void an_earlier_doubt_outlives_a_cancel(void **state)
{
	struct vault_txn *txn;
	struct account account;
	struct engine engine;
	struct error error;
	struct buf policy;
	struct id id;

	(void)state;
	buf_init(&policy, POLICY_MAX);
	add_assets(&policy, "lost", 1, "");
	add_task(&policy, "t", "active = true");
	begin(&engine, &policy);
	engine_run(&engine, "t", "manual");
	engine_wait(&engine, 100);
	assert_int_equal(engine.ended[STATUS_UNVERIFIED], 1);
	engine_restart(&engine, 0);
	id = engine_run(&engine, "t", "manual");
	engine_wait(&engine, 100);
	assert_int_equal(rotation_cancel(engine.rotation, &id, &error), ERR_OK);
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SKIPPED], 1);
	txn = vault_read(engine.vault);
	assert_int_equal(account_get(txn, "lost000", "app", SECRET_PASSWORD, &account), ERR_OK);
	vault_read_end(txn);
	assert_int_equal(account.pending, 0);
	assert_int_equal(account.current, 1);
	engine_clear(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_task_has_so_many_at_once),
	    cmocka_unit_test(a_task_begins_so_many_a_second),
	    cmocka_unit_test(nodes_have_so_many_at_once),
	    cmocka_unit_test(gateways_have_so_many_at_once),
	    cmocka_unit_test(a_later_run_does_not_wait),
	    cmocka_unit_test(priorities_share),
	    cmocka_unit_test(one_place_is_shared_too),
	    cmocka_unit_test(canaries_go_first),
	    cmocka_unit_test(more_canaries_than_there_are),
	    cmocka_unit_test(canaries_are_the_same_again),
	    cmocka_unit_test(a_failed_canary_keeps_the_rest_back),
	    cmocka_unit_test(stop_after_counts_among_canaries),
	    cmocka_unit_test(a_skipped_canary_is_replaced),
	    cmocka_unit_test(skipped_canaries_are_no_reason),
	    cmocka_unit_test(a_canary_in_doubt_is_waited_for),
	    cmocka_unit_test(a_run_stops_after_so_many),
	    cmocka_unit_test(a_part_is_reached_exactly),
	    cmocka_unit_test(doubts_count),
	    cmocka_unit_test(a_run_is_cancelled),
	    cmocka_unit_test(an_earlier_doubt_outlives_a_cancel),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
