/*
 * The bytes of a connection, between the socket and libssh2, within budgets.
 *
 * Owns the read-ahead, what is gathered to be sent, and the counts that keep one asset from holding
 * the loop: so much a wake-up, so much before the login. Never waits, never understands what
 * passes.
 */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "wire/greeting.h"

#define STREAM_WAKE_MAX	  (64 * 1024)
#define STREAM_EARLY_MAX  (256 * 1024)
#define STREAM_AHEAD_SIZE 256
#define STREAM_OUT_MAX	  (128 * 1024)

struct stream {
	int fd;		/* borrowed */
	uint8_t *ahead; /* STREAM_AHEAD_SIZE bytes, as long as a greeting is read */
	size_t ahead_at, ahead_len;
	struct buf out; /* gathered, not sent yet */
	uint64_t total; /* ever given to be sent */
	size_t wake_left;
	bool dry; /* all that was there was read; what came since is the next wake-up's */
	size_t early_left;
	bool trusted;	  /* logged in: `early_left` does not count */
	bool over;	  /* it sent too much before the login */
	bool end;	  /* the peer closed */
	int error;	  /* errno of the socket; 0 = none */
	bool mute;	  /* nothing may leave any more */
	bool cut;	  /* see stream_cut */
	bool interrupted; /* receiving fails, and the connection is as it was */
	size_t parting_at;
	struct greeting greeting;
};

void stream_init(struct stream *, int fd);
void stream_clear(struct stream *);

/*
 * A wake-up begins: its budget is whole again. Within one the socket is read until it has given
 * less than was asked for, and then no more: who was told that nothing is there may rely on it, and
 * waits for the socket, which wakes it for what came since.
 */
void stream_wake(struct stream *);

/* The greeting was read: what was read ahead of it is all that there will be. */
void stream_greeted(struct stream *);

/* The peer has logged us in: only the budget of a wake-up counts from now on. */
void stream_trust(struct stream *);

/* As recv and send, with a negative errno; what libssh2's callbacks answer. */
ssize_t stream_recv(struct stream *, void *out, size_t len);
ssize_t stream_send(struct stream *, const void *bytes, size_t len);

/* Hands to the socket what is gathered, as far as it takes it. */
void stream_flush(struct stream *);

/* How much may be gathered until the socket takes some. */
size_t stream_room(const struct stream *);

/* Something is gathered that the socket did not take. */
bool stream_unsent(const struct stream *);

/* The connection is of no more use, from either side. */
bool stream_broken(const struct stream *);

/*
 * From now on the socket is not touched: sending fails, and receiving gives one plain "new keys"
 * message and then a broken connection. With that libssh2 runs whatever it was doing to its end and
 * frees what it holds; without the message it forgets a server's key that it already has.
 */
void stream_cut(struct stream *);

#endif
