#include "policy/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/luastate.h"
#include "base/mem.h"
#include "base/text.h"

void policy_free(struct policy *policy)
{
	struct rule *rule;

	if (!policy)
		return;
	STAILQ_FOREACH (rule, &policy->rules, link)
		if (!rule->shares)
			generator_free(rule->generator);
	if (policy->lua)
		luastate_free(policy->lua);
	arena_clear(&policy->arena);
	free(policy);
}

/* ── Finding by name ─────────────────────────────────────────────────────────────────────── */

/* Each of the sorted arrays holds structures that begin with their name. */
static int by_name(const void *key, const void *item)
{
	const char *const *name = item;

	return strcmp(key, *name);
}

static const void *find(const char *name, const void *items, size_t count, size_t size)
{
	return count ? bsearch(name, items, count, size, by_name) : NULL;
}

static const char *nearest(const char *name, const void *items, size_t count, size_t size)
{
	const unsigned char *at = items;
	const char **names = xcalloc(count + 1, sizeof(*names));
	const char *found;

	for (size_t i = 0; i < count; i++, at += size)
		names[i] = *(const char *const *)(const void *)at;
	found = text_nearest(name, names, count);
	free(names);
	return found;
}

const struct settings *policy_settings(const struct policy *policy)
{
	return &policy->settings;
}

size_t policy_asset_count(const struct policy *policy)
{
	return policy->asset_count;
}

const struct asset *policy_asset(const struct policy *policy, size_t index)
{
	return &policy->assets[index];
}

const struct asset *policy_asset_find(const struct policy *policy, const char *name)
{
	return find(name, policy->assets, policy->asset_count, sizeof(policy->assets[0]));
}

const char *policy_asset_nearest(const struct policy *policy, const char *name)
{
	return nearest(name, policy->assets, policy->asset_count, sizeof(policy->assets[0]));
}

size_t policy_task_count(const struct policy *policy)
{
	return policy->task_count;
}

const struct task *policy_task(const struct policy *policy, size_t index)
{
	return &policy->tasks[index].task;
}

const struct task *policy_task_find(const struct policy *policy, const char *name)
{
	return find(name, policy->tasks, policy->task_count, sizeof(policy->tasks[0]));
}

const char *policy_task_nearest(const struct policy *policy, const char *name)
{
	return nearest(name, policy->tasks, policy->task_count, sizeof(policy->tasks[0]));
}

size_t policy_platform_count(const struct policy *policy)
{
	return policy->platform_count;
}

const struct platform *policy_platform(const struct policy *policy, size_t index)
{
	return &policy->platforms[index].platform;
}

const struct platform_entry *policy_platform_entry(const struct policy *policy, const char *name)
{
	return find(name, policy->platforms, policy->platform_count, sizeof(policy->platforms[0]));
}

const struct platform *policy_platform_find(const struct policy *policy, const char *name)
{
	const struct platform_entry *entry = policy_platform_entry(policy, name);

	return entry ? &entry->platform : NULL;
}

const char *policy_platform_nearest(const struct policy *policy, const char *name)
{
	return nearest(
	    name, policy->platforms, policy->platform_count, sizeof(policy->platforms[0]));
}

size_t policy_user_count(const struct policy *policy)
{
	return policy->user_count;
}

const struct user *policy_user(const struct policy *policy, size_t index)
{
	return &policy->users[index];
}

const struct user *policy_user_find(const struct policy *policy, const char *name)
{
	return find(name, policy->users, policy->user_count, sizeof(policy->users[0]));
}

const struct user *policy_user_of_uid(const struct policy *policy, uint32_t uid)
{
	for (size_t i = 0; i < policy->user_count; i++)
		if (policy->users[i].uid == (int64_t)uid)
			return &policy->users[i];
	return NULL;
}

const char *policy_user_nearest(const struct policy *policy, const char *name)
{
	return nearest(name, policy->users, policy->user_count, sizeof(policy->users[0]));
}

size_t policy_role_count(const struct policy *policy)
{
	return policy->role_count;
}

const struct role *policy_role(const struct policy *policy, size_t index)
{
	return &policy->roles[index];
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

static int account_compare(const void *key, const void *item)
{
	const char *const *account = item;

	return strcmp(key, *account);
}

bool asset_has_account(const struct asset *asset, const char *account)
{
	return asset->account_count > 0 && bsearch(account, asset->accounts, asset->account_count,
					       sizeof(asset->accounts[0]), account_compare);
}

bool asset_account_privileged(const struct asset *asset, const char *account)
{
	return (asset->admin && strcmp(account, asset->admin) == 0) ||
	       strcasecmp(account, "root") == 0 || strcasecmp(account, "administrator") == 0;
}

/* ── Places in Lua's messages ────────────────────────────────────────────────────────────── */

const char *policy_lua_place(
    const struct policy *policy, const char *text, const char **file, size_t *line)
{
	char *end;
	unsigned long id, at;

	*file = NULL;
	*line = 0;
	if (text[0] != '#')
		return text;
	id = strtoul(text + 1, &end, 10);
	if (end == text + 1 || *end != ':' || id >= policy->file_count)
		return text;
	text = end + 1;
	at = strtoul(text, &end, 10);
	if (end == text || strncmp(end, ": ", 2) != 0)
		return text;
	*file = policy->files[id];
	*line = at;
	return end + 2;
}
