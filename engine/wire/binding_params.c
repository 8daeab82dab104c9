/*
 * The tables of a job: what a task asks for beside the secret, and the key that is to be set.
 */
#include <lauxlib.h>

#include <jansson.h>

#include "wire/binding.h"
#include "wire/handle.h"

/* A list within the parameters, and no more. */
#define DEPTH_MAX 3

/* ── Read-only ───────────────────────────────────────────────────────────────────────────── */

static int refuse_write(lua_State *lua)
{
	return luaL_error(lua, "what a job is given is read-only");
}

/* The iterator of pairs; its upvalue is the hidden table, which is never handed out. */
static int hidden_next(lua_State *lua)
{
	lua_settop(lua, 2);
	if (lua_next(lua, lua_upvalueindex(1)) != 0)
		return 2;
	lua_pushnil(lua);
	return 1;
}

static int hidden_pairs(lua_State *lua)
{
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_pushcclosure(lua, hidden_next, 1);
	return 1;
}

/* Replaces the table on top by one through which it can be read alone. */
static void hide_table(lua_State *lua)
{
	lua_newtable(lua);
	lua_createtable(lua, 0, 4);
	lua_pushvalue(lua, -3);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_write);
	lua_setfield(lua, -2, "__newindex");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
	lua_pushvalue(lua, -3);
	lua_pushcclosure(lua, hidden_pairs, 1);
	lua_setfield(lua, -2, "__pairs");
	lua_setmetatable(lua, -2);
	lua_replace(lua, -2);
}

/* ── Parameters ──────────────────────────────────────────────────────────────────────────── */

static void push_json(lua_State *lua, const json_t *value, unsigned depth);

static void push_array(lua_State *lua, const json_t *array, unsigned depth)
{
	size_t count = json_array_size(array);

	lua_createtable(lua, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		push_json(lua, json_array_get(array, i), depth + 1);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
}

static void push_object(lua_State *lua, const json_t *object, unsigned depth)
{
	/* Iterating changes nothing, though jansson wants it writable. */
	json_t *map = (json_t *)(uintptr_t)object;

	lua_newtable(lua);
	for (void *at = json_object_iter(map); at != NULL; at = json_object_iter_next(map, at)) {
		push_json(lua, json_object_iter_value(at), depth + 1);
		lua_setfield(lua, -2, json_object_iter_key(at));
	}
}

/* null is nil: a field that is not there. */
static void push_json(lua_State *lua, const json_t *value, unsigned depth)
{
	luaL_checkstack(lua, 6, NULL);
	if (depth > DEPTH_MAX)
		luaL_error(lua, "the parameters are nested too deeply");
	switch (json_typeof(value)) {
	case JSON_OBJECT: push_object(lua, value, depth); break;
	case JSON_ARRAY: push_array(lua, value, depth); break;
	case JSON_STRING:
		lua_pushlstring(lua, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER: lua_pushinteger(lua, json_integer_value(value)); break;
	case JSON_REAL: lua_pushnumber(lua, json_real_value(value)); break;
	case JSON_TRUE: lua_pushboolean(lua, 1); break;
	case JSON_FALSE: lua_pushboolean(lua, 0); break;
	case JSON_NULL: lua_pushnil(lua); break;
	}
}

static int push_protected(lua_State *lua)
{
	push_json(lua, lua_touserdata(lua, 1), 1);
	return 1;
}

void binding_params_push(lua_State *lua, const char *json)
{
	json_t *root;
	int status;

	if (json == NULL) {
		lua_newtable(lua);
		hide_table(lua);
		return;
	}
	root = json_loads(json, 0, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		luaL_error(lua, "the parameters are not a JSON object");
	}
	/* What raises must not leak the document. */
	lua_pushcfunction(lua, push_protected);
	lua_pushlightuserdata(lua, root);
	status = lua_pcall(lua, 1, 1, 0);
	json_decref(root);
	if (status != LUA_OK)
		lua_error(lua);
	hide_table(lua);
}

/* ── The key ─────────────────────────────────────────────────────────────────────────────── */

static const char *replace_name(enum wire_key_replace replace)
{
	switch (replace) {
	case WIRE_KEY_OURS: return "ours";
	case WIRE_KEY_ALL: return "all";
	case WIRE_KEY_ADD: break;
	}
	return "add";
}

static void push_line(lua_State *lua, const struct script *script)
{
	struct handle *handle;

	if (script->key_line == NULL)
		luaL_error(lua, "no room for the line of a key");
	handle = handle_push(lua, script, HANDLE_SECRET);
	handle->secret = script->key_line;
	handle->holds_new = script->call == SCRIPT_CHANGE_KEY;
}

void binding_key_push(lua_State *lua, const struct script *script, const struct wire_ssh_key *key)
{
	luaL_checkstack(lua, 6, NULL);
	if (key == NULL) {
		lua_pushnil(lua);
		return;
	}
	lua_createtable(lua, 0, 3);
	if (key->line != NULL) {
		push_line(lua, script);
		lua_setfield(lua, -2, "line");
	}
	lua_pushstring(lua, key->mark);
	lua_setfield(lua, -2, "mark");
	lua_pushstring(lua, replace_name(key->replace));
	lua_setfield(lua, -2, "replace");
	hide_table(lua);
}
