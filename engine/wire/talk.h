/*
 * What is said on a channel until a shell on it is ready: the start of a command, lines and answers
 * to it, and what it says.
 *
 * Owns the channel (until it is taken) and what is under way on it. Never knows what it means.
 *
 * Steps are as in link.h.
 */
#ifndef WIRE_TALK_H
#define WIRE_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/secret.h"
#include "wire/link.h"

struct talk {
	struct link *link;
	struct channel *channel;
	struct buf out, err; /* capped; on a terminal `out` alone */
	struct buf text;     /* to be written, or the command to start */
	size_t written;
};

void talk_init(struct talk *, struct link *);
/* Closes the channel, where it was not taken. */
void talk_clear(struct talk *);

/* Starts what stands in `text`. */
enum err talk_exec_step(struct talk *, bool terminal, struct outcome *) MUST_CHECK;

/* Makes a line of `text` what is written next; with a secret, its bytes. */
void talk_put(struct talk *, const char *text);
void talk_put_secret(struct talk *, const struct secret *);

/* Writes `text`. `*touched` becomes true before the first byte may leave. */
enum err talk_write_step(struct talk *, bool *touched, struct outcome *) MUST_CHECK;

/* Reads what is there. */
enum err talk_read_step(struct talk *, bool *end, struct outcome *) MUST_CHECK;

/* Forgets what was said so far. */
void talk_forget(struct talk *);

#endif
