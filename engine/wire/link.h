/*
 * A link: one TCP connection to an asset with libssh2 on it, never blocking.
 *
 * Owns the socket, the libssh2 session and its memory (a block list of its own: nothing leaks
 * whenever it is cut), the budgets of bytes a wake-up and before login, the host key's check. Never
 * knows jobs, accounts' meaning or scripts.
 *
 * Every *_step function either ends (ERR_OK, or an error with `outcome` filled) or says ERR_AGAIN:
 * then wait for what link_wait says, or for the wake callback, and call the very same step again
 * with the same arguments; a spurious call is harmless. Deadlines are the caller's: it stops
 * stepping and frees the link.
 */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "wire.h"

struct event_base;
struct evdns_base;
struct gateway;
struct link;

/* What went wrong, in the words of wire.h. */
struct outcome {
	enum fault fault;
	char text[WIRE_TEXT_SIZE];
};

/* Fills `outcome` and returns an error code other than OK and AGAIN. */
enum err outcome_set(struct outcome *, enum fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct link_config {
	struct evdns_base *dns;	 /* NULL: only numeric addresses */
	struct gateway *gateway; /* through which it is connected; NULL = directly */
	bool slow_lane;		 /* Diffie-Hellman groups are offered, too */
	/* Called from the loop when a step should be tried though no descriptor says so (a name was
	 * resolved, a gateway has connected). */
	void (*wake)(void *arg);
	void *arg;
};

/* `target` is copied. */
struct link *link_new(const struct link_config *, const struct wire_target *);

/* Closes at once, whatever it was doing; with a reset where the linger is on (see link_hold). NULL
 * is fine. */
void link_free(struct link *);

/*
 * Around the steps of one turn of the loop, where there is more than one: the socket is read as
 * long as something is there and then no more, and what they send leaves together, at the end.
 * Without them each step is a turn of its own. `dry`: nothing came since the last turn, and who
 * says so is told by the loop when something does.
 */
void link_turn_begin(struct link *, bool dry);
/* True where all that came was read. */
bool link_turn_end(struct link *);

/* The descriptor to wait for is the same until the link is freed. */
bool link_is_connected(const struct link *);

/* What to wait for after ERR_AGAIN: `*fd` -1 = only the wake callback. `*events` EV_READ and/or
 * EV_WRITE. */
void link_wait(const struct link *, int *fd, short *events);

/* Resolves, connects, exchanges keys, checks the host key against the pins. */
enum err link_open_step(struct link *, struct outcome *) MUST_CHECK;
/* It failed to open, and in the slow lane it would have come further; or nobody knows, as the asset
 * left without saying what it has. */
bool link_wants_slow_lane(const struct link *);
/* After open: the host key that was shown, whether nothing was pinned, the numeric address. */
void link_peer(
    const struct link *, struct wire_key *key, bool *new_key, char address[WIRE_ADDRESS_SIZE]);

/* Asks which methods `user` may use; makes no attempt. Remembered for the login. */
enum err link_methods_step(struct link *, const char *user, struct outcome *) MUST_CHECK;
/* What was asked about a user is kept by the asset's server, and a change not seen: all but
 * OpenSSH's are held for such. */
bool link_remembers(const struct link *);
/* A key; or a password, by `password` or keyboard-interactive. */
bool link_takes(const struct link *, bool key);
/* As the asset said, escaped. */
void link_methods(const struct link *, char *out, size_t size);

struct login {
	const char *user;
	const struct secret *secret;
	bool is_key;
	const struct secret *passphrase; /* NULL = none */
};

/*
 * Logs in by the method that the asset offers: public key for a key; else `password`, else
 * keyboard-interactive (never both with the same refused secret, unless the first was not an
 * attempt). Only the first hidden prompt is answered with the secret; a forced change of password
 * is FAULT_EXPIRED and nothing is answered to it. FAULT_AUTH: refused; link_failed_attempts tells
 * how many the asset may have counted.
 */
enum err link_login_step(struct link *, const struct login *, struct outcome *) MUST_CHECK;
uint32_t link_failed_attempts(const struct link *);

/*
 * From before a secret is sent until its end is seen: SO_LINGER {1,0}, so that what the dead had
 * not sent is never delivered. `on` false restores an orderly close. Through a gateway the linger
 * is that of the link that carries it, for as long as one needs it.
 */
void link_hold(struct link *, bool on);

/* How much of all that it ever sent has left this machine for good. */
uint64_t link_acked(const struct link *);

/* The gateway that it goes through broke, and that is why it is of no more use. */
bool link_gateway_lost(const struct link *);

/* ── Channels ────────────────────────────────────────────────────────────────────────────── */

/* One exec channel. At most one call on a link may be under way (ERR_AGAIN) at a time. */
struct channel;

/*
 * `*channel` is NULL at first and set when it is open and the command was accepted. No environment:
 * to ask for one costs a round trip, and most assets refuse. A terminal costs one too; it is asked
 * to be raw, and then both outputs of the command come as one.
 */
enum err channel_exec_step(struct link *, struct channel **, const char *command, bool terminal,
    struct outcome *) MUST_CHECK;

/*
 * Writes all of `len` bytes. A piece up to 16 KB leaves in one channel packet or not at all: it
 * waits for the window first. `*written` keeps the count between steps (0 at first). `*touched`
 * becomes true before the first byte may leave.
 */
enum err channel_write_step(struct channel *, const void *bytes, size_t len, size_t *written,
    bool *touched, struct outcome *) MUST_CHECK;

/*
 * Reads what is there into `out` / `err_out` (capped struct buf; past the cap FAULT_OUTPUT). ERR_OK
 * when something was read or the end came (`*end`), ERR_AGAIN when nothing is there.
 */
struct buf;
enum err channel_read_step(
    struct channel *, struct buf *out, struct buf *err_out, bool *end, struct outcome *) MUST_CHECK;

enum err channel_eof_step(struct channel *, struct outcome *) MUST_CHECK;
/* Closes and learns the exit status (-1 for a signal, which stands in the text; libssh2 gives 0
 * also where the asset told none: no proof of anything). */
enum err channel_close_step(struct channel *, int *status, struct outcome *) MUST_CHECK;
/* Frees at once. NULL is fine. */
void channel_free(struct channel *);
/* Without a word, where it was not open yet or its session ends with it. NULL is fine. */
void channel_abandon(struct channel *);

#endif
