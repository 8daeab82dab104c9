#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_shell.h"

static const char chpasswd[] = "platform 'p' { change_password = function(job)\n"
			       "  local r = job.admin:exec({ 'chpasswd' },\n"
			       "      { stdin = { job.account, ':', job.new, '\\n' } })\n"
			       "  if r.status ~= 0 then refused(r.stderr) end\n"
			       "end }";

/* ── A change, and what is certain of it ─────────────────────────────────────────────────── */

struct change {
	struct script_result result;
	struct outcome outcome;
	enum err err;
	struct shell shell;
	unsigned turns;
};

/* Runs change_password of a source to its end. */
static struct change change(const char *source, const struct fake_command *commands, size_t count)
{
	struct change change = {.shell = {.commands = commands, .count = count}};
	struct scripts *scripts = fake_scripts(source);
	struct secret *new = fake_secret("New+secret.1"), *old = fake_secret("Old+secret.1");
	struct script *script = fake_script(scripts, SCRIPT_CHANGE, &change.shell, new, old);

	change.err = fake_run(script, &change.result, &change.outcome, &change.turns);
	script_free(script);
	scripts_free(scripts);
	secret_free(new);
	secret_free(old);
	return change;
}

static void assert_fault(const struct change *change, enum fault fault, const char *text)
{
	assert_int_not_equal(change->err, ERR_OK);
	if (change->outcome.fault != fault || strstr(change->outcome.text, text) == NULL)
		fail_msg("%s: %s", fault_name(change->outcome.fault), change->outcome.text);
}

static void test_change(void **state)
{
	static const struct fake_command commands[] = {{.waits = 3}};
	struct change done = change(chpasswd, commands, 1);

	(void)state;
	assert_int_equal(done.err, ERR_OK);
	assert_int_equal(done.outcome.fault, FAULT_NONE);
	assert_true(done.result.sent);
	assert_true(done.result.ended);
	assert_string_equal(done.shell.line, "'chpasswd'");
	assert_string_equal(done.shell.input, "app:New+secret.1\n");
	assert_true(done.shell.holds_secret);
	assert_int_equal(done.shell.limit_ms, 30000);
	assert_int_equal(done.turns, 0);
}

static void test_refused(void **state)
{
	static const struct fake_command commands[] = {
	    {.status = 1, .err = "BAD PASSWORD: New+secret.1 is like Old+secret.1\x1b[2J\n\n"}};
	struct change done = change(chpasswd, commands, 1);

	(void)state;
	assert_fault(&done, FAULT_REFUSED, "BAD PASSWORD: [secret] is like [secret]\\x1b[2J");
	assert_true(done.result.sent);
	assert_true(done.result.ended);
}

static void test_refused_before_sending(void **state)
{
	struct change done =
	    change("platform 'p' { change_password = function() refused('no') end }", NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_REFUSED, "no");
	assert_false(done.result.sent);
}

static void test_refused_is_caught(void **state)
{
	static const struct fake_command commands[] = {{.status = 0}};
	struct change done = change("platform 'p' { change_password = function(job)\n"
				    "  assert(not pcall(refused, 'first'))\n"
				    "  job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } })\n"
				    "end }",
	    commands, 1);

	(void)state;
	assert_int_equal(done.err, ERR_OK);
	assert_true(done.result.ended);
}

static void test_returned_without_sending(void **state)
{
	static const struct fake_command commands[] = {{.status = 0}};
	struct change none = change("platform 'p' { change_password = function() end }", NULL, 0);
	struct change old =
	    change("platform 'p' { change_password = function(job)\n"
		   "  job.admin:exec({ 'x' }, { stdin = { job.old, '\\n' } }) end }",
		commands, 1);
	static const struct fake_command unsent[] = {{.unsent = true}};
	struct change kept = change(chpasswd, unsent, 1);

	(void)state;
	assert_fault(&none, FAULT_SCRIPT, "without sending the new secret");
	assert_false(none.result.sent);
	assert_false(none.result.ended);
	assert_fault(&old, FAULT_SCRIPT, "without sending the new secret");
	assert_false(old.shell.holds_secret);
	assert_false(old.result.sent);
	assert_fault(&kept, FAULT_SCRIPT, "without sending the new secret");
	assert_false(kept.result.sent);
}

static void test_error_after_sending(void **state)
{
	static const struct fake_command commands[] = {{.status = 0}};
	struct change done = change("platform 'p' { change_password = function(job)\n"
				    "  job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } })\n"
				    "  error('odd')\n"
				    "end }",
	    commands, 1);

	(void)state;
	assert_fault(&done, FAULT_SCRIPT, "p.lua:3: odd");
	assert_true(done.result.sent);
	assert_false(done.result.ended);
}

static void test_end_not_seen(void **state)
{
	static const struct fake_command returned[] = {{.unended = true}};
	static const struct fake_command refused[] = {{.unended = true, .status = 1}};
	struct change done = change(chpasswd, returned, 1);

	(void)state;
	assert_int_equal(done.err, ERR_OK);
	assert_true(done.result.sent);
	assert_false(done.result.ended);
	done = change(chpasswd, refused, 1);
	assert_fault(&done, FAULT_REFUSED, "");
	assert_true(done.result.sent);
	assert_false(done.result.ended);
}

/* No pcall survives a fault of the shell, and nothing is sent after it. */
static void test_fault(void **state)
{
	static const char source[] = "platform 'p' { change_password = function(job)\n"
				     "  pcall(function()\n"
				     "    job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } })\n"
				     "  end)\n"
				     "  job.admin:exec({ 'y' }, { stdin = { job.new, '\\n' } })\n"
				     "end }";
	static const struct fake_command sent[] = {
	    {.waits = 1, .fault = FAULT_LOST, .text = "reset after New+secret.1"}};
	static const struct fake_command unsent[] = {
	    {.unsent = true, .fault = FAULT_LOST, .text = "reset"}};
	struct change done = change(source, sent, 1);

	(void)state;
	assert_fault(&done, FAULT_LOST, "reset after [secret]");
	assert_true(done.result.sent);
	assert_false(done.result.ended);
	done = change(source, unsent, 1);
	assert_fault(&done, FAULT_LOST, "reset");
	assert_false(done.result.sent);
	assert_false(done.result.ended);
}

/* What was sent is known at each moment, for whoever cancels. */
static void test_cancel(void **state)
{
	static const struct fake_command commands[] = {{.waits = 1}, {.waits = 9}};
	struct shell shell = {.commands = commands, .count = 2};
	struct scripts *scripts = fake_scripts(
	    "platform 'p' { change_password = function(job)\n"
	    "  local keep <close> = setmetatable({}, { __close = function() error 'ran' end })\n"
	    "  job.admin:exec({ 'true' }, { opaque = true })\n"
	    "  job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } }) end }");
	struct secret *new = fake_secret("New+secret.1");
	struct script *script = fake_script(scripts, SCRIPT_CHANGE, &shell, new, NULL);
	struct script_result result;
	struct outcome outcome;
	bool busy;

	(void)state;
	assert_int_equal(script_step(script, &result, &busy, &outcome), ERR_AGAIN);
	assert_false(busy);
	assert_false(result.sent);
	assert_int_equal(script_step(script, &result, &busy, &outcome), ERR_AGAIN);
	assert_string_equal(shell.line, "'x'");
	assert_true(result.sent);
	assert_false(result.ended);
	script_free(script);
	scripts_free(scripts);
	secret_free(new);
}

/* ── Limits ──────────────────────────────────────────────────────────────────────────────── */

static void test_endless(void **state)
{
	struct change done = change("platform 'p' { change_password = function()\n"
				    "  while true do pcall(function() while true do end end) end\n"
				    "end }",
	    NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_LIMIT, "p.lua:2: too many instructions");
	assert_in_range(done.turns, 100, 1000);
}

/* Where nothing can yield it is raised, and no pcall holds it. */
static void test_endless_in_sort(void **state)
{
	struct change done =
	    change("platform 'p' { change_password = function()\n"
		   "  local function spin() while true do pcall(function() while true do end end) "
		   "end end\n"
		   "  while true do pcall(table.sort, { 1, 2, 3 }, spin) end\n"
		   "end }",
		NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_LIMIT, "p.lua:2: too many instructions");
}

static void test_memory(void **state)
{
	struct change done = change("platform 'p' { change_password = function()\n"
				    "  local all = {}\n"
				    "  for i = 1, 1e9 do all[i] = ('x'):rep(1000) .. i end\n"
				    "end }",
	    NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_LIMIT, "too much memory for one job");
}

/* Where others hold much, Lua lets garbage grow as much before it looks. */
static void test_garbage_is_no_memory(void **state)
{
	static const struct fake_command commands[] = {{.waits = 9}};
	struct shell shells[4] = {{0}};
	struct script *scripts_in_work[3], *last;
	struct scripts *scripts =
	    fake_scripts("platform 'p' {\n"
			 "  check = function(job)\n"
			 "    local keep = ('x'):rep(1900000)\n"
			 "    job.admin:exec { 'x' }\n"
			 "    return keep\n"
			 "  end,\n"
			 "  change_password = function()\n"
			 "    for i = 1, 30000 do local _ = ('x'):rep(1000) .. i end\n"
			 "    refused('fine')\n"
			 "  end,\n"
			 "}");
	struct script_result result;
	struct outcome outcome;
	bool busy;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		shells[i] = (struct shell){.commands = commands, .count = 1};
		scripts_in_work[i] = fake_script(scripts, SCRIPT_CHECK, &shells[i], NULL, NULL);
		assert_int_equal(
		    script_step(scripts_in_work[i], &result, &busy, &outcome), ERR_AGAIN);
	}
	last = fake_script(scripts, SCRIPT_CHANGE, &shells[3], NULL, NULL);
	assert_int_not_equal(fake_run(last, &result, &outcome, NULL), ERR_OK);
	assert_string_equal(outcome.text, "fine");
	script_free(last);
	for (size_t i = 0; i < 3; i++)
		script_free(scripts_in_work[i]);
	scripts_free(scripts);
}

static void test_two_at_a_time(void **state)
{
	static const struct fake_command commands[] = {{.waits = 5}};
	struct shell shells[2] = {
	    {.commands = commands, .count = 1}, {.commands = commands, .count = 1}};
	struct scripts *scripts = fake_scripts(chpasswd);
	struct secret *secrets[2] = {fake_secret("first"), fake_secret("second")};
	struct script *first = fake_script(scripts, SCRIPT_CHANGE, &shells[0], secrets[0], NULL);
	struct script *second = fake_script(scripts, SCRIPT_CHANGE, &shells[1], secrets[1], NULL);
	struct script_result result;
	struct outcome outcome;
	bool busy;

	(void)state;
	assert_int_equal(script_step(first, &result, &busy, &outcome), ERR_AGAIN);
	assert_int_equal(fake_run(second, &result, &outcome, NULL), ERR_OK);
	assert_int_equal(fake_run(first, &result, &outcome, NULL), ERR_OK);
	assert_string_equal(shells[0].input, "app:first\n");
	assert_string_equal(shells[1].input, "app:second\n");
	script_free(first);
	script_free(second);
	scripts_free(scripts);
	secret_free(secrets[0]);
	secret_free(secrets[1]);
}

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

static void assert_load_fails(const char *source, enum err err, const char *text)
{
	const struct wire_script file = {"p", "dir/p.lua", source, strlen(source)};
	struct scripts *scripts;
	struct error error;

	if (scripts_new(&scripts, &file, 1, &error) == ERR_OK)
		fail_msg("%s: loads", source);
	if (error.code != err || strstr(error.text, text) == NULL)
		fail_msg("%s: %s", source, error.text);
	assert_null(scripts);
}

static void test_load_fails(void **state)
{
	(void)state;
	assert_load_fails("platform 'p' {\n,", ERR_INVALID, "dir/p.lua:2:");
	assert_load_fails("", ERR_INVALID, "declares no platform \"p\"");
	assert_load_fails("platform 'q' {}", ERR_INVALID, "where \"p\" was expected");
	assert_load_fails("platform 'p' {} platform 'p' {}", ERR_INVALID, "declared twice");
	assert_load_fails(
	    "platform 'p' { check = 'x' }", ERR_INVALID, "\"check\" must be a function");
	assert_load_fails("while true do end", ERR_LIMIT, "too many instructions");
	assert_load_fails("refused('x')", ERR_INVALID, "is for the functions of a platform");
	assert_load_fails("\x1bLua", ERR_INVALID, "");
}

static void test_sealed(void **state)
{
	struct change done =
	    change("platform 'p' { change_password = function() leak = 1 end }", NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_SCRIPT, "p.lua:1: leak cannot be set");
	done = change("platform 'p' { change_password = function() refused(type(coroutine)\n"
		      "  .. type(os) .. type(io) .. type(debug) .. type(load)) end }",
	    NULL, 0);
	assert_fault(&done, FAULT_REFUSED, "nilnilnilnilnil");
	done = change("platform 'p' { change_password = function() platform 'q' end }", NULL, 0);
	assert_fault(&done, FAULT_SCRIPT, "while its file loads");
}

static void test_extends(void **state)
{
	static const char child[] = "platform 'p' { extends = 'base' }";
	static const char base[] =
	    "platform 'base' { change_password = function() refused('base') end }";
	const struct wire_script files[] = {
	    {"p", "p.lua", child, strlen(child)}, {"base", "base.lua", base, strlen(base)}};
	struct shell shell = {.count = 0};
	struct scripts *scripts;
	struct script *script;
	struct script_result result;
	struct outcome outcome;
	struct error error;

	(void)state;
	assert_int_equal(scripts_new(&scripts, files, 2, &error), ERR_OK);
	script = fake_script(scripts, SCRIPT_CHANGE, &shell, NULL, NULL);
	assert_int_not_equal(fake_run(script, &result, &outcome, NULL), ERR_OK);
	assert_string_equal(outcome.text, "base");
	script_free(script);
	scripts_free(scripts);
}

static void test_no_function(void **state)
{
	struct change done = change("platform 'p' {}", NULL, 0);

	(void)state;
	assert_fault(&done, FAULT_SCRIPT, "platform \"p\" has no change_password");
	assert_false(done.result.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_change),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_refused_before_sending),
	    cmocka_unit_test(test_refused_is_caught),
	    cmocka_unit_test(test_returned_without_sending),
	    cmocka_unit_test(test_error_after_sending),
	    cmocka_unit_test(test_end_not_seen),
	    cmocka_unit_test(test_fault),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_endless),
	    cmocka_unit_test(test_endless_in_sort),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_garbage_is_no_memory),
	    cmocka_unit_test(test_two_at_a_time),
	    cmocka_unit_test(test_load_fails),
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_extends),
	    cmocka_unit_test(test_no_function),
	};

	return cmocka_run_group_tests(tests, fake_setup, NULL);
}
