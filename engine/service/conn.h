/*
 * A connection: one request, its answer, and the caps on both, whichever way it came.
 *
 * Owns what is read of it, the request while it is in work, and how long each of its phases may
 * last. Never knows who may come in: that is the way's (server.c, listen.c). A client that goes
 * away takes only its view with it.
 */
#ifndef SERVICE_CONN_H
#define SERVICE_CONN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "service/engine.h"
#include "service/http.h"
#include "service/place.h"

struct bufferevent;
struct conn;

/* Those that came by one way. */
struct conns {
	struct service *service;
	/* Of the head that was read: sets the caller, and `known` where it is. Where it refuses the
	 * connection, false. NULL = they were told apart before. */
	bool (*identify)(struct conn *);
	char vault[VAULT_MARK_SIZE];
	TAILQ_HEAD(, conn) list; /* in the order in which they came */
	size_t count;
};

enum phase {
	PHASE_GREETING,	 /* TLS is not set up yet */
	PHASE_ASKING,	 /* its request is on the way */
	PHASE_WORKING,	 /* its request is in work */
	PHASE_ANSWERING, /* the answer is on the way */
	PHASE_LEAVING,	 /* all was taken: waits for its end */
};

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct conns *conns;
	struct bufferevent *bev;
	struct caller caller;
	enum phase phase;
	bool known; /* it was said who it is */
	struct http_head head;
	struct buf in;
	struct request *request; /* while it is in work */
	bool told_to_go_on;
	bool streaming;	   /* the head of a stream was sent */
	uint64_t since_ms; /* of the phase; monotonic */
	uint64_t moved_ms; /* when some of the answer was taken last, or something was added to none
			    */
	struct timer tick;
};

void conns_init(struct conns *, struct service *);

/* `bev` becomes the connection's. Of TLS it begins with PHASE_GREETING. */
struct conn *conn_new(struct conns *, struct bufferevent *);
void conn_free(struct conn *);

/* Answers what never came to be a request. */
void conn_refuse(struct conn *, int status, const char *why);
/* The same, where it may be asked again in a moment. */
void conn_put_off(struct conn *, const char *why);

const struct policy *conn_policy(const struct conn *);

/* Whoever has not asked yet is told to ask again. */
void conns_end(struct conns *);
/* Every answer has been taken, or its taker did not come for it. */
bool conns_are_quiet(const struct conns *);
void conns_clear(struct conns *);

#endif
