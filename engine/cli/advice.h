/* What happened to a record in words, and what to do next about it. */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include <stddef.h>

#include <jansson.h>

/* What happened: the asset's words, or ours for its code or reason. Never NULL. */
const char *advice_what(const json_t *record);

/* What to do next, with this record's names in it; "" when there is nothing to do. */
char *advice_next(char *out, size_t size, const json_t *record);

#endif
