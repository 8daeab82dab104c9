/*
 * Frames over a socket: a stream of length-prefixed messages in both directions, never blocking.
 *
 * Owns the descriptor, the bytes on their way (in wiped memory) and their caps, and how much is
 * done in one turn of the loop. Never looks into a frame (message.h does).
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct event_base;
struct frames;

struct frames_config {
	size_t size_max; /* a longer frame is ERR_PROTOCOL */
	int priority;	 /* of its events: what floods us must not come before our own work */
	/* A frame came; the bytes live during the call. Anything but ERR_OK ends the stream. */
	enum err (*frame)(void *arg, const uint8_t *bytes, size_t len);
	/*
	 * The stream has ended, once; nothing is called after it. ERR_LINK: the peer is gone.
	 * ERR_FULL: more is waiting to be sent than may. Else what `frame` returned, or
	 * ERR_PROTOCOL.
	 */
	void (*lost)(void *arg, enum err why);
	void *arg;
};

/* A stream on a connected socket, which it takes and makes non-blocking. */
struct frames *frames_new(
    struct event_base *, int fd /* transferred */, const struct frames_config *);

/* Closes at once; what was not sent is dropped. Fine from inside the callbacks. NULL is fine. */
void frames_free(struct frames *);

/* Where to append whole frames (message_put_*); then frames_send. */
struct buf *frames_out(struct frames *);

/* Sends what was appended, from the loop. */
void frames_send(struct frames *);

#endif
