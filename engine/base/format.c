#include "base/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_MS 1000
#define MINUTE_S  60
#define HOUR_S	  3600
#define DAY_S	  86400

char *format_count(char out[FORMAT_SIZE], uint64_t count)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

char *format_elapsed(char out[FORMAT_SIZE], uint64_t ms)
{
	uint64_t s = ms / SECOND_MS;

	if (s < MINUTE_S)
		snprintf(out, FORMAT_SIZE, "%" PRIu64 ".%" PRIu64 " s", s, ms % SECOND_MS / 100);
	else if (s < HOUR_S)
		snprintf(
		    out, FORMAT_SIZE, "%" PRIu64 " min %" PRIu64 " s", s / MINUTE_S, s % MINUTE_S);
	else
		snprintf(out, FORMAT_SIZE, "%" PRIu64 " h %" PRIu64 " min", s / HOUR_S,
		    s % HOUR_S / MINUTE_S);
	return out;
}

/* Seconds since 1970, or -1. */
static int64_t time_of(const char *rfc3339)
{
	struct tm tm = {.tm_isdst = 0};

	if (sscanf(rfc3339, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return timegm(&tm);
}

char *format_time(char out[FORMAT_SIZE], const char *rfc3339)
{
	time_t at = (time_t)time_of(rfc3339);
	struct tm tm;

	if (at < 0 || localtime_r(&at, &tm) == NULL ||
	    strftime(out, FORMAT_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		out[0] = '\0';
	return out;
}

char *format_time_ms(char out[FORMAT_SIZE], const char *rfc3339)
{
	const char *dot = strchr(rfc3339, '.');
	size_t used = strlen(format_time(out, rfc3339));

	if (used > 0 && dot != NULL)
		snprintf(out + used, FORMAT_SIZE - used, "%.4s", dot);
	return out;
}

/* Bytes of the time in UTC that the text begins with; 0 = it begins with none. */
static size_t time_length(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00";
	size_t len = 0;

	for (; form[len] != '\0'; len++)
		if (form[len] == '0' ? !isdigit((unsigned char)text[len]) : text[len] != form[len])
			return 0;
	if (text[len] == '.')
		len += 1 + strspn(text + len + 1, "0123456789");
	return text[len] == 'Z' ? len + 1 : 0;
}

const char *format_times(char *out, size_t size, const char *text)
{
	const char *rest = text;
	size_t used = 0, len;
	bool any = false;
	char when[FORMAT_SIZE];

	while (*rest != '\0' && used + FORMAT_SIZE < size) {
		len = time_length(rest);
		any = any || len > 0;
		if (len > 0)
			used += (size_t)snprintf(
			    out + used, FORMAT_SIZE, "%s", format_time(when, rest));
		else
			out[used++] = *rest;
		rest += len > 0 ? len : 1;
	}
	out[used] = '\0';
	return any ? out : text;
}

char *format_age(char out[FORMAT_SIZE], const char *rfc3339, int64_t now_s)
{
	int64_t at = time_of(rfc3339);
	int64_t age = at < now_s ? now_s - at : 0;

	if (at < 0)
		out[0] = '\0';
	else if (age < MINUTE_S)
		snprintf(out, FORMAT_SIZE, "%" PRId64 " s", age);
	else if (age < HOUR_S)
		snprintf(out, FORMAT_SIZE, "%" PRId64 " min", age / MINUTE_S);
	else if (age < 2 * DAY_S)
		snprintf(out, FORMAT_SIZE, "%" PRId64 " h", age / HOUR_S);
	else
		snprintf(out, FORMAT_SIZE, "%" PRId64 " days", age / DAY_S);
	return out;
}

static int begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t format_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += begins_character(*text) != 0;
	return width;
}

size_t format_prefix(const char *text, size_t columns)
{
	size_t used = 0, width = 0;

	for (; text[used] != '\0'; used++) {
		if (begins_character(text[used]) && width++ == columns)
			break;
	}
	return used;
}
