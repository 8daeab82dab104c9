/*
 * Which algorithms we offer, and in which order.
 *
 * Owns the lists. Elliptic curves come first; Diffie-Hellman groups, each of which stalls the loop,
 * are offered in the slow lane alone (pool.h); the largest groups and all that is broken never.
 * Only what the libssh2 at hand knows is named.
 */
#ifndef WIRE_ALGORITHM_H
#define WIRE_ALGORITHM_H

#include <stdbool.h>
#include <stddef.h>

#include <libssh2.h>

#include "wire/greeting.h"
#include "wire/link.h"

/* What we offer on one connection, as comma-separated lists. Zeroed = nothing yet. */
struct offer {
	char *lists[LIST_COUNT];
	char *groups; /* of Diffie-Hellman: what the slow lane would offer besides; NULL there */
};

/* For whom. */
struct offer_config {
	/* Host keys only of their types, where there are any, and the cheapest to verify first. */
	const struct wire_key *pins;
	size_t pin_count;
	bool slow_lane;
};

/*
 * Makes the lists and gives them to the session. FAULT_ALGORITHM when this build knows none of the
 * types that are pinned.
 */
enum err offer_make(
    struct offer *, LIBSSH2_SESSION *, const struct offer_config *, struct outcome *) MUST_CHECK;
void offer_clear(struct offer *);

/*
 * Sets FAULT_ALGORITHM with both lists where the server's lists share nothing with ours; ERR_OK
 * when that was not the matter. `*slow_lane`: with what the slow lane offers besides they do.
 */
enum err offer_compare(
    const struct offer *, const struct greeting *, bool *slow_lane, struct outcome *) MUST_CHECK;

#endif
