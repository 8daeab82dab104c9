#include "wire/turn.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "base/mem.h"

#define SLICE_US 1500

/* Behind the core's frames and the timers. */
#define WORK_PRIORITY 1

struct turns {
	struct event *event;
	TAILQ_HEAD(, turn) queue;
};

/* What is made active from a callback runs before all else; what times out takes its turn. */
static void turns_arm(struct turns *turns)
{
	static const struct timeval next_turn;

	event_add(turns->event, &next_turn);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void turns_serve(evutil_socket_t fd, short what, void *arg)
{
	struct turns *turns = arg;
	uint64_t end_us = now_us() + SLICE_US;
	struct turn *turn;

	(void)fd;
	(void)what;
	while ((turn = TAILQ_FIRST(&turns->queue)) != NULL) {
		turn_forget(turns, turn);
		turn->fn(turn->arg);
		if (now_us() >= end_us)
			break;
	}
	if (!TAILQ_EMPTY(&turns->queue))
		turns_arm(turns);
}

struct turns *turns_new(struct event_base *base)
{
	struct turns *turns = xcalloc(1, sizeof(*turns));

	TAILQ_INIT(&turns->queue);
	turns->event = event_new(base, -1, 0, turns_serve, turns);
	if (turns->event == NULL)
		abort();
	event_priority_set(turns->event, WORK_PRIORITY);
	return turns;
}

void turns_free(struct turns *turns)
{
	if (turns == NULL)
		return;
	event_free(turns->event);
	free(turns);
}

void turn_ask(struct turns *turns, struct turn *turn)
{
	if (turn->queued)
		return;
	if (TAILQ_EMPTY(&turns->queue))
		turns_arm(turns);
	turn->queued = true;
	TAILQ_INSERT_TAIL(&turns->queue, turn, entry);
}

void turn_forget(struct turns *turns, struct turn *turn)
{
	if (!turn->queued)
		return;
	turn->queued = false;
	TAILQ_REMOVE(&turns->queue, turn, entry);
}
