/*
 * A wire as the core sees it: a process and the stream of frames to it.
 *
 * Owns its start, its watch, its end: what breaks the protocol, closes its socket or is not ready
 * in time is killed, and is only said to have ended when it was waited for. Never knows sessions.
 */
#ifndef WIRE_PROCESS_H
#define WIRE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/message.h"

struct loop;
struct process;

#define PROCESS_HOW_SIZE 256

struct process_config {
	struct loop *loop;
	uint32_t number;
	const char *exe; /* as in struct wires_config */
	int lock_fd;
	bool sandbox;
	bool slow_lane;
	/* READY (an answer to the start or to scripts), BEGUN or DONE. Anything but ERR_OK kills
	 * it; it may free the process as its last act, then ERR_OK. */
	enum err (*message)(void *arg, const struct message *);
	/* It has ended and was waited for: free it, here at the earliest. Called once, from the
	 * loop. */
	void (*ended)(void *arg, const char *how);
	void *arg;
};

/* Starts it and tells it to begin. */
enum err process_new(
    struct process **, const struct process_config *, struct error *error) MUST_CHECK;

/* Kills it where it lives, and waits for it. NULL is fine. */
void process_free(struct process *);

/* Where to append frames, then process_send; NULL once it is being ended. */
struct buf *process_out(struct process *);
void process_send(struct process *);

/* Kills it; `ended` comes later, with this as the reason. Nothing if it is being ended already. */
void process_kill(struct process *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
