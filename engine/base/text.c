#include "base/text.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"

/* Names are short; a longer word has no near one. */
#define WORD_MAX 64

/* The last millisecond of the year 9999: RFC 3339 has four digits for a year. */
#define WALL_MS_MAX 253402300799999ull

bool text_is_utf8(const char *text, size_t len)
{
	while (len > 0) {
		uint32_t code;
		size_t taken = utf8_decode(text, len, &code);

		if (taken == 0 || code == 0)
			return false;
		text += taken;
		len -= taken;
	}
	return true;
}

char *text_escape(char *out, size_t size, const char *text, size_t len)
{
	escape_copy(out, size, text, len, ESCAPE_LINE);
	return out;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`. */
static size_t edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t differs = a[i - 1] != b[j - 1];

			row[j] = smallest(last[j] + 1, row[j - 1] + 1, last[j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

static const char *only_begun(const char *word, const char *const *names, size_t count)
{
	const char *only = NULL;

	for (size_t i = 0; i < count; i++) {
		if (word[0] == '\0' || strncmp(names[i], word, strlen(word)) != 0)
			continue;
		if (only != NULL)
			return NULL;
		only = names[i];
	}
	return only;
}

const char *text_nearest(const char *word, const char *const *names, size_t count)
{
	size_t word_len = strlen(word);
	size_t best = word_len / 3 > 1 ? word_len / 3 : 1;
	const char *nearest = NULL;

	if (word_len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t name_len = strlen(names[i]);
		size_t distance;

		if (name_len > WORD_MAX)
			continue;
		distance = edits(word, word_len, names[i], name_len);
		if (distance < best || (distance == best && nearest == NULL)) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest != NULL ? nearest : only_begun(word, names, count);
}

bool text_glob(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			resume = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			/* Only the last star can need to take more: no nesting, so never slow. */
			pattern = star + 1;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static unsigned long long unit_ms(const char *unit, size_t len)
{
	static const struct {
		const char *name;
		unsigned long long ms;
	} units[] = {
	    {"ms", 1},
	    {"s", 1000},
	    {"m", 60 * 1000},
	    {"h", 60 * 60 * 1000},
	    {"d", 24 * 60 * 60 * 1000},
	    {"w", 7 * 24 * 60 * 60 * 1000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == len && memcmp(units[i].name, unit, len) == 0)
			return units[i].ms;
	}
	return 0;
}

bool text_duration_ms(const char *text, size_t len, unsigned long long *ms)
{
	unsigned long long number = 0, unit;
	size_t digits = 0;

	while (digits < len && text[digits] >= '0' && text[digits] <= '9') {
		unsigned digit = (unsigned)(text[digits] - '0');

		if (number > (ULLONG_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
		digits++;
	}
	unit = unit_ms(text + digits, len - digits);
	if (digits == 0 || unit == 0 || number > ULLONG_MAX / unit)
		return false;
	*ms = number * unit;
	return true;
}

/* True where the text is of that form alone: a digit for each 0. */
static bool has_form(const char *text, const char *form)
{
	for (; *form != '\0'; form++, text++)
		if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return *text == '\0';
}

bool text_moment_ms(const char *text, uint64_t *wall_ms)
{
	struct tm tm = {0}, again;
	unsigned ms = 0;
	time_t seconds;

	if (!has_form(text, "0000-00-00") && !has_form(text, "0000-00-00T00:00:00Z") &&
	    !has_form(text, "0000-00-00T00:00:00.000Z"))
		return false;
	sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3u", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
	    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	again = tm;
	seconds = timegm(&again);
	if (seconds < 0 || again.tm_mon != tm.tm_mon || again.tm_mday != tm.tm_mday ||
	    again.tm_hour != tm.tm_hour || again.tm_min != tm.tm_min || again.tm_sec != tm.tm_sec)
		return false;
	*wall_ms = (uint64_t)seconds * 1000 + ms;
	return true;
}

char *text_rfc3339(char *out, unsigned long long wall_ms)
{
	struct tm tm;
	time_t seconds;
	size_t used;

	if (wall_ms > WALL_MS_MAX)
		wall_ms = WALL_MS_MAX;
	seconds = (time_t)(wall_ms / 1000);
	gmtime_r(&seconds, &tm);
	used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + used, 32 - used, ".%03uZ", (unsigned)(wall_ms % 1000));
	return out;
}

void text_base64(char *out, const void *bytes, size_t len)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = bytes;

	for (size_t i = 0; i < len; i += 3) {
		unsigned group = (unsigned)in[i] << 16;

		group |= i + 1 < len ? (unsigned)in[i + 1] << 8 : 0;
		group |= i + 2 < len ? in[i + 2] : 0;
		*out++ = letters[group >> 18];
		*out++ = letters[group >> 12 & 63];
		*out++ = '=';
		*out++ = '=';
		if (i + 1 < len)
			out[-2] = letters[group >> 6 & 63];
		if (i + 2 < len)
			out[-1] = letters[group & 63];
	}
	*out = '\0';
}
