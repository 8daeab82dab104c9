#include "base/luastate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/log.h"
#include "base/lualimit.h"
#include "base/mem.h"

/* Instructions between two looks at the count. */
#define HOOK_EVERY 1000

/* What stands behind a state: the allocator's ud. */
struct luastate {
	struct luastate_caps caps;
	size_t used_bytes;
	uint64_t instructions; /* so far, in the outermost call */
	unsigned depth;	       /* of luastate_call */
	bool over;	       /* the instruction cap was passed: every error goes all the way up */
};

static struct luastate *luastate_of(lua_State *lua)
{
	void *ud;

	lua_getallocf(lua, &ud);
	return ud;
}

static void *luastate_alloc(void *ud, void *ptr, size_t old_size, size_t size)
{
	struct luastate *state = ud;
	void *moved;

	if (ptr == NULL)
		old_size = 0; /* Lua gives a type here */
	if (size == 0) {
		mem_free(ptr);
		state->used_bytes -= old_size;
		return NULL;
	}
	if (size > old_size && size - old_size > state->caps.memory_bytes - state->used_bytes)
		return NULL;
	moved = mem_realloc(ptr, size);
	if (moved != NULL)
		state->used_bytes += size - old_size;
	return moved;
}

/* Only a call from C outside of any protection comes here. */
static int luastate_panic(lua_State *lua)
{
	const char *why = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;

	log_event(LOG_LEVEL_ERROR, "lua_panic", "why", why, NULL);
	abort();
}

static int raise_over(lua_State *lua, int level)
{
	luaL_where(lua, level);
	lua_pushliteral(lua, "too many instructions: does a loop never end?");
	lua_concat(lua, 2);
	return lua_error(lua);
}

static void luastate_hook(lua_State *lua, lua_Debug *debug)
{
	struct luastate *state = luastate_of(lua);

	(void)debug;
	state->instructions += HOOK_EVERY;
	if (state->instructions < state->caps.instructions)
		return;
	state->over = true;
	/* From here on no instruction is left: what a `<close>` runs must not work on. */
	lua_sethook(lua, luastate_hook, LUA_MASKCOUNT, 1);
	raise_over(lua, 0);
}

bool luastate_is_over(lua_State *lua)
{
	return luastate_of(lua)->over;
}

int luastate_raise_over(lua_State *lua)
{
	return raise_over(lua, 1);
}

const struct luastate_caps *luastate_caps_of(lua_State *lua)
{
	return &luastate_of(lua)->caps;
}

lua_State *luastate_new(const struct luastate_caps *caps)
{
	struct luastate *state = xcalloc(1, sizeof(*state));
	lua_State *lua;

	state->caps = *caps;
	lua = lua_newstate(luastate_alloc, state);
	if (lua == NULL) {
		free(state);
		return NULL;
	}
	lua_atpanic(lua, luastate_panic);
	lua_pushcfunction(lua, lualimit_open);
	if (lua_pcall(lua, 0, 0, 0) != LUA_OK) {
		luastate_free(lua);
		return NULL;
	}
	return lua;
}

void luastate_free(lua_State *lua)
{
	struct luastate *state;

	if (lua == NULL)
		return;
	state = luastate_of(lua);
	lua_close(lua);
	free(state);
}

/* Lua's buffers report no memory as an error like any other; only its text tells. */
static bool is_memory_error(int status, const char *text)
{
	return status == LUA_ERRMEM || (text != NULL && strcmp(text, "not enough memory") == 0);
}

static enum err call_failed(lua_State *lua, int status, struct error *error)
{
	/* A number or an object is not turned into text: that may run code or need memory. */
	const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
	enum err err = ERR_INVALID;

	if (luastate_is_over(lua) || is_memory_error(status, text))
		err = ERR_LIMIT;
	if (text != NULL)
		error_set(error, err, "%s", text);
	else
		error_set(error, err, "the error is a %s, not a text", luaL_typename(lua, -1));
	lua_pop(lua, 1);
	return err;
}

enum err luastate_call(lua_State *lua, int args, int results, struct error *error)
{
	struct luastate *state = luastate_of(lua);
	bool hooked = state->caps.instructions > 0 && state->depth == 0;
	int status;
	enum err err = ERR_OK;

	if (hooked) {
		state->instructions = 0;
		state->over = false;
		lua_sethook(lua, luastate_hook, LUA_MASKCOUNT, HOOK_EVERY);
	}
	state->depth++;
	status = lua_pcall(lua, args, results, 0);
	state->depth--;
	if (status != LUA_OK)
		err = call_failed(lua, status, error);
	if (hooked) {
		lua_sethook(lua, NULL, 0, 0);
		state->over = false;
	}
	return err;
}

size_t luastate_memory(lua_State *lua)
{
	return luastate_of(lua)->used_bytes;
}
