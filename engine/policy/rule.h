/*
 * Rules: from what a file says to what the generator counts.
 *
 * Owns defaults and classes of characters. Never draws.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include <stdbool.h>

#include "policy/loader.h"

/* The rule of a task that says nothing: `random {}`. */
struct rule *rule_default(struct loader *, const struct statement *);

/* The declared rule of that name, or NULL. */
struct rule *rule_find(struct loader *, const char *name);
const char *rule_nearest(struct loader *, const char *name);

/* "rule "strong"", or "its rule" for one in place. */
void rule_title(const struct rule *, char *out, size_t size);

/* A character of `refuse` that the rule's secrets may hold, or NUL. */
char rule_may_hold(const struct rule *, const char *refuse);

/* Complains about rules that are declared twice. */
void rules_check(struct loader *);

#endif
