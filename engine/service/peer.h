/* Who is at the other end of the socket, and whether the policy lets them in. */
#ifndef SERVICE_PEER_H
#define SERVICE_PEER_H

#include <stdbool.h>

#include "service/person.h"

#define PEER_WHY_SIZE 256

/* Fills the caller from what the kernel says. False, and why, for whoever is not let in. */
bool peer_identify(int fd, struct caller *, const struct policy *, char why[PEER_WHY_SIZE]);

/* Whether the policy declares anyone by a user id: then all may knock. */
bool peers_are_let_in(const struct policy *);

#endif
