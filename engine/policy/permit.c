/* Permissions: their names, and what someone's roles come to. */
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "policy/names.h"
#include "policy/snapshot.h"

static const char *const names[PERMISSION_COUNT] = {
    [PERMIT_VIEW] = "view",
    [PERMIT_RUN] = "run",
    [PERMIT_EDIT] = "edit",
    [PERMIT_REVEAL] = "reveal",
    [PERMIT_APPROVE] = "approve",
    [PERMIT_AUDIT] = "audit",
    [PERMIT_ADMIN] = "admin",
};

const char *permission_name(enum permission permission)
{
	return names[permission];
}

enum permission permission_named(const char *name)
{
	int permission = 0;

	while (permission < PERMISSION_COUNT && strcmp(names[permission], name) != 0)
		permission++;
	return (enum permission)permission;
}

const char *permission_nearest(const char *word)
{
	return text_nearest(word, names, PERMISSION_COUNT);
}

/* ── Reach ───────────────────────────────────────────────────────────────────────────────── */

static bool reaches(const char *const *patterns, size_t count, const char *name,
    bool (*matches)(const char *pattern, const char *name))
{
	if (count == 0 || name == NULL)
		return true;
	for (size_t i = 0; name[0] != '\0' && i < count; i++)
		if (matches(patterns[i], name))
			return true;
	return false;
}

bool reach_has(const struct reach *reach, const char *node, const char *task)
{
	return reaches(reach->nodes, reach->node_count, node, node_matches) &&
	       reaches(reach->tasks, reach->task_count, task, text_glob);
}

static bool role_permits(
    const struct role *role, enum permission permission, const char *node, const char *task)
{
	return (role->permissions & 1U << permission) != 0 && reach_has(&role->reach, node, task);
}

bool user_may(
    const struct user *user, enum permission permission, const char *node, const char *task)
{
	if (!reach_has(&user->reach, node, task))
		return false;
	for (size_t i = 0; i < user->role_count; i++)
		if (role_permits(user->roles[i], permission, node, task))
			return true;
	return false;
}

/* ── Conditions ──────────────────────────────────────────────────────────────────────────── */

/* One role that lets them see it just so is enough. */
static bool every_role_asks(const struct user *user, const char *node, size_t flag)
{
	for (size_t i = 0; i < user->role_count; i++)
		if (role_permits(user->roles[i], PERMIT_REVEAL, node, NULL) &&
		    !*(const bool *)((const char *)user->roles[i] + flag))
			return false;
	return true;
}

bool user_needs_reason(const struct user *user, const char *node)
{
	return every_role_asks(user, node, offsetof(struct role, reason));
}

bool user_needs_approval(const struct user *user, const char *node)
{
	return every_role_asks(user, node, offsetof(struct role, approval));
}
