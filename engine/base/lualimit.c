#include "base/lualimit.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

/* No table in memory has more values than this many bytes each allow. */
#define VALUE_BYTES_MIN 16

/* Puts a wrapper in the place of the field `name` of the table on top; it has the old as upvalue.
 */
static void wrap(lua_State *lua, const char *name, lua_CFunction wrapper)
{
	lua_getfield(lua, -1, name);
	lua_pushcclosure(lua, wrapper, 1);
	lua_setfield(lua, -2, name);
}

/* In the frame of the wrapper, so that its errors name the place in the script. */
static int call_wrapped(lua_State *lua)
{
	return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

/* pcall must not survive the end of the instructions. */
static int wrapped_catch(lua_State *lua)
{
	int results = call_wrapped(lua);

	return luastate_is_over(lua) ? luastate_raise_over(lua) : results;
}

/* A handler called for an error of the hook runs without a hook: then it must not run. */
static int guarded_handler(lua_State *lua)
{
	if (luastate_is_over(lua))
		return 1;
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

static int wrapped_xpcall(lua_State *lua)
{
	luaL_checktype(lua, 2, LUA_TFUNCTION);
	lua_pushvalue(lua, 2);
	lua_pushcclosure(lua, guarded_handler, 1);
	lua_replace(lua, 2);
	return wrapped_catch(lua);
}

/* No hook runs within a finalizer of a script: it could run for ever. So there is none. */
static int wrapped_setmetatable(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	if (lua_istable(lua, 2)) {
		lua_pushliteral(lua, "__gc");
		if (lua_rawget(lua, 2) != LUA_TNIL)
			return luaL_error(lua, "a metatable must not have __gc");
		lua_pop(lua, 1);
	}
	return call_wrapped(lua);
}

/* string.find and its like: their time is not linear in the subject. */
static int wrapped_match(lua_State *lua)
{
	size_t most = luastate_caps_of(lua)->subject_bytes;
	size_t len;

	luaL_checklstring(lua, 1, &len);
	if (len > most)
		return luaL_error(lua,
		    "a text of %I bytes is too long to match a pattern in: the most is %I",
		    (lua_Integer)len, (lua_Integer)most);
	return call_wrapped(lua);
}

/* string.rep of nothing turns as often as it is told, and no memory cap ends it. */
static int wrapped_rep(lua_State *lua)
{
	size_t len, separator_len;

	luaL_checklstring(lua, 1, &len);
	luaL_checkinteger(lua, 2);
	luaL_optlstring(lua, 3, "", &separator_len);
	if (len + separator_len == 0) {
		lua_pushliteral(lua, "");
		return 1;
	}
	return call_wrapped(lua);
}

/*
 * The table library runs through as many places as it is told of, be there values or not. A length
 * is only believed of a table itself, a range only as far as memory could hold it.
 */
static void check_length(lua_State *lua)
{
	if (luaL_getmetafield(lua, 1, "__len") != LUA_TNIL)
		luaL_error(lua, "a table with __len is not taken here");
}

static void check_range(lua_State *lua, int first, int last)
{
	lua_Unsigned most = luastate_caps_of(lua)->memory_bytes / VALUE_BYTES_MIN;
	lua_Integer from, to;

	if (lua_isnoneornil(lua, last))
		return;
	from = luaL_optinteger(lua, first, 1);
	to = luaL_checkinteger(lua, last);
	if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= most)
		luaL_argerror(lua, last, "the range is too long");
}

static int wrapped_length(lua_State *lua)
{
	check_length(lua);
	return call_wrapped(lua);
}

static int wrapped_concat(lua_State *lua)
{
	check_length(lua);
	check_range(lua, 3, 4);
	return call_wrapped(lua);
}

static int wrapped_move(lua_State *lua)
{
	check_range(lua, 2, 3);
	return call_wrapped(lua);
}

static bool is_kept(const char *name)
{
	static const char *const kept[] = {"_G", "_VERSION", "assert", "error", "getmetatable",
	    "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "select",
	    "setmetatable", "tonumber", "tostring", "type", "xpcall"};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (strcmp(kept[i], name) == 0)
			return true;
	}
	return false;
}

/* Of the globals only what is known to be safe stays, also with a Lua that has more. */
static void open_base(lua_State *lua)
{
	luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
	lua_pushnil(lua);
	while (lua_next(lua, -2) != 0) {
		const char *name = lua_tostring(lua, -2);

		lua_pop(lua, 1);
		if (!is_kept(name)) {
			lua_pushvalue(lua, -1);
			lua_pushnil(lua);
			lua_settable(lua, -4);
		}
	}
	wrap(lua, "pcall", wrapped_catch);
	wrap(lua, "xpcall", wrapped_xpcall);
	wrap(lua, "setmetatable", wrapped_setmetatable);
	lua_pop(lua, 1);
}

static void open_string(lua_State *lua)
{
	luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
	wrap(lua, "find", wrapped_match);
	wrap(lua, "match", wrapped_match);
	wrap(lua, "gmatch", wrapped_match);
	wrap(lua, "gsub", wrapped_match);
	wrap(lua, "rep", wrapped_rep);
	lua_pushnil(lua);
	lua_setfield(lua, -2, "dump");
	lua_pop(lua, 1);
}

static void open_table(lua_State *lua)
{
	luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
	wrap(lua, "insert", wrapped_length);
	wrap(lua, "remove", wrapped_length);
	wrap(lua, "sort", wrapped_length);
	wrap(lua, "unpack", wrapped_length);
	wrap(lua, "concat", wrapped_concat);
	wrap(lua, "move", wrapped_move);
	lua_pop(lua, 1);
}

int lualimit_open(lua_State *lua)
{
	open_base(lua);
	open_string(lua);
	open_table(lua);
	luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
	luaL_requiref(lua, LUA_UTF8LIBNAME, luaopen_utf8, 1);
	return 0;
}
