/* What becomes of check-outs when their account is changed. */
#ifndef VAULT_CHECKOUT_ROWS_H
#define VAULT_CHECKOUT_ROWS_H

#include "vault/checkout.h"
#include "vault/store.h"

/* A new secret of this row was seen to work: those that are over, and whose person does not know
 * it, are no more. */
enum err checkout_rotated(struct vault_txn *, const struct account *) MUST_CHECK;

/* The account's asset has another name. */
enum err checkout_rename(struct vault_txn *, const struct account *) MUST_CHECK;

#endif
