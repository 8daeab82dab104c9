/*
 * The platforms of a snapshot: their files run once, each registers its functions, then all that is
 * global is sealed.
 */
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/luastate.h"
#include "base/mem.h"
#include "wire/binding.h"

/* Jobs of one snapshot share its state: see also what one of them may take (script.c). */
#define MEMORY_BYTES_MAX      (64 * 1024 * 1024)
#define LOAD_INSTRUCTIONS_MAX 10000000
/* A pattern may take a time that is quadratic in this, on text that an asset chose. */
#define SUBJECT_BYTES_MAX 2048

/* Keys of Lua's registry, by their addresses. */
static const char scripts_key, platforms_key;

static struct scripts *scripts_of(lua_State *lua)
{
	struct scripts *scripts;

	lua_rawgetp(lua, LUA_REGISTRYINDEX, &scripts_key);
	scripts = lua_touserdata(lua, -1);
	lua_pop(lua, 1);
	return scripts;
}

struct script *script_running(lua_State *lua)
{
	return scripts_of(lua)->running;
}

/* What a wire needs; all else in a platform is for those who read the policy. */
static void take_field(lua_State *lua, const char *name, int expected)
{
	int type = lua_getfield(lua, 1, name);

	if (type != expected && type != LUA_TNIL)
		luaL_error(lua, "field \"%s\" must be a %s, not %s", name,
		    lua_typename(lua, expected), lua_typename(lua, type));
	lua_setfield(lua, -2, name);
}

/* platform "name" { … }: the second call, with the table. */
static int platform_declare(lua_State *lua)
{
	const struct wire_script *loading = scripts_of(lua)->loading;

	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 1);
	if (loading == NULL)
		return luaL_error(lua, "a platform is declared while its file loads");
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &platforms_key);
	if (lua_getfield(lua, 2, loading->platform) != LUA_TNIL)
		return luaL_error(lua, "platform \"%s\" is declared twice", loading->platform);
	lua_createtable(lua, 0, 8);
	take_field(lua, "check", LUA_TFUNCTION);
	take_field(lua, "check_proof", LUA_TFUNCTION);
	take_field(lua, "prepare", LUA_TFUNCTION);
	take_field(lua, "change_password", LUA_TFUNCTION);
	take_field(lua, "change_key", LUA_TFUNCTION);
	take_field(lua, "persist", LUA_TFUNCTION);
	take_field(lua, "read_hash", LUA_TFUNCTION);
	take_field(lua, "extends", LUA_TSTRING);
	lua_setfield(lua, 2, loading->platform);
	return 0;
}

static int platform_name(lua_State *lua)
{
	const struct wire_script *loading = scripts_of(lua)->loading;
	const char *name = luaL_checkstring(lua, 1);

	if (loading == NULL)
		return luaL_error(lua, "a platform is declared while its file loads");
	if (strcmp(name, loading->platform) != 0)
		return luaL_error(lua,
		    "this file declares platform \"%s\", where \"%s\" was expected", name,
		    loading->platform);
	lua_pushcfunction(lua, platform_declare);
	return 1;
}

bool script_function_push(lua_State *lua, const char *platform, const char *name)
{
	luaL_checkstack(lua, 3, NULL);
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &platforms_key);
	if (lua_getfield(lua, -1, platform) == LUA_TNIL) {
		lua_pop(lua, 2);
		return false;
	}
	lua_getfield(lua, -1, name);
	lua_replace(lua, -3);
	lua_pop(lua, 1);
	return true;
}

/* ── Loading: each step runs protected, with one light userdata ──────────────────────────── */

static int load_open(lua_State *lua)
{
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &scripts_key);
	lua_newtable(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &platforms_key);
	lua_register(lua, "platform", platform_name);
	binding_job_open(lua);
	binding_shell_open(lua);
	return 0;
}

static int load_file(lua_State *lua)
{
	struct scripts *scripts = lua_touserdata(lua, 1);
	const struct wire_script *file = scripts->loading;
	const char *chunk = lua_pushfstring(lua, "@%s", file->file);

	if (luaL_loadbufferx(lua, file->source, file->len, chunk, "t") != LUA_OK)
		return lua_error(lua);
	lua_call(lua, 0, 0);
	if (!script_function_push(lua, file->platform, "check"))
		return luaL_error(
		    lua, "%s: declares no platform \"%s\"", file->file, file->platform);
	return 0;
}

/* What a platform has not of its own it has of the one that it extends. */
static void link_platforms(lua_State *lua)
{
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &platforms_key);
	lua_pushnil(lua);
	while (lua_next(lua, -2) != 0) {
		lua_pushliteral(lua, "extends");
		if (lua_rawget(lua, -2) == LUA_TSTRING) {
			lua_createtable(lua, 0, 1);
			lua_insert(lua, -2);
			lua_rawget(lua, -5);
			lua_setfield(lua, -2, "__index");
			lua_setmetatable(lua, -2);
			lua_pop(lua, 1);
		} else {
			lua_pop(lua, 2);
		}
	}
	lua_pop(lua, 1);
}

static int load_end(lua_State *lua)
{
	link_platforms(lua);
	luastate_seal(lua);
	return 0;
}

static enum err load_step(struct scripts *scripts, lua_CFunction step, struct error *error)
{
	lua_pushcfunction(scripts->lua, step);
	lua_pushlightuserdata(scripts->lua, scripts);
	return luastate_call(scripts->lua, 1, 0, error);
}

static enum err load_all(
    struct scripts *scripts, const struct wire_script *files, size_t count, struct error *error)
{
	enum err err = load_step(scripts, load_open, error);

	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		scripts->loading = &files[i];
		err = load_step(scripts, load_file, error);
	}
	scripts->loading = NULL;
	if (err == ERR_OK)
		err = load_step(scripts, load_end, error);
	return err;
}

enum err scripts_new(
    struct scripts **scripts, const struct wire_script *files, size_t count, struct error *error)
{
	const struct luastate_caps caps = {
	    .memory_bytes = MEMORY_BYTES_MAX,
	    .instructions = LOAD_INSTRUCTIONS_MAX,
	    .subject_bytes = SUBJECT_BYTES_MAX,
	};
	struct scripts *new = xcalloc(1, sizeof(*new));
	enum err err;

	*scripts = NULL;
	new->lua = luastate_new(&caps);
	if (new->lua == NULL) {
		err = error_set(error, ERR_LIMIT, "no memory for the scripts of the platforms");
		goto out;
	}
	err = load_all(new, files, count, error);
	if (err != ERR_OK)
		goto out;
	*scripts = new; /* transferred */
	new = NULL;
out:
	scripts_free(new);
	return err;
}

void scripts_free(struct scripts *scripts)
{
	if (scripts == NULL)
		return;
	luastate_free(scripts->lua);
	free(scripts);
}
