/* Tables of text that fit the terminal. */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include <stddef.h>
#include <stdio.h>

#define SHEET_COLUMNS_MAX 12

struct sheet;

/* `titles` ends with NULL and must outlive the sheet; an all-empty column is left out. */
struct sheet *sheet_new(const char *const *titles);
void sheet_free(struct sheet *);

/* Never cuts this column: part of an id or of a time is of no use. */
void sheet_keep(struct sheet *, size_t column);

/* Adds a row: one text a column, copied. */
void sheet_add(struct sheet *, const char *const *texts);

/* `width` 0 = as wide as it is; else the widest columns are cut ("…") until it fits,
 * as far as they may be. */
void sheet_print(const struct sheet *, FILE *, size_t width);

#endif
