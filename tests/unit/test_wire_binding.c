#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_shell.h"

static const struct fake_command ok[] = {{.out = "out", .err = "err"}, {0}, {0}};

/* Runs `call` of a platform with that function body, and says how it ended. */
struct ending {
	enum err err;
	struct script_result result;
	struct outcome outcome;
	struct shell shell;
};

static struct ending run(enum script_call call, const char *body, const struct fake_command *way)
{
	static const char *const names[] = {"check", "change_password", "read_hash"};
	struct ending ending = {.shell = {.commands = way, .count = 3}};
	struct secret *new = fake_secret("New+secret.1"), *old = fake_secret("Old+secret.1");
	bool changes = call == SCRIPT_CHANGE;
	struct scripts *scripts;
	struct script *script;
	char source[4096];

	snprintf(source, sizeof(source), "platform 'p' { %s = function(job) %s end }", names[call],
	    body);
	scripts = fake_scripts(source);
	script =
	    fake_script(scripts, call, &ending.shell, changes ? new : NULL, changes ? old : NULL);
	ending.err = fake_run(script, &ending.result, &ending.outcome, NULL);
	script_free(script);
	scripts_free(scripts);
	secret_free(new);
	secret_free(old);
	return ending;
}

/* The body is an error of the script with that text, and no command has begun. */
static void assert_error(const char *body, const char *text)
{
	struct ending ending = run(SCRIPT_CHANGE, body, ok);

	if (ending.outcome.fault != FAULT_SCRIPT || strstr(ending.outcome.text, text) == NULL)
		fail_msg("%s: %s", body, ending.outcome.text);
	assert_string_equal(ending.shell.line, "");
	assert_false(ending.result.sent);
}

/* The body, an expression, is true. */
static void assert_so(enum script_call call, const char *body)
{
	char whole[1024];
	struct ending ending;

	snprintf(whole, sizeof(whole), "refused(tostring(%s))", body);
	ending = run(call, whole, ok);
	if (strcmp(ending.outcome.text, "true") != 0)
		fail_msg("%s: %s", body, ending.outcome.text);
}

/* ── exec ────────────────────────────────────────────────────────────────────────────────── */

static void test_words(void **state)
{
	struct ending ending =
	    run(SCRIPT_CHANGE, "job.admin:exec { 'a b', \"it's\", '', '$x' }", ok);

	(void)state;
	assert_string_equal(ending.shell.line, "'a b' 'it'\\''s' '' '$x'");
	assert_string_equal(ending.shell.input, "");
	assert_false(ending.shell.holds_secret);
}

static void test_bad_words(void **state)
{
	(void)state;
	assert_error("job.admin:exec()", "a command is an array of words, not nil");
	assert_error("job.admin:exec('ls')", "a command is an array of words, not string");
	assert_error("job.admin:exec {}", "a command has at least one word");
	assert_error(
	    "job.admin:exec { 'echo', job.new }", "p.lua:1: word 2 of the command is a secret");
	assert_error(
	    "job.admin:exec { 'echo', 1 }", "word 2 of the command must be a text, not number");
	assert_error("job.admin:exec { 'a\\nb' }", "word 1 of the command has a NUL or a newline");
	assert_error("job.admin:exec { 'a\\0b' }", "word 1 of the command has a NUL or a newline");
	assert_error("job.admin:exec { ('x'):rep(40000) }", "the command is too long");
	assert_error("job.admin.exec(job, { 'x' })", "admin expected, got job");
	assert_error(
	    "table.sort({ 1, 2 }, function() job.admin:exec { 'x' } end)", "a command waits");
	assert_error("('x'):gsub('.', function() job.admin:exec { 'x' } end)", "a command waits");
}

static void test_parts(void **state)
{
	struct ending ending = run(SCRIPT_CHANGE,
	    "job.admin:exec({ 'x' }, { stdin = { 'one\\n', job.old, '\\n', 'two\\n' } })", ok);

	(void)state;
	assert_string_equal(ending.shell.input, "one\nOld+secret.1\ntwo\n");
	assert_false(ending.shell.holds_secret);
}

static void test_bad_parts(void **state)
{
	(void)state;
	assert_error("job.admin:exec({ 'x' }, 'y')", "the options of exec are a table, not string");
	assert_error("job.admin:exec({ 'x' }, { stdn = {} })", "exec has no option \"stdn\"");
	assert_error("job.admin:exec({ 'x' }, { 'y' })", "exec has no option");
	assert_error(
	    "job.admin:exec({ 'x' }, { opaque = 1 })", "opaque must be true or false, not number");
	assert_error("job.admin:exec({ 'x' }, { stdin = 'y\\n' })",
	    "stdin is an array of parts, not string");
	assert_error("job.admin:exec({ 'x' }, { stdin = {} })", "stdin must end with");
	assert_error("job.admin:exec({ 'x' }, { stdin = { job.new } })", "stdin must end with");
	assert_error(
	    "job.admin:exec({ 'x' }, { stdin = { 'a\\nb\\n' } })", "part 1 of stdin has a NUL");
	assert_error(
	    "job.admin:exec({ 'x' }, { stdin = { 'a', 'b\\0', '\\n' } })", "part 2 of stdin has");
	assert_error("job.admin:exec({ 'x' }, { stdin = { 'a\\n\\n' } })", "part 1 of stdin has");
	assert_error(
	    "job.admin:exec({ 'x' }, { stdin = { {}, '\\n' } })", "part 1 of stdin must be a text");
	assert_error("local t = {} for i = 1, 70 do t[i] = ('x'):rep(1000) end t[71] = '\\n' "
		     "job.admin:exec({ 'x' }, { stdin = t })",
	    "stdin is too long");
}

/* A secret must not be two lines, or none. */
static void test_bad_secrets(void **state)
{
	static const char *const texts[] = {"two\nlines", "end\n", ""};
	static const char source[] =
	    "platform 'p' { change_password = function(job)\n"
	    "  job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } }) end }";

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct shell shell = {.commands = ok, .count = 1};
		struct scripts *scripts = fake_scripts(source);
		struct secret *new = fake_secret(texts[i]);
		struct script *script = fake_script(scripts, SCRIPT_CHANGE, &shell, new, NULL);
		struct script_result result;
		struct outcome outcome;

		assert_int_not_equal(fake_run(script, &result, &outcome, NULL), ERR_OK);
		assert_int_equal(outcome.fault, FAULT_SCRIPT);
		assert_int_equal(shell.next, 0);
		assert_false(result.sent);
		script_free(script);
		scripts_free(scripts);
		secret_free(new);
	}
}

static void test_result(void **state)
{
	static const struct fake_command ways[] = {
	    {.status = 7, .out = "New+secret.1", .err = "e\n"},
	    {.status = 0, .out = "xNew+secret.1New+secret.1Old+secret.1"}};
	struct ending ending = run(SCRIPT_CHANGE,
	    "local a = job.admin:exec { 'x' }\n"
	    "local b = job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' } })\n"
	    "refused(a.status .. a.stdout:sub(1, 3) .. a.stderr .. b.status .. b.stdout .. "
	    "#b.stdout)",
	    ways);

	(void)state;
	assert_string_equal(ending.outcome.text, "7Newe\\n0x[secret][secret][secret]25");
}

/* ── Handles ─────────────────────────────────────────────────────────────────────────────── */

static void test_opaque(void **state)
{
	static const char *const bodies[] = {
	    "return tostring(job.new)",
	    "return 'x' .. job.new",
	    "return #job.new",
	    "return job.new.x",
	    "return job.new:sub(1)",
	    "job.new.x = 1",
	    "return ('%s'):format(job.new)",
	    "return table.concat { job.new }",
	    "return job.new < job.old",
	    "return job.new + 1",
	    "return job.new()",
	    "for _ in pairs(job.new) do end",
	    "return ('x'):rep(job.new)",
	    "return setmetatable(job.new, {})",
	    "return rawlen(job.new)",
	    "return tostring(job)",
	    "refused(job.new)",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct ending ending = run(SCRIPT_CHANGE, bodies[i], ok);

		if (ending.outcome.fault != FAULT_SCRIPT ||
		    strstr(ending.outcome.text, "without sending") != NULL ||
		    strstr(ending.outcome.text, "secret.1") != NULL)
			fail_msg("%s: %s", bodies[i], ending.outcome.text);
	}
	assert_so(SCRIPT_CHANGE, "getmetatable(job.new) == false");
	assert_so(SCRIPT_CHANGE, "job.new == job.new and job.new ~= job.old");
	assert_so(SCRIPT_CHANGE, "type(job.new) == 'userdata'");
}

/* A script that hides a handle finds it dead in the next job. */
static void test_other_job(void **state)
{
	static const char *const uses[] = {
	    "kept.admin:exec { 'x' }",
	    "local _ = kept.account",
	    "admin:exec { 'x' }",
	    "job.admin:exec({ 'x' }, { stdin = { new, '\\n' } })",
	    "job.admin:exec { new }",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct shell shell = {.commands = ok, .count = 1};
		struct secret *new = fake_secret("New+secret.1");
		struct scripts *scripts;
		struct script *first, *second;
		struct script_result result;
		struct outcome outcome;
		char source[1024];

		snprintf(source, sizeof(source),
		    "local kept, admin, new\n"
		    "platform 'p' { change_password = function(job)\n"
		    "  if kept then %s end\n"
		    "  kept, admin, new = job, job.admin, job.new\n"
		    "end }",
		    uses[i]);
		scripts = fake_scripts(source);
		first = fake_script(scripts, SCRIPT_CHANGE, &shell, new, NULL);
		assert_int_not_equal(fake_run(first, &result, &outcome, NULL), ERR_OK);
		script_free(first);
		second = fake_script(scripts, SCRIPT_CHANGE, &shell, new, NULL);
		assert_int_not_equal(fake_run(second, &result, &outcome, NULL), ERR_OK);
		if (strstr(outcome.text, "belongs to another job") == NULL)
			fail_msg("%s: %s", uses[i], outcome.text);
		assert_int_equal(shell.next, 0);
		script_free(second);
		scripts_free(scripts);
		secret_free(new);
	}
}

/* ── The job ─────────────────────────────────────────────────────────────────────────────── */

static void test_job(void **state)
{
	(void)state;
	assert_so(SCRIPT_CHECK, "job.account == 'app' and job.asset == 'web1'");
	assert_so(SCRIPT_CHECK, "job.proof == 'login' and job.new == nil and job.old == nil");
	assert_error("return job.acount", "a job has no field \"acount\"");
	assert_error("job.account = 'x'", "p.lua:1:");
}

static void test_skip(void **state)
{
	static const struct {
		const char *reason;
		enum wire_finding finding;
	} cases[] = {
	    {"absent", FINDING_ABSENT},
	    {"locked", FINDING_LOCKED},
	    {"expired", FINDING_EXPIRED},
	    {"no_proof", FINDING_NO_PROOF},
	};
	char body[128];
	struct ending ending;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(body, sizeof(body), "skip('%s', 'since May')", cases[i].reason);
		ending = run(SCRIPT_CHECK, body, ok);
		assert_int_equal(ending.err, ERR_OK);
		assert_int_equal(ending.outcome.fault, FAULT_NONE);
		assert_int_equal(ending.result.finding, cases[i].finding);
		assert_string_equal(ending.outcome.text, "since May");
	}
	ending = run(SCRIPT_CHECK, "skip('tired', 'x')", ok);
	assert_int_equal(ending.outcome.fault, FAULT_SCRIPT);
	ending = run(SCRIPT_CHECK, "pcall(skip, 'locked', 'x')", ok);
	assert_int_equal(ending.err, ERR_OK);
	assert_int_equal(ending.result.finding, FINDING_OK);
	assert_error("skip('locked', 'x')", "skip is for check");
}

/* ── read_hash ───────────────────────────────────────────────────────────────────────────── */

static const char hash_body[] = "return job.admin:exec({ 'x' }, { opaque = true }).stdout";

static void test_hash(void **state)
{
	static const struct fake_command ways[] = {{.waits = 1, .out = "$6$salt$hash\n"}};
	struct ending ending = run(SCRIPT_READ_HASH, hash_body, ways);

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_non_null(ending.result.hash);
	assert_string_equal(secret_data(ending.result.hash), "$6$salt$hash");
	secret_free(ending.result.hash);
}

static void test_no_hash(void **state)
{
	static const struct fake_command empty[] = {{.out = "\n"}};
	struct ending ending = run(SCRIPT_READ_HASH, hash_body, empty);

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_null(ending.result.hash);
	ending = run(SCRIPT_READ_HASH, "", ok);
	assert_int_equal(ending.err, ERR_OK);
	assert_null(ending.result.hash);
	ending = run(SCRIPT_READ_HASH, "return 'x'", ok);
	assert_int_equal(ending.outcome.fault, FAULT_SCRIPT);
	assert_null(ending.result.hash);
}

/* What an asset says after it was given the new secret may tell it: to send that is to send it. */
static void test_echoed_secret(void **state)
{
	static const struct fake_command ways[] = {{.unsent = true, .out = "New+secret.1\n"}, {0}};
	struct ending ending = run(SCRIPT_CHANGE,
	    "local r = job.admin:exec({ 'x' }, { stdin = { job.new, '\\n' }, opaque = true })\n"
	    "job.admin:exec({ 'y' }, { stdin = { r.stdout, '\\n' } })",
	    ways);

	(void)state;
	assert_int_equal(ending.err, ERR_OK);
	assert_string_equal(ending.shell.input, "New+secret.1\n");
	assert_true(ending.shell.holds_secret);
	assert_true(ending.result.sent);
}

static void test_too_large_to_keep(void **state)
{
	static char large[SECRET_SIZE_MAX + 2];
	const struct fake_command ways[] = {{.out = large}};
	struct ending ending;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	ending = run(
	    SCRIPT_READ_HASH, "pcall(job.admin.exec, job.admin, { 'x' }, { opaque = true })", ways);
	assert_int_equal(ending.outcome.fault, FAULT_LIMIT);
}

/* ── dialogue ────────────────────────────────────────────────────────────────────────────── */

#define ASKS                                                                                       \
	"local r = job.admin:dialogue({ 'passwd', job.account }, {"                                \
	" { expect = { 'New: ', 'Other: ' }, send = job.new },"                                    \
	" { expect = 'Again: ', send = { job.new, 'x' } } }) "

static void test_dialogue(void **state)
{
	static const struct fake_command ways[] = {
	    {.waits = 2, .answers = 2, .out = "New: Again: New+secret.1", .status = 3}, {0}, {0}};
	struct ending ending = run(SCRIPT_CHANGE,
	    ASKS "refused(r.status .. r.stdout .. r.answered .. tostring(r.unanswered))", ways);

	(void)state;
	assert_string_equal(ending.shell.line, "'passwd' 'app'");
	assert_string_equal(ending.shell.input, "New+secret.1\nNew+secret.1x\n");
	assert_string_equal(ending.outcome.text, "3New: Again: [secret]2false");
	assert_true(ending.result.sent);
	assert_true(ending.result.ended);
}

static void test_dialogue_unanswered(void **state)
{
	static const struct fake_command before[] = {{.unanswered = true}, {0}, {0}};
	static const struct fake_command after[] = {{.answers = 1, .unended = true}, {0}, {0}};
	struct ending ending =
	    run(SCRIPT_CHANGE, ASKS "refused(r.answered .. tostring(r.unanswered))", before);

	(void)state;
	assert_string_equal(ending.outcome.text, "0true");
	assert_false(ending.result.sent);
	ending = run(SCRIPT_CHANGE, ASKS "refused 'no'", after);
	assert_true(ending.result.sent);
	assert_false(ending.result.ended);
}

static void test_bad_dialogue(void **state)
{
	(void)state;
	assert_error("job.admin:dialogue({ 'x' })", "the steps of a dialogue are an array");
	assert_error("job.admin:dialogue({ 'x' }, { 1 })", "a step of a dialogue is a table");
	assert_error(
	    "job.admin:dialogue({ 'x' }, { { send = 'x' } })", "what a step expects is a text");
	assert_error(
	    "job.admin:dialogue({ 'x' }, { { expect = {}, send = 'x' } })", "expects something");
	assert_error("job.admin:dialogue({ 'x' }, { { expect = ' ', send = 'x' } })",
	    "what a step expects has 1 to 63 bytes");
	assert_error("job.admin:dialogue({ 'x' }, { { expect = 'x', send = 'a\\n' } })",
	    "part 1 of an answer has a NUL, or a newline");
	assert_error("job.admin:dialogue({ 'x' }, { { expect = 'x' } })",
	    "part 1 of an answer must be a text or a secret, not nil");
	assert_error(
	    "job.admin:dialogue({ 'x', job.new }, {})", "word 2 of the command is a secret");
	assert_error("table.sort({ 1, 2 }, function() job.admin:dialogue({ 'x' }, {}) end)",
	    "a command waits");
}

/* The proof "hash" needs a read_hash, whatever a check says. */
static void test_no_hash_no_proof(void **state)
{
	struct shell shell = {.count = 0};
	struct scripts *scripts = fake_scripts("platform 'p' {}");
	struct script_config config = {
	    .platform = "p",
	    .call = SCRIPT_CHECK,
	    .asset = "web1",
	    .account = "app",
	    .proof = WIRE_PROOF_HASH,
	    .shell = &shell,
	};
	struct script_result result;
	struct outcome outcome;
	struct script *script = script_new(scripts, &config);

	(void)state;
	assert_int_equal(fake_run(script, &result, &outcome, NULL), ERR_OK);
	assert_int_equal(result.finding, FINDING_NO_PROOF);
	script_free(script);
	config.proof = WIRE_PROOF_LOGIN;
	script = script_new(scripts, &config);
	assert_int_equal(fake_run(script, &result, &outcome, NULL), ERR_OK);
	assert_int_equal(result.finding, FINDING_OK);
	script_free(script);
	scripts_free(scripts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_bad_words),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_bad_parts),
	    cmocka_unit_test(test_bad_secrets),
	    cmocka_unit_test(test_result),
	    cmocka_unit_test(test_opaque),
	    cmocka_unit_test(test_other_job),
	    cmocka_unit_test(test_job),
	    cmocka_unit_test(test_skip),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_no_hash),
	    cmocka_unit_test(test_echoed_secret),
	    cmocka_unit_test(test_too_large_to_keep),
	    cmocka_unit_test(test_dialogue),
	    cmocka_unit_test(test_dialogue_unanswered),
	    cmocka_unit_test(test_bad_dialogue),
	    cmocka_unit_test(test_no_hash_no_proof),
	};

	return cmocka_run_group_tests(tests, fake_setup, NULL);
}
