/*
 * An engine that goes on until it is told to end: lockstepd's.
 *
 * Owns its signals, draining, and when doubts are tried again. Never knows how it was
 * started, or where its log goes.
 */
#ifndef SERVICE_DAEMON_H
#define SERVICE_DAEMON_H

#include "base/err.h"
#include "service.h"

struct daemon;
struct rotation_event;
struct service;

/* Rotation cannot go on: the engine ends, and whoever restarts it recovers. */
void daemon_broken(struct daemon *, const struct error *);

/* An execution has ended, perhaps in doubt: doubts are tried again soon. */
void daemon_ended_execution(struct daemon *);

/* Of an execution that no request watches: its schedule began it. */
void daemon_unwatched(struct daemon *, const struct rotation_event *);

#endif
