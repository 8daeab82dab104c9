/*
 * TLS: what a listener shows of itself, and the connections that it takes.
 *
 * Owns the versions and ciphers, reading the files that settings { listen } names, and that the
 * key's is not open to others. Never knows who a client is.
 */
#ifndef SERVICE_TLS_H
#define SERVICE_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "policy.h"

struct bufferevent;
struct event_base;
struct tls;

/* ERR_NOT_FOUND, ERR_DENIED (of a key: open to others), ERR_INVALID, ERR_IO; with the file. */
enum err tls_new(struct tls **, const struct listen *, struct error *error) MUST_CHECK;
/* What it took goes on. NULL is fine. */
void tls_free(struct tls *);

/* What deserves a warning of its certificate: it has ended, or will in a few days. "" = nothing. */
void tls_warning(const struct tls *, char *out, size_t size);

/* A client at `fd`, which becomes the result's; NULL = there is no memory, and `fd` was closed. */
struct bufferevent *tls_take(struct tls *, struct event_base *, int fd);

/* Of any bufferevent: whether it speaks TLS. */
bool tls_is(const struct bufferevent *);
/* The client's certificate, which a CA of client_ca vouches for: its digest. False = it showed
 * none. */
bool tls_certificate(const struct bufferevent *, uint8_t digest[DIGEST_SIZE]);

/* It is set up: what a request or an answer is made of need not wait for the other end's word. */
void tls_begun(struct bufferevent *);
/* Says that nothing more comes, as far as there is room for it. */
void tls_end(struct bufferevent *);

#endif
