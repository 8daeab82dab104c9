/*
 * The other end of the socket, and of TLS: a request to the engine that runs elsewhere.
 *
 * Owns finding that engine, and making sure that who listens is its owner or root before anything
 * is sent. What was in a request or an answer is wiped when it is given back.
 */
#ifndef SERVICE_CLIENT_H
#define SERVICE_CLIENT_H

#include <jansson.h>

#include "service.h"

enum client_end {
	CLIENT_ANSWERED, /* `*end`, `*result` and `error` are as service_call leaves them */
	CLIENT_NOBODY,	 /* nobody listens; nothing was sent */
	CLIENT_AGAIN,	 /* whoever listens did not take it up: it may be asked again */
};

struct client_call {
	const char *dir;		     /* the policy's, whose settings have the socket */
	const struct service_server *server; /* who is asked, over TLS; NULL = the socket */
	const char *method;
	const json_t *params;
	void (*progress)(void *arg, const json_t *event); /* may be NULL */
	void *arg;
};

/* `*next`, to be freed, is where a list goes on; NULL = that was all. */
enum client_end client_call(const struct client_call *, enum service_end *end, json_t **result,
    char **next, struct error *error);

#endif
