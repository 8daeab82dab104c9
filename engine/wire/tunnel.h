/*
 * What gateway.c and tunnel.c share: the carrying link and what goes through it.
 *
 * Private to these two. libssh2 allows one call at a time to be under way on a session. So nothing
 * is called while the carrying link has no room for the largest packet: then no call is ever cut in
 * the middle of one. And nothing but the pump reads from the socket: a call that waits for an
 * answer would take what is another's for its own.
 */
#ifndef WIRE_TUNNEL_H
#define WIRE_TUNNEL_H

#include <sys/queue.h>

#include "wire/gateway.h"
#include "wire/session.h"
#include "wire/turn.h"

#define TUNNEL_WINDOW (32 * 1024)
#define TUNNEL_PACKET (16 * 1024)
#define TUNNEL_PIECE  (16 * 1024)

/* What one tunnel may keep of the carrying link's memory: its window, in small packets. */
#define TUNNEL_BLOCKS (128 * 1024)

/* Two packets, with what libssh2 adds by itself. */
#define GATEWAY_ROOM (40 * 1024)

struct event;

/* Where in the carrying link's stream a piece of the carried one's ends. */
struct mark {
	uint64_t handed, carried;
};

#define TUNNEL_MARKS 16

enum tunnel_phase {
	TUNNEL_WAITING, /* for its turn to be opened: one at a time is */
	TUNNEL_OPENING,
	TUNNEL_OPEN,
	TUNNEL_CLOSING, /* the gateway is to say that the channel is closed */
	TUNNEL_ENDED,
};

struct tunnel {
	TAILQ_ENTRY(tunnel) entry;
	struct gateway *gateway; /* NULL: it broke */
	enum tunnel_phase phase;
	bool carried; /* the link that it carries is still there */
	bool held;
	char *address;
	uint16_t port;
	struct buf request; /* as libssh2 wants it, the same until it is answered */
	unsigned tries;
	uint64_t order;
	LIBSSH2_CHANNEL *channel;
	int fd;	      /* our end of the pair; -1 = closed */
	int other_fd; /* theirs, until it is taken */
	struct event *event;
	short armed;
	struct buf up, down;		 /* what the other side has not taken yet */
	bool up_end;			 /* the carried link closed its end */
	uint64_t handed;		 /* of the carried link's stream to the carrying one */
	uint64_t acked;			 /* and taken by the machine at its end */
	struct mark marks[TUNNEL_MARKS]; /* of what is not known to be taken */
	size_t mark_count;
	struct outcome outcome;
	void (*wake)(void *arg);
	void *arg;
};

TAILQ_HEAD(tunnel_list, tunnel);

struct gateway {
	struct gateway_config config;
	char *asset;
	struct link *link; /* NULL: it broke */
	struct outcome lost;
	struct tunnel_list tunnels;
	size_t count;
	struct tunnel *opening;
	uint64_t opening_ms, last_order;
	size_t holds;
	struct event *event;
	struct turn turn;
	bool more; /* something is left to do at once */
	uint64_t heard_ms, asked_ms;
	uint8_t piece[TUNNEL_PIECE];
};

/* Room to call libssh2 at all. */
bool gateway_has_room(struct gateway *);
/* Another turn, soon. */
void gateway_ask(struct gateway *);
void gateway_count_hold(struct gateway *, bool on);
/* Does it still answer? */
void gateway_probe(struct gateway *);
/* It is of no use any more: every tunnel is told `outcome`. */
void gateway_break(struct gateway *, const struct outcome *);

/* Reads and writes what can be, once; false when the carrying link failed. */
bool tunnel_pump(struct tunnel *);
/* Asks for the events that it waits for. */
void tunnel_wait(struct tunnel *);
/* Its channel is open. */
void tunnel_opened(struct tunnel *, LIBSSH2_CHANNEL *);
/* It cannot be opened. */
void tunnel_fail(struct tunnel *, const struct outcome *);
/* Nothing passes any more: its channel is closed. */
void tunnel_end(struct tunnel *);
/* The gateway has nothing to do with it any more. */
void tunnel_leave(struct tunnel *);

#endif
