/*
 * What a script sees of its job, and the words by which it ends one: refused, skip.
 */
#include <string.h>

#include <lauxlib.h>

#include "wire/binding.h"
#include "wire/handle.h"

/* Those that are nil where there is none are fields all the same. */
static const char *const optional_fields[] = {"new", "old", "key"};

static bool is_optional(const char *name)
{
	for (size_t i = 0; i < sizeof(optional_fields) / sizeof(optional_fields[0]); i++) {
		if (strcmp(optional_fields[i], name) == 0)
			return true;
	}
	return false;
}

static int job_index(lua_State *lua)
{
	handle_script(lua, 1, HANDLE_JOB);
	lua_getiuservalue(lua, 1, 1);
	lua_pushvalue(lua, 2);
	if (lua_rawget(lua, -2) == LUA_TNIL &&
	    !(lua_type(lua, 2) == LUA_TSTRING && is_optional(lua_tostring(lua, 2))))
		return luaL_error(lua, "a job has no field \"%s\"", luaL_tolstring(lua, 2, NULL));
	return 1;
}

static void push_secret(lua_State *lua, const struct script *script, const struct secret *secret)
{
	struct handle *handle;

	if (secret == NULL) {
		lua_pushnil(lua);
		return;
	}
	handle = handle_push(lua, script, HANDLE_SECRET);
	handle->secret = secret;
	handle->holds_new = secret == script->new_secret;
}

static const char *proof_name(enum wire_proof proof)
{
	switch (proof) {
	case WIRE_PROOF_LOGIN: return "login";
	case WIRE_PROOF_SU: return "su";
	case WIRE_PROOF_HASH: return "hash";
	case WIRE_PROOF_NONE: break;
	}
	return "none";
}

void binding_job_push(
    lua_State *lua, const struct script *script, const struct script_config *config)
{
	luaL_checkstack(lua, 12, NULL);
	handle_push(lua, script, HANDLE_JOB);
	lua_createtable(lua, 0, 9);
	lua_pushstring(lua, config->account);
	lua_setfield(lua, -2, "account");
	lua_pushstring(lua, config->asset);
	lua_setfield(lua, -2, "asset");
	lua_pushstring(lua, proof_name(config->proof));
	lua_setfield(lua, -2, "proof");
	lua_pushboolean(lua, shell_targeted(config->shell));
	lua_setfield(lua, -2, "targeted");
	push_secret(lua, script, config->new_secret);
	lua_setfield(lua, -2, "new");
	push_secret(lua, script, config->old_secret);
	lua_setfield(lua, -2, "old");
	binding_key_push(lua, script, config->key);
	lua_setfield(lua, -2, "key");
	binding_params_push(lua, config->params);
	lua_setfield(lua, -2, "params");
	handle_push(lua, script, HANDLE_ADMIN);
	lua_setfield(lua, -2, "admin");
	lua_setiuservalue(lua, -2, 1);
}

/* Raises the verdict with the text at `index`. */
static int raise_verdict(lua_State *lua, struct script *script, enum script_end verdict, int index)
{
	size_t len;
	const char *text = luaL_checklstring(lua, index, &len);

	script->verdict = verdict;
	script_text(script, script->verdict_text, text, len);
	lua_pushlightuserdata(lua, script_verdict_mark());
	return lua_error(lua);
}

/* Of the script that runs; there is none while a platform's file loads. */
static struct script *check_running(lua_State *lua, const char *name)
{
	struct script *script = script_running(lua);

	if (script == NULL)
		luaL_error(lua, "%s is for the functions of a platform", name);
	return script;
}

static int job_refused(lua_State *lua)
{
	return raise_verdict(lua, check_running(lua, "refused"), SCRIPT_REFUSED, 1);
}

static int job_skip(lua_State *lua)
{
	static const char *const reasons[] = {"absent", "locked", "expired", "no_proof", NULL};
	static const enum wire_finding findings[] = {
	    FINDING_ABSENT, FINDING_LOCKED, FINDING_EXPIRED, FINDING_NO_PROOF};
	struct script *script = check_running(lua, "skip");

	if (script->call != SCRIPT_CHECK)
		return luaL_error(lua, "skip is for check: after it an account is not skipped");
	script->verdict_finding = findings[luaL_checkoption(lua, 1, NULL, reasons)];
	return raise_verdict(lua, script, SCRIPT_SKIPPED, 2);
}

void binding_job_open(lua_State *lua)
{
	handle_metatable(lua, HANDLE_JOB);
	lua_pushcfunction(lua, job_index);
	lua_setfield(lua, -2, "__index");
	lua_pop(lua, 1);
	lua_register(lua, "refused", job_refused);
	lua_register(lua, "skip", job_skip);
}
