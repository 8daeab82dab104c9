#include <lauxlib.h>
#include <string.h>

#include "base/luastate.h"
#include "base/text.h"
#include "policy/loader.h"

#define DECLARED_SIZE_MAX (512UL * 1024 * 1024)

/* How a statement is written. */
enum form {
	FORM_NAMED,   /* kind "name" { … } */
	FORM_TABLE,   /* kind { … } */
	FORM_PATTERN, /* kind "pattern" */
	FORM_VALUE,   /* kind "name" or kind { … }, and gives a value */
};

struct kind {
	const char *name;
	enum form form;
	void (*read)(struct loader *, const struct statement *, int index);
	void (*pattern)(struct loader *, const struct statement *, const char *pattern);
};

static const struct kind kinds[] = {
    {"settings", FORM_TABLE, settings_read, NULL},
    {"asset", FORM_NAMED, asset_read, NULL},
    {"node", FORM_NAMED, node_read, NULL},
    {"rule", FORM_NAMED, rule_read, NULL},
    {"task", FORM_NAMED, task_read, NULL},
    {"platform", FORM_NAMED, platform_read, NULL},
    {"role", FORM_NAMED, role_read, NULL},
    {"user", FORM_NAMED, user_read, NULL},
    {"random", FORM_VALUE, random_read, NULL},
    {"specified", FORM_VALUE, specified_read, NULL},
    {"ssh_key", FORM_VALUE, ssh_key_read, NULL},
    {"include", FORM_PATTERN, NULL, include_read},
    {"inventory", FORM_PATTERN, NULL, inventory_read},
    {"cron", FORM_VALUE, cron_read, NULL},
    {"every", FORM_VALUE, every_read, NULL},
    {"at", FORM_VALUE, at_read, NULL},
    {"secret", FORM_VALUE, named_read, NULL},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* The load that the running function belongs to; raises when it is over. */
static struct loader *running(lua_State *lua)
{
	const struct policy *policy = lua_touserdata(lua, lua_upvalueindex(1));

	if (!policy->loader)
		luaL_error(lua,
		    "statements belong to the policy's files, not into a function that runs later");
	return policy->loader;
}

bool loader_full(const struct loader *loader, size_t more_bytes)
{
	size_t asset_bytes = sizeof(struct asset_row) + sizeof(struct asset);

	return loader->policy->arena.total + loader->arena.total +
		   loader->asset_count * asset_bytes + more_bytes >
	       DECLARED_SIZE_MAX;
}

static size_t calling_line(lua_State *lua)
{
	lua_Debug ar;

	if (!lua_getstack(lua, 1, &ar) || !lua_getinfo(lua, "l", &ar) || ar.currentline < 0)
		return 0;
	return (size_t)ar.currentline;
}

struct statement *statement_new(
    struct loader *loader, const char *kind, const char *name, size_t line)
{
	struct statement *statement = arena_alloc(&loader->policy->arena, sizeof(*statement));

	*statement = (struct statement){
	    .file = loader->current->file,
	    .source = loader->current,
	    .line = line,
	    .kind = kind,
	    .name = name,
	};
	return statement;
}

static void count_statement(struct loader *loader, const struct kind *kind)
{
	if (kind->form == FORM_VALUE)
		return;
	loader->current->statements++;
	if (kind->read == platform_read)
		loader->current->platforms++;
}

/* The second half of `kind "name" { … }`. */
static int take_table(lua_State *lua)
{
	struct loader *loader = running(lua);
	const struct kind *kind = lua_touserdata(lua, lua_upvalueindex(2));
	struct statement *statement = lua_touserdata(lua, lua_upvalueindex(3));

	if (lua_type(lua, 1) != LUA_TTABLE)
		return luaL_error(lua, "%s \"%s\" needs a table: %s \"%s\" { … }", kind->name,
		    statement->name, kind->name, statement->name);
	statement->complete = true;
	kind->read(loader, statement, 1);
	return 0;
}

static int call_named(lua_State *lua, struct loader *loader, const struct kind *kind)
{
	const char *name, *fault;
	struct statement *statement;

	if (lua_type(lua, 1) != LUA_TSTRING)
		return luaL_error(
		    lua, "%s needs a name: %s \"name\" { … }", kind->name, kind->name);
	name = lua_tostring(lua, 1);
	if (strlen(name) != lua_rawlen(lua, 1))
		return luaL_error(lua, "%s: its name holds a NUL", kind->name);
	fault = kind->read == node_read ? node_fault(name) : name_fault(name);
	name = arena_text(&loader->policy->arena, name, strlen(name));
	statement = statement_new(loader, kind->name, name, calling_line(lua));
	if (fault)
		statement_problem(loader->errors, statement, NULL, NULL, "the name %s", fault);
	STAILQ_INSERT_TAIL(&loader->statements, statement, link);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_pushvalue(lua, lua_upvalueindex(2));
	lua_pushlightuserdata(lua, statement);
	lua_pushcclosure(lua, take_table, 3);
	return 1;
}

static int call_table(lua_State *lua, struct loader *loader, const struct kind *kind)
{
	if (lua_type(lua, 1) != LUA_TTABLE)
		return luaL_error(lua, "%s needs a table: %s { … }", kind->name, kind->name);
	kind->read(loader, statement_new(loader, kind->name, NULL, calling_line(lua)), 1);
	return 0;
}

static int call_pattern(lua_State *lua, struct loader *loader, const struct kind *kind)
{
	const char *pattern = lua_type(lua, 1) == LUA_TSTRING ? lua_tostring(lua, 1) : "";

	if (!pattern[0] || strlen(pattern) != lua_rawlen(lua, 1) || strlen(pattern) > TEXT_LEN_MAX)
		return luaL_error(
		    lua, "%s needs the name of a file: %s \"…\"", kind->name, kind->name);
	pattern = arena_text(&loader->policy->arena, pattern, strlen(pattern));
	kind->pattern(
	    loader, statement_new(loader, kind->name, pattern, calling_line(lua)), pattern);
	return 0;
}

static int call_value(lua_State *lua, struct loader *loader, const struct kind *kind)
{
	kind->read(loader, statement_new(loader, kind->name, NULL, calling_line(lua)), 1);
	return 1;
}

static int call_kind(lua_State *lua)
{
	struct loader *loader = running(lua);
	const struct kind *kind = lua_touserdata(lua, lua_upvalueindex(2));

	lua_settop(lua, 1);
	if (loader_full(loader, 0))
		return luaL_error(lua, LOADER_FULL);
	if (loader->current->inventory && kind->read != asset_read && kind->read != node_read)
		return luaL_error(lua,
		    "\"%s\" stands in an inventory, which declares nothing but assets and nodes",
		    kind->name);
	count_statement(loader, kind);
	switch (kind->form) {
	case FORM_NAMED: return call_named(lua, loader, kind);
	case FORM_TABLE: return call_table(lua, loader, kind);
	case FORM_PATTERN: return call_pattern(lua, loader, kind);
	case FORM_VALUE: break;
	}
	return call_value(lua, loader, kind);
}

void statements_define(struct loader *loader)
{
	lua_State *lua = loader->policy->lua;

	for (size_t i = 0; i < KIND_COUNT; i++) {
		lua_pushlightuserdata(lua, loader->policy);
		lua_pushlightuserdata(lua, (void *)(uintptr_t)&kinds[i]);
		lua_pushcclosure(lua, call_kind, 2);
		lua_setglobal(lua, kinds[i].name);
	}
	luastate_seal(lua);
}

void statements_finish(struct loader *loader)
{
	const struct statement *statement;

	STAILQ_FOREACH (statement, &loader->statements, link)
		if (!statement->complete)
			statement_problem(loader->errors, statement, NULL, NULL,
			    "its table is missing: %s \"%s\" { … }", statement->kind,
			    statement->name);
	STAILQ_INIT(&loader->statements);
}

const char *statement_nearest(const char *word)
{
	const char *names[KIND_COUNT];

	for (size_t i = 0; i < KIND_COUNT; i++)
		names[i] = kinds[i].name;
	return text_nearest(word, names, KIND_COUNT);
}
