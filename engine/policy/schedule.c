/*
 * Schedules as they are written: `cron`, `every` and `at` as values, and the fields beside them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "policy/cron.h"
#include "policy/loader.h"
#include "policy/zone.h"

#define MINUTE_MS 60000u
#define DAY_MS	  86400000u
#define WHY_SIZE  256

/* ── cron, every, at ─────────────────────────────────────────────────────────────────────── */

static void use_push(struct loader *loader, enum schedule_kind kind, const char *text,
    const struct cron *cron, uint64_t number)
{
	struct arena *arena = &loader->policy->arena;
	struct schedule_use *use = arena_alloc(arena, sizeof(*use));
	struct cron *kept = NULL;

	if (cron != NULL) {
		kept = arena_alloc(arena, sizeof(*kept));
		*kept = *cron;
	}
	*use = (struct schedule_use){
	    .value = VALUE_SCHEDULE,
	    .kind = kind,
	    .text = arena_text(arena, text, strlen(text)),
	    .cron = kept,
	    .number = number,
	};
	lua_pushlightuserdata(loader->policy->lua, use);
}

/* The text at `index`; NULL, and refused, for anything else. */
static const char *argument(
    struct loader *loader, const struct statement *statement, int index, const char *example)
{
	lua_State *lua = loader->policy->lua;
	const char *text = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : NULL;

	if (text != NULL && strlen(text) == lua_rawlen(lua, index) &&
	    strlen(text) <= TEXT_LEN_MAX && text_is_utf8(text, strlen(text)))
		return text;
	statement_problem(
	    loader->errors, statement, NULL, NULL, "needs a text: %s %s", statement->kind, example);
	push_refused(lua);
	return NULL;
}

static void refuse(
    struct loader *loader, const struct statement *statement, const char *text, const char *why)
{
	char shown[64];

	text_escape(shown, sizeof(shown), text, strlen(text));
	statement_problem(loader->errors, statement, NULL, NULL, "\"%s\" %s", shown, why);
	push_refused(loader->policy->lua);
}

void cron_read(struct loader *loader, const struct statement *statement, int index)
{
	const char *text = argument(loader, statement, index, "\"0 3 * * sun\"");
	char why[WHY_SIZE];
	struct cron cron;

	if (text == NULL)
		return;
	if (cron_parse(&cron, text, why, sizeof(why)))
		use_push(loader, SCHEDULE_CRON, text, &cron, 0);
	else
		refuse(loader, statement, text, why);
}

void every_read(struct loader *loader, const struct statement *statement, int index)
{
	const char *text = argument(loader, statement, index, "\"6h\"");
	unsigned long long ms;

	if (text == NULL)
		return;
	if (text_duration_ms(text, strlen(text), &ms) && ms >= MINUTE_MS &&
	    ms <= 3660ull * DAY_MS && ms % 1000 == 0)
		use_push(loader, SCHEDULE_EVERY, text, NULL, ms);
	else
		refuse(loader, statement, text, "is no duration from \"1m\" to \"3660d\"");
}

/* True when each `0` of the form is a digit of the text, and all else is the same. */
static bool has_form(const char *text, const char *form)
{
	size_t i = 0;

	for (; form[i] != '\0'; i++)
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return text[i] == '\0';
}

static int digits(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

/* "2027-01-01 03:00" as a reading; -1 for anything else, and for a day that there is not. */
static int64_t date_read(const char *text)
{
	struct tm tm = {.tm_sec = 0}, same;
	time_t reading;

	if (!has_form(text, "0000-00-00 00:00"))
		return -1;
	tm.tm_year = digits(text) - 1900;
	tm.tm_mon = digits(text + 5) - 1;
	tm.tm_mday = digits(text + 8);
	tm.tm_hour = digits(text + 11);
	tm.tm_min = digits(text + 14);
	same = tm;
	reading = timegm(&same); /* which makes 30 February a day of March */
	return same.tm_mon == tm.tm_mon && same.tm_mday == tm.tm_mday &&
		       same.tm_hour == tm.tm_hour && same.tm_min == tm.tm_min
		   ? (int64_t)reading
		   : -1;
}

void at_read(struct loader *loader, const struct statement *statement, int index)
{
	const char *text = argument(loader, statement, index, "\"2027-01-01 03:00\"");
	int64_t reading;

	if (text == NULL)
		return;
	reading = date_read(text);
	if (reading >= 0)
		use_push(loader, SCHEDULE_AT, text, NULL, (uint64_t)reading);
	else
		refuse(loader, statement, text, "is no date and time such as \"2027-01-01 03:00\"");
}

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static struct schedule *schedule_of(void *task_decl)
{
	return &((struct task_decl *)task_decl)->entry.task.schedule;
}

void schedule_read(struct reader *reader, const struct field_path *path, void *out)
{
	const struct schedule_use *use =
	    lua_type(reader->lua, -1) == LUA_TLIGHTUSERDATA && !is_refused(reader->lua)
		? lua_touserdata(reader->lua, -1)
		: NULL;
	struct schedule *schedule = schedule_of(out);

	if (use == NULL || use->value != VALUE_SCHEDULE) {
		field_wrong(
		    reader, path, "cron \"0 3 * * sun\", every \"6h\" or at \"2027-01-01 03:00\"");
		return;
	}
	schedule->kind = use->kind;
	schedule->text = use->text;
	schedule->cron = use->cron;
	schedule->every_ms = use->number;
	schedule->at = (int64_t)use->number;
}

void zone_read(struct reader *reader, const struct field_path *path, void *out)
{
	const char *text = field_text(reader, path, "a time zone such as \"Europe/Berlin\"");
	char nearest[ZONE_NAME_SIZE];
	const char *fault = text != NULL ? zone_fault(text, nearest) : NULL;

	if (fault != NULL)
		statement_problem(reader->errors, reader->statement, path,
		    nearest[0] != '\0' ? nearest : NULL, "field \"%s\": \"%s\" %s", path->name,
		    text, fault);
	else if (text != NULL)
		schedule_of(out)->zone = text;
}

/* "24:00" is midnight, as an end. */
static bool time_read(const char *text, uint32_t *since_midnight_s)
{
	uint32_t hour = (uint32_t)digits(text), minute = (uint32_t)digits(text + 3);

	*since_midnight_s = (hour * 60 + minute) * 60;
	return minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
}

void window_read(struct reader *reader, const struct field_path *path, void *out)
{
	const char *text = field_text(reader, path, "a text such as \"02:00-05:00\"");
	struct schedule *schedule = schedule_of(out);
	uint32_t from, to;

	if (text == NULL)
		return;
	if (!has_form(text, "00:00-00:00") || !time_read(text, &from) ||
	    !time_read(text + strlen("00:00-"), &to) || from == DAY_MS / 1000) {
		field_fault(reader, path, "is no window such as \"02:00-05:00\"");
		return;
	}
	to %= DAY_MS / 1000;
	if (from == to) {
		field_fault(reader, path,
		    "is closed all day, or open: to have it open, leave the field out");
		return;
	}
	schedule->window = text;
	schedule->window_from_s = from;
	schedule->window_to_s = to;
}

void catch_up_read(struct reader *reader, const struct field_path *path, void *out)
{
	static const struct field limit = {
	    .name = "catch_up", .type = FIELD_DURATION, .min = MINUTE_MS, .max = 366ull * DAY_MS};

	if (lua_type(reader->lua, -1) == LUA_TBOOLEAN && !lua_toboolean(reader->lua, -1))
		schedule_of(out)->catch_up_ms = 0;
	else
		field_read(reader, &limit, path, &schedule_of(out)->catch_up_ms);
}

/* ── What belongs together ───────────────────────────────────────────────────────────────── */

static void check_alone(
    struct loader *loader, const struct task_entry *entry, const char *name, bool said)
{
	struct field_path field = {.name = name};

	if (said)
		statement_problem(loader->errors, entry->statement, &field, NULL,
		    "field \"%s\" belongs to a schedule, and the task has none: take it out", name);
}

void schedule_check(struct loader *loader, const struct task_entry *entry)
{
	static const struct field_path jitter = {.name = "jitter"};
	const struct schedule *schedule = &entry->task.schedule;

	if (schedule->kind == SCHEDULE_NONE) {
		check_alone(loader, entry, "zone", schedule->zone != NULL);
		check_alone(loader, entry, "window", schedule->window != NULL);
		check_alone(loader, entry, "jitter", schedule->jitter_ms > 0);
		check_alone(
		    loader, entry, "catch_up", schedule->catch_up_ms != CATCH_UP_DEFAULT_MS);
	}
	if (schedule->kind == SCHEDULE_EVERY && schedule->jitter_ms >= schedule->every_ms)
		statement_problem(loader->errors, entry->statement, &jitter, NULL,
		    "field \"jitter\" must be less than the time between two runs, every \"%s\"",
		    schedule->text);
}
