/*
 * Time and timers behind a door that a test can drive.
 *
 * Owns the two clocks (monotonic for waiting, wall for facts) and one-shot timers. Never sleeps.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock;

/*
 * A one-shot timer, embedded in what it wakes. Zeroed = not armed. `fn` runs from the loop, never
 * from inside timer_start, and may arm or stop it again.
 */
struct timer {
	void (*fn)(void *arg);
	void *arg;
	/* The clock's own. */
	struct clock *clock;
	void *impl;
};

/* What a clock is made of. The loop's is loop_clock(); a test has its own. */
struct clock_ops {
	uint64_t (*mono_ms)(struct clock *);
	uint64_t (*wall_ms)(struct clock *);
	void (*start)(struct clock *, struct timer *, uint64_t delay_ms);
	void (*stop)(struct clock *, struct timer *);
};

struct clock {
	const struct clock_ops *ops;
};

/* Milliseconds that only go forward, from an arbitrary start. */
uint64_t clock_mono_ms(struct clock *);

/* Milliseconds since 1970, UTC; may jump. */
uint64_t clock_wall_ms(struct clock *);

/*
 * Arms (or arms anew) the timer, once, in `delay_ms`; 0 = as soon as the loop turns, after what is
 * already due, in order of arming.
 */
void timer_start(struct clock *, struct timer *, uint64_t delay_ms);

/* Disarms; fine when it is not armed. After it returns `fn` is not called. */
void timer_stop(struct timer *);

#endif
