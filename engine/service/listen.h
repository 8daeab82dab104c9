/*
 * The same API over TLS: where settings { listen } says.
 *
 * Owns that listener, who is let in by it, and its caps: how many are there at once, in all, from
 * one address and of one user, and how many come in a second. They are apart from the socket's, so
 * that whoever floods it shuts nobody out here. Never lets anyone be the vault's owner.
 */
#ifndef SERVICE_LISTEN_H
#define SERVICE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "policy.h"

struct listening;
struct service;
struct tls;

/* What a change takes: made first, so that what is wrong with it changes nothing. */
struct listen_change {
	struct tls *tls; /* NULL = nothing is listened at any more */
	int fd;		 /* -1 = the address stays */
};

/* ERR_OK: either listen_take or listen_drop it. Else the text says what is wrong. */
enum err listen_prepare(struct listening *, const struct settings *, struct listen_change *,
    struct error *error) MUST_CHECK;
void listen_take(struct listening *, const struct settings *, struct listen_change *);
void listen_drop(struct listen_change *);

struct listening *listening_new(struct service *);
void listening_free(struct listening *); /* NULL is fine */

/* Where it listens; NULL = nowhere. */
const char *listening_at(const struct listening *);
/* Of its certificate, as of tls_warning. */
void listening_warning(const struct listening *, char *out, size_t size);

/* Takes nobody any more; answers still go out. */
void listening_end(struct listening *);
bool listening_is_quiet(const struct listening *);

#endif
