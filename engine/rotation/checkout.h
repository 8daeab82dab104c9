/*
 * Check-outs, as rotation sees them: what is out is left alone, what is over is rotated.
 */
#ifndef ROTATION_CHECKOUT_H
#define ROTATION_CHECKOUT_H

#include "rotation/engine.h"
#include "vault/checkout.h"

/* Rotates what is over and not rotated yet; when to look again. */
uint64_t checkouts_look(struct rotation *);
/* Whether someone has the secret out that the task would change, and it leaves that alone. */
bool checkout_bars(struct vault_txn *, const struct task *, const char *asset, const char *account,
    struct checkout *);
/* Who has it, and until when, into the record's message. */
void checkout_tell(struct vault_txn *, struct record *);

#endif
