/* Asking for a secret: twice on a terminal, which does not show it; else one line of stdin. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>

#include "base/buf.h"

#define ASK_BYTES_MAX 16384

/* Reads it into `secret` (made with ASK_BYTES_MAX). `what` names it: "password". Says what is
 * wrong; returns the exit status. */
int ask_secret(const char *what, struct buf *secret);

/* Its text, or NULL where it is none: not UTF-8, or with a NUL. */
json_t *ask_text(struct buf *secret);

#endif
