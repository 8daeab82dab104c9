/*
 * Sealed values under a name, below the names that a policy may give: what the vault keeps for
 * itself has a `:` in its name, which theirs never have, and no list shows it.
 */
#ifndef VAULT_NAMED_H
#define VAULT_NAMED_H

#include "base/secret.h"
#include "vault/store.h"

enum err named_keep(
    struct vault_txn *, const char *name, const struct secret *, struct error *error) MUST_CHECK;
/* As named_secret_get. */
enum err named_open(
    struct vault_txn *, const char *name, struct secret **, struct error *error) MUST_CHECK;
/* Fine when there is none. */
enum err named_drop(struct vault_txn *, const char *name) MUST_CHECK;

/* The value of this row, sealed by the newest data key. */
enum err named_reseal(struct vault_txn *, const struct key *, const struct bytes *row,
    struct error *error) MUST_CHECK;

#endif
