/*
 * Lists: what a request found, as a table for people, as CSV, or as JSON.
 *
 * Owns how a list is laid out. Never what is in it: that is each command's, by its columns.
 */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include <stdio.h>

#include "base/buf.h"
#include "cli/cli.h"

#define LIST_TEXT_SIZE 512

struct column {
	const char *title; /* above it in the table; NULL = it is in the CSV alone */
	const char *key;   /* its name in the CSV and the member it shows ("error.code" is one of a
			      member); NULL = it is in the table alone */
	/* What stands in the table, in `out` or elsewhere; NULL = the member as it is. */
	const char *(*text)(char out[LIST_TEXT_SIZE], const json_t *row);
	bool whole; /* a narrow table does not cut it: an id, a time */
};

/* A list's own options have this one too. */
#define KEY_CSV 0xc5f
#define LIST_CSV                                                                                   \
	{                                                                                          \
		"csv", KEY_CSV, NULL, 0, "print the list as CSV (RFC 4180)", 0                     \
	}

/*
 * Prints `rows` (nothing where `status` is a failure's) and returns the exit status. `columns` ends
 * with a column that has neither title nor key. `none` is said in place of an empty table.
 */
int list_print(
    struct cli *, int status, const json_t *rows, const struct column *columns, const char *none);

/* The table alone. */
void list_write(FILE *, size_t width, const json_t *rows, const struct column *columns);

/* The CSV alone: a header, then a line a row, each ended by CRLF. */
void list_write_csv(FILE *, const json_t *rows, const struct column *columns);

/* Appends a member in words, whatever it is: lists joined by `;`, nothing for null. */
void list_add(struct buf *, const json_t *row, const char *key);

#endif
