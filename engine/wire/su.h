/*
 * The proof by su: on the link of someone else, a process without privileges becomes the account
 * with its password, and echoes a nonce.
 *
 * Owns a channel of its own beside the privileged shell's. Never keeps anything open for longer
 * than the one attempt, and never asks as root, whom su lets through untried.
 *
 * Steps are as in link.h.
 */
#ifndef WIRE_SU_H
#define WIRE_SU_H

#include <stdint.h>

#include "base/secret.h"
#include "wire/link.h"

struct su;

/* Both must outlive it. */
struct su *su_new(struct link *, const char *account, const struct secret *);
/* NULL is fine. */
void su_free(struct su *);

/*
 * The attempt, once. ERR_OK: su said yes or no, as `*verdict` says. Faults tell nothing of the
 * secret: FAULT_BECOME_DENIED, FAULT_NO_SHELL, FAULT_EXPIRED, …
 */
enum err su_step(struct su *, enum wire_verdict *verdict, struct outcome *) MUST_CHECK;

/* So many attempts at the account the asset may have counted as failed. */
uint32_t su_failed_attempts(const struct su *);

#endif
