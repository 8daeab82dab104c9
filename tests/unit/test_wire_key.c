/*
 * What a script is told of a key and of a task's parameters, and what follows from what it does
 * with them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_shell.h"

#define LINE "ssh-ed25519 AAAA ours"

static const struct fake_command ok[] = {{0}, {0}};
static const struct wire_ssh_key key = {LINE, "ours", WIRE_KEY_OURS};

struct ending {
	enum err err;
	struct script_result result;
	struct outcome outcome;
	struct shell shell;
};

static struct ending run(
    const char *source, const struct script_config *config, const struct fake_command *ways)
{
	struct ending ending = {.shell = {.commands = ways, .count = 2}};
	struct scripts *scripts = fake_scripts(source);
	struct script *script = fake_script_with(scripts, *config, &ending.shell);

	ending.err = fake_run(script, &ending.result, &ending.outcome, NULL);
	script_free(script);
	scripts_free(scripts);
	return ending;
}

static struct ending run_key(enum script_call call, const char *body)
{
	const struct script_config config = {.call = call, .key = &key};
	char source[2048];

	snprintf(source, sizeof(source),
	    "local function f(job) %s end "
	    "platform 'p' { check = f, change_key = f, persist = f }",
	    body);
	return run(source, &config, ok);
}

/* ── Keys ────────────────────────────────────────────────────────────────────────────────── */

static void test_change_key(void **state)
{
	struct ending ending = run_key(
	    SCRIPT_CHANGE_KEY, "job.admin:exec({ 'x' }, { stdin = { job.key.line, '\\n' } })");

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_string_equal(ending.shell.input, LINE "\n");
	assert_true(ending.shell.holds_secret);
	assert_true(ending.result.sent);
	assert_true(ending.result.ended);
}

/* What looks at the asset first has not sent the key: it may refuse, and nothing is in doubt. */
static void test_refused_before(void **state)
{
	struct ending ending =
	    run_key(SCRIPT_CHANGE_KEY, "job.admin:exec { 'x' } refused 'a symbolic link'");

	(void)state;
	assert_int_equal(ending.outcome.fault, FAULT_REFUSED);
	assert_false(ending.result.sent);
	assert_true(ending.result.ended);
}

static void test_not_sent(void **state)
{
	struct ending ending = run_key(SCRIPT_CHANGE_KEY, "job.admin:exec { 'x' }");

	(void)state;
	assert_int_equal(ending.outcome.fault, FAULT_SCRIPT);
	assert_non_null(strstr(ending.outcome.text, "returned without sending the new key"));
}

static void test_unended(void **state)
{
	static const struct fake_command ways[] = {{.unended = true}, {0}};
	const struct script_config config = {.call = SCRIPT_CHANGE_KEY, .key = &key};
	struct ending ending = run("platform 'p' { change_key = function(job) job.admin:exec("
				   "{ 'x' }, { stdin = { job.key.line, '\\n' } }) end }",
	    &config, ways);

	(void)state;
	assert_true(ending.result.sent);
	assert_false(ending.result.ended);
}

static void test_line_is_opaque(void **state)
{
	struct ending ending =
	    run_key(SCRIPT_CHANGE_KEY, "job.admin:exec { 'echo', job.key.line }");

	(void)state;
	assert_int_equal(ending.outcome.fault, FAULT_SCRIPT);
	assert_string_equal(ending.shell.line, "");
}

static void test_key_fields(void **state)
{
	struct ending ending =
	    run_key(SCRIPT_PERSIST, "refused(job.key.mark .. ' ' .. job.key.replace .. ' ' .. "
				    "type(job.key.line) .. ' ' .. tostring(job.key.other))");

	(void)state;
	assert_string_equal(ending.outcome.text, "ours ours userdata nil");
	ending = run_key(SCRIPT_PERSIST, "job.key.mark = 'x'");
	assert_non_null(strstr(ending.outcome.text, "read-only"));
}

/* Before a key is made, a check is told what will become of the others. */
static void test_check_of_key(void **state)
{
	static const struct wire_ssh_key early = {NULL, "ours", WIRE_KEY_ALL};
	const struct script_config config = {.call = SCRIPT_CHECK, .key = &early};
	struct ending ending =
	    run("platform 'p' { change_key = function() end, persist = function() end, "
		"check = function(job) skip('no_proof', job.key.replace .. "
		"tostring(job.key.line)) end }",
		&config, ok);

	(void)state;
	assert_int_equal(ending.result.finding, FINDING_NO_PROOF);
	assert_string_equal(ending.outcome.text, "allnil");
}

static void assert_lacks(const char *source, const struct wire_ssh_key *of, const char *text)
{
	const struct script_config config = {.call = SCRIPT_CHECK, .key = of};
	struct ending ending = run(source, &config, ok);

	assert_int_equal(ending.err, ERR_OK);
	assert_string_equal(ending.outcome.text, text);
	assert_int_equal(ending.result.finding, text[0] == '\0' ? FINDING_OK : FINDING_NO_PROOF);
}

static void test_lacks(void **state)
{
	static const struct wire_ssh_key add = {NULL, "ours", WIRE_KEY_ADD};

	(void)state;
	assert_lacks("platform 'p' {}", &key, "platform \"p\" has no change_key");
	assert_lacks(
	    "platform 'p' { change_key = function() end }", &key, "platform \"p\" has no persist");
	assert_lacks("platform 'p' { change_key = function() end }", &add, "");
}

/* ── persist ─────────────────────────────────────────────────────────────────────────────── */

static void test_nothing_to_persist(void **state)
{
	const struct script_config config = {.call = SCRIPT_PERSIST};
	struct ending ending = run("platform 'p' {}", &config, ok);

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_true(ending.result.ended);
}

static void test_persist(void **state)
{
	struct ending ending = run_key(
	    SCRIPT_PERSIST, "job.admin:exec({ 'rm' }, { stdin = { job.key.line, '\\n' } })");

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_string_equal(ending.shell.line, "'rm'");
	assert_string_equal(ending.shell.input, LINE "\n");
	ending = run_key(SCRIPT_PERSIST, "refused 'read-only file system'");
	assert_int_equal(ending.outcome.fault, FAULT_REFUSED);
}

/* ── What comes before and after ─────────────────────────────────────────────────────────── */

static void test_prepare(void **state)
{
	static const struct script_config change = {.call = SCRIPT_CHANGE_KEY, .key = &key};
	static const struct script_config hash = {.call = SCRIPT_READ_HASH};
	struct ending ending = run(
	    "platform 'p' { prepare = function(job) job.admin:exec { 'x' } end, "
	    "change_key = function(job) job.admin:exec({ 'y' }, { stdin = { job.key.line, '\\n' }})"
	    " end }",
	    &change, ok);

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_int_equal(ending.shell.next, 2);
	assert_true(ending.result.sent);
	ending =
	    run("platform 'p' { prepare = function(job) job.admin:exec { 'x' } refused 'no' end, "
		"change_key = function(job) end }",
		&change, ok);
	assert_int_equal(ending.outcome.fault, FAULT_REFUSED);
	assert_int_equal(ending.shell.next, 1);
	assert_false(ending.result.sent);
	ending =
	    run("platform 'p' { prepare = function() error 'no' end, read_hash = function() end }",
		&hash, ok);
	assert_int_equal(ending.err, ERR_OK);
}

static void test_check_proof(void **state)
{
	static const struct script_config check = {.call = SCRIPT_CHECK};
	struct ending ending =
	    run("platform 'p' { check = function(job) job.admin:exec { 'x' } end, "
		"check_proof = function(job) job.admin:exec { 'y' } skip('no_proof', 'so') end }",
		&check, ok);

	(void)state;
	assert_int_equal(ending.result.finding, FINDING_NO_PROOF);
	assert_int_equal(ending.shell.next, 2);
	ending = run(
	    "platform 'p' { check_proof = function(job) skip('no_proof', 'so') end }", &check, ok);
	assert_string_equal(ending.outcome.text, "so");
	ending = run("platform 'p' { check = function(job) skip('absent', 'first') end, "
		     "check_proof = function(job) skip('no_proof', 'so') end }",
	    &check, ok);
	assert_string_equal(ending.outcome.text, "first");
}

/* ── Parameters ──────────────────────────────────────────────────────────────────────────── */

static void assert_params(const char *json, const char *body, const char *text)
{
	const struct script_config config = {.call = SCRIPT_CHECK, .params = json};
	char source[1024];
	struct ending ending;

	snprintf(source, sizeof(source),
	    "platform 'p' { check = function(job) local p = job.params %s end }", body);
	ending = run(source, &config, ok);
	if (strstr(ending.outcome.text, text) == NULL)
		fail_msg("%s: %s", body, ending.outcome.text);
}

static void test_params(void **state)
{
	static const char json[] = "{\"create\":true,\"uid\":1234,\"groups\":[\"a\",\"b\"],"
				   "\"shell\":\"/bin/sh\",\"none\":null}";

	(void)state;
	assert_params(json,
	    "skip('absent', tostring(p.create) .. p.uid .. table.concat(p.groups, '+') .. "
	    "p.shell .. tostring(p.none) .. tostring(p.other))",
	    "true1234a+b/bin/shnilnil");
	assert_params(json, "p.shell = 'x'", "read-only");
	assert_params(
	    json, "local n = 0; for _ in pairs(p) do n = n + 1 end skip('absent', n .. '')", "4");
	assert_params(json, "skip('absent', tostring(getmetatable(p)))", "false");
	assert_params(NULL, "skip('absent', tostring(p.shell) .. type(p))", "niltable");
}

static void test_bad_params(void **state)
{
	(void)state;
	assert_params("[1]", "", "the parameters are not a JSON object");
	assert_params("{", "", "the parameters are not a JSON object");
	assert_params("{\"a\":{\"b\":{\"c\":1}}}", "", "nested too deeply");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_change_key),
	    cmocka_unit_test(test_refused_before),
	    cmocka_unit_test(test_not_sent),
	    cmocka_unit_test(test_unended),
	    cmocka_unit_test(test_line_is_opaque),
	    cmocka_unit_test(test_key_fields),
	    cmocka_unit_test(test_check_of_key),
	    cmocka_unit_test(test_lacks),
	    cmocka_unit_test(test_nothing_to_persist),
	    cmocka_unit_test(test_persist),
	    cmocka_unit_test(test_prepare),
	    cmocka_unit_test(test_check_proof),
	    cmocka_unit_test(test_params),
	    cmocka_unit_test(test_bad_params),
	};

	return cmocka_run_group_tests(tests, fake_setup, NULL);
}
