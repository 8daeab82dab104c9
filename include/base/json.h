/*
 * JSON for people's programs (through jansson): the few helpers that every face needs.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "base/id.h"

/* jansson uses wiped, undumped memory from now on. Once, at the start of a process. */
void json_init(void);

/* Text that others wrote: escaped as text_escape does, so that it is always UTF-8. NULL gives null.
 */
json_t *json_text(const char *text);
json_t *json_time(uint64_t wall_ms); /* RFC 3339 UTC; 0 gives null */
json_t *json_id(const struct id *);  /* none gives null */

/* A member's text, or number; "" and 0 for null, absent and what is none. */
const char *text_of(const json_t *object, const char *key);
json_int_t number_of(const json_t *object, const char *key);

/* Writes one document and a newline to `fd`; compact or indented. ERR_IO when it cannot. */
enum err json_write(int fd, const json_t *, bool indented) MUST_CHECK;

#endif
