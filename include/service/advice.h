/* What happened to a record in words, and what to do next about it. */
#ifndef SERVICE_ADVICE_H
#define SERVICE_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* What happened: the asset's words, or ours for its code or reason. Never NULL; may be in `out`. */
const char *advice_what(char *out, size_t size, const json_t *record);

/* What to do next, with the names of this record, or of what came of looking at an asset. */
char *advice_next(char *out, size_t size, const json_t *record);

/* Whether there is advice for an error's code or a reason. */
bool advice_knows(const char *word);

#endif
