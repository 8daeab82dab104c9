/*
 * The process's event loop (libevent) and the real clock on it.
 *
 * Owns the event_base, and libevent's memory, which is mem.h's from the first loop on.
 * Priorities: 0 timers, signals and control; 1 work.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/clock.h"

struct event_base;
struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *);
struct event_base *loop_base(struct loop *);
struct clock *loop_clock(struct loop *);

/* Runs until loop_stop, or until nothing is left to wait for. */
void loop_run(struct loop *);
void loop_stop(struct loop *);

/* Calls `fn` from the loop when the signal comes. At most one handler a signal. */
void loop_signal(struct loop *, int signo, void (*fn)(void *arg, int signo), void *arg);

#endif
