/*
 * What the tests of gateways share: a loop, links and tunnels through a real sshd, and targets that
 * are not SSH.
 */
#ifndef TESTS_WIRE_GATEWAY_HELP_H
#define TESTS_WIRE_GATEWAY_HELP_H

#include "wire/gateway.h"
#include "wire/tunnel.h"
#include "wire_link_help.h"

extern struct event_base *base;
extern struct turns *turns;

/* A group's setup and teardown. */
int gateway_begin(void **state);
int gateway_end(void **state);

/* The loop, for two milliseconds at most. */
void turn(void);

#define UNTIL(condition, timeout_ms)                                                               \
	({                                                                                         \
		uint64_t end_ms_ = mono_ms() + (timeout_ms);                                       \
		bool met_;                                                                         \
		while (!(met_ = (condition)) && mono_ms() < end_ms_)                               \
			turn();                                                                    \
		met_;                                                                              \
	})

#define STEP(timeout_ms, step)                                                                     \
	({                                                                                         \
		enum err err_ = ERR_AGAIN;                                                         \
		(void)UNTIL((err_ = (step)) != ERR_AGAIN, timeout_ms);                             \
		err_;                                                                              \
	})

/* These fail the test when it does not come so far. */
struct link *connected(struct gateway *through, uint16_t port);
void log_in(struct link *, const char *user);
struct gateway *gateway_at(struct gateway *through, const char *user);

/* A local target that takes connections, and a tunnel to one. */
int listener(uint16_t *port, int backlog);
struct tunnel *tunnel_to(struct gateway *, uint16_t port);

/* Both ends of an open tunnel. */
struct ends {
	struct tunnel *tunnel;
	int near, far;
};

void ends_open(struct ends *, struct gateway *, int fd, uint16_t port);
void ends_close(struct ends *);

#endif
