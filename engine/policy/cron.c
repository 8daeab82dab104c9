#include "policy/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY_S	    86400
#define DAY_MINUTES 1440
/* The calendar repeats itself after 400 years, weekdays included. */
#define CALENDAR_DAYS 146097

static const char *const month_names[] = {
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct part {
	const char *name;
	unsigned least, most;
	const char *const *names; /* of `least` and what follows */
} parts[] = {
    {"minute", 0, 59, NULL}, {"hour", 0, 23, NULL}, {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names},
    {"day of the week", 0, 7, weekday_names}, /* 0 and 7 are Sunday */
};

#define PARTS	 (sizeof(parts) / sizeof(parts[0]))
#define DAYS	 2
#define WEEKDAYS 4

static const struct {
	const char *word, *fields;
} words[] = {
    {"@hourly", "0 * * * *"},
    {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},
    {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

struct parse {
	const struct part *part;
	const char *at;
	uint64_t *bits;
	char *why;
	size_t size;
};

static bool refuse(struct parse *parse, const char *what)
{
	size_t len = strcspn(parse->at, " ,");

	snprintf(parse->why, parse->size, "has \"%.*s\" as its %s, which %s",
	    (int)(len < 32 ? len : 32), parse->at, parse->part->name, what);
	return false;
}

static bool out_of_bounds(struct parse *parse)
{
	char what[48];

	snprintf(what, sizeof(what), "is not from %u to %u%s", parse->part->least,
	    parse->part->most, parse->part->names != NULL ? ", and no name" : "");
	return refuse(parse, what);
}

/* One value: a number or a name. False when it is none. */
static bool value_read(const struct part *part, const char **at, unsigned *value)
{
	size_t len = strspn(*at, "0123456789");

	if (len > 0 && len <= 2) {
		*value = (unsigned)strtoul(*at, NULL, 10);
		*at += len;
		return *value >= part->least && *value <= part->most;
	}
	for (unsigned i = 0; part->names != NULL && part->names[i] != NULL; i++)
		if (strncasecmp(*at, part->names[i], 3) == 0) {
			*value = part->least + i;
			*at += 3;
			return true;
		}
	return false;
}

static bool step_read(struct parse *parse, const char **at, unsigned *step)
{
	size_t len = strspn(*at, "0123456789");

	if (len == 0 || len > 2)
		return false;
	*step = (unsigned)strtoul(*at, NULL, 10);
	*at += len;
	return *step > 0 && *step <= parse->part->most;
}

static bool is_end(const char *at)
{
	return *at == '\0' || *at == ',' || *at == ' ';
}

/* One range of a list: `*`, a value or two, with a step perhaps. */
static bool range_read(struct parse *parse)
{
	const struct part *part = parse->part;
	const char *at = parse->at;
	unsigned from = part->least, to = part->most, step = 1;
	bool many = true;

	if (*at == '*') {
		at++;
	} else if (!value_read(part, &at, &from)) {
		return out_of_bounds(parse);
	} else if (*at == '-') {
		at++;
		if (!value_read(part, &at, &to))
			return out_of_bounds(parse);
		/* sat-sun, fri-sun */
		to += part == &parts[WEEKDAYS] && to == 0 && from > 0 ? 7 : 0;
	} else {
		to = from;
		many = false;
	}
	if (*at == '/') {
		at++;
		if (!many)
			return refuse(parse, "has a step without a range");
		if (!step_read(parse, &at, &step))
			return refuse(parse, "has a step that is none");
	}
	if (!is_end(at))
		return refuse(parse, "is not understood");
	if (from > to)
		return refuse(parse, "runs backwards: write two ranges");
	for (; from <= to; from += step)
		*parse->bits |= 1ull << from;
	parse->at = at;
	return true;
}

static bool part_read(struct parse *parse)
{
	if (is_end(parse->at))
		return refuse(parse, "is empty");
	while (range_read(parse)) {
		if (*parse->at != ',')
			return true;
		parse->at++;
	}
	return false;
}

static size_t fields_count(const char *text)
{
	size_t count = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		count++;
		text += strcspn(text, " ");
	}
	return count;
}

static const char *fields_of(const char *text)
{
	for (size_t i = 0; text[0] == '@' && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i].word) == 0)
			return words[i].fields;
	return text;
}

bool cron_parse(struct cron *cron, const char *text, char *why, size_t size)
{
	uint64_t bits[PARTS] = {0};
	struct parse parse = {.at = fields_of(text), .why = why, .size = size};
	bool star[PARTS];
	int64_t next;

	if (parse.at[0] == '@' || fields_count(parse.at) != PARTS) {
		snprintf(why, size,
		    "must be five fields (minute, hour, day of the month, month, day of the "
		    "week), or @hourly, @daily, @weekly, @monthly or @yearly");
		return false;
	}
	for (size_t i = 0; i < PARTS; i++) {
		parse.part = &parts[i];
		parse.bits = &bits[i];
		parse.at += strspn(parse.at, " ");
		star[i] = *parse.at == '*';
		if (!part_read(&parse))
			return false;
	}
	*cron = (struct cron){
	    .minutes = bits[0],
	    .hours = bits[1],
	    .days = bits[DAYS],
	    .months = bits[3],
	    .weekdays = (bits[WEEKDAYS] | bits[WEEKDAYS] >> 7) & 0x7f,
	    .either = !star[DAYS] && !star[WEEKDAYS],
	};
	if (cron_next(cron, 0, &next))
		return true;
	snprintf(why, size, "names a day that no year has: correct its day or its month");
	return false;
}

/* ── Meaning ─────────────────────────────────────────────────────────────────────────────── */

static bool has(uint64_t bits, int bit)
{
	return (bits >> bit & 1) != 0;
}

static bool day_matches(const struct cron *cron, int64_t day)
{
	time_t at = (time_t)(day * DAY_S);
	struct tm tm;
	bool by_date, by_weekday;

	if (gmtime_r(&at, &tm) == NULL)
		return false;
	by_date = has(cron->days, tm.tm_mday);
	by_weekday = has(cron->weekdays, tm.tm_wday);
	return has(cron->months, tm.tm_mon + 1) &&
	       (cron->either ? by_date || by_weekday : by_date && by_weekday);
}

/* The first minute of the day at or after `from` that it names, or DAY_MINUTES. */
static int minute_of_day(const struct cron *cron, int from)
{
	for (int hour = from / 60; hour < 24; hour++, from = hour * 60) {
		if (!has(cron->hours, hour))
			continue;
		for (int minute = from % 60; minute < 60; minute++)
			if (has(cron->minutes, minute))
				return hour * 60 + minute;
	}
	return DAY_MINUTES;
}

bool cron_next(const struct cron *cron, int64_t reading, int64_t *next)
{
	int64_t day = reading / DAY_S - (reading % DAY_S < 0);
	int from = (int)((reading - day * DAY_S) / 60) + 1;

	for (int i = 0; i <= CALENDAR_DAYS; i++, day++, from = 0) {
		int minute = day_matches(cron, day) ? minute_of_day(cron, from) : DAY_MINUTES;

		if (minute < DAY_MINUTES) {
			*next = day * DAY_S + minute * 60;
			return true;
		}
	}
	return false;
}
