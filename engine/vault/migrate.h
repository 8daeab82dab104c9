/*
 * Migration: a vault that an older release wrote is rewritten at open, in one transaction, to the
 * rows that this one reads. What cannot be rewritten leaves it as it was.
 */
#ifndef VAULT_MIGRATE_H
#define VAULT_MIGRATE_H

#include "vault/vault_state.h"

/* Fine when there is nothing to do. ERR_FULL, ERR_CORRUPT, ERR_IO. */
enum err vault_migrate(struct vault *, struct error *error) MUST_CHECK;

#endif
