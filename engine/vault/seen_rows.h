/*
 * What becomes of the index of who saw what when versions come and go.
 *
 * Never decides who may see: it follows what versions become.
 */
#ifndef VAULT_SEEN_ROWS_H
#define VAULT_SEEN_ROWS_H

#include "vault/seen.h"
#include "vault/store.h"

/* A new version: where its secret is that of one that was seen, whoever saw that knows it too. */
enum err seen_carry(
    struct vault_txn *, const struct account *, uint32_t version, const struct secret *) MUST_CHECK;

/* A version is deleted. */
enum err seen_drop(struct vault_txn *, const struct id *account, uint32_t version) MUST_CHECK;

/* Of a vault that kept none: what its audit log tells. */
enum err seen_migrate(struct vault_txn *) MUST_CHECK;

#endif
