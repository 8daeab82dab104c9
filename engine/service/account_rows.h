/*
 * An account as its faces show it: a row for each kind of secret that is kept, read together.
 */
#ifndef SERVICE_ACCOUNT_ROWS_H
#define SERVICE_ACCOUNT_ROWS_H

#include "service/engine.h"

/* At least one: where nothing is kept, it is a password's, with `last` 0. */
struct account_rows {
	struct account items[SECRET_KIND_COUNT];
	size_t count;
};

void account_rows_read(
    struct account_rows *, struct vault_txn *, const char *asset, const char *name);

/* Whether a secret of it is known, of whatever kind. */
bool account_is_managed(struct vault_txn *, const char *asset, const char *name);

/*
 * Opens the vault and finds the account that the request's "asset" and "account" name there, or
 * what the policy declares of it. SERVICE_OK: end `*txn`.
 */
enum service_end account_find(
    struct request *, struct vault_txn **txn, struct account_rows *, bool *declared) MUST_CHECK;

/* The versions of all its kinds, the newest first. */
json_t *account_versions(struct vault_txn *, const struct account_rows *);

#endif
