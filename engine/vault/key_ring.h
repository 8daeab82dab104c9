/* The vault's keys as it is made and opened. */
#ifndef VAULT_KEY_RING_H
#define VAULT_KEY_RING_H

#include "vault/vault_state.h"

/* The first data key, and its slot. */
enum err key_ring_make(struct vault_txn *, const struct id *vault, const struct secret *master,
    uint64_t now_ms, struct error *error) MUST_CHECK;

/* Opens the slot that the master key is of; older ones go. ERR_CORRUPT: there is none. */
enum err key_ring_open(struct vault *, const struct vault_config *, struct error *error) MUST_CHECK;

/* The newest data key alone is left, in each slot whose master key is known. */
enum err key_ring_shed(struct vault *, struct vault_txn *, struct error *error) MUST_CHECK;
void key_ring_shed_done(struct vault *);

#endif
