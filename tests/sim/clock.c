/* Virtual time: nothing sleeps, timers run in order. */
#include "sim.h"

#include <stdlib.h>

#define WALL_START_MS 1800000000000 /* 2027-01-15 08:00 UTC */

struct sim_timer {
	TAILQ_ENTRY(sim_timer) entry;
	struct timer *timer;
	uint64_t at_ms;
};

static uint64_t sim_mono_ms(struct clock *clock)
{
	return ((struct sim_clock *)clock)->now_ms;
}

static uint64_t wall_of(const struct sim_clock *clock)
{
	return WALL_START_MS + clock->now_ms + (uint64_t)clock->wall_ms;
}

static uint64_t clock_wall(struct clock *clock)
{
	return wall_of((const struct sim_clock *)clock);
}

uint64_t sim_wall_ms(const struct sim *sim)
{
	return wall_of(&sim->clock);
}

static void sim_stop(struct clock *clock, struct timer *timer)
{
	struct sim_clock *sim = (struct sim_clock *)clock;
	struct sim_timer *entry = timer->impl;

	if (entry == NULL)
		return;
	TAILQ_REMOVE(&sim->timers, entry, entry);
	timer->impl = NULL;
	TAILQ_INSERT_HEAD(&sim->spare, entry, entry);
}

static struct sim_timer *timer_entry(struct sim_clock *sim)
{
	struct sim_timer *entry = TAILQ_FIRST(&sim->spare);

	if (entry != NULL)
		TAILQ_REMOVE(&sim->spare, entry, entry);
	else
		entry = malloc(sizeof(*entry));
	if (entry == NULL)
		sim_die("out of memory");
	return entry;
}

static void sim_start(struct clock *clock, struct timer *timer, uint64_t delay_ms)
{
	struct sim_clock *sim = (struct sim_clock *)clock;
	struct sim_timer *entry, *before;

	sim_stop(clock, timer);
	entry = timer_entry(sim);
	entry->timer = timer;
	entry->at_ms = sim->now_ms + delay_ms;
	timer->impl = entry;
	TAILQ_FOREACH_REVERSE(before, &sim->timers, sim_timers, entry)
	{
		if (before->at_ms <= entry->at_ms) {
			TAILQ_INSERT_AFTER(&sim->timers, before, entry, entry);
			return;
		}
	}
	TAILQ_INSERT_HEAD(&sim->timers, entry, entry);
}

static const struct clock_ops sim_clock_ops = {
    .mono_ms = sim_mono_ms,
    .wall_ms = clock_wall,
    .start = sim_start,
    .stop = sim_stop,
};

void sim_clock_init(struct sim_clock *clock)
{
	clock->clock.ops = &sim_clock_ops;
	clock->now_ms = 1000;
	clock->wall_ms = 0;
	TAILQ_INIT(&clock->timers);
	TAILQ_INIT(&clock->spare);
}

void sim_clock_clear(struct sim_clock *clock)
{
	struct sim_timer *entry;

	while ((entry = TAILQ_FIRST(&clock->timers)) != NULL)
		sim_stop(&clock->clock, entry->timer);
	while ((entry = TAILQ_FIRST(&clock->spare)) != NULL) {
		TAILQ_REMOVE(&clock->spare, entry, entry);
		free(entry);
	}
}

void sim_clock_run_until(struct sim_clock *clock, uint64_t at_ms)
{
	struct sim_timer *entry;

	while ((entry = TAILQ_FIRST(&clock->timers)) != NULL && entry->at_ms <= at_ms)
		(void)sim_clock_step(clock);
	if (clock->now_ms < at_ms)
		clock->now_ms = at_ms;
}

uint64_t sim_clock_next_ms(const struct sim_clock *clock)
{
	const struct sim_timer *entry = TAILQ_FIRST(&clock->timers);

	return entry != NULL ? entry->at_ms : UINT64_MAX;
}

bool sim_clock_step(struct sim_clock *clock)
{
	struct sim_timer *entry = TAILQ_FIRST(&clock->timers);
	struct timer *timer;

	if (entry == NULL)
		return false;
	timer = entry->timer;
	if (entry->at_ms > clock->now_ms)
		clock->now_ms = entry->at_ms;
	sim_stop(&clock->clock, timer);
	timer->fn(timer->arg);
	return true;
}
