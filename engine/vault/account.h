/*
 * An account's rows as the vault's own files read and write them.
 *
 * Never decides: the rules stand in account.c, behind vault.h.
 */
#ifndef VAULT_ACCOUNT_H
#define VAULT_ACCOUNT_H

#include "vault.h"
#include "vault/store.h"

enum err account_parse(
    struct vault_txn *, const struct bytes *row, struct account *account) MUST_CHECK;

/* The row, and with it the index of doubts and the counters. */
enum err account_put(struct vault_txn *, const struct account *) MUST_CHECK;

/* Takes it away: it is put elsewhere. */
enum err account_drop(struct vault_txn *, const struct account *) MUST_CHECK;

#endif
