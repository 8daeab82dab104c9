/*
 * Who has seen which secret: an index of its own, kept in the commit that lets someone see it.
 *
 * Owns the answer to whether what someone has seen may open an account still. It lasts as long as
 * the version that was seen, whatever becomes of the audit log; never holds a secret.
 */
#ifndef VAULT_SEEN_H
#define VAULT_SEEN_H

#include "vault.h"

/* This person sees this version of the account, or told it. */
enum err seen_put(
    struct vault_txn *, const struct id *account, uint32_t version, const char *who) MUST_CHECK;
/* All that is kept at this moment. */
enum err seen_put_all(struct vault_txn *, const char *who) MUST_CHECK;

bool seen_has(struct vault_txn *, const struct id *account, uint32_t version, const char *who);

/*
 * Whether the person has seen, at or after `since_ms` (wall), a secret of this row that no rotation
 * has replaced since: one that was made by a record and seen to work. What someone told is none, as
 * it may be the same secret.
 */
bool seen_may_open(struct vault_txn *, const struct account *, const char *who, uint64_t since_ms);

/* Whether anything is known to have been seen by a person of that name. */
bool seen_knows(struct vault_txn *, const char *who);

#endif
