/* Whose view of secrets a request means: its parameters "revealed_to" and "since". */
#ifndef SERVICE_VIEWED_H
#define SERVICE_VIEWED_H

#include "service/engine.h"

struct viewed {
	const char *who;   /* NULL = it is not asked for */
	uint64_t since_ms; /* wall; 0 = whenever */
};

/* False, and fails, where the parameters make no sense, or nobody of that name is known to have
 * seen anything. The vault is open. */
bool viewed_read(struct request *, struct viewed *);

/* Whether what they have seen may open that account still, by a secret of that kind. */
bool viewed_may_open(const struct viewed *, struct vault_txn *, const char *asset, const char *name,
    enum secret_kind);

#endif
