#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <lauxlib.h>

#include "base/luastate.h"
#include "base/mem.h"

static const struct luastate_caps caps = {
    .memory_bytes = 1024 * 1024,
    .instructions = 200000,
    .subject_bytes = 1000,
};

static struct error error;

/* Loads and runs as file `t`, with one result. */
static enum err run(lua_State *lua, const char *script)
{
	if (luaL_loadbuffer(lua, script, strlen(script), "@t") != LUA_OK)
		fail_msg("%s", lua_tostring(lua, -1));
	return luastate_call(lua, 0, 1, &error);
}

static void check_true(lua_State *lua, const char *script)
{
	if (run(lua, script) != ERR_OK)
		fail_msg("%s: %s", script, error.text);
	if (!lua_toboolean(lua, -1))
		fail_msg("%s: is not so", script);
	lua_pop(lua, 1);
}

static void check_fails(lua_State *lua, const char *script, enum err err, const char *text)
{
	int top = lua_gettop(lua);

	if (run(lua, script) == ERR_OK)
		fail_msg("%s: went well", script);
	if (error.code != err || strstr(error.text, text) == NULL)
		fail_msg("%s: %s: %s", script, err_name(error.code), error.text);
	assert_int_equal(lua_gettop(lua), top);
}

static int setup(void **state)
{
	*state = luastate_new(&caps);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	luastate_free(*state);
	return 0;
}

static void only_safe_globals(void **state)
{
	static const char *const gone[] = {"os", "io", "debug", "coroutine", "package", "require",
	    "load", "loadfile", "dofile", "collectgarbage", "print", "rawset", "warn",
	    "string.dump"};
	lua_State *lua = *state;

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		char script[64] = "return ";

		strcat(strcat(script, gone[i]), " == nil");
		check_true(lua, script);
	}
	check_true(
	    lua, "return string and table and math and utf8 and pairs and tostring(1) == '1'");
	check_true(lua, "return ('a,b'):gsub(',', ';') == 'a;b' and ('%d'):format(3) == '3'");
}

static void errors_keep_their_place(void **state)
{
	lua_State *lua = *state;

	check_fails(lua, "\nlocal x = nil\nreturn x.y", ERR_INVALID, "t:3: attempt to index");
	check_fails(lua, "error('why')", ERR_INVALID, "t:1: why");
	check_fails(lua, "error('why', 0)", ERR_INVALID, "why");
	assert_string_equal(error.text, "why");
	check_fails(lua, "error({})", ERR_INVALID, "a table, not a text");
	check_fails(lua, "error(nil)", ERR_INVALID, "a nil, not a text");
	check_fails(lua, "error(setmetatable({}, {__tostring = function() error('x') end}))",
	    ERR_INVALID, "a table, not a text");
	check_fails(lua, "return table.concat({{}})", ERR_INVALID, "t:1: invalid value");
	check_fails(lua, "return ('x'):rep({})", ERR_INVALID, "t:1: bad argument #1 to 'rep'");
	check_fails(lua, "return setmetatable(1, {})", ERR_INVALID, "t:1: bad argument #1");
}

static void instructions_are_capped(void **state)
{
	lua_State *lua = *state;

	check_fails(lua, "while true do end", ERR_LIMIT, "t:1: too many instructions");
	check_fails(lua, "local function f() return f() end return f()", ERR_LIMIT, "too many");
	/* The next call starts from nothing. */
	check_true(lua, "for i = 1, 10000 do end return true");
	check_true(lua, "return pcall(error, 'x') == false");
}

static void the_cap_cannot_be_survived(void **state)
{
	lua_State *lua = *state;

	check_fails(lua, "while true do pcall(function() while true do end end) end", ERR_LIMIT,
	    "too many instructions");
	check_fails(lua,
	    "local function f() xpcall(function() while true do end end, f) f() end f()", ERR_LIMIT,
	    "too many");
	check_fails(lua, "while true do pcall(pcall, function() while true do end end) end",
	    ERR_LIMIT, "too many");
	check_fails(lua, "table.sort({1,2,3,4}, function() while true do pcall(error) end end)",
	    ERR_LIMIT, "too many");
}

/* A message handler called from the hook has no hook of its own. */
static void handlers_cannot_survive(void **state)
{
	check_fails(*state,
	    "local function loop() while true do end end while true do xpcall(loop, loop) end",
	    ERR_LIMIT, "too many");
	check_fails(*state,
	    "local function loop() while true do end end while true do xpcall(error, loop) end",
	    ERR_LIMIT, "too many");
	check_fails(*state,
	    "local mt = {} function mt.__close() local x <close> = setmetatable({}, mt) "
	    "while true do end end local y <close> = setmetatable({}, mt) while true do end",
	    ERR_LIMIT, "too many");
	check_fails(*state,
	    "while true do xpcall(function() while true do end end, xpcall, pcall) end", ERR_LIMIT,
	    "too many");
}

static void pcall_is_still_pcall(void **state)
{
	lua_State *lua = *state;

	check_true(lua, "local a, b, c = pcall(function(x) return x, 2 end, 1) "
			"return a == true and b == 1 and c == 2");
	check_true(lua, "local a, b = pcall(error, 'e') return a == false and b == 'e'");
	check_true(lua, "local a, b = xpcall(error, function(e) return e .. '!' end, 'e') "
			"return a == false and b == 'e!'");
}

static void memory_is_capped(void **state)
{
	lua_State *lua = *state;

	check_fails(
	    lua, "local t = {} for i = 1, 1e5 do t[i] = {} end", ERR_LIMIT, "not enough memory");
	check_fails(lua, "return ('x'):rep(1e9)", ERR_LIMIT, "not enough memory");
	check_fails(
	    lua, "local s = 'x' while true do s = s .. s end", ERR_LIMIT, "not enough memory");
	assert_true(luastate_memory(lua) <= caps.memory_bytes);
	check_true(lua, "return #('x'):rep(1000, ',') == 1999");
}

/* Each of these turned in C, where no hook comes, for as long as it was told to. */
static void c_loops_are_capped(void **state)
{
	lua_State *lua = *state;

	check_true(lua, "return (''):rep(1e15) == ''");
	check_fails(lua, "table.move({}, 1, 1e15, 2)", ERR_INVALID, "too long");
	check_fails(lua, "table.move({}, math.mininteger, -1, 2)", ERR_INVALID, "too long");
	check_fails(lua, "table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1e15)",
	    ERR_INVALID, "too long");
	check_fails(lua,
	    "table.insert(setmetatable({}, {__len = function() return 1e15 end}), 1, 1)",
	    ERR_INVALID, "__len");
	check_fails(lua, "table.remove(setmetatable({}, {__len = function() return 1e15 end}), 1)",
	    ERR_INVALID, "__len");
	check_fails(lua, "setmetatable({}, {__gc = function() while true do end end})", ERR_INVALID,
	    "__gc");
	check_true(lua, "local t = {1, 2, 3} table.move(t, 1, 3, 2) table.insert(t, 1, 0) "
			"table.sort(t) return table.concat(t, ',', 1, 5) == '0,1,1,2,3'");
}

static void long_subjects_are_refused(void **state)
{
	static const char *const scripts[] = {
	    "return ('a'):rep(1001):find('a')",
	    "return ('a'):rep(1001):match('a')",
	    "return ('a'):rep(1001):gmatch('a')",
	    "return ('a'):rep(1001):gsub('a', 'b')",
	    "return string.find(('a'):rep(1001), 'a')",
	};
	lua_State *lua = *state;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		check_fails(lua, scripts[i], ERR_INVALID, "1001 bytes is too long");
	check_true(lua, "return ('a'):rep(1000):find('a$') == 1000");
	check_true(lua, "local n = 0 for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') do n = n + v end "
			"return n == 3");
	check_true(lua, "return select(2, ('aaa'):gsub('a', {a = 'b'}, 2)) == 2");
}

static void seal_is_tight(void **state)
{
	lua_State *lua = *state;

	check_true(lua, "function before() leaked = 1 end mine = {1, 2, deep = 3} return true");
	luastate_seal(lua);
	check_fails(lua, "x = 1", ERR_INVALID, "t:1: x cannot be set");
	check_fails(lua, "_G.x = 1", ERR_INVALID, "read-only");
	check_fails(lua, "_ENV[1] = 1", ERR_INVALID, "read-only");
	check_fails(lua, "before()", ERR_INVALID, "leaked cannot be set");
	check_fails(lua, "string.format = 1", ERR_INVALID, "format cannot be set");
	check_fails(lua, "pcall = 1", ERR_INVALID, "read-only");
	check_fails(lua, "table.insert(mine, 3)", ERR_INVALID, "");
	check_fails(lua, "mine[1] = 3", ERR_INVALID, "read-only");
	check_fails(lua, "getmetatable('').__index = 1", ERR_INVALID, "index");
	check_fails(lua, "setmetatable(_G, nil)", ERR_INVALID, "protected");
	check_fails(lua, "setmetatable(string, {})", ERR_INVALID, "protected");
	check_fails(lua, "table.move({1}, 1, 1, 1, math)", ERR_INVALID, "read-only");
	check_true(lua, "return x == nil and leaked == nil and rawget(_G, 'string') == nil");
	check_true(lua, "return ('a'):upper() == 'A' and string.upper('a') == 'A'");
	check_true(lua, "local n = 0 for _, v in pairs(mine) do n = n + v end return n == 6");
	check_true(lua, "return #mine == 2 and mine[2] == 2 and _G.mine.deep == 3 and _G._G == _G");
	check_true(lua, "local _, hidden = pairs(mine) return hidden == nil");
}

static void small_caps_make_no_state(void **state)
{
	size_t before = mem_used();

	(void)state;
	for (size_t bytes = 0; bytes < 40000; bytes += 97) {
		struct luastate_caps small = {.memory_bytes = bytes};

		luastate_free(luastate_new(&small));
	}
	assert_int_equal(mem_used(), before);
	luastate_free(NULL);
}

static int count_nested(lua_State *lua)
{
	assert_int_equal(luaL_loadstring(lua, "for i = 1, 1000 do end"), LUA_OK);
	if (luastate_call(lua, 0, 0, &error) != ERR_OK)
		return luaL_error(lua, "%s", error.text);
	return 0;
}

/* A call from within a call must not start the count anew. */
static void nested_calls_share_the_cap(void **state)
{
	lua_State *lua = *state;

	lua_register(lua, "nested", count_nested);
	check_fails(lua, "while true do nested() end", ERR_LIMIT, "too many");
	check_true(lua, "nested() return true");
}

static void no_memory_is_lost(void **state)
{
	size_t before = mem_used();
	lua_State *lua = luastate_new(&caps);

	(void)state;
	check_true(lua, "t = {} for i = 1, 1000 do t[i] = {tostring(i)} end return true");
	assert_true(luastate_memory(lua) > 1000 * 50);
	assert_int_equal(mem_used() - before, luastate_memory(lua));
	luastate_free(lua);
	assert_int_equal(mem_used(), before);
}

#define STATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    STATE_TEST(only_safe_globals),
	    STATE_TEST(errors_keep_their_place),
	    STATE_TEST(instructions_are_capped),
	    STATE_TEST(the_cap_cannot_be_survived),
	    STATE_TEST(handlers_cannot_survive),
	    STATE_TEST(pcall_is_still_pcall),
	    STATE_TEST(memory_is_capped),
	    STATE_TEST(c_loops_are_capped),
	    STATE_TEST(long_subjects_are_refused),
	    STATE_TEST(seal_is_tight),
	    STATE_TEST(nested_calls_share_the_cap),
	    cmocka_unit_test(small_caps_make_no_state),
	    cmocka_unit_test(no_memory_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
