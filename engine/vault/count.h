/*
 * How many records have which status, overall and in each execution: kept in the transactions that
 * change them, so that nobody walks the records to know.
 */
#ifndef VAULT_COUNT_H
#define VAULT_COUNT_H

#include "vault.h"

/* `execution` none = overall. */
enum err count_get(struct vault_txn *, const struct id *execution, struct counts *) MUST_CHECK;

/* A record came to `status`, or went from `*before` (NULL = it is new) to it. */
enum err count_move(struct vault_txn *, const struct id *execution, const enum status *before,
    enum status status) MUST_CHECK;

#endif
