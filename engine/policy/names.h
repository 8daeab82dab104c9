/*
 * Names: which texts may name an asset, an account, a node, an address.
 *
 * Owns these rules. Each function returns NULL for a good one, else what is wrong with it ("may not
 * be empty").
 */
#ifndef POLICY_NAMES_H
#define POLICY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Of assets, tasks, rules, platforms: one line of text, without `*`, which patterns need. */
const char *name_fault(const char *name);
const char *account_fault(const char *account);
/* As account_fault, and what Linux, the BSDs and their kin take. */
const char *account_posix_fault(const char *account);
/* Of secrets that the vault keeps under a name: what a command line takes as it is. */
const char *secret_name_fault(const char *name);
/* Patterns are names in which `*` is allowed. */
const char *pattern_fault(const char *pattern);
/* Of people: what a command line, a file's name and a mail's head take as it is. */
const char *user_fault(const char *name);
/* "/" or "/prod/web". */
const char *node_fault(const char *node);
/* As node_fault; a component may hold `*`. */
const char *node_pattern_fault(const char *pattern);
/* A host name, or an IPv4 or IPv6 address. */
const char *address_fault(const char *address);

/* Of mail: "ops@example.com", without a name before it. */
const char *mail_fault(const char *address);

/* True when the node is at or below a place that the pattern means, component by component. */
bool node_matches(const char *pattern, const char *node);

/* True when the path leads no further than the directory that it starts from. */
bool path_stays_inside(const char *path);

/* A list of texts; items live in an arena. */
struct names {
	const char **items;
	size_t count;
};

/* True when one of them, as a pattern with `*`, matches. */
bool names_match(const struct names *, const char *name);

#endif
