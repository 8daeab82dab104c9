/*
 * What an API token lets its user do: a part of what they may themselves.
 *
 * Owns that part for as long as a connection or a request is about it. Never adds to what the
 * user's roles permit.
 */
#ifndef SERVICE_SCOPE_H
#define SERVICE_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"
#include "vault/token.h"

struct scope {
	unsigned uses;
	struct token token;
	uint32_t permissions; /* a bit each; words that are not known here permit nothing */
	struct reach reach;
	const char *nodes[TOKEN_LIMITS_MAX], *tasks[TOKEN_LIMITS_MAX];
};

struct scope *scope_new(const struct token *);
/* Another use of it; NULL is fine, for none. */
struct scope *scope_hold(struct scope *);
void scope_drop(struct scope *);

/* As user_may. NULL = no token was shown, which limits nothing. */
bool scope_may(const struct scope *, enum permission, const char *node, const char *task);

#endif
