/*
 * Rows of records and executions as the vault's own files write them.
 */
#ifndef VAULT_RECORD_H
#define VAULT_RECORD_H

#include "vault.h"

/* An older schema's record joins the indices and the counters that came after it. */
enum err record_enter(struct vault_txn *, const struct record *) MUST_CHECK;

/* Takes it away, and all that follows from it. */
enum err record_drop(struct vault_txn *, const struct record *) MUST_CHECK;

/* One of which no record is left. */
enum err execution_drop(struct vault_txn *, const struct execution *) MUST_CHECK;

#endif
