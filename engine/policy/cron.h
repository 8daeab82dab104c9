/*
 * Cron's five fields, as crontab(5) means them: which minutes of the calendar they name.
 *
 * Owns their text and their meaning. Knows neither clocks nor zones: its times are readings, as
 * zone.h has them.
 */
#ifndef POLICY_CRON_H
#define POLICY_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cron {
	uint64_t minutes; /* a bit each */
	uint64_t hours;
	uint64_t days; /* from bit 1 on */
	uint64_t months;
	uint64_t weekdays; /* Sunday is bit 0 */
	bool either;	   /* both are restricted: a day that is one of them is enough */
};

/* False, and what is wrong with the text. */
bool cron_parse(struct cron *, const char *text, char *why, size_t size);

/* The first minute after `reading` that it names; false when there is none any more. */
bool cron_next(const struct cron *, int64_t reading, int64_t *next);

#endif
