#include "base/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "base/mem.h"

#define PRIORITY_CONTROL 0
#define PRIORITY_WORK	 1
#define PRIORITIES	 2

struct entry {
	struct timer *timer;
	uint64_t due_ms;
	uint64_t order; /* of arming: decides between timers due in the same millisecond */
};

struct handler {
	struct event *event;
	void (*fn)(void *arg, int signo);
	void *arg;
};

/*
 * The timers are a binary heap of our own, because libevent's has no order among equal times. Two
 * events wake it: `wake` when the first is due later, before other work; `turn` when it is due
 * already, behind it, so that a timer which arms itself with 0 starves nobody.
 */
struct loop {
	struct clock clock; /* first: a clock is cast back to its loop */
	struct event_base *base;
	struct event *wake, *turn;
	struct entry *heap;
	size_t count, room;
	uint64_t armed; /* timers armed so far */
	struct handler handlers[NSIG];
};

static struct loop *loop_of(struct clock *clock)
{
	return (struct loop *)(void *)clock;
}

static uint64_t now_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t loop_mono_ms(struct clock *clock)
{
	(void)clock;
	return now_ms(CLOCK_MONOTONIC);
}

static uint64_t loop_wall_ms(struct clock *clock)
{
	(void)clock;
	return now_ms(CLOCK_REALTIME);
}

static bool entry_before(const struct entry *a, const struct entry *b)
{
	return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

/* A timer's impl is its place in the heap, from 1. */
static void heap_put(struct loop *loop, size_t at, struct entry entry)
{
	loop->heap[at] = entry;
	entry.timer->impl = (void *)(uintptr_t)(at + 1);
}

static void heap_settle(struct loop *loop, size_t at, struct entry entry)
{
	while (at > 0 && entry_before(&entry, &loop->heap[(at - 1) / 2])) {
		heap_put(loop, at, loop->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = at * 2 + 1;

		if (child + 1 < loop->count &&
		    entry_before(&loop->heap[child + 1], &loop->heap[child]))
			child++;
		if (child >= loop->count || !entry_before(&loop->heap[child], &entry))
			break;
		heap_put(loop, at, loop->heap[child]);
		at = child;
	}
	heap_put(loop, at, entry);
}

static void heap_remove(struct loop *loop, size_t at)
{
	struct entry last = loop->heap[--loop->count];

	loop->heap[at].timer->impl = NULL;
	if (at < loop->count)
		heap_settle(loop, at, last);
}

static void loop_arm(struct loop *loop)
{
	static const struct timeval at_once;
	uint64_t now, delay;
	struct timeval later;

	event_del(loop->wake);
	event_del(loop->turn);
	if (loop->count == 0)
		return;
	now = now_ms(CLOCK_MONOTONIC);
	if (loop->heap[0].due_ms <= now) {
		event_add(loop->turn, &at_once);
		return;
	}
	delay = loop->heap[0].due_ms - now;
	later.tv_sec = (time_t)(delay / 1000);
	later.tv_usec = (suseconds_t)(delay % 1000 * 1000);
	event_add(loop->wake, &later);
}

static void loop_start_timer(struct clock *clock, struct timer *timer, uint64_t delay_ms)
{
	struct loop *loop = loop_of(clock);
	uint64_t now = now_ms(CLOCK_MONOTONIC);
	struct entry entry = {.timer = timer, .order = loop->armed++};

	/* A delay so long that it never ends; libevent must not see it overflow. */
	if (delay_ms > INT32_MAX * 1000ull)
		delay_ms = INT32_MAX * 1000ull;
	entry.due_ms = now + delay_ms;
	if (loop->count == loop->room) {
		loop->room = loop->room == 0 ? 64 : loop->room * 2;
		loop->heap = xrealloc(loop->heap, loop->room * sizeof(*loop->heap));
	}
	heap_settle(loop, loop->count++, entry);
	if (loop->heap[0].timer == timer)
		loop_arm(loop);
}

static void loop_stop_timer(struct clock *clock, struct timer *timer)
{
	struct loop *loop = loop_of(clock);
	size_t at = (size_t)(uintptr_t)timer->impl;

	if (at == 0)
		return;
	heap_remove(loop, at - 1);
	if (at == 1)
		loop_arm(loop);
}

/* Runs what was due and armed before we began: what these arm waits for the next turn. */
static void loop_due(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	uint64_t now = now_ms(CLOCK_MONOTONIC);
	uint64_t armed = loop->armed;

	(void)fd;
	(void)what;
	while (loop->count > 0 && loop->heap[0].due_ms <= now && loop->heap[0].order < armed) {
		struct timer *timer = loop->heap[0].timer;

		heap_remove(loop, 0);
		timer->fn(timer->arg);
		if (event_base_got_break(loop->base))
			break;
	}
	loop_arm(loop);
}

static void loop_caught(evutil_socket_t signo, short what, void *arg)
{
	struct handler *handler = arg;

	(void)what;
	handler->fn(handler->arg, (int)signo);
}

static struct event *loop_event(struct loop *loop, int priority)
{
	struct event *event = event_new(loop->base, -1, 0, loop_due, loop);

	if (event != NULL)
		event_priority_set(event, priority);
	return event;
}

/* What libevent buffers is wiped and not dumped either: requests carry secrets. */
static void use_our_memory(void)
{
	static bool used;

	if (!used)
		event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
	used = true;
}

struct loop *loop_new(void)
{
	static const struct clock_ops ops = {
	    .mono_ms = loop_mono_ms,
	    .wall_ms = loop_wall_ms,
	    .start = loop_start_timer,
	    .stop = loop_stop_timer,
	};
	struct loop *loop = xcalloc(1, sizeof(*loop));

	use_our_memory();
	loop->clock.ops = &ops;
	loop->base = event_base_new();
	if (loop->base == NULL)
		goto fail;
	event_base_priority_init(loop->base, PRIORITIES);
	loop->wake = loop_event(loop, PRIORITY_CONTROL);
	loop->turn = loop_event(loop, PRIORITY_WORK);
	if (loop->wake == NULL || loop->turn == NULL)
		goto fail;
	return loop;
fail:
	loop_free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	for (size_t i = 0; i < NSIG; i++) {
		if (loop->handlers[i].event != NULL)
			event_free(loop->handlers[i].event);
	}
	while (loop->count > 0) {
		struct timer *timer = loop->heap[--loop->count].timer;

		timer->clock = NULL;
		timer->impl = NULL;
	}
	if (loop->wake != NULL)
		event_free(loop->wake);
	if (loop->turn != NULL)
		event_free(loop->turn);
	if (loop->base != NULL)
		event_base_free(loop->base);
	free(loop->heap);
	free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

struct clock *loop_clock(struct loop *loop)
{
	return &loop->clock;
}

void loop_run(struct loop *loop)
{
	event_base_loop(loop->base, 0);
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

void loop_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg)
{
	struct handler *handler = &loop->handlers[signo];

	handler->fn = fn;
	handler->arg = arg;
	if (handler->event != NULL)
		return;
	handler->event = evsignal_new(loop->base, signo, loop_caught, handler);
	event_priority_set(handler->event, PRIORITY_CONTROL);
	event_add(handler->event, NULL);
}
