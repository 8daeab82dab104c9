/*
 * Which algorithms we offer, and in which order.
 *
 * Owns the lists. Elliptic curves come first, for a Diffie-Hellman group stalls the loop; the
 * largest groups and all that is broken are never offered. Only what the libssh2 at hand knows is
 * named.
 */
#ifndef WIRE_ALGORITHM_H
#define WIRE_ALGORITHM_H

#include <stddef.h>

#include <libssh2.h>

#include "wire/greeting.h"
#include "wire/link.h"

/* What we offer on one connection, as comma-separated lists. Zeroed = nothing yet. */
struct offer {
	char *lists[LIST_COUNT];
};

/*
 * Makes the lists and gives them to the session; host keys only of the pinned types, where there
 * are pins. FAULT_ALGORITHM when this build knows none of these types.
 */
enum err offer_make(struct offer *, LIBSSH2_SESSION *, const struct wire_key *pins,
    size_t pin_count, struct outcome *) MUST_CHECK;
void offer_clear(struct offer *);

/*
 * Sets FAULT_ALGORITHM with both lists where the server's lists share nothing with ours; ERR_OK
 * when that was not the matter.
 */
enum err offer_compare(const struct offer *, const struct greeting *, struct outcome *) MUST_CHECK;

#endif
