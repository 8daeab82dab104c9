/*
 * Versions of an account's secret: facts in one table, sealed values in another, so that a changed
 * fact leaves the sealed bytes alone.
 */
#ifndef VAULT_VERSION_H
#define VAULT_VERSION_H

#include "vault.h"
#include "vault/store.h"

/* Seals and keeps a new version. */
enum err version_add(struct vault_txn *, const struct id *account, const struct version *,
    const struct secret *, const struct secret *passphrase, struct error *error) MUST_CHECK;

/* Keeps its changed facts. */
enum err version_put(
    struct vault_txn *, const struct id *account, const struct version *) MUST_CHECK;

/* The sealed value of this row, sealed by the newest data key. */
enum err version_reseal(struct vault_txn *, const struct key *, const struct bytes *sealed,
    struct error *error) MUST_CHECK;

/* Deletes all but the newest `keep` of those that have ended. */
enum err version_prune(struct vault_txn *, const struct account *, uint32_t keep) MUST_CHECK;

#endif
