/*
 * Comparing a password with a crypt(3) hash, off the loop: one worker thread a wire, for a hash may
 * take a tenth of a second.
 *
 * Owns the thread and its queue. Never keeps a secret longer than its comparison.
 */
#ifndef WIRE_HASHER_H
#define WIRE_HASHER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "wire.h"

struct event_base;
struct hasher;

/* Start before the sandbox. */
enum err hasher_new(struct hasher **, struct event_base *, struct error *error) MUST_CHECK;
void hasher_free(struct hasher *);

typedef void (*hasher_done_fn)(void *arg, enum wire_verdict);

/*
 * Does `password` hash to `hash`? UNKNOWN when the hash is of a kind that crypt(3) here does not
 * know. Both are copied. Answers from the loop. False when the queue is full.
 */
struct hash_job;
struct hash_job *hasher_compare(struct hasher *, const struct secret *password,
    const struct secret *hash, hasher_done_fn, void *arg);
/* The answer is not wanted any more: `done` is not called. */
void hash_job_cancel(struct hash_job *);

#endif
