/*
 * Showing a secret: what reveals and check-outs share.
 *
 * Owns that nothing is shown before it is durable who sees it, and in the audit log.
 */
#ifndef SERVICE_REVEAL_H
#define SERVICE_REVEAL_H

#include "service/account_rows.h"
#include "vault/checkout.h"

struct reveal {
	struct request *request;
	struct vault_txn *txn;
	struct account account; /* the row whose secret is asked for */
	size_t may_open;	/* versions that are shown besides: nobody knows which opens it */
	json_t *candidates;
	bool failed;
};

/* Leaves the rows of the kind that the request asks for; false, and fails, where there is none. */
bool reveal_kind(struct request *, struct account_rows *);

/* The one that opens the account, a password before a key; else one that may. */
const struct account *reveal_row(const struct account_rows *);

/* Whether a reason is given where it takes one. Else it fails. */
bool reveal_reason(struct request *, const char *asset);

/*
 * Where only one person may have the account's secret out: whether another than who asks has it, or
 * had and it is not rotated yet. Fails with their name. `error` is the request's, or a
 * transaction's.
 */
enum err reveal_bars(const struct request *, struct vault_txn *, const struct account *,
    struct error *error) MUST_CHECK;

/* The version, which is marked as seen by whoever asks, as it is now. */
enum service_end reveal_again(struct reveal *, const struct version *, json_t **shape) MUST_CHECK;

#endif
