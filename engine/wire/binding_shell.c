/*
 * job.admin:exec, a function that waits: a command on the privileged shell.
 *
 * Words and input are taken from Lua into the command before anything is sent, so that a mistake of
 * the script is an error that left nothing behind.
 */
#include <string.h>

#include <lauxlib.h>

#include "wire/binding.h"
#include "wire/handle.h"

/* ── What is asked for ───────────────────────────────────────────────────────────────────── */

static void take_word(lua_State *lua, struct script *script, int index, lua_Integer number)
{
	size_t len;
	const char *word;

	if (handle_test(lua, index, HANDLE_SECRET) != NULL)
		luaL_error(lua,
		    "word %I of the command is a secret: others can read a command line; give it "
		    "in stdin",
		    number);
	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "word %I of the command must be a text, not %s", number,
		    luaL_typename(lua, index));
	word = lua_tolstring(lua, index, &len);
	if (memchr(word, '\0', len) != NULL || memchr(word, '\n', len) != NULL)
		luaL_error(lua, "word %I of the command has a NUL or a newline", number);
	if (!command_word(&script->command, word, len))
		luaL_error(lua, "the command is too long: the most is %d bytes", COMMAND_LINE_MAX);
}

static void take_words(lua_State *lua, struct script *script, int table)
{
	lua_Integer count;

	if (!lua_istable(lua, table))
		luaL_error(
		    lua, "a command is an array of words, not %s", luaL_typename(lua, table));
	count = (lua_Integer)lua_rawlen(lua, table);
	if (count == 0)
		luaL_error(lua, "a command has at least one word");
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, table, i);
		take_word(lua, script, lua_gettop(lua), i);
		lua_pop(lua, 1);
	}
}

/*
 * A value within a line must not end it: the rest would be another line, or be cut. Only the
 * script's own text may end one.
 */
static void check_part(
    lua_State *lua, const char *bytes, size_t len, const char *what, lua_Integer number)
{
	if (memchr(bytes, '\0', len) != NULL || memchr(bytes, '\n', len) != NULL)
		luaL_error(lua,
		    "part %I of %s has a NUL, or a newline that is not the end of a text of the "
		    "script",
		    number, what);
}

static bool take_secret(lua_State *lua, struct script *script, struct buf *out,
    const struct handle *handle, const char *what, lua_Integer number)
{
	size_t len = secret_len(handle->secret);

	if (len == 0)
		luaL_error(lua, "part %I of %s is a secret without a byte", number, what);
	check_part(lua, secret_data(handle->secret), len, what, number);
	buf_add(out, secret_data(handle->secret), len);
	script->gave_secret = true;
	return handle->holds_new;
}

bool binding_part_take(lua_State *lua, struct script *script, struct buf *out, int index,
    const char *what, lua_Integer number, bool lines)
{
	const struct handle *handle = handle_test(lua, index, HANDLE_SECRET);
	const char *text;
	size_t len;

	if (handle != NULL)
		return take_secret(lua, script, out, handle, what, number);
	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "part %I of %s must be a text or a secret, not %s", number, what,
		    luaL_typename(lua, index));
	text = lua_tolstring(lua, index, &len);
	check_part(
	    lua, text, lines && len > 0 && text[len - 1] == '\n' ? len - 1 : len, what, number);
	buf_add(out, text, len);
	return false;
}

static void take_input(lua_State *lua, struct script *script, int table)
{
	struct buf *input = &script->command.input;
	lua_Integer count;

	if (!lua_istable(lua, table))
		luaL_error(lua, "stdin is an array of parts, not %s", luaL_typename(lua, table));
	count = (lua_Integer)lua_rawlen(lua, table);
	for (lua_Integer i = 1; i <= count && !buf_failed(input); i++) {
		lua_rawgeti(lua, table, i);
		script->command.holds_secret |=
		    binding_part_take(lua, script, input, lua_gettop(lua), "stdin", i, true);
		lua_pop(lua, 1);
	}
	if (buf_failed(input))
		luaL_error(
		    lua, "stdin is too long: the most is %I bytes", (lua_Integer)input->size_max);
	if (input->len == 0 || input->data[input->len - 1] != '\n')
		luaL_error(lua, "stdin must end with \"\\n\"");
}

static bool take_flag(lua_State *lua, const char *name, int value)
{
	if (!lua_isboolean(lua, value))
		luaL_error(
		    lua, "%s must be true or false, not %s", name, luaL_typename(lua, value));
	return lua_toboolean(lua, value);
}

/* The option whose name and value are the two on top. */
static void take_option(lua_State *lua, struct script *script)
{
	int value = lua_gettop(lua);
	const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "";

	if (strcmp(name, "stdin") == 0) {
		take_input(lua, script, value);
	} else if (strcmp(name, "opaque") == 0) {
		script->command_opaque = take_flag(lua, name, value);
	} else if (strcmp(name, "elevate") == 0) {
		script->command.plain = !take_flag(lua, name, value);
	} else {
		luaL_error(
		    lua, "exec has no option \"%s\": there are stdin, opaque and elevate", name);
	}
}

static void take_options(lua_State *lua, struct script *script, int table)
{
	if (lua_isnoneornil(lua, table))
		return;
	if (!lua_istable(lua, table))
		luaL_error(
		    lua, "the options of exec are a table, not %s", luaL_typename(lua, table));
	lua_pushnil(lua);
	while (lua_next(lua, table) != 0) {
		take_option(lua, script);
		lua_pop(lua, 1);
	}
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

/* The output as a secret that the script keeps, without the newline that ends it. */
static bool push_opaque(lua_State *lua, struct script *script)
{
	const struct buf *out = &script->command.out;
	size_t len = out->len;
	struct handle *handle;
	struct secret *secret;

	if (len > 0 && out->data[len - 1] == '\n')
		len--;
	handle = handle_push(lua, script, HANDLE_SECRET);
	secret = secret_from(out->data, len);
	if (secret == NULL)
		return false;
	script->outputs[script->output_count++] = secret; /* transferred */
	handle->secret = secret;
	handle->output = true;
	/* An asset that was given the new secret may say it again. */
	handle->holds_new = script->gave_secret;
	return true;
}

void binding_output_push(lua_State *lua, struct script *script, struct buf *output)
{
	if (script->gave_secret)
		script_redact(script, output);
	lua_pushlstring(lua, buf_text(output), output->len);
}

static int push_result(lua_State *lua, struct script *script)
{
	struct command *command = &script->command;

	lua_createtable(lua, 0, 3);
	lua_pushinteger(lua, command->status);
	lua_setfield(lua, -2, "status");
	binding_output_push(lua, script, &command->err);
	lua_setfield(lua, -2, "stderr");
	if (!script->command_opaque)
		binding_output_push(lua, script, &command->out);
	else if (!push_opaque(lua, script))
		return script_fail(lua, script, FAULT_LIMIT,
		    "no room for an output of %zu bytes as a secret", command->out.len);
	lua_setfield(lua, -2, "stdout");
	command_clear(command);
	return 1;
}

/* ── Waiting ─────────────────────────────────────────────────────────────────────────────── */

void binding_command_note(struct script *script, enum err err)
{
	const struct command *command = &script->command;

	if (!command->holds_secret || !command->sent)
		return;
	script->sent = true;
	if (err == ERR_OK && !command->ended)
		script->unended = true;
}

/* Begins and goes on with the command; called again after each wait. */
static int exec_run(lua_State *lua, int status, lua_KContext context)
{
	struct script *script = script_running(lua);
	enum err err = shell_run_step(script->shell, &script->command, &script->outcome);

	(void)status;
	(void)context;
	binding_command_note(script, err);
	if (err == ERR_AGAIN)
		return lua_yieldk(lua, 0, 0, exec_run);
	if (err != ERR_OK)
		return script_abandon(lua, script);
	return push_result(lua, script);
}

void binding_command_begin(lua_State *lua, struct script *script, int words)
{
	if (!lua_isyieldable(lua))
		luaL_error(lua,
		    "a command waits: it cannot be run from a function that was given to sort, "
		    "gsub or the like");
	command_clear(&script->command);
	command_init(&script->command);
	script->command.limit_ms = script->limit_ms;
	script->command_opaque = false;
	take_words(lua, script, words);
}

static int admin_exec(lua_State *lua)
{
	struct script *script = handle_script(lua, 1, HANDLE_ADMIN);

	lua_settop(lua, 3);
	binding_command_begin(lua, script, 2);
	take_options(lua, script, 3);
	if (script->command_opaque && script->output_count == SCRIPT_OUTPUTS_MAX)
		return luaL_error(
		    lua, "too many opaque outputs in one job: the most is %d", SCRIPT_OUTPUTS_MAX);
	return exec_run(lua, LUA_OK, 0);
}

void binding_shell_open(lua_State *lua)
{
	handle_metatable(lua, HANDLE_ADMIN);
	lua_createtable(lua, 0, 2);
	lua_pushcfunction(lua, admin_exec);
	lua_setfield(lua, -2, "exec");
	lua_pushcfunction(lua, binding_dialogue);
	lua_setfield(lua, -2, "dialogue");
	lua_setfield(lua, -2, "__index");
	lua_pop(lua, 1);
}
