/*
 * The batch: what was submitted in one turn of the loop, or while a slow disk was left alone, and
 * goes to disk in one commit.
 *
 * Owns the queue, the order of apply, commit and done, and what a failed commit means. Never knows
 * LMDB nor what is written.
 */
#ifndef VAULT_BATCH_H
#define VAULT_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "vault.h"

struct job;
STAILQ_HEAD(jobs, job);

struct batch {
	struct jobs queue;
	size_t waiting; /* jobs in the queue */
	size_t served;	/* jobs of the batch that was begun last */
	struct timer timer;
	bool running;	      /* functions of a batch are being called: none may start another */
	struct error failure; /* why nothing more is taken; code ERR_OK = it is */
	uint64_t commits;
	uint64_t rest_until_ms; /* monotonic: no commit of what was submitted begins before */
	enum err (*gate)(void *arg);
	void *gate_arg;
};

void batch_init(struct vault *, const struct vault_config *);

/* Drops what waits. */
void batch_clear(struct vault *);

#endif
