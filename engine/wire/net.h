/*
 * A TCP connection to an asset: its name's addresses, the connecting, and how it is closed.
 *
 * Owns the socket. Never waits: net_step says ERR_AGAIN, net_wait for what.
 */
#ifndef WIRE_NET_H
#define WIRE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/util.h>

#include "wire/link.h"

struct lookup;

/* Zeroed = not begun, but `fd` = -1. */
struct net {
	int fd;
	bool resolved, connecting, connected;
	struct lookup *lookup; /* under way */
	int lookup_error;      /* EVUTIL_EAI_…; 0 = none */
	struct evutil_addrinfo *found;
	const struct evutil_addrinfo *next; /* to be tried */
	char numeric[WIRE_ADDRESS_SIZE];    /* the one in work */
	int last_errno;
};

/*
 * The address as a wire takes it, to be freed: the interface behind the "%" of an IPv6 address by
 * its number. For outside of the sandbox, which forbids to ask.
 */
char *net_address(const char *address);

/* Resolves and connects, one address after the other. */
enum err net_step(struct net *, const struct link_config *, const char *address, uint16_t port,
    struct outcome *) MUST_CHECK;

/* SO_LINGER {1,0} on or off. */
void net_hold(struct net *, bool on);

/* How much the machine at the other end has not taken yet of what was sent. */
size_t net_waiting(const struct net *);

void net_clear(struct net *);

#endif
