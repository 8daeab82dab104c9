/* Check-outs as their faces show them. */
#ifndef SERVICE_CHECKOUT_H
#define SERVICE_CHECKOUT_H

#include "service/engine.h"
#include "vault/checkout.h"

#define CHECKOUTS_SHOWN 20 /* in the overview; all are counted */

json_t *shape_checkout(struct vault_txn *, const struct checkout *);
/* Of one row: an array. */
json_t *shape_checkouts(struct vault_txn *, const struct account *);

struct checkout_counts {
	size_t out, over; /* over: not rotated yet */
};

/* Of the latter some are put into `over`; NULL = none is. */
void checkouts_count(struct vault_txn *, struct checkout_counts *, json_t *over);

/* Tells whoever listens how many wait to be rotated, where there are any. */
void checkouts_warn(struct request *);

#endif
