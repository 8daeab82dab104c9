/*
 * The queue of what has something to do, served a slice at a time.
 *
 * Owns the order (first come, first served) and the length of a slice, so that neither a thousand
 * key exchanges nor a busy script hold up timers and the core's frames: this, and not a cap on
 * connections, is what bounds them, for hosts that do not answer must not hold places that others
 * wait for. Never does the work itself.
 *
 * What is yet to begin stands in a line of its own, and begins only while those at work are served
 * without a wait that can be felt: more at work would but wait, too, and take memory, and the time
 * that it has. So there is as much at work as keeps the processor busy: measured, not configured.
 * Where nothing else is to be done it begins in any case.
 */
#ifndef WIRE_TURN_H
#define WIRE_TURN_H

#include <stdint.h>
#include <sys/queue.h>

struct event_base;
struct turns;

enum turn_line { TURN_NONE, TURN_AT_WORK, TURN_TO_BEGIN };

/* Embedded in what has work to do. */
struct turn {
	void (*fn)(void *arg);
	void *arg;
	enum turn_line line; /* where it stands */
	uint64_t asked_us;
	TAILQ_ENTRY(turn) entry;
};

/* `now_us` is a clock that never goes back; NULL = the machine's. */
struct turns *turns_new(struct event_base *, uint64_t (*now_us)(void));
/* NULL is fine. What waits is forgotten. */
void turns_free(struct turns *);

/* Calls `fn` once, from the loop, when its turn comes; nothing if it waits already. */
void turn_ask(struct turns *, struct turn *);
/* The same for what is yet to begin. A turn_ask meanwhile makes it one of those at work. */
void turn_begin(struct turns *, struct turn *);
void turn_forget(struct turns *, struct turn *);

#endif
