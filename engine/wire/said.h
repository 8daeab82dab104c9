/*
 * What an asset said on both outputs, for a message and for its meaning.
 */
#ifndef WIRE_SAID_H
#define WIRE_SAID_H

#include "base/buf.h"
#include "wire.h"

#define SAID_SIZE 512

/* The last of what was said, on `err` if there was anything, escaped; returns `text`. */
char *said_text(char text[SAID_SIZE], const struct buf *err, const struct buf *out);

/* What `hint` finds in the one or the other. */
enum fault said_hint(
    const struct buf *err, const struct buf *out, enum fault (*hint)(const char *text, size_t len));

/* On a terminal a login with an old password does not end: it says so, and asks for a new one. */
bool said_wants_change(const struct buf *out);

#endif
