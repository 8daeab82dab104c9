#include "base/luastate.h"

#include <lauxlib.h>

/*
 * A sealed table is emptied; what it had stands in another that only its metatable knows, so that
 * who holds the table already, as `_ENV` or as a value, sees the seal too.
 */

static int refuse_write(lua_State *lua)
{
	if (lua_type(lua, 2) == LUA_TSTRING)
		return luaL_error(lua,
		    "%s cannot be set: what is global is read-only; make it local",
		    lua_tostring(lua, 2));
	return luaL_error(lua, "what is global is read-only");
}

/* The iterator of pairs; its upvalue is the hidden table, which is never handed out. */
static int sealed_next(lua_State *lua)
{
	lua_settop(lua, 2);
	if (lua_next(lua, lua_upvalueindex(1)) != 0)
		return 2;
	lua_pushnil(lua);
	return 1;
}

static int sealed_pairs(lua_State *lua)
{
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_pushcclosure(lua, sealed_next, 1);
	return 1;
}

static int sealed_len(lua_State *lua)
{
	lua_pushinteger(lua, (lua_Integer)lua_rawlen(lua, lua_upvalueindex(1)));
	return 1;
}

/* Moves all of the table at `table` into a new one, which is pushed. */
static void hide(lua_State *lua, int table)
{
	lua_newtable(lua);
	lua_pushnil(lua);
	while (lua_next(lua, table) != 0) {
		lua_pushvalue(lua, -2);
		lua_insert(lua, -2);
		lua_rawset(lua, -4);
		lua_pushvalue(lua, -1);
		lua_pushnil(lua);
		lua_rawset(lua, table);
	}
}

static void set_hidden_function(lua_State *lua, const char *name, lua_CFunction function)
{
	lua_pushvalue(lua, -2);
	lua_pushcclosure(lua, function, 1);
	lua_setfield(lua, -2, name);
}

/* Seals the table on top and pops it. One that has a metatable has its own rules. */
static void seal(lua_State *lua)
{
	int table = lua_gettop(lua);

	if (lua_getmetatable(lua, table) != 0) {
		lua_settop(lua, table - 1);
		return;
	}
	hide(lua, table);
	lua_createtable(lua, 0, 5);
	lua_pushvalue(lua, -2);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_write);
	lua_setfield(lua, -2, "__newindex");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
	set_hidden_function(lua, "__pairs", sealed_pairs);
	set_hidden_function(lua, "__len", sealed_len);
	lua_setmetatable(lua, table);
	lua_settop(lua, table - 1);
}

/* The libraries: string.format must not become another's either. */
static void seal_members(lua_State *lua)
{
	int globals = lua_gettop(lua);

	lua_pushnil(lua);
	while (lua_next(lua, globals) != 0) {
		if (lua_istable(lua, -1) && !lua_rawequal(lua, -1, globals))
			seal(lua);
		else
			lua_pop(lua, 1);
	}
}

static void seal_strings(lua_State *lua)
{
	lua_pushliteral(lua, "");
	if (lua_getmetatable(lua, -1) != 0) {
		lua_pushboolean(lua, 0);
		lua_setfield(lua, -2, "__metatable");
		lua_pop(lua, 1);
	}
	lua_pop(lua, 1);
}

void luastate_seal(lua_State *lua)
{
	luaL_checkstack(lua, 10, NULL);
	seal_strings(lua);
	lua_pushglobaltable(lua);
	seal_members(lua);
	seal(lua);
}
