/* What did not succeed, in a table: what happened to each account, and what to do next. */
#ifndef CLI_TROUBLE_H
#define CLI_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* More than these are told by their causes and the command that shows them all. */
#define TROUBLES_SHOWN 20

/*
 * Prints records that are in trouble, failed ones first. `width` 0 = as wide as it is; `execution`
 * is the id that shows the rest.
 */
void troubles_print(
    FILE *, const json_t *records, const char *execution, size_t width, bool colour);

/* The table alone, of at most TROUBLES_SHOWN. */
void troubles_rows(FILE *, const json_t *records, size_t width, bool colour);

#endif
