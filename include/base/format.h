/* Words for people: numbers, times, widths. */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_SIZE 48

/* "1,236"; returns `out`. */
char *format_count(char out[FORMAT_SIZE], uint64_t count);

/* "0.2 s", "9.1 s", "4 min 10 s", "2 h 5 min". */
char *format_elapsed(char out[FORMAT_SIZE], uint64_t ms);

/* RFC 3339 (as results have it) in the local zone: "2026-11-24 09:41:07"; "" stays "". */
char *format_time(char out[FORMAT_SIZE], const char *rfc3339);

/* The same with milliseconds: "2026-11-24 09:41:07.120". */
char *format_time_ms(char out[FORMAT_SIZE], const char *rfc3339);

/*
 * Text with the times in it, which stand there as results have them, in the local zone: in `out`;
 * where there is none, the text itself.
 */
const char *format_times(char *out, size_t size, const char *text);

/* "3 min", "12 days": how long before `now_s` (1970) that was; "" stays "". */
char *format_age(char out[FORMAT_SIZE], const char *rfc3339, int64_t now_s);

/* Columns that UTF-8 text takes, counted by characters. */
size_t format_width(const char *text);

/* Bytes of the longest beginning of `text` that takes at most `columns`. */
size_t format_prefix(const char *text, size_t columns);

#endif
