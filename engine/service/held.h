/*
 * What the vault holds, for whoever checks a policy against it: read from the vault, or asked of
 * the engine that has it.
 *
 * Owns a copy of names and times. Never has a secret.
 */
#ifndef SERVICE_HELD_H
#define SERVICE_HELD_H

#include <stdbool.h>

#include "service/engine.h"

struct held_account {
	char *asset, *name;
	enum secret_kind kind;
	bool managed;	     /* a secret of this kind is known */
	uint64_t changed_ms; /* wall; when that became current, 0 = none is */
};

/* In order of asset, account and kind. */
struct held {
	struct held_account *accounts;
	size_t count, room;
	json_t *secrets; /* an object: the names of those that the policy may name */
};

/* False where the vault can be read neither here nor through the engine that has it. */
bool held_read(struct request *, struct held *);
void held_clear(struct held *);

/* The first of the asset's, or of the account's where `name` is not NULL; NULL = there is none. */
const struct held_account *held_find(const struct held *, const char *asset, const char *name);
/* Of one kind. */
const struct held_account *held_find_kind(
    const struct held *, const char *asset, const char *name, enum secret_kind);
/* Whether a secret of it is known, of whatever kind. */
bool held_manages(const struct held *, const char *asset, const char *name);

#endif
