/* Booked attempts as the vault's own files move them. */
#ifndef VAULT_PROBE_H
#define VAULT_PROBE_H

#include "vault/store.h"

/* Those of `from` count as `to`'s, beside its own. `*moved` tells of how many identities. */
enum err probe_move(
    struct vault_txn *, const char *from, const char *to, uint32_t *moved) MUST_CHECK;

/* Rows of schema 2. */
enum err probe_migrate(struct vault_txn *) MUST_CHECK;

#endif
