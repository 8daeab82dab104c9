#include "wire/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/luastate.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/binding.h"
#include "wire/handle.h"
#include "wire/redact.h"

/* Instructions between two yields of a script that computes, and in all. */
#define TURN_INSTRUCTIONS 10000
#define INSTRUCTIONS_MAX  5000000
/* What one script may make the state of its snapshot grow by. */
#define SCRIPT_MEMORY_MAX (2 * 1024 * 1024)

/* ── Texts ───────────────────────────────────────────────────────────────────────────────── */

void script_redact(const struct script *script, struct buf *buf)
{
	const struct secret *const secrets[] = {script->new_secret, script->old_secret};

	redact(buf, secrets, sizeof(secrets) / sizeof(secrets[0]));
}

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

void script_text(
    const struct script *script, char out[WIRE_TEXT_SIZE], const char *text, size_t len)
{
	struct buf clean;

	buf_init(&clean, COMMAND_OUTPUT_MAX);
	buf_add(&clean, text, len < COMMAND_OUTPUT_MAX ? len : COMMAND_OUTPUT_MAX);
	script_redact(script, &clean);
	while (clean.len > 0 && is_space(clean.data[clean.len - 1]))
		clean.len--;
	text_escape(out, WIRE_TEXT_SIZE, buf_text(&clean), clean.len);
	buf_clear(&clean);
}

/* ── Ends ────────────────────────────────────────────────────────────────────────────────── */

/* Fills the outcome of a script that failed; what was there is replaced. */
static void script_failed(struct script *script, enum fault fault, const char *text, size_t len)
{
	script->end = SCRIPT_FAILED;
	script->outcome.fault = fault;
	script_text(script, script->outcome.text, text, len);
}

int script_abandon(lua_State *lua, struct script *script)
{
	struct outcome outcome = script->outcome;

	script_failed(script, outcome.fault, outcome.text, strlen(outcome.text));
	if (lua_isyieldable(lua))
		return lua_yield(lua, 0);
	/* Each instruction raises from now on, so that no pcall of the script can hold it. */
	lua_sethook(lua, lua_gethook(lua), LUA_MASKCOUNT, 1);
	return luaL_error(lua, "%s", script->outcome.text);
}

int script_fail(lua_State *lua, struct script *script, enum fault fault, const char *fmt, ...)
{
	va_list args;

	script->outcome.fault = fault;
	va_start(args, fmt);
	vsnprintf(script->outcome.text, sizeof(script->outcome.text), fmt, args);
	va_end(args);
	return script_abandon(lua, script);
}

void *script_verdict_mark(void)
{
	static char mark;

	return &mark;
}

static bool is_verdict(lua_State *lua, int index)
{
	return lua_islightuserdata(lua, index) &&
	       lua_touserdata(lua, index) == script_verdict_mark();
}

/* The coroutine ended in an error, which stands on top. */
static void script_raised(struct script *script, int status)
{
	lua_State *lua = script->lua;
	char text[64];

	if (script->end == SCRIPT_FAILED)
		return;
	if (is_verdict(lua, -1)) {
		script->end = script->verdict;
	} else if (lua_type(lua, -1) == LUA_TSTRING) {
		size_t len;
		const char *said = lua_tolstring(lua, -1, &len);

		script_failed(script, status == LUA_ERRMEM ? FAULT_LIMIT : FAULT_SCRIPT, said, len);
	} else {
		int len = snprintf(
		    text, sizeof(text), "the error is a %s, not a text", luaL_typename(lua, -1));

		script_failed(script, FAULT_SCRIPT, text, (size_t)len);
	}
}

/* ── Limits ──────────────────────────────────────────────────────────────────────────────── */

/* Books what the state grew by since the last look to the script that runs. */
static void charge_memory(struct script *script)
{
	size_t now = luastate_memory(script->lua);

	if (now >= script->memory_mark)
		script->memory_bytes += now - script->memory_mark;
	else if (script->memory_bytes > script->memory_mark - now)
		script->memory_bytes -= script->memory_mark - now;
	else
		script->memory_bytes = 0;
	script->memory_mark = now;
}

/* What it left behind does not count, but is only looked for when it matters. */
static bool memory_over(struct script *script)
{
	charge_memory(script);
	if (script->memory_bytes <= SCRIPT_MEMORY_MAX)
		return false;
	lua_gc(script->lua, LUA_GCCOLLECT);
	charge_memory(script);
	return script->memory_bytes > SCRIPT_MEMORY_MAX;
}

static void fail_at(lua_State *lua, lua_Debug *where, struct script *script, const char *why)
{
	lua_getinfo(lua, "Sl", where);
	script_fail(
	    lua, script, FAULT_LIMIT, "%s:%d: %s", where->short_src, where->currentline, why);
}

/*
 * Called each TURN_INSTRUCTIONS. It yields, to let others run or for good. Within sort, gsub and
 * the like nothing can yield: there the script goes on until its end or its cap.
 */
static void on_instructions(lua_State *lua, lua_Debug *where)
{
	struct script *script = script_running(lua);

	if (script->end == SCRIPT_FAILED) {
		script_abandon(lua, script);
		return;
	}
	script->instructions += TURN_INSTRUCTIONS;
	if (script->instructions >= INSTRUCTIONS_MAX) {
		fail_at(lua, where, script, "too many instructions: does a loop never end?");
	} else if (memory_over(script)) {
		fail_at(lua, where, script, "too much memory for one job");
	} else if (lua_isyieldable(lua)) {
		script->busy = true;
		lua_yield(lua, 0);
	}
}

/* ── The coroutine ───────────────────────────────────────────────────────────────────────── */

static int take_hash(lua_State *lua, struct script *script)
{
	const struct handle *handle = handle_test(lua, -1, HANDLE_SECRET);

	if (lua_isnil(lua, -1))
		return 0;
	if (handle == NULL || !handle->output)
		return luaL_error(lua, "read_hash must return an opaque output or nil");
	if (secret_len(handle->secret) == 0)
		return 0;
	script->hash = secret_copy(handle->secret);
	if (script->hash == NULL)
		return script_fail(lua, script, FAULT_LIMIT, "no room for another secret");
	return 0;
}

/* The arguments of what the coroutine runs: two functions of the platform, the first may be nil. */
enum { BODY_FIRST = 1, BODY_JOB, BODY_SECOND };

/* The platform's function has returned; its one result is on top. */
static int body_returned(lua_State *lua, int status, lua_KContext context)
{
	struct script *script = script_running(lua);

	(void)status;
	(void)context;
	if (script->call == SCRIPT_READ_HASH)
		return take_hash(lua, script);
	if (script->call == SCRIPT_CHANGE && !script->sent)
		return luaL_error(lua, "change_password returned without sending the new secret");
	if (script->call == SCRIPT_CHANGE_KEY && !script->sent)
		return luaL_error(lua, "change_key returned without sending the new key");
	return 0;
}

static int body_followed(lua_State *lua, int status, lua_KContext context)
{
	lua_settop(lua, BODY_SECOND);
	if (lua_isnil(lua, BODY_SECOND))
		return body_returned(lua, status, context);
	lua_pushvalue(lua, BODY_JOB);
	lua_callk(lua, 1, 1, 0, body_returned);
	return body_returned(lua, status, context);
}

/* What the coroutine runs. */
static int body(lua_State *lua)
{
	if (lua_isnil(lua, BODY_FIRST))
		return body_followed(lua, LUA_OK, 0);
	lua_pushvalue(lua, BODY_FIRST);
	lua_pushvalue(lua, BODY_JOB);
	lua_callk(lua, 1, 0, 0, body_followed);
	return body_followed(lua, LUA_OK, 0);
}

static const char *call_name(enum script_call call)
{
	switch (call) {
	case SCRIPT_CHANGE: return "change_password";
	case SCRIPT_READ_HASH: return "read_hash";
	case SCRIPT_CHANGE_KEY: return "change_key";
	case SCRIPT_PERSIST: return "persist";
	case SCRIPT_CHECK: break;
	}
	return "check";
}

/* For script_new: what its protected part works on. */
struct beginning {
	struct script *script;
	const struct script_config *config;
};

static void push_function(lua_State *lua, const char *platform, const char *name)
{
	if (!script_function_push(lua, platform, name))
		luaL_error(lua, "there is no platform \"%s\"", platform);
}

static bool has_function(lua_State *lua, const char *platform, const char *name)
{
	bool has;

	push_function(lua, platform, name);
	has = !lua_isnil(lua, -1);
	lua_pop(lua, 1);
	return has;
}

/* What a platform has no function for is not possible, whatever its check says. Or NULL. */
static const char *lacks(lua_State *lua, const struct script_config *config)
{
	const char *platform = config->platform;

	if (config->call != SCRIPT_CHECK)
		return NULL;
	if (config->key == NULL && config->proof == WIRE_PROOF_HASH &&
	    !has_function(lua, platform, "read_hash"))
		return "read_hash";
	if (config->key != NULL && !has_function(lua, platform, "change_key"))
		return "change_key";
	if (config->key != NULL && config->key->replace != WIRE_KEY_ADD &&
	    !has_function(lua, platform, "persist"))
		return "persist";
	return NULL;
}

static void begin_skipped(struct script *script, const char *platform, const char *name)
{
	script->end = SCRIPT_SKIPPED;
	script->verdict_finding = FINDING_NO_PROOF;
	snprintf(script->verdict_text, sizeof(script->verdict_text), "platform \"%s\" has no %s",
	    platform, name);
}

/* Without the function there is nothing to check, and nothing to make permanent. */
static bool may_lack(enum script_call call)
{
	return call == SCRIPT_CHECK || call == SCRIPT_PERSIST;
}

/* A check is followed by what is said of the proof; before a change all is made ready. */
static void push_functions(
    lua_State *lua, const struct script *script, const struct script_config *config)
{
	const char *platform = config->platform, *name = call_name(config->call);

	switch (config->call) {
	case SCRIPT_CHECK: push_function(lua, platform, name); break;
	case SCRIPT_CHANGE:
	case SCRIPT_CHANGE_KEY: push_function(lua, platform, "prepare"); break;
	case SCRIPT_READ_HASH:
	case SCRIPT_PERSIST: lua_pushnil(lua); break;
	}
	binding_job_push(lua, script, config);
	push_function(lua, platform, config->call == SCRIPT_CHECK ? "check_proof" : name);
}

static int begin(lua_State *lua)
{
	const struct beginning *beginning = lua_touserdata(lua, 1);
	const struct script_config *config = beginning->config;
	struct script *script = beginning->script;
	const char *lacked;

	script->lua = lua_newthread(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, script);
	lua_sethook(script->lua, on_instructions, LUA_MASKCOUNT, TURN_INSTRUCTIONS);
	push_function(lua, config->platform, call_name(config->call));
	lacked = lacks(lua, config);
	if (lacked != NULL) {
		begin_skipped(script, config->platform, lacked);
		return 0;
	}
	if (lua_isnil(lua, -1) && !may_lack(config->call))
		return luaL_error(
		    lua, "platform \"%s\" has no %s", config->platform, call_name(config->call));
	lua_pop(lua, 1);
	lua_pushcfunction(script->lua, body);
	push_functions(lua, script, config);
	lua_xmove(lua, script->lua, 3);
	script->args = 3;
	return 0;
}

struct script *script_new(struct scripts *scripts, const struct script_config *config)
{
	struct script *script = xcalloc(1, sizeof(*script));
	struct beginning beginning = {script, config};
	struct error error;
	enum err err;

	script->scripts = scripts;
	script->job = ++scripts->jobs;
	script->call = config->call;
	script->limit_ms = config->limit_ms < UINT32_MAX ? (uint32_t)config->limit_ms : UINT32_MAX;
	script->new_secret = config->new_secret;
	script->old_secret = config->old_secret;
	script->shell = config->shell;
	if (config->key != NULL && config->key->line != NULL)
		script->key_line = secret_from(config->key->line, strlen(config->key->line));
	command_init(&script->command);
	lua_pushcfunction(scripts->lua, begin);
	lua_pushlightuserdata(scripts->lua, &beginning);
	err = luastate_call(scripts->lua, 1, 0, &error);
	if (err != ERR_OK)
		script_failed(script, err == ERR_LIMIT ? FAULT_LIMIT : FAULT_SCRIPT, error.text,
		    strlen(error.text));
	return script;
}

void script_free(struct script *script)
{
	if (script == NULL)
		return;
	if (script->lua != NULL) {
		/* Dropped, not closed: what a script left to be closed must not run any more. */
		lua_pushnil(script->scripts->lua);
		lua_rawsetp(script->scripts->lua, LUA_REGISTRYINDEX, script);
	}
	command_clear(&script->command);
	if (script->dialogue != NULL)
		dialogue_clear(script->dialogue);
	free(script->dialogue);
	for (size_t i = 0; i < script->output_count; i++)
		secret_free(script->outputs[i]);
	secret_free(script->hash);
	secret_free(script->key_line);
	free(script);
}

/* ── Steps ───────────────────────────────────────────────────────────────────────────────── */

static void script_run(struct script *script)
{
	int results, status;

	script->busy = false;
	script->memory_mark = luastate_memory(script->lua);
	script->scripts->running = script;
	status = lua_resume(script->lua, script->scripts->lua, script->args, &results);
	script->scripts->running = NULL;
	script->args = 0;
	if (script->end == SCRIPT_FAILED)
		return;
	if (status == LUA_OK) {
		script->end = SCRIPT_RETURNED;
	} else if (status != LUA_YIELD) {
		script_raised(script, status);
	} else if (memory_over(script)) {
		static const char text[] = "too much memory for one job";

		script_failed(script, FAULT_LIMIT, text, sizeof(text) - 1);
	}
}

enum err script_step(
    struct script *script, struct script_result *result, bool *busy, struct outcome *outcome)
{
	*result = (struct script_result){.finding = FINDING_OK};
	*outcome = (struct outcome){.fault = FAULT_NONE};
	*busy = false;
	if (script->end == SCRIPT_IN_WORK)
		script_run(script);
	result->sent = script->sent;
	switch (script->end) {
	case SCRIPT_IN_WORK: *busy = script->busy; return ERR_AGAIN;
	case SCRIPT_RETURNED:
		result->ended = !script->unended;
		result->hash = script->hash; /* transferred */
		script->hash = NULL;
		return ERR_OK;
	case SCRIPT_REFUSED:
		result->ended = !script->unended;
		return outcome_set(outcome, FAULT_REFUSED, "%s", script->verdict_text);
	case SCRIPT_SKIPPED:
		result->finding = script->verdict_finding;
		memcpy(outcome->text, script->verdict_text, sizeof(outcome->text));
		return ERR_OK;
	case SCRIPT_FAILED: break;
	}
	return outcome_set(outcome, script->outcome.fault, "%s", script->outcome.text);
}
