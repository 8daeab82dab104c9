/*
 * Selecting: which accounts of which assets a task means.
 *
 * Assets named and nodes unite; then exclude and where narrow; then the patterns of accounts
 * choose. All `where` calls of one selection share one budget of instructions.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/luastate.h"
#include "base/mem.h"
#include "policy/snapshot.h"

#define LABELS_TRUE "true"

/* ── Assets ──────────────────────────────────────────────────────────────────────────────── */

static void mark_named(const struct policy *policy, const char *pattern, bool *chosen)
{
	const struct names one = {.items = &pattern, .count = 1};
	const struct asset *asset;

	if (!strchr(pattern, '*')) {
		asset = policy_asset_find(policy, pattern);
		if (asset)
			chosen[asset - policy->assets] = true;
		return;
	}
	for (size_t i = 0; i < policy->asset_count; i++)
		if (!chosen[i])
			chosen[i] = names_match(&one, policy->assets[i].name);
}

static bool below_any(const struct names *nodes, const char *node)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (node_matches(nodes->items[i], node))
			return true;
	return false;
}

static void choose_assets(const struct policy *policy, const struct scope *scope, bool *chosen)
{
	for (size_t i = 0; i < scope->assets.count; i++)
		mark_named(policy, scope->assets.items[i], chosen);
	for (size_t i = 0; i < policy->asset_count; i++) {
		const struct asset *asset = &policy->assets[i];

		chosen[i] = (chosen[i] || below_any(&scope->nodes, asset->node)) &&
			    !names_match(&scope->not_assets, asset->name) &&
			    !below_any(&scope->not_nodes, asset->node);
	}
}

/* ── where ───────────────────────────────────────────────────────────────────────────────── */

struct where_call {
	const struct policy *policy;
	int function;
	bool *chosen;
};

static void set_text(lua_State *lua, const char *key, const char *text)
{
	if (!text)
		return;
	lua_pushstring(lua, text);
	lua_setfield(lua, -2, key);
}

static void push_labels(lua_State *lua, const struct asset *asset)
{
	lua_createtable(lua, 0, (int)asset->label_count);
	for (size_t i = 0; i < asset->label_count; i++) {
		if (strcmp(asset->labels[i].value, LABELS_TRUE) == 0)
			lua_pushboolean(lua, true);
		else
			lua_pushstring(lua, asset->labels[i].value);
		lua_setfield(lua, -2, asset->labels[i].key);
	}
}

static void push_asset(lua_State *lua, const struct asset *asset)
{
	lua_createtable(lua, 0, 9);
	set_text(lua, "name", asset->name);
	set_text(lua, "address", asset->address);
	set_text(lua, "platform", asset->platform);
	set_text(lua, "node", asset->node);
	set_text(lua, "admin", asset->admin);
	set_text(lua, "become", become_name(asset->become));
	set_text(lua, "gateway", asset->gateway);
	lua_pushinteger(lua, asset->port);
	lua_setfield(lua, -2, "port");
	push_labels(lua, asset);
	lua_setfield(lua, -2, "labels");
}

/* Runs protected: may raise at any line, and owns nothing. */
static int where_all(lua_State *lua)
{
	const struct where_call *call = lua_touserdata(lua, 1);

	lua_rawgeti(lua, LUA_REGISTRYINDEX, call->function);
	for (size_t i = 0; i < call->policy->asset_count; i++) {
		if (!call->chosen[i])
			continue;
		lua_pushvalue(lua, -1);
		push_asset(lua, &call->policy->assets[i]);
		lua_call(lua, 1, 1);
		call->chosen[i] = lua_toboolean(lua, -1);
		lua_pop(lua, 1);
	}
	return 0;
}

static enum err narrow_where(const struct policy *policy, const struct task *task,
    const struct scope *scope, bool *chosen, struct error *error)
{
	struct where_call call = {policy, scope->where, chosen};
	struct error raised;
	const char *file, *text;
	size_t line;
	enum err err;

	if (scope->where == LUA_NOREF)
		return ERR_OK;
	lua_pushcfunction(policy->lua, where_all);
	lua_pushlightuserdata(policy->lua, &call);
	err = luastate_call(policy->lua, 1, 0, &raised);
	if (err == ERR_OK)
		return ERR_OK;
	text = policy_lua_place(policy, raised.text, &file, &line);
	return error_set(error, ERR_INVALID, "%s:%zu: task \"%s\": where: %s",
	    file ? file : task->file, file ? line : task->line, task->name, text);
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

static void add(
    struct selection *selection, size_t *room, const struct asset *asset, const char *account)
{
	if (selection->count == *room) {
		*room = *room ? 2 * *room : 64;
		selection->items = xrealloc(selection->items, *room * sizeof(selection->items[0]));
	}
	selection->items[selection->count++] = (struct selected){asset, account};
}

static void choose_accounts(const struct policy *policy, const struct scope *scope,
    const bool *chosen, struct selection *out)
{
	size_t room = 0;

	for (size_t i = 0; i < policy->asset_count; i++) {
		const struct asset *asset = &policy->assets[i];
		size_t before = out->count;

		for (size_t j = 0; chosen[i] && j < asset->account_count; j++)
			if (names_match(&scope->accounts, asset->accounts[j]) &&
			    !names_match(&scope->not_accounts, asset->accounts[j]))
				add(out, &room, asset, asset->accounts[j]);
		out->asset_count += out->count > before;
	}
}

enum err policy_select(const struct policy *policy, const struct task *task, struct selection *out,
    struct error *error)
{
	const struct task_entry *entry = (const struct task_entry *)(const void *)task;
	bool *chosen = xcalloc(policy->asset_count + 1, sizeof(*chosen));
	enum err err;

	*out = (struct selection){0};
	choose_assets(policy, &entry->scope, chosen);
	err = narrow_where(policy, task, &entry->scope, chosen, error);
	if (err == ERR_OK)
		choose_accounts(policy, &entry->scope, chosen, out);
	free(chosen);
	return err;
}

/* The same of one account. */
static bool task_means(const struct policy *policy, const struct task_entry *entry,
    const struct asset *asset, const char *account)
{
	const struct scope *scope = &entry->scope;
	size_t at = (size_t)(asset - policy->assets);
	bool *chosen;
	struct error error;
	bool means;

	if (!names_match(&scope->accounts, account) || names_match(&scope->not_accounts, account) ||
	    !(names_match(&scope->assets, asset->name) || below_any(&scope->nodes, asset->node)) ||
	    names_match(&scope->not_assets, asset->name) ||
	    below_any(&scope->not_nodes, asset->node))
		return false;
	chosen = xcalloc(policy->asset_count + 1, sizeof(*chosen));
	chosen[at] = true;
	means = narrow_where(policy, &entry->task, scope, chosen, &error) == ERR_OK && chosen[at];
	free(chosen);
	return means;
}

static bool task_sets(const struct task *task, bool key, bool fresh)
{
	return task->active && task->kind == TASK_CHANGE &&
	       (task->source == SOURCE_SSH_KEY) == key &&
	       !(fresh && task->source == SOURCE_SPECIFIED);
}

const struct task *policy_task_for(const struct policy *policy, const char *asset_name,
    const char *account, bool key, bool fresh, struct selected *item)
{
	const struct asset *asset = policy_asset_find(policy, asset_name);

	for (size_t i = 0; asset != NULL && i < asset->account_count; i++)
		if (strcmp(asset->accounts[i], account) == 0)
			*item = (struct selected){asset, asset->accounts[i]};
	if (asset == NULL || !asset_has_account(asset, account))
		return NULL;
	for (size_t i = 0; i < policy->task_count; i++)
		if (task_sets(&policy->tasks[i].task, key, fresh) &&
		    task_means(policy, &policy->tasks[i], asset, account))
			return &policy->tasks[i].task;
	return NULL;
}

void selection_clear(struct selection *selection)
{
	free(selection->items);
	*selection = (struct selection){0};
}
