/*
 * job.admin:dialogue, a function that waits: a command that asks, and the answers.
 *
 * As for exec, all is taken from Lua before anything is sent.
 */
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "wire/binding.h"
#include "wire/handle.h"

/* A line that leaves in one packet. */
#define ANSWER_MAX (16 * 1024)

/* ── What is asked for ───────────────────────────────────────────────────────────────────── */

static void take_expect(lua_State *lua, struct dialogue_step *step, int index)
{
	size_t len;
	const char *text;

	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "what a step expects is a text, or an array of them, not %s",
		    luaL_typename(lua, index));
	text = lua_tolstring(lua, index, &len);
	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len == 0 || len >= DIALOGUE_EXPECT_SIZE || memchr(text, '\0', len) != NULL)
		luaL_error(lua, "what a step expects has 1 to %d bytes, and none is NUL",
		    DIALOGUE_EXPECT_SIZE - 1);
	if (step->expect_count == DIALOGUE_EXPECTS_MAX)
		luaL_error(lua, "a step expects at most %d texts", DIALOGUE_EXPECTS_MAX);
	memcpy(step->expects[step->expect_count], text, len);
	step->expects[step->expect_count++][len] = '\0';
}

/* The one at `index`, or each of the array there. */
static void take_expects(lua_State *lua, struct dialogue_step *step, int index)
{
	if (!lua_istable(lua, index)) {
		take_expect(lua, step, index);
		return;
	}
	for (lua_Integer i = 1; lua_rawgeti(lua, index, i) != LUA_TNIL; i++) {
		take_expect(lua, step, lua_gettop(lua));
		lua_pop(lua, 1);
	}
	lua_pop(lua, 1);
}

static void take_sends(lua_State *lua, struct script *script, struct dialogue_step *step, int index)
{
	static const char what[] = "an answer";
	lua_Integer count;

	if (!lua_istable(lua, index)) {
		step->holds_new =
		    binding_part_take(lua, script, &step->send, index, what, 1, false);
		return;
	}
	count = (lua_Integer)lua_rawlen(lua, index);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, index, i);
		step->holds_new |=
		    binding_part_take(lua, script, &step->send, lua_gettop(lua), what, i, false);
		lua_pop(lua, 1);
	}
}

static void take_step(lua_State *lua, struct script *script, int table)
{
	struct dialogue *dialogue = script->dialogue;
	struct dialogue_step *step;

	if (!lua_istable(lua, table))
		luaL_error(
		    lua, "a step of a dialogue is a table, not %s", luaL_typename(lua, table));
	if (dialogue->step_count == DIALOGUE_STEPS_MAX)
		luaL_error(lua, "a dialogue has at most %d steps", DIALOGUE_STEPS_MAX);
	step = &dialogue->steps[dialogue->step_count++];
	buf_init(&step->send, ANSWER_MAX);
	lua_getfield(lua, table, "expect");
	take_expects(lua, step, lua_gettop(lua));
	if (step->expect_count == 0)
		luaL_error(lua, "a step of a dialogue expects something");
	lua_getfield(lua, table, "send");
	take_sends(lua, script, step, lua_gettop(lua));
	lua_pop(lua, 2);
	if (!buf_add_text(&step->send, "\n"))
		luaL_error(lua, "an answer is too long: the most is %d bytes", ANSWER_MAX - 1);
}

static void take_steps(lua_State *lua, struct script *script, int table)
{
	lua_Integer count;

	if (!lua_istable(lua, table))
		luaL_error(
		    lua, "the steps of a dialogue are an array, not %s", luaL_typename(lua, table));
	count = (lua_Integer)lua_rawlen(lua, table);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, table, i);
		take_step(lua, script, lua_gettop(lua));
		lua_pop(lua, 1);
	}
	for (size_t i = 0; i < script->dialogue->step_count; i++)
		script->command.holds_secret |= script->dialogue->steps[i].holds_new;
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

static int push_result(lua_State *lua, struct script *script)
{
	struct command *command = &script->command;

	lua_createtable(lua, 0, 4);
	lua_pushinteger(lua, command->status);
	lua_setfield(lua, -2, "status");
	binding_output_push(lua, script, &command->out);
	lua_setfield(lua, -2, "stdout");
	lua_pushinteger(lua, (lua_Integer)script->dialogue->answered);
	lua_setfield(lua, -2, "answered");
	lua_pushboolean(lua, script->dialogue->unanswered);
	lua_setfield(lua, -2, "unanswered");
	command_clear(command);
	dialogue_clear(script->dialogue);
	return 1;
}

/* Begins and goes on; called again after each wait. */
static int dialogue_run(lua_State *lua, int status, lua_KContext context)
{
	struct script *script = script_running(lua);
	enum err err = shell_dialogue_step(
	    script->shell, &script->command, script->dialogue, &script->outcome);

	(void)status;
	(void)context;
	binding_command_note(script, err);
	if (err == ERR_AGAIN)
		return lua_yieldk(lua, 0, 0, dialogue_run);
	if (err != ERR_OK)
		return script_abandon(lua, script);
	return push_result(lua, script);
}

int binding_dialogue(lua_State *lua)
{
	struct script *script = handle_script(lua, 1, HANDLE_ADMIN);

	lua_settop(lua, 3);
	binding_command_begin(lua, script, 2);
	if (script->dialogue == NULL)
		script->dialogue = xcalloc(1, sizeof(*script->dialogue));
	dialogue_clear(script->dialogue);
	take_steps(lua, script, 3);
	return dialogue_run(lua, LUA_OK, 0);
}
