/*
 * The queue of what has something to do, served a slice at a time.
 *
 * Owns the order (first come, first served) and the length of a slice, so that neither a thousand
 * key exchanges nor a busy script hold up timers and the core's frames: this, and not a cap on
 * connections, is what bounds them, for hosts that do not answer must not hold places that others
 * wait for. Never does the work itself.
 */
#ifndef WIRE_TURN_H
#define WIRE_TURN_H

#include <stdbool.h>
#include <sys/queue.h>

struct event_base;
struct turns;

/* Embedded in what has work to do. */
struct turn {
	void (*fn)(void *arg);
	void *arg;
	bool queued;
	TAILQ_ENTRY(turn) entry;
};

struct turns *turns_new(struct event_base *);
/* NULL is fine. What waits is forgotten. */
void turns_free(struct turns *);

/* Calls `fn` once, from the loop, when its turn comes; nothing if it waits already. */
void turn_ask(struct turns *, struct turn *);
void turn_forget(struct turns *, struct turn *);

#endif
