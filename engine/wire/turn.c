#include "wire/turn.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "base/mem.h"

#define SLICE_US 1500

/* A wait that can be felt: some hundreds of turns. */
#define WAIT_MAX_US 20000

/* Behind the core's frames and the timers. */
#define WORK_PRIORITY 1

struct turns {
	struct event *event;
	uint64_t (*now_us)(void);
	TAILQ_HEAD(line, turn) at_work, to_begin;
	uint64_t waited_us; /* the last of those at work that was served */
	bool began;	    /* the last that was served began */
};

/* What is made active from a callback runs before all else; what times out takes its turn. */
static void turns_arm(struct turns *turns)
{
	static const struct timeval next_turn;

	event_add(turns->event, &next_turn);
}

static uint64_t machine_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct line *turns_line(struct turns *turns, enum turn_line line)
{
	return line == TURN_TO_BEGIN ? &turns->to_begin : &turns->at_work;
}

/* What is yet to begin has every other turn, as long as those at work do not feel it. */
static struct turn *turns_next(struct turns *turns)
{
	struct turn *at_work = TAILQ_FIRST(&turns->at_work);
	struct turn *to_begin = TAILQ_FIRST(&turns->to_begin);

	if (at_work == NULL)
		return to_begin;
	if (to_begin != NULL && !turns->began && turns->waited_us < WAIT_MAX_US)
		return to_begin;
	return at_work;
}

static void turns_serve_one(struct turns *turns, struct turn *turn)
{
	turns->began = turn->line == TURN_TO_BEGIN;
	if (!turns->began)
		turns->waited_us = turns->now_us() - turn->asked_us;
	turn_forget(turns, turn);
	turn->fn(turn->arg);
}

static void turns_serve(evutil_socket_t fd, short what, void *arg)
{
	struct turns *turns = arg;
	uint64_t end_us = turns->now_us() + SLICE_US;
	struct turn *turn;

	(void)fd;
	(void)what;
	while ((turn = turns_next(turns)) != NULL) {
		turns_serve_one(turns, turn);
		if (turns->now_us() >= end_us)
			break;
	}
	if (turns_next(turns) != NULL)
		turns_arm(turns);
}

struct turns *turns_new(struct event_base *base, uint64_t (*now_us)(void))
{
	struct turns *turns = xcalloc(1, sizeof(*turns));

	turns->now_us = now_us != NULL ? now_us : machine_now_us;
	TAILQ_INIT(&turns->at_work);
	TAILQ_INIT(&turns->to_begin);
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

static void turn_stand(struct turns *turns, struct turn *turn, enum turn_line line)
{
	if (turns_next(turns) == NULL)
		turns_arm(turns);
	turn->line = line;
	turn->asked_us = turns->now_us();
	TAILQ_INSERT_TAIL(turns_line(turns, line), turn, entry);
}

void turn_ask(struct turns *turns, struct turn *turn)
{
	if (turn->line == TURN_AT_WORK)
		return;
	turn_forget(turns, turn);
	turn_stand(turns, turn, TURN_AT_WORK);
}

void turn_begin(struct turns *turns, struct turn *turn)
{
	if (turn->line == TURN_NONE)
		turn_stand(turns, turn, TURN_TO_BEGIN);
}

void turn_forget(struct turns *turns, struct turn *turn)
{
	if (turn->line == TURN_NONE)
		return;
	TAILQ_REMOVE(turns_line(turns, turn->line), turn, entry);
	turn->line = TURN_NONE;
}
