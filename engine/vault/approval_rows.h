/* What becomes of approvals when their account is changed. */
#ifndef VAULT_APPROVAL_ROWS_H
#define VAULT_APPROVAL_ROWS_H

#include "vault/approval.h"
#include "vault/store.h"

/* The account's asset has another name: whoever may answer there is told by the new one. */
enum err approval_rename(struct vault_txn *, const struct account *) MUST_CHECK;

#endif
