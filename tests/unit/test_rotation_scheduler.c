/*
 * The scheduler: what is due is begun once, whatever clocks, restarts and reloads do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"
#include "engine_help.h"

#define MINUTE_MS 60000ull
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

static uint64_t utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = year - 1900,
	    .tm_mon = month - 1,
	    .tm_mday = day,
	    .tm_hour = hour,
	    .tm_min = minute};

	return (uint64_t)timegm(&tm) * 1000;
}

static void set_wall(struct engine *engine, uint64_t wall_ms)
{
	engine->clock.wall_ms = (int64_t)wall_ms - (int64_t)engine->clock.now_ms;
}

/* Assets that all tasks mean, and these. */
static char *policy_of(const char *tasks, int assets)
{
	char *text = xasprintf("node '/' { admin = 'root', accounts = 'app' }\n%s", tasks);

	for (int i = 0; i < assets; i++) {
		char *longer = xasprintf("%sasset 'a%d' {}\n", text, i);

		free(text);
		text = longer;
	}
	return text;
}

#define TASK(name, fields)                                                                         \
	"task '" name "' { accounts = 'app', nodes = '/', verify = 'hash', " fields " }\n"

/* Follows the tasks from this time on. */
static void begin(struct engine *engine, const char *tasks, int assets, uint64_t wall_ms)
{
	char *policy = policy_of(tasks, assets);

	engine_init(engine, policy);
	free(policy);
	set_wall(engine, wall_ms);
	engine_schedule(engine);
}

static void reload(struct engine *engine, const char *tasks)
{
	char *policy = policy_of(tasks, 1);

	engine_reload(engine, policy);
	free(policy);
}

static void wait_until(struct engine *engine, uint64_t wall_ms)
{
	engine_wait(engine, wall_ms - engine_wall_ms(engine));
}

static size_t began(const struct engine *engine, const char *task)
{
	size_t count = 0;

	for (size_t i = 0; i < engine->began_count; i++)
		count += strcmp(engine->began[i].task, task) == 0;
	return count;
}

/* The last one was begun then, or in the minute after: at most one look late. */
static void assert_last(const struct engine *engine, size_t count, uint64_t wall_ms)
{
	uint64_t last_ms;

	assert_int_equal(engine->began_count, count);
	last_ms = engine->began[count - 1].wall_ms;
	if (last_ms < wall_ms || last_ms > wall_ms + MINUTE_MS)
		fail_msg("it was begun at %llu, not at %llu", (unsigned long long)last_ms,
		    (unsigned long long)wall_ms);
}

/* ── A year ──────────────────────────────────────────────────────────────────────────────── */

static void check_moments(const struct engine *engine, const char *name, uint64_t from_ms)
{
	const struct task *task = policy_task_find(engine->fixture.policy, name);
	uint64_t after_ms = from_ms;

	for (size_t i = 0; i < engine->began_count; i++) {
		struct moment moment;

		if (strcmp(engine->began[i].task, name) != 0)
			continue;
		assert_true(task_next(task, after_ms, &moment));
		assert_int_equal(engine->began[i].wall_ms, moment.start_ms);
		after_ms = moment.due_ms;
	}
}

/* Restarted every 40 days, loaded anew every 30. */
static void a_year_passes(void **state)
{
	static const char tasks[] =
	    TASK("daily", "schedule = cron '30 2 * * *', zone = 'Europe/Berlin'")
		TASK("often", "schedule = every '6h', kind = 'verify', jitter = '20m'")
		    TASK("weekly", "schedule = cron '0 3 * * sun', zone = 'Australia/Lord_Howe', "
				   "window = '02:00-05:00', jitter = '90m'")
			TASK("once", "schedule = at '2027-05-01 12:00', zone = 'UTC'");
	uint64_t from_ms = utc(2027, 1, 1, 0, 0) - HOUR_MS;
	struct engine engine;

	(void)state;
	begin(&engine, tasks, 1, from_ms);
	for (int day = 0; day < 365; day++) {
		engine_wait(&engine, DAY_MS);
		if (day % 40 == 20)
			engine_restart(&engine, 0);
		if (day % 30 == 15)
			reload(&engine, tasks);
	}
	assert_int_equal(began(&engine, "daily"), 365);
	assert_int_equal(began(&engine, "often"), 4 * 365);
	assert_int_equal(began(&engine, "weekly"), 52);
	assert_int_equal(began(&engine, "once"), 1);
	check_moments(&engine, "daily", from_ms);
	check_moments(&engine, "often", from_ms);
	check_moments(&engine, "weekly", from_ms);
	check_moments(&engine, "once", from_ms);
	engine_clear(&engine);
}

/* ── What was missed ─────────────────────────────────────────────────────────────────────── */

static void what_was_missed_is_run_once(void **state)
{
	static const char daily[] = TASK("daily", "schedule = cron '0 3 * * *', zone = 'UTC'");
	uint64_t from_ms = utc(2027, 1, 1, 2, 0);
	struct engine engine;

	(void)state;
	begin(&engine, daily, 1, from_ms);
	engine_wait(&engine, 2 * HOUR_MS);
	assert_last(&engine, 1, utc(2027, 1, 1, 3, 0));
	/* Off from 04:00 for 30 hours: it was due an hour ago. */
	engine_restart(&engine, 30 * HOUR_MS);
	engine_wait(&engine, HOUR_MS);
	assert_last(&engine, 2, utc(2027, 1, 2, 10, 0));
	/* Off for ten days: due ten times, run once; and then again when it is time. */
	engine_restart(&engine, 10 * DAY_MS);
	engine_wait(&engine, HOUR_MS);
	assert_last(&engine, 3, utc(2027, 1, 12, 11, 0));
	wait_until(&engine, utc(2027, 1, 13, 12, 0));
	assert_last(&engine, 4, utc(2027, 1, 13, 3, 0));
	engine_clear(&engine);
}

static void what_is_too_long_ago_stays_missed(void **state)
{
	static const char tasks[] =
	    TASK("weekly", "schedule = cron '0 3 * * sun', zone = 'UTC', catch_up = '6h'")
		TASK("never", "schedule = cron '0 3 * * *', zone = 'UTC', catch_up = false");
	struct engine engine;

	(void)state;
	begin(&engine, tasks, 1, utc(2027, 1, 3, 2, 0)); /* a Sunday */
	engine_restart(&engine, 5 * HOUR_MS);
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(began(&engine, "weekly"), 1);
	assert_int_equal(began(&engine, "never"), 0);
	engine_restart(&engine, 7 * DAY_MS);
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(began(&engine, "weekly"), 2);
	engine_restart(&engine, 7 * DAY_MS);
	engine_wait(&engine, HOUR_MS);
	/* 03:00 is now seven hours ago. */
	assert_int_equal(began(&engine, "weekly"), 2);
	wait_until(&engine, utc(2027, 1, 18, 4, 0));
	assert_int_equal(began(&engine, "never"), 1);
	engine_clear(&engine);
}

/* What a killed engine had begun is not begun again. */
static void a_crash_repeats_nothing(void **state)
{
	static const char daily[] = TASK("daily", "schedule = cron '0 3 * * *', zone = 'UTC'");
	struct engine engine;

	(void)state;
	begin(&engine, daily, 1, utc(2027, 1, 1, 2, 59));
	while (engine.began_count == 0)
		engine_wait(&engine, 5);
	engine_restart(&engine, MINUTE_MS);
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	engine_clear(&engine);
}

static void a_new_schedule_has_missed_nothing(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 4, 0));
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 0);
	wait_until(&engine, utc(2027, 1, 2, 5, 0));
	assert_last(&engine, 1, utc(2027, 1, 2, 3, 0));
	/* It says another time now, which has passed for today. */
	reload(&engine, TASK("t", "schedule = cron '0 4 * * *', zone = 'UTC'"));
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	/* It was not active, or not there, when it was due. */
	reload(&engine, TASK("t", "schedule = cron '0 4 * * *', zone = 'UTC', active = false"));
	wait_until(&engine, utc(2027, 1, 3, 5, 0));
	reload(&engine, TASK("t", "schedule = cron '0 4 * * *', zone = 'UTC'"));
	engine_wait(&engine, HOUR_MS);
	reload(&engine, "");
	wait_until(&engine, utc(2027, 1, 4, 5, 0));
	reload(&engine, TASK("t", "schedule = cron '0 4 * * *', zone = 'UTC'"));
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	wait_until(&engine, utc(2027, 1, 5, 5, 0));
	assert_last(&engine, 2, utc(2027, 1, 5, 4, 0));
	engine_clear(&engine);
}

static void looked(void *arg, const struct look_result *result)
{
	*(struct wire_result *)arg = result->wire;
}

/* Who asks may know the asset by a policy that is no more in use. */
static void what_left_the_policy_is_not_looked_at(void **state)
{
	static const enum look ways[] = {LOOK_PING, LOOK_KEY};
	struct asset gone = {.name = "a1", .address = "a1"};
	struct engine engine;

	(void)state;
	begin(&engine, "", 2, utc(2027, 1, 1, 1, 0));
	reload(&engine, "");
	for (size_t i = 0; i < 2; i++) {
		struct wire_result result = {.fault = FAULT_NONE};

		rotation_look(engine.rotation, &gone, ways[i], looked, &result);
		engine_wait(&engine, MINUTE_MS);
		assert_int_equal(result.fault, FAULT_CONNECT);
		assert_non_null(strstr(result.text, "has left the policy"));
	}
	engine_clear(&engine);
}

/* ── Clocks that are set ─────────────────────────────────────────────────────────────────── */

static void a_clock_set_forward_misses(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 1, 0));
	engine_wait(&engine, HOUR_MS);
	set_wall(&engine, utc(2027, 1, 1, 8, 0));
	engine_wait(&engine, 10 * MINUTE_MS);
	assert_last(&engine, 1, utc(2027, 1, 1, 8, 0));
	engine_clear(&engine);
}

static void a_clock_set_back_repeats_nothing(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 2, 0));
	engine_wait(&engine, HOUR_MS + 5 * MINUTE_MS);
	assert_last(&engine, 1, utc(2027, 1, 1, 3, 0));
	set_wall(&engine, utc(2027, 1, 1, 2, 10));
	wait_until(&engine, utc(2027, 1, 2, 2, 0));
	assert_int_equal(engine.began_count, 1);
	wait_until(&engine, utc(2027, 1, 2, 4, 0));
	assert_last(&engine, 2, utc(2027, 1, 2, 3, 0));
	engine_clear(&engine);
}

/* It was wrong by years: what ran in 2037 does not keep back what is due today. */
static void a_clock_that_was_wrong_is_corrected(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2037, 1, 1, 2, 0));
	engine_wait(&engine, 2 * HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	set_wall(&engine, utc(2027, 1, 1, 12, 0));
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	wait_until(&engine, utc(2027, 1, 2, 4, 0));
	assert_last(&engine, 2, utc(2027, 1, 2, 3, 0));
	engine_clear(&engine);
}

/* ── Overlap, windows, pauses ────────────────────────────────────────────────────────────── */

static void a_task_does_not_overlap_with_itself(void **state)
{
	struct execution execution;
	struct engine engine;
	struct id id;

	(void)state;
	begin(&engine, TASK("t", "schedule = every '1h', limits = { in_flight = 1 }"), 9,
	    utc(2027, 1, 1, 0, 30));
	engine.job_ms = 2 * MINUTE_MS; /* five of them an asset: one run takes an hour and a half */
	engine_wait(&engine, 10 * HOUR_MS);
	for (size_t i = 1; i < engine.began_count; i++)
		assert_in_range(engine.began[i].wall_ms - engine.began[i - 1].wall_ms,
		    90 * MINUTE_MS, 91 * MINUTE_MS);
	assert_int_equal(engine.began_count, 7);
	engine_clear(&engine);

	/* Whoever began it: what is due waits for a run by hand to end. */
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 2, 59));
	engine.job_ms = 20 * MINUTE_MS;
	id = engine_run(&engine, "t", "manual");
	engine_wait(&engine, HOUR_MS);
	assert_int_equal(engine.began_count, 0);
	engine_wait(&engine, HOUR_MS);
	execution = engine_execution(&engine, &id);
	assert_last(&engine, 1, execution.ended_ms);
	engine_clear(&engine);
}

/* However long: another policy with the same schedule makes nothing of it missed, and one with
 * another does. */
static void what_waits_is_due_after_a_reload(void **state)
{
	static const char *const loaded[] = {
	    TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC', catch_up = false"),
	    TASK("t", "schedule = cron '1 3 * * *', zone = 'UTC', catch_up = false"),
	};
	struct execution execution;
	struct engine engine;
	struct id id;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(&engine, loaded[0], 1, utc(2027, 1, 1, 2, 59));
		engine.job_ms = 20 * MINUTE_MS;
		id = engine_run(&engine, "t", "manual");
		engine_wait(&engine, HOUR_MS);
		reload(&engine, loaded[i]);
		reload(&engine, loaded[i]);
		engine_wait(&engine, HOUR_MS);
		execution = engine_execution(&engine, &id);
		assert_int_not_equal(execution.ended_ms, 0);
		if (i == 0)
			assert_last(&engine, 1, execution.ended_ms);
		else
			assert_int_equal(engine.began_count, 0);
		engine_clear(&engine);
	}
}

static void a_run_ends_with_its_window(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine,
	    TASK("t", "schedule = cron '0 2 * * *', zone = 'UTC', window = '02:00-03:00', limits "
		      "= { in_flight = 2 }"),
	    40, utc(2027, 1, 1, 1, 0));
	engine.job_ms = 2 * MINUTE_MS; /* ten minutes an asset: twelve in the window */
	engine_wait(&engine, 3 * HOUR_MS);
	assert_int_equal(engine.began_count, 1);
	assert_in_range(engine.ended[STATUS_SUCCESS], 10, 14);
	assert_int_equal(engine.ended[STATUS_SUCCESS] + engine.ended[STATUS_SKIPPED], 40);
	assert_non_null(strstr(engine.said, "t stopped: window, 0 of 40\nt ended\n"));
	engine_clear(&engine);
}

/* Missed while the engine was off: run when the window opens again, not at once. */
static void what_was_missed_waits_for_the_window(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine,
	    TASK("t", "schedule = cron '0 3 * * sun', zone = 'UTC', window = '02:00-05:00'"), 1,
	    utc(2027, 1, 3, 1, 0));
	engine_restart(&engine, 10 * HOUR_MS);
	wait_until(&engine, utc(2027, 1, 4, 12, 0));
	assert_last(&engine, 1, utc(2027, 1, 4, 2, 0));
	engine_clear(&engine);
}

struct pausing {
	uint64_t now_ms, until_ms;
	bool pause;
};

static enum err pause_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct pausing *pausing = arg;
	struct task_state state;
	enum err err = task_state_get(txn, "t", &state);

	(void)error;
	if (err != ERR_OK)
		return err;
	state.paused_ms = pausing->pause ? pausing->now_ms : 0;
	state.until_ms = pausing->until_ms;
	if (!pausing->pause)
		state.handled_ms = pausing->now_ms;
	return task_state_put(txn, &state);
}

static void set_pause(struct engine *engine, bool pause, uint64_t until_ms)
{
	struct pausing pausing = {engine_wall_ms(engine), until_ms, pause};
	struct error error;

	assert_int_equal(vault_write(engine->vault, pause_apply, &pausing, &error), ERR_OK);
	scheduler_look(engine->scheduler);
}

static void a_paused_task_is_left_alone(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 1, 0));
	set_pause(&engine, true, 0);
	wait_until(&engine, utc(2027, 1, 3, 4, 0));
	assert_int_equal(engine.began_count, 0);
	set_pause(&engine, false, 0);
	wait_until(&engine, utc(2027, 1, 3, 12, 0));
	assert_int_equal(engine.began_count, 0); /* nothing is made up for */
	wait_until(&engine, utc(2027, 1, 4, 4, 0));
	assert_last(&engine, 1, utc(2027, 1, 4, 3, 0));
	set_pause(&engine, true, utc(2027, 1, 5, 12, 0));
	wait_until(&engine, utc(2027, 1, 6, 2, 0));
	engine_restart(&engine, 0);
	assert_int_equal(engine.began_count, 1);
	wait_until(&engine, utc(2027, 1, 6, 4, 0));
	assert_last(&engine, 2, utc(2027, 1, 6, 3, 0));
	engine_clear(&engine);
}

/* What waited when the pause came is in the pause too, after a restart or without one. */
static void a_pause_takes_what_waits(void **state)
{
	struct engine engine;

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1,
	    utc(2027, 1, 1, 2, 59));
	engine.job_ms = 20 * MINUTE_MS;
	engine_run(&engine, "t", "manual");
	wait_until(&engine, utc(2027, 1, 1, 3, 10));
	set_pause(&engine, true, utc(2027, 1, 1, 3, 20));
	wait_until(&engine, utc(2027, 1, 1, 12, 0));
	assert_int_equal(engine.began_count, 0);
	wait_until(&engine, utc(2027, 1, 2, 4, 0));
	assert_last(&engine, 1, utc(2027, 1, 2, 3, 0));
	engine_clear(&engine);
}

static void what_comes_is_foreseen(void **state)
{
	struct task_state paused = {.paused_ms = 1, .until_ms = utc(2027, 1, 9, 0, 0)};
	const struct task *task;
	struct engine engine;
	struct moment moment;
	uint64_t now_ms = utc(2027, 1, 1, 1, 0);

	(void)state;
	begin(&engine, TASK("t", "schedule = cron '0 3 * * *', zone = 'UTC'"), 1, now_ms);
	task = policy_task_find(engine.fixture.policy, "t");
	assert_true(scheduler_foresee(task, NULL, now_ms, &moment));
	assert_int_equal(moment.start_ms, utc(2027, 1, 1, 3, 0));
	assert_true(scheduler_foresee(task, &paused, now_ms, &moment));
	assert_int_equal(moment.start_ms, utc(2027, 1, 9, 3, 0));
	paused.until_ms = 0;
	assert_false(scheduler_foresee(task, &paused, now_ms, &moment));
	engine_clear(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_year_passes),
	    cmocka_unit_test(what_was_missed_is_run_once),
	    cmocka_unit_test(what_is_too_long_ago_stays_missed),
	    cmocka_unit_test(a_crash_repeats_nothing),
	    cmocka_unit_test(a_new_schedule_has_missed_nothing),
	    cmocka_unit_test(a_clock_set_forward_misses),
	    cmocka_unit_test(a_clock_set_back_repeats_nothing),
	    cmocka_unit_test(a_clock_that_was_wrong_is_corrected),
	    cmocka_unit_test(a_task_does_not_overlap_with_itself),
	    cmocka_unit_test(what_left_the_policy_is_not_looked_at),
	    cmocka_unit_test(what_waits_is_due_after_a_reload),
	    cmocka_unit_test(a_run_ends_with_its_window),
	    cmocka_unit_test(what_was_missed_waits_for_the_window),
	    cmocka_unit_test(a_paused_task_is_left_alone),
	    cmocka_unit_test(a_pause_takes_what_waits),
	    cmocka_unit_test(what_comes_is_foreseen),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
