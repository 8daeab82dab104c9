/*
 * A record's row as the vault's own files write it.
 */
#ifndef VAULT_RECORD_H
#define VAULT_RECORD_H

#include "vault.h"

/* An older schema's record joins the indices and the counters that came after it. */
enum err record_enter(struct vault_txn *, const struct record *) MUST_CHECK;

#endif
