/*
 * Retention: what is older than the settings keep is taken away when a run has ended.
 */
#ifndef SERVICE_RETAIN_H
#define SERVICE_RETAIN_H

#include <stdbool.h>

#include "vault.h"

struct service;

struct retaining {
	struct vault *vault;
	struct removal now, next; /* `next` is what the step that waits for its commit comes to */
	unsigned steps;
	void (*done)(void *arg);
	void *arg;
	bool working;
};

/* Calls `done` from the loop once it is over; false, and never calls it, where there is nothing to
 * wait for. */
bool retain_begin(struct service *, void (*done)(void *arg), void *arg);

#endif
