/* Answers of the socket as JSON: what stands in one, and with which status. */
#ifndef SERVICE_ANSWER_H
#define SERVICE_ANSWER_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "service.h"

struct evbuffer;

/* A line. */
void answer_add(struct evbuffer *, const json_t *);

bool answer_is_good(enum service_end);

/* {exit, code, error, result}: what a result alone cannot say. `result` (or NULL) becomes its. */
json_t *answer_failure(enum service_end, json_t *result, const struct error *);

/* HTTP's, of what is not good. */
int answer_status(enum service_end, const struct error *);

#endif
