/* Named secrets as the vault's own files move them. */
#ifndef VAULT_NAMED_H
#define VAULT_NAMED_H

#include "vault/store.h"

/* The value of this row, sealed by the newest data key. */
enum err named_reseal(struct vault_txn *, const struct key *, const struct bytes *row,
    struct error *error) MUST_CHECK;

#endif
