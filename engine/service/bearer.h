/*
 * Who shows what over TLS: a token, and for whom it acts, or a session's.
 *
 * Owns looking it up, and what is said of one that is good for nothing. Only who has a token hears
 * more of it than that it is not known.
 */
#ifndef SERVICE_BEARER_H
#define SERVICE_BEARER_H

#include <stdbool.h>
#include <stddef.h>

#include "service/person.h"
#include "vault.h"

struct service;

/* Fills the caller's user and scope; false, and `why` says what is wrong with it. */
bool bearer_identify(
    struct service *, const char *text, size_t len, struct caller *, char why[WHY_SIZE]);

#endif
