/*
 * What the parts of a link share: the struct itself, and the frame around each call of libssh2.
 *
 * Private to link.c, auth.c, channel.c, gateway.c and tunnel.c.
 */
#ifndef WIRE_SESSION_H
#define WIRE_SESSION_H

#include <libssh2.h>

#include "wire/algorithm.h"
#include "wire/blocks.h"
#include "wire/link.h"
#include "wire/net.h"
#include "wire/stream.h"

enum link_phase {
	LINK_CONNECT,	/* and resolve */
	LINK_HANDSHAKE, /* libssh2 has a session */
	LINK_OPEN,	/* keys are exchanged, the host key is checked */
	LINK_FAILED,
};

enum auth_phase {
	AUTH_LIST,
	AUTH_TRY,
	AUTH_REFUSED, /* was it the secret, or is more wanted? */
};

enum auth_method { AUTH_KEY, AUTH_PASSWORD, AUTH_PROMPTS };

/* Why a conversation was left. */
enum auth_stop {
	AUTH_GO_ON,
	AUTH_STOP_CHANGE, /* it wants the password changed */
	AUTH_STOP_AGAIN,  /* it asks the same again: refused */
	AUTH_STOP_MORE,	  /* it wants something else */
};

#define AUTH_PROMPT_SIZE 128
#define FAREWELL_SIZE	 160

struct auth {
	enum auth_phase phase;
	enum auth_method method;
	char *user;
	char *methods; /* what the server takes, as it says; NULL = not asked yet */
	bool open;     /* it asks for nothing at all */
	uint32_t failed;
	const struct login *login; /* while a step is under way */
	bool answered;		   /* a prompt got the secret */
	enum auth_stop stop;
	char prompt[AUTH_PROMPT_SIZE]; /* the one that was answered, or left; escaped */
};

struct link {
	struct link_config config;
	char *address;
	uint16_t port;
	struct wire_key *pins; /* until the host key was checked */
	size_t pin_count;
	bool known_only;

	enum link_phase phase;
	struct net net;
	struct tunnel *tunnel; /* through a gateway; NULL = directly */
	struct stream stream;
	struct blocks blocks;
	struct offer offer;
	LIBSSH2_SESSION *session;
	char farewell[FAREWELL_SIZE]; /* why the asset said that it disconnects; escaped */
	bool wants_slow_lane;
	bool held;
	bool in_turn; /* see link_turn_begin */
	struct auth auth;
	struct channel *opening;
	LIBSSH2_CHANNEL *idle; /* of a gateway: what it is listened to by */
};

/* Around every step that calls libssh2: budgets anew, and what was gathered goes out; where the
 * turn has more steps, that is done around all of them. */
void link_enter(struct link *);
void link_leave(struct link *);

/*
 * A call of libssh2 failed: finds out why, the link's own reasons first, then `fault`, with what
 * libssh2 says behind `what`.
 */
enum err link_fail(struct link *, struct outcome *, enum fault fault, const char *what);

void auth_clear(struct auth *);

#endif
