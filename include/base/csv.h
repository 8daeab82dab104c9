/*
 * CSV as RFC 4180 has it (through libcsv), in wiped memory: rows may hold passwords.
 *
 * Owns reading: caps on size, UTF-8, CRLF accepted, a byte order mark skipped. Columns are the
 * caller's.
 */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include <stddef.h>

#include "base/err.h"

#define CSV_LINE_MAX   (64 * 1024)
#define CSV_FIELDS_MAX 64

struct csv_field {
	const char *text; /* NUL-terminated; no NUL inside */
	size_t len;
};

/*
 * Called for each row with its first line's number (from 1); the first row is the header. Fields
 * are valid during the call. Anything but ERR_OK ends the reading with that error.
 */
typedef enum err (*csv_row_fn)(
    void *arg, size_t line, const struct csv_field *fields, size_t count, struct error *error);

/*
 * Reads all of `fd`. Blank lines are skipped. A bad byte, an over-long line or an unclosed quote is
 * ERR_INVALID with "NAME:LINE: …".
 */
enum err csv_read(int fd, const char *name, csv_row_fn, void *arg, struct error *error) MUST_CHECK;

#endif
