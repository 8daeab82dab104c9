#include "wire/handle.h"

#include <lauxlib.h>

static const char *const names[] = {
    [HANDLE_JOB] = "job",
    [HANDLE_ADMIN] = "admin",
    [HANDLE_SECRET] = "secret",
};

/* tostring, and all that formats: an address is no use, and a secret must not be shown. */
static int handle_tostring(lua_State *lua)
{
	return luaL_error(lua, "a handle of the job cannot be made a text");
}

void handle_metatable(lua_State *lua, enum handle_kind kind)
{
	if (luaL_newmetatable(lua, names[kind]) == 0)
		return;
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
	lua_pushcfunction(lua, handle_tostring);
	lua_setfield(lua, -2, "__tostring");
}

struct handle *handle_push(lua_State *lua, const struct script *script, enum handle_kind kind)
{
	struct handle *handle = lua_newuserdatauv(lua, sizeof(*handle), 1);

	*handle = (struct handle){.job = script->job};
	handle_metatable(lua, kind);
	lua_setmetatable(lua, -2);
	return handle;
}

const struct handle *handle_test(lua_State *lua, int index, enum handle_kind kind)
{
	const struct handle *handle = luaL_testudata(lua, index, names[kind]);
	const struct script *script = script_running(lua);

	if (handle != NULL && (script == NULL || script->job != handle->job))
		luaL_error(lua, "this %s belongs to another job", names[kind]);
	return handle;
}

struct script *handle_script(lua_State *lua, int index, enum handle_kind kind)
{
	if (handle_test(lua, index, kind) == NULL)
		luaL_typeerror(lua, index, names[kind]);
	return script_running(lua);
}
