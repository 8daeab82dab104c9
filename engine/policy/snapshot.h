/*
 * The snapshot: one immutable load of all files.
 *
 * Owns the memory of everything declared, the Lua state in which `where` functions run, and the
 * generators of rules.
 */
#ifndef POLICY_SNAPSHOT_H
#define POLICY_SNAPSHOT_H

#include <lua.h>
#include <sys/queue.h>

#include "policy.h"
#include "policy/arena.h"
#include "policy/generate.h"
#include "policy/names.h"
#include "policy/report.h"

struct loader;

struct phrase;

/* Of characters, or of words. */
struct rule {
	const char *name;	     /* NULL for `random { … }` in place */
	const struct phrase *phrase; /* of words; NULL for one of characters */
	struct rule_spec spec;
	struct generator *generator; /* of characters; NULL while it has mistakes */
	bool shares;		     /* the generator is another rule's */
	STAILQ_ENTRY(rule) link;
};

STAILQ_HEAD(rules, rule);

/* What a task selects. */
struct scope {
	struct names accounts, assets, nodes;
	struct names not_accounts, not_assets, not_nodes;
	int where; /* in Lua's registry; LUA_NOREF = none */
};

struct task_entry {
	struct task task; /* first: policy_select finds the entry from it */
	struct scope scope;
	const struct statement *statement;
};

struct platform_entry {
	struct platform platform;
	bool posix_accounts;
};

struct policy {
	struct arena arena;
	lua_State *lua;
	struct loader *loader; /* NULL once loaded: statements are refused then */
	const char **files;    /* by a chunk's id */
	size_t file_count;

	struct settings settings;
	struct asset *assets;
	size_t asset_count;
	struct task_entry *tasks;
	size_t task_count;
	struct platform_entry *platforms;
	size_t platform_count;
	struct role *roles;
	size_t role_count;
	struct user *users;
	size_t user_count;
	struct rules rules;
};

const struct platform_entry *policy_platform_entry(const struct policy *, const char *name);

/* The platform nearest to `name`, or NULL. */
const char *policy_platform_nearest(const struct policy *, const char *name);

/*
 * Puts a Lua error's "#ID:LINE: text" into words of ours: `*file` (or NULL), `*line` (or 0), and
 * returns the rest of the text, which points into `text`.
 */
const char *policy_lua_place(
    const struct policy *, const char *text, const char **file, size_t *line);

#endif
