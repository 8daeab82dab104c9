/*
 * Schedules: what is written, and when it comes. A year is walked through minute by minute with the
 * C library's local time alone, and each moment that the policy tells is held against it.
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
#include "policy_fixture.h"

#define DAY_MINUTES 1440

static const struct task *load_fields(struct fixture *fixture, const char *fields)
{
	char *text = xasprintf("asset 'a' { accounts = 'app', admin = 'root' }\n"
			       "task 't' { accounts = 'app', nodes = '/', %s }\n",
	    fields);

	fixture_write(fixture, "lockstep.lua", text);
	free(text);
	fixture_load_good(fixture);
	return policy_task(fixture->policy, 0);
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = year - 1900,
	    .tm_mon = month - 1,
	    .tm_mday = day,
	    .tm_hour = hour,
	    .tm_min = minute};

	return timegm(&tm);
}

/* ── The walk ────────────────────────────────────────────────────────────────────────────── */

/* A schedule, and the same in lists of numbers ("*" = all), written out by hand. */
struct written {
	const char *cron, *minutes, *hours, *days, *months, *weekdays;
	bool either; /* days or weekdays */
	const char *window;
	int from, to; /* minutes of the day */
};

static const struct written all[] = {
    {"0 3 * * sun", "0", "3", "*", "*", "0", false, NULL, 0, 0},
    {"30 2 * * *", "30", "2", "*", "*", "*", false, NULL, 0, 0},
    {"*/20 1-3 * * *", "0,20,40", "1,2,3", "*", "*", "*", false, NULL, 0, 0},
    {"15 0 * * *", "15", "0", "*", "*", "*", false, NULL, 0, 0},
    {"0 0 13 * fri", "0", "0", "13", "*", "5", true, NULL, 0, 0},
    {"0 0 */2 * 5", "0", "0", "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31", "*", "5", false, NULL,
	0, 0},
    {"5,50 23 29 Feb,dec *", "5,50", "23", "29", "2,12", "*", false, NULL, 0, 0},
    {"0 9 * * Mon-Fri/2", "0", "9", "*", "*", "1,3,5", false, NULL, 0, 0},
    {"0 6 * * sat-sun", "0", "6", "*", "*", "0,6", false, NULL, 0, 0},
    {"@monthly", "0", "0", "1", "*", "*", false, NULL, 0, 0},
    {"@yearly", "0", "0", "1", "1", "*", false, NULL, 0, 0},
    {"45 */5 * * *", "45", "0,5,10,15,20", "*", "*", "*", false, "02:00-05:00", 120, 300},
    {"10 1,2,12 * * *", "10", "1,2,12", "*", "*", "*", false, "22:30-01:30", 1350, 90},
    {"30 2 * * 0", "30", "2", "*", "*", "0", false, "02:10-02:50", 130, 170},
    {"0 12 28 * *", "0", "12", "28", "*", "*", false, "20:00-24:00", 1200, 0},
};

#define CASES (sizeof(all) / sizeof(all[0]))

struct walk {
	uint64_t bits[5];
	bool pending;
	uint64_t last_ms;
	size_t count;
	const struct task *task;
};

static uint64_t bits_of(const char *list)
{
	uint64_t bits = 0;

	if (strcmp(list, "*") == 0)
		return UINT64_MAX;
	for (char *end; *list != '\0'; list = *end == ',' ? end + 1 : end)
		bits |= 1ull << strtoul(list, &end, 10);
	return bits;
}

static void walk_begin(struct walk *walk, const struct written *written, int64_t from)
{
	const char *const lists[] = {
	    written->minutes, written->hours, written->days, written->months, written->weekdays};

	*walk = (struct walk){.last_ms = (uint64_t)from * 1000};
	for (size_t i = 0; i < 5; i++)
		walk->bits[i] = bits_of(lists[i]);
}

/* Whether a minute of the calendar is one of the schedule's. */
static bool walk_names(const struct walk *walk, const struct written *written, const struct tm *tm)
{
	bool day = (walk->bits[2] >> tm->tm_mday & 1) != 0;
	bool weekday = (walk->bits[4] >> tm->tm_wday & 1) != 0;

	return (walk->bits[0] >> tm->tm_min & 1) != 0 && (walk->bits[1] >> tm->tm_hour & 1) != 0 &&
	       (walk->bits[3] >> (tm->tm_mon + 1) & 1) != 0 &&
	       (written->either ? day || weekday : day && weekday);
}

static bool walk_is_open(const struct written *written, int minute)
{
	if (written->window == NULL)
		return true;
	return written->from < written->to ? minute >= written->from && minute < written->to
					   : minute >= written->from || minute < written->to;
}

static void walk_expect(struct walk *walk, int64_t now, const char *zone)
{
	struct moment moment;

	if (!task_next(walk->task, walk->last_ms, &moment))
		fail_msg("%s: nothing comes after %llu", zone, (unsigned long long)walk->last_ms);
	if (moment.due_ms != (uint64_t)now * 1000)
		fail_msg("%s, %s: %llu comes, not %lld", zone, walk->task->schedule.text,
		    (unsigned long long)moment.due_ms / 1000, (long long)now);
	walk->last_ms = moment.due_ms;
	walk->count++;
}

/* One minute of real time, in which the wall clock came from `before` to `shown`, both in minutes
 * since 1970: more than one where it jumped, none while it goes over the same again. */
static void walk_minute(struct walk *walk, const struct written *written, int64_t now,
    int64_t before, int64_t shown, const char *zone)
{
	for (int64_t minute = before + 1; minute <= shown; minute++) {
		time_t reading = (time_t)(minute * 60);
		struct tm tm;

		gmtime_r(&reading, &tm);
		walk->pending = walk->pending || walk_names(walk, written, &tm);
	}
	if (!walk->pending ||
	    !walk_is_open(written, (int)((shown > before ? shown : before) % DAY_MINUTES)))
		return;
	walk->pending = false;
	if ((uint64_t)now * 1000 > walk->last_ms)
		walk_expect(walk, now, zone);
}

static void walk_year(struct walk walks[CASES], const char *zone, int year)
{
	/* What was put off two days before may come in it. */
	time_t from = (time_t)utc(year, 1, 1, 0, 0) - 3 * 86400,
	       to = (time_t)utc(year + 1, 1, 1, 0, 0);
	int64_t high = 0;

	for (time_t at = from; at < to; at += 60) {
		struct tm tm;
		int64_t shown;

		localtime_r(&at, &tm);
		shown = (at + tm.tm_gmtoff) / 60;
		for (size_t i = 0; at > from && i < CASES; i++)
			walk_minute(&walks[i], &all[i], at, high, shown, zone);
		high = shown > high ? shown : high;
	}
}

static void check_year(struct fixture fixtures[CASES], const char *zone, int year)
{
	struct walk walks[CASES];

	for (size_t i = 0; i < CASES; i++) {
		char *window = all[i].window != NULL ? xasprintf(", window = '%s'", all[i].window)
						     : xasprintf("%s", "");
		char *fields =
		    xasprintf("schedule = cron '%s', zone = '%s'%s", all[i].cron, zone, window);

		walk_begin(&walks[i], &all[i], utc(year, 1, 1, 0, 0));
		walks[i].task = load_fields(&fixtures[i], fields);
		free(window);
		free(fields);
	}
	setenv("TZ", zone, 1);
	tzset();
	walk_year(walks, zone, year);
	assert_int_equal(walks[0].count >= 52 && walks[0].count <= 53, 1);
	assert_true(walks[1].count >= 364 && walks[1].count <= 366);
	unsetenv("TZ");
	tzset();
}

static void years_are_as_walked(void **state)
{
	static const struct {
		const char *zone;
		int year;
	} years[] = {
	    {"Europe/Berlin", 2026},
	    {"Europe/Berlin", 2028},
	    {"Europe/Berlin", 2100},
	    {"America/New_York", 2027},
	    {"America/Santiago", 2028},	   /* its clocks change at midnight */
	    {"Australia/Lord_Howe", 2026}, /* by half an hour */
	    {"Australia/Lord_Howe", 2028},
	    {"Africa/Casablanca", 2026}, /* back for Ramadan */
	    {"Asia/Kathmandu", 2026},
	    {"Pacific/Apia", 2011}, /* 30 December was left out */
	    {"Asia/Pyongyang", 2015},
	    {"UTC", 2100},
	};
	struct fixture fixtures[CASES];

	(void)state;
	for (size_t i = 0; i < CASES; i++)
		fixture_init(&fixtures[i], NULL);
	for (size_t i = 0; i < sizeof(years) / sizeof(years[0]); i++)
		check_year(fixtures, years[i].zone, years[i].year);
	for (size_t i = 0; i < CASES; i++)
		fixture_clear(&fixtures[i]);
}

/* ── By hand ─────────────────────────────────────────────────────────────────────────────── */

static void assert_next(const struct task *task, int64_t after, int64_t due)
{
	struct moment moment;

	assert_true(task_next(task, (uint64_t)after * 1000, &moment));
	assert_int_equal(moment.due_ms, (uint64_t)due * 1000);
}

/* Berlin 2026: 29 March 02:00 CET becomes 03:00 CEST, 25 October 03:00 CEST becomes 02:00 CET. */
static void clocks_change_twice(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_fields(&fixture, "schedule = cron '30 2 * * *', zone = 'Europe/Berlin'");
	assert_next(task, utc(2026, 3, 28, 12, 0), utc(2026, 3, 29, 1, 0));
	assert_next(task, utc(2026, 3, 29, 1, 0), utc(2026, 3, 30, 0, 30));
	assert_next(task, utc(2026, 10, 24, 12, 0), utc(2026, 10, 25, 0, 30));
	assert_next(task, utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30));
	task = load_fields(&fixture, "schedule = cron '0 3 * * *', zone = 'Europe/Berlin'");
	assert_next(task, utc(2026, 10, 24, 12, 0), utc(2026, 10, 25, 2, 0));
	task = load_fields(&fixture, "schedule = every '6h', zone = 'Europe/Berlin'");
	assert_next(task, utc(2026, 3, 28, 23, 59), utc(2026, 3, 29, 0, 0));
	assert_next(task, utc(2026, 3, 29, 0, 0), utc(2026, 3, 29, 6, 0));
	fixture_clear(&fixture);
}

static void dates_come_once(void **state)
{
	struct fixture fixture;
	const struct task *task;
	struct moment moment;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_fields(&fixture, "schedule = at '2027-01-01 03:00', zone = 'Europe/Berlin'");
	assert_next(task, utc(2026, 1, 1, 0, 0), utc(2027, 1, 1, 2, 0));
	assert_false(task_next(task, (uint64_t)utc(2027, 1, 1, 2, 0) * 1000, &moment));
	task = load_fields(&fixture, "schedule = at '2026-03-29 02:30', zone = 'Europe/Berlin'");
	assert_next(task, utc(2026, 1, 1, 0, 0), utc(2026, 3, 29, 1, 0));
	task = load_fields(&fixture, "schedule = at '2027-01-01 03:00', zone = 'UTC', "
				     "window = '20:00-02:00'");
	assert_next(task, utc(2026, 1, 1, 0, 0), utc(2027, 1, 1, 20, 0));
	assert_false(task_next(task, (uint64_t)utc(2027, 1, 1, 20, 0) * 1000, &moment));
	fixture_clear(&fixture);
}

static void february_is_long_every_four_years(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_fields(&fixture, "schedule = cron '0 0 29 2 *', zone = 'UTC'");
	assert_next(task, utc(2026, 1, 1, 0, 0), utc(2028, 2, 29, 0, 0));
	assert_next(task, utc(2096, 2, 29, 0, 0), utc(2104, 2, 29, 0, 0)); /* not 2100 */
	/* With a star both must be: the next such Sunday after 2032 is 28 years on, then 40. */
	task = load_fields(&fixture, "schedule = cron '0 0 29 2 */7', zone = 'UTC'");
	assert_next(task, utc(2026, 1, 1, 0, 0), utc(2032, 2, 29, 0, 0));
	assert_next(task, utc(2032, 2, 29, 0, 0), utc(2060, 2, 29, 0, 0));
	assert_next(task, utc(2088, 2, 29, 0, 0), utc(2128, 2, 29, 0, 0));
	fixture_clear(&fixture);
}

/* ── Windows and jitter ──────────────────────────────────────────────────────────────────── */

static void windows_close(void **state)
{
	struct fixture fixture;
	const struct task *task;
	uint64_t until_ms, at_ms = (uint64_t)utc(2026, 10, 25, 0, 10) * 1000;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_fields(
	    &fixture, "schedule = every '1h', zone = 'Europe/Berlin', window = '02:00-03:00'");
	/* It is open for two hours in the night in which 02:00 to 03:00 comes twice. */
	assert_int_equal(task_opens(task, at_ms + 7, &until_ms), at_ms + 7);
	assert_int_equal(until_ms, (uint64_t)utc(2026, 10, 25, 2, 0) * 1000);
	/* And not at all in that which leaves it out. */
	at_ms = (uint64_t)utc(2026, 3, 28, 12, 0) * 1000;
	assert_int_equal(
	    task_opens(task, at_ms, &until_ms), (uint64_t)utc(2026, 3, 30, 0, 0) * 1000);
	assert_int_equal(until_ms, (uint64_t)utc(2026, 3, 30, 1, 0) * 1000);
	assert_next(task, utc(2026, 3, 28, 12, 0), utc(2026, 3, 30, 0, 0));
	task = load_fields(&fixture, "schedule = every '1h'");
	assert_int_equal(task_opens(task, at_ms, &until_ms), at_ms);
	assert_true(until_ms == UINT64_MAX);
	fixture_clear(&fixture);
}

/* Each hour's jitter of a week: the same again, inside the window, and not all alike. */
static void jitter_is_stable_and_spread(void **state)
{
	struct fixture fixture, again;
	const struct task *task, *same;
	uint64_t after_ms = (uint64_t)utc(2026, 6, 1, 0, 30) * 1000, low = UINT64_MAX, high = 0;
	struct moment moment, second;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_init(&again, NULL);
	task = load_fields(&fixture, "schedule = every '1h', zone = 'UTC', jitter = '20m', "
				     "window = '22:00-04:05'");
	same = load_fields(&again, "schedule = every '1h', zone = 'UTC', jitter = '20m', "
				   "window = '22:00-04:05'");
	for (int i = 0; i < 7 * 24; i++, after_ms = moment.due_ms) {
		uint64_t late_ms;

		assert_true(task_next(task, after_ms, &moment));
		assert_true(task_next(same, after_ms, &second));
		assert_int_equal(moment.start_ms, second.start_ms);
		assert_true(moment.start_ms >= moment.due_ms && moment.start_ms < moment.until_ms);
		late_ms = moment.start_ms - moment.due_ms;
		assert_true(late_ms <= 20 * 60000);
		low = late_ms < low ? late_ms : low;
		high = late_ms > high ? late_ms : high;
	}
	assert_true(low < 2 * 60000 && high > 18 * 60000);
	fixture_clear(&fixture);
	fixture_clear(&again);
}

/* The figures must never change: a release that moves them would run tasks twice, or not. */
static void jitter_is_the_same_in_each_release(void **state)
{
	struct fixture fixture;
	const struct task *task;
	struct moment moment;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_fields(&fixture, "schedule = cron '@daily', zone = 'UTC', jitter = '20m'");
	assert_true(task_next(task, (uint64_t)utc(2026, 6, 1, 0, 30) * 1000, &moment));
	assert_int_equal(moment.start_ms - moment.due_ms, 1132218);
	fixture_clear(&fixture);
}

/* ── Zones ───────────────────────────────────────────────────────────────────────────────── */

static void zones_leave_no_trace(void **state)
{
	struct fixture fixture;
	const struct task *task;
	char text[64];

	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	fixture_init(&fixture, NULL);
	task = load_fields(&fixture, "schedule = cron '0 3 * * *', zone = 'America/New_York'");
	assert_next(task, utc(2026, 6, 1, 0, 0), utc(2026, 6, 1, 7, 0));
	task_describe_time(task, (uint64_t)utc(2026, 6, 1, 7, 0) * 1000, text, sizeof(text));
	assert_string_equal(text, "Mon 2026-06-01 03:00 EDT");
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	assert_string_equal(tzname[0], "JST");
	/* The machine's own is used where none is named. */
	task = load_fields(&fixture, "schedule = cron '0 3 * * *'");
	assert_next(task, utc(2026, 6, 1, 0, 0), utc(2026, 6, 1, 18, 0));
	unsetenv("TZ");
	tzset();
	task = load_fields(&fixture, "schedule = cron '0 3 * * *', zone = 'America/New_York'");
	assert_null(getenv("TZ"));
	fixture_clear(&fixture);
}

static void marks_tell_schedules_apart(void **state)
{
	static const char *const fields[] = {
	    "schedule = cron '0 3 * * *'",
	    "schedule = cron '0 4 * * *'",
	    "schedule = cron '0 3 * * *', zone = 'UTC'",
	    "schedule = cron '0 3 * * *', window = '02:00-05:00'",
	    "schedule = cron '0 3 * * *', jitter = '5m'",
	    "schedule = cron '0 3 * * *', active = false",
	    "schedule = every '3h'",
	    "active = true",
	};
	struct fixture fixture;
	uint64_t marks[8];

	(void)state;
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < 8; i++) {
		marks[i] = task_schedule_mark(load_fields(&fixture, fields[i]));
		for (size_t k = 0; k < i; k++)
			assert_true(marks[i] != marks[k]);
	}
	assert_true(task_schedule_mark(load_fields(&fixture, fields[3])) == marks[3]);
	fixture_clear(&fixture);
}

/* ── In words ────────────────────────────────────────────────────────────────────────────── */

static void schedules_are_described(void **state)
{
	static const char *const cases[][2] = {
	    {"schedule = cron '0 3 * * sun', zone = 'Europe/Berlin', window = '02:00-05:00'",
		"cron \"0 3 * * sun\" in 02:00-05:00, Europe/Berlin"},
	    {"schedule = every '6h'", "every \"6h\""},
	    {"schedule = at '2027-01-01 03:00'", "at \"2027-01-01 03:00\""},
	    {"active = true", ""},
	};
	struct fixture fixture;
	char text[128];

	(void)state;
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		task_describe_schedule(load_fields(&fixture, cases[i][0]), text, sizeof(text));
		assert_string_equal(text, cases[i][1]);
	}
	fixture_clear(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(years_are_as_walked),
	    cmocka_unit_test(clocks_change_twice),
	    cmocka_unit_test(dates_come_once),
	    cmocka_unit_test(february_is_long_every_four_years),
	    cmocka_unit_test(windows_close),
	    cmocka_unit_test(jitter_is_stable_and_spread),
	    cmocka_unit_test(jitter_is_the_same_in_each_release),
	    cmocka_unit_test(zones_leave_no_trace),
	    cmocka_unit_test(marks_tell_schedules_apart),
	    cmocka_unit_test(schedules_are_described),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
