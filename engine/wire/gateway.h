/*
 * A gateway: a link that is logged in and carries other links, each through a direct-tcpip channel
 * of its own that is pumped to a socket pair. What is at the other end of the pair is a connection
 * like any other: nothing above link.c knows the difference.
 *
 * Owns the carrying link, its events, the tunnels through it and the order in which they are
 * served: one may flood, stand still or never be answered, and the others go on. Buffers are
 * bounded both ways; what is not taken at one end is not read at the other. Never knows jobs or
 * accounts.
 *
 * A tunnel has two owners: the link that it carries, and the gateway, which closes its channel in
 * its own time. Where the gateway breaks, every tunnel breaks at once, and says why.
 */
#ifndef WIRE_GATEWAY_H
#define WIRE_GATEWAY_H

#include "wire/link.h"

struct event_base;
struct gateway;
struct tunnel;
struct turns;

struct gateway_config {
	struct event_base *base;
	struct turns *turns;
	const char *asset; /* its name, for messages; copied */
	/* One that says nothing this long is asked, and at once where something through it was not
	 * answered; it is given up when it does not answer either. 0 = 5 s, 6 s. */
	uint64_t ask_ms, silence_ms;
};

/* What a link needs before it can carry others, after its login. */
enum err gateway_ready_step(struct link *, struct outcome *) MUST_CHECK;
struct gateway *gateway_new(const struct gateway_config *, struct link * /* transferred */);
/* Breaks every tunnel. NULL is fine. */
void gateway_free(struct gateway *);

/* It carries nothing any more. */
bool gateway_broken(const struct gateway *);

/* ── Tunnels ─────────────────────────────────────────────────────────────────────────────── */

/* `wake` is called from the loop when tunnel_step should be tried. The gateway resolves `address`.
 */
struct tunnel *tunnel_new(
    struct gateway *, const char *address, uint16_t port, void (*wake)(void *arg), void *arg);

/* Until it is connected: then `*fd` is the caller's, non-blocking. */
enum err tunnel_step(struct tunnel *, int *fd /* transferred */, struct outcome *) MUST_CHECK;

/*
 * From before a secret is sent until its end is seen, as link_hold. What is cut meanwhile is not
 * handed on: where it cannot be called back from the carrying link, that one is reset.
 */
void tunnel_hold(struct tunnel *, bool on);

/* As link_acked, of the link that it carries. */
uint64_t tunnel_acked(struct tunnel *);

/* The gateway broke, as `outcome` says; false while it stands. */
bool tunnel_lost(const struct tunnel *, struct outcome *);

/* The caller has closed its descriptor. NULL is fine. */
void tunnel_free(struct tunnel *);

#endif
