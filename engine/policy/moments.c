/*
 * When a task is due. Pure: what time it is, others say.
 *
 * All is counted on the clock that never goes back (zone.h), so that neither a change of clocks nor
 * a window that lies across one needs a rule of its own.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/spread.h"
#include "policy/cron.h"
#include "policy/snapshot.h"
#include "policy/zone.h"

#define DAY_S 86400
/* The end of the year 9999: beyond it no schedule says anything. */
#define LAST_S 253402300799
/* A window that is swallowed by a change of clocks is open again on the next day. */
#define DAYS_TRIED 4

static int64_t midnight(int64_t reading)
{
	return reading - (reading % DAY_S + DAY_S) % DAY_S;
}

/* ── The window, in readings ─────────────────────────────────────────────────────────────── */

static bool window_is_open(const struct schedule *schedule, int64_t reading)
{
	uint32_t at = (uint32_t)(reading - midnight(reading));

	if (schedule->window == NULL)
		return true;
	if (schedule->window_from_s < schedule->window_to_s)
		return at >= schedule->window_from_s && at < schedule->window_to_s;
	return at >= schedule->window_from_s || at < schedule->window_to_s;
}

/* The first time after `reading` at which a clock shows this much since midnight. */
static int64_t time_after(int64_t reading, uint32_t since_midnight_s)
{
	int64_t at = midnight(reading) + since_midnight_s;

	return at > reading ? at : at + DAY_S;
}

/* The moment itself, or where the window next opens. */
static int64_t put_off(const struct schedule *schedule, int64_t moment)
{
	int64_t reading = zone_reading(moment);

	if (window_is_open(schedule, reading))
		return moment;
	for (int i = 0; i < DAYS_TRIED; i++) {
		reading = time_after(reading, schedule->window_from_s);
		moment = zone_moment(reading);
		if (window_is_open(schedule, zone_reading(moment)))
			break;
	}
	return moment;
}

/* When it closes, where it is open at `moment`. */
static int64_t closes(const struct schedule *schedule, int64_t moment)
{
	return zone_moment(time_after(zone_reading(moment), schedule->window_to_s));
}

/* When it was last open before `moment`, at which it is closed. */
static int64_t closed_since(const struct schedule *schedule, int64_t moment)
{
	uint32_t open_s = (schedule->window_to_s + DAY_S - schedule->window_from_s) % DAY_S;
	int64_t reading = time_after(zone_reading(moment) - DAY_S, schedule->window_to_s);
	int64_t since = zone_moment(reading);

	for (int i = 0; i < DAYS_TRIED && zone_moment(reading - open_s) == since; i++) {
		reading -= DAY_S;
		since = zone_moment(reading);
	}
	return since;
}

/* ── The schedule ────────────────────────────────────────────────────────────────────────── */

static bool named_next(const struct schedule *schedule, int64_t after, int64_t *moment)
{
	int64_t every = (int64_t)(schedule->every_ms / 1000), reading;

	switch (schedule->kind) {
	case SCHEDULE_NONE: return false;
	case SCHEDULE_EVERY: *moment = (after / every + 1) * every; return true;
	case SCHEDULE_AT: *moment = zone_moment(schedule->at); return *moment > after;
	case SCHEDULE_CRON: break;
	}
	if (!cron_next(schedule->cron, zone_reading(after), &reading))
		return false;
	*moment = zone_moment(reading);
	return true;
}

/* What was named while the window is closed waits for it to open. */
static bool due_next(const struct schedule *schedule, int64_t after, int64_t *due)
{
	int64_t from = after;

	if (!window_is_open(schedule, zone_reading(after)))
		from = closed_since(schedule, after) - 1;
	if (!named_next(schedule, from, due))
		return false;
	*due = put_off(schedule, *due);
	return *due > after;
}

static uint64_t jitter(const struct task *task, const struct moment *moment)
{
	uint64_t most = task->schedule.jitter_ms;
	uint64_t number = spread_text(0, task->name);

	if (moment->until_ms != UINT64_MAX && moment->due_ms + most >= moment->until_ms)
		most = moment->until_ms - moment->due_ms - 1;
	number = spread_end(spread_number(number, moment->due_ms));
	return number % (most + 1);
}

static void moment_fill(const struct task *task, int64_t due, struct moment *moment)
{
	const struct schedule *schedule = &task->schedule;

	*moment = (struct moment){.due_ms = (uint64_t)due * 1000, .until_ms = UINT64_MAX};
	if (schedule->window != NULL)
		moment->until_ms = (uint64_t)closes(schedule, due) * 1000;
	moment->start_ms = moment->due_ms + jitter(task, moment);
}

bool task_next(const struct task *task, uint64_t after_ms, struct moment *moment)
{
	const struct schedule *schedule = &task->schedule;
	struct zone_turn turn;
	int64_t due;
	bool comes;

	if (schedule->kind == SCHEDULE_NONE || after_ms / 1000 > LAST_S)
		return false;
	zone_enter(&turn, schedule->zone);
	comes = due_next(schedule, (int64_t)(after_ms / 1000), &due);
	if (comes)
		moment_fill(task, due, moment);
	zone_leave(&turn);
	return comes;
}

uint64_t task_opens(const struct task *task, uint64_t from_ms, uint64_t *until_ms)
{
	const struct schedule *schedule = &task->schedule;
	struct zone_turn turn;
	int64_t from = (int64_t)(from_ms / 1000), opens;

	*until_ms = UINT64_MAX;
	if (schedule->window == NULL || from > LAST_S)
		return from_ms;
	zone_enter(&turn, schedule->zone);
	opens = put_off(schedule, from);
	*until_ms = (uint64_t)closes(schedule, opens) * 1000;
	zone_leave(&turn);
	return opens == from ? from_ms : (uint64_t)opens * 1000;
}

/* ── In words ────────────────────────────────────────────────────────────────────────────── */

static const char *kind_word(enum schedule_kind kind)
{
	static const char *const names[] = {[SCHEDULE_NONE] = "",
	    [SCHEDULE_CRON] = "cron",
	    [SCHEDULE_EVERY] = "every",
	    [SCHEDULE_AT] = "at"};

	return names[kind];
}

uint64_t task_schedule_mark(const struct task *task)
{
	const struct schedule *schedule = &task->schedule;
	uint64_t mark = spread_text(0, kind_word(schedule->kind));

	mark = spread_text(mark, schedule->text != NULL ? schedule->text : "");
	mark = spread_text(mark, schedule->zone != NULL ? schedule->zone : "");
	mark = spread_text(mark, schedule->window != NULL ? schedule->window : "");
	mark = spread_number(mark, schedule->jitter_ms);
	return spread_end(spread_number(mark, task->active));
}

void task_describe_schedule(const struct task *task, char *out, size_t size)
{
	const struct schedule *schedule = &task->schedule;
	bool zoned = schedule->zone != NULL;
	bool windowed = schedule->window != NULL;

	if (schedule->kind == SCHEDULE_NONE) {
		snprintf(out, size, "%s", "");
		return;
	}
	snprintf(out, size, "%s \"%s\"%s%s%s%s", kind_word(schedule->kind), schedule->text,
	    windowed ? " in " : "", windowed ? schedule->window : "", zoned ? ", " : "",
	    zoned ? schedule->zone : "");
}

void task_describe_time(const struct task *task, uint64_t wall_ms, char *out, size_t size)
{
	struct zone_turn turn;
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	zone_enter(&turn, task->schedule.zone);
	if (localtime_r(&at, &tm) == NULL || strftime(out, size, "%a %F %H:%M %Z", &tm) == 0)
		snprintf(out, size, "%s", "");
	zone_leave(&turn);
}
