/*
 * Loading: good policies, and what is said about bad ones. Each directory of fixtures/policy/bad is
 * a policy with mistakes and the messages that they must give, in the file `expected`.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "policy_fixture.h"

/* ── Bad policies ────────────────────────────────────────────────────────────────────────── */

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void bad_policies_say_why(void **state)
{
	char *dir = fixture_path("bad");
	struct dirent **entries;
	int count = scandir(dir, &entries, visible, alphasort);

	(void)state;
	assert_true(count > 15);
	for (int i = 0; i < count; i++) {
		char *which = xasprintf("bad/%s", entries[i]->d_name);

		fixture_check_bad(which);
		free(which);
		free(entries[i]);
	}
	free(entries);
	free(dir);
}

static void others_may_not_write(void **state)
{
	static const struct {
		const char *path, *file;
		mode_t mode, usual;
	} cases[] = {
	    {"lockstep.lua", "lockstep.lua", 0620, 0600},
	    {"tasks/web.lua", "tasks/web.lua", 0602, 0600},
	    {"tasks", "tasks", 0777, 0700},
	    {"inventory/a.csv", "inventory/a.csv", 0660, 0600},
	    {"inventory", "inventory", 0770, 0700},
	    {".", NULL, 0770, 0700},
	    {"../platforms/linux.lua", NULL, 0666, 0600},
	    {"../platforms", NULL, 0777, 0700},
	};
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, "good");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *path = xasprintf("%s/%s", fixture.dir, cases[i].path);

		assert_int_equal(chmod(path, cases[i].mode), 0);
		assert_int_equal(fixture_load(&fixture), ERR_INVALID);
		assert_int_equal(fixture.errors.count, 1);
		assert_non_null(strstr(fixture.errors.items[0].text, "chmod"));
		if (cases[i].file)
			assert_string_equal(fixture.errors.items[0].file, cases[i].file);
		assert_int_equal(chmod(path, cases[i].usual), 0);
		free(path);
	}
	fixture_load_good(&fixture);
	fixture_clear(&fixture);
}

static void nothing_there(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	assert_int_equal(fixture_load(&fixture), ERR_NOT_FOUND);
	assert_int_equal(fixture.errors.count, 1);
	assert_null(fixture.errors.items[0].file);
	assert_non_null(strstr(fixture.errors.items[0].text, "there is no policy in"));
	fixture_clear(&fixture);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What would take for ever or all memory ends soon, with an error; the bounds are wide for slow
 * builds. */
static void endless_is_bounded(void **state)
{
	static const char *const texts[] = {
	    "while true do end",
	    "while true do pcall(function() while true do end end) end",
	    "local t = {} while true do t[#t + 1] = ('x'):rep(1000) end",
	    "local s = 'x' while true do s = s .. s end",
	    "local i = 0 while true do i = i + 1 asset('a' .. i) {} end",
	};
	struct fixture fixture;

	(void)state;
	if (getenv("VALGRIND") != NULL) /* what is bounded is instructions: a minute of them */
		skip();
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		double start = seconds_now();

		fixture_write(&fixture, "lockstep.lua", texts[i]);
		assert_int_equal(fixture_load(&fixture), ERR_INVALID);
		assert_true(fixture.errors.count > 0);
		assert_true(seconds_now() - start < 60);
	}
	fixture_clear(&fixture);
}

static void many_problems_are_counted(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(
	    &fixture, "lockstep.lua", "for i = 1, 250 do asset('a' .. i) { port = -i } end\n");
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_int_equal(fixture.errors.count, POLICY_PROBLEMS_MAX);
	assert_int_equal(fixture.errors.more, 250 - POLICY_PROBLEMS_MAX);
	fixture_clear(&fixture);
}

static void long_file_is_refused(void **state)
{
	char *text = xcalloc(1, 1024 * 1024 + 2);
	struct fixture fixture;

	(void)state;
	memset(text, '-', 1024 * 1024 + 1);
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", text);
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_string_equal(fixture.errors.items[0].file, "lockstep.lua");
	fixture_clear(&fixture);
	free(text);
}

/* ── Good policies ───────────────────────────────────────────────────────────────────────── */

static void settings_are_read(void **state)
{
	struct fixture fixture;
	const struct settings *settings;
	char *key;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	settings = policy_settings(fixture.policy);
	key = xasprintf("%s/keys/master", fixture.dir);
	assert_false(settings->secure_mode);
	assert_int_equal(settings->in_flight, 100);
	assert_int_equal(settings->change_deadline_ms, 500);
	assert_int_equal(settings->connect_timeout_ms, 2000);
	assert_int_equal(settings->login_timeout_ms, 3000);
	assert_int_equal(settings->host_keys, HOST_KEYS_KNOWN);
	assert_int_equal(settings->retention_records_ms, 30ULL * 86400000);
	assert_int_equal(settings->retention_versions, 3);
	assert_string_equal(settings->vault, "/srv/vault");
	assert_string_equal(settings->master_key.file, key);
	assert_int_equal(settings->wires, 2);
	assert_false(settings->sandbox);
	free(key);
	fixture_clear(&fixture);
}

static void settings_have_defaults(void **state)
{
	struct fixture fixture;
	const struct settings *settings;
	char *vault;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", "");
	fixture_load_good(&fixture);
	settings = policy_settings(fixture.policy);
	vault = xasprintf("%s/vault", fixture.dir);
	assert_true(settings->secure_mode && settings->sandbox);
	assert_int_equal(settings->in_flight, 2000);
	assert_int_equal(settings->change_deadline_ms, 30000);
	assert_int_equal(settings->connect_timeout_ms, 10000);
	assert_int_equal(settings->login_timeout_ms, 20000);
	assert_int_equal(settings->host_keys, HOST_KEYS_FIRST_USE);
	assert_int_equal(settings->retention_records_ms, 400ULL * 86400000);
	assert_int_equal(settings->retention_versions, 10);
	assert_int_equal(settings->wires, 0);
	assert_string_equal(settings->vault, vault);
	assert_int_equal(fixture.warnings.count, 0);
	free(vault);
	fixture_clear(&fixture);
}

static void tasks_and_rules(void **state)
{
	struct fixture fixture;
	const struct task *task;
	char text[80];

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	assert_int_equal(policy_task_count(fixture.policy), 3);
	task = policy_task_find(fixture.policy, "web");
	assert_ptr_equal(task, policy_task(fixture.policy, 2));
	assert_int_equal(task->verify_count, 1);
	assert_int_equal(task->verify[0], VERIFY_HASH);
	assert_int_equal(task->limits.in_flight, 5);
	assert_int_equal(task->limits.retries, 0);
	assert_false(task->active);
	assert_string_equal(task->comment, "web servers");
	assert_string_equal(task->file, "tasks/web.lua");
	assert_int_equal(task->line, 1);
	assert_int_equal(rule_longest(task->rule), 24);

	task = policy_task_find(fixture.policy, "net");
	assert_int_equal(task->verify_count, 0);
	task_describe_verify(task, text, sizeof(text));
	assert_string_equal(text, "false");
	assert_true(task->active);
	assert_int_equal(task->limits.retries, 2);
	rule_describe(task->rule, text, sizeof(text));
	assert_string_equal(text, "random 20 characters, 119 bits");
	assert_true(fabs(rule_entropy_bits(task->rule) - 119) < 1);

	task = policy_task_find(fixture.policy, "all");
	assert_int_equal(task->verify_count, 1);
	assert_int_equal(task->verify[0], VERIFY_LOGIN);
	assert_int_equal(rule_longest(task->rule), 24);
	assert_null(task->comment);
	assert_null(policy_task_find(fixture.policy, "none"));
	assert_string_equal(policy_task_nearest(fixture.policy, "wep"), "web");
	assert_null(policy_task_nearest(fixture.policy, "nothing"));
	fixture_clear(&fixture);
}

/* Rules that leave one string only, so that every field shows in it. */
static void rule_fields_decide(void **state)
{
	static const struct {
		const char *fields, *expected;
	} cases[] = {
	    {"lower = { set = 'abc' }, exclude = 'ac'", "bb"},
	    {"lower = { set = 'lox' }, ambiguous = false", "xx"},
	    {"lower = { min = 1, max = 1, set = 'a' }, upper = { set = 'B' }, first = 'upper'",
		"Ba"},
	    {"lower = { min = 1, max = 1, set = 'a' }, upper = { set = 'B' }, last = 'upper'",
		"aB"},
	    {"lower = { min = 1, max = 1, set = 'x' }, digit = { min = 1, set = '7' }, last = "
	     "'digit'",
		"x7"},
	    {"symbol = { min = 1, set = '%' }, lower = { min = 1, set = 'q' }, first = 'lower'",
		"q%"},
	    {"lower = { set = 'ab' }, longest_run = 1, exclude = '', first = 'any', last = 'any',"
	     " digit = { min = 1, max = 1, set = '1' }, upper = false, symbol = false, length = 1",
		"1"},
	};
	struct fixture fixture;
	struct secret *secret;
	struct error error;

	(void)state;
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text =
		    xasprintf("local none = { lower = false, upper = false, digit = false,"
			      " symbol = false, length = 2 }\n"
			      "for key, value in pairs { %s } do none[key] = value end\n"
			      "task 't' { accounts = '*', nodes = '/', secret = random(none) }\n",
			cases[i].fields);

		fixture_write(&fixture, "lockstep.lua", text);
		fixture_load_good(&fixture);
		assert_int_equal(
		    rule_generate(policy_task(fixture.policy, 0)->rule, "app", &secret, &error),
		    ERR_OK);
		assert_string_equal(secret_data(secret), cases[i].expected);
		secret_free(secret);
		free(text);
	}
	fixture_clear(&fixture);
}

static void user_name_may_be_forbidden(void **state)
{
	struct fixture fixture;
	struct secret *secret;
	struct error error;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "local fields = { length = 3, lower = { set = 'a' }, upper = false, digit = false, "
	    "symbol = false }\n"
	    "task 'any' { accounts = '*', nodes = '/', secret = random(fields) }\n"
	    "fields.user_name = false\n"
	    "task 'not' { accounts = '*', nodes = '/', secret = random(fields) }\n");
	fixture_load_good(&fixture);
	assert_int_equal(
	    rule_generate(policy_task(fixture.policy, 0)->rule, "A", &secret, &error), ERR_OK);
	secret_free(secret);
	assert_int_equal(
	    rule_generate(policy_task(fixture.policy, 1)->rule, "A", &secret, &error), ERR_INVALID);
	assert_int_equal(
	    rule_generate(policy_task(fixture.policy, 1)->rule, "b", &secret, &error), ERR_OK);
	secret_free(secret);
	fixture_clear(&fixture);
}

/* A refused character that the rule cannot use, because the others leave no room, is no mistake. */
static void platform_minds_what_can_occur(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "asset 'sw1' { platform = 'switch', accounts = 'x' }\n"
	    "task 't' { accounts = '*', nodes = '/',"
	    " secret = random { length = 8, lower = 6, symbol = { set = '+' } } }\n");
	fixture_load_good(&fixture);
	fixture_clear(&fixture);
}

static void rules_are_shared_and_counted(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "for i = 1, 200 do rule('r' .. i) { length = 8 + i % 50 } end\n"
	    "for i = 1, 200 do task('t' .. i) { accounts = '*', nodes = '/', secret = random {} } "
	    "end\n");
	fixture_load_good(&fixture);
	assert_ptr_not_equal(
	    policy_task(fixture.policy, 0)->rule, policy_task(fixture.policy, 1)->rule);
	fixture_write(
	    &fixture, "lockstep.lua", "for i = 1, 101 do rule('r' .. i) { length = 8 + i } end\n");
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_string_equal(fixture.errors.items[0].text,
	    "lockstep.lua:1: rule \"r101\": a policy has at most 100 rules that differ\n"
	    "   1 | for i = 1, 101 do rule('r' .. i) { length = 8 + i } end");
	fixture_clear(&fixture);
}

static void platforms_extend(void **state)
{
	struct fixture fixture;
	const struct platform *edge, *platform;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	assert_int_equal(policy_platform_count(fixture.policy), 3);
	edge = policy_platform_find(fixture.policy, "edge");
	assert_int_equal(edge->password_longest, 20);
	assert_int_equal(edge->password_shortest, 8);
	assert_string_equal(edge->password_refuse, "?\"+");
	assert_string_equal(edge->file, "platforms/edge.lua");
	assert_int_equal(edge->source_len, strlen(edge->source));
	assert_memory_equal(edge->source, "platform \"edge\"", 15);

	platform = policy_platform_find(fixture.policy, "linux");
	assert_int_equal(platform->password_longest, 511);
	assert_int_equal(platform->password_shortest, 1);
	assert_string_equal(platform->password_refuse, "");
	assert_false(platform->answers_early);
	fixture_clear(&fixture);
}

static void warnings_come_with_a_good_policy(void **state)
{
	struct fixture fixture;
	char *text;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "asset 'web1' { accounts = 'app', node = '/prod', admin = 'ops' }\n"
	    "asset 'lone' { accounts = 'app' }\n"
	    "task 't' {\n"
	    "  accounts = { 'app', 'depoly', 'x*' },\n"
	    "  assets = { 'web2', 'db*', 'lone' }, nodes = { '/prod', '/test' },\n"
	    "}\n");
	fixture_load_good(&fixture);
	text = problems_text(&fixture.warnings);
	assert_string_equal(text,
	    "1 asset has no admin, and nothing can be changed there (skipped: no_admin): lone\n"
	    "lockstep.lua:4: task \"t\": account \"depoly\" is declared on none of the assets that "
	    "this task selects\n"
	    "   4 |   accounts = { 'app', 'depoly', 'x*' },\n"
	    "     |   ^^^^^^^^\n"
	    "lockstep.lua:4: task \"t\": account \"x*\" is declared on none of the assets that "
	    "this task selects\n"
	    "   4 |   accounts = { 'app', 'depoly', 'x*' },\n"
	    "     |   ^^^^^^^^\n"
	    "lockstep.lua:5: task \"t\": no asset is at or below node \"/test\"\n"
	    "   5 |   assets = { 'web2', 'db*', 'lone' }, nodes = { '/prod', '/test' },\n"
	    "     |                                       ^^^^^\n"
	    "lockstep.lua:5: task \"t\": there is no asset \"db*\"\n"
	    "   5 |   assets = { 'web2', 'db*', 'lone' }, nodes = { '/prod', '/test' },\n"
	    "     |   ^^^^^^\n"
	    "lockstep.lua:5: task \"t\": there is no asset \"web2\"\n"
	    "   5 |   assets = { 'web2', 'db*', 'lone' }, nodes = { '/prod', '/test' },\n"
	    "     |   ^^^^^^ did you mean \"web1\"?\n");
	free(text);
	fixture_clear(&fixture);
}

/* What `lockstep init` copies must be a policy. */
static void template_loads(void **state)
{
	const char *srcdir = getenv("srcdir");
	char *path = xasprintf("%s/policies/init", srcdir ? srcdir : ".");
	struct selection selection;
	struct fixture fixture;
	struct error error;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_copy(path, fixture.dir);
	fixture_load_good(&fixture);
	assert_int_equal(fixture.warnings.count, 0);
	assert_int_equal(policy_asset_count(fixture.policy), 2);
	assert_int_equal(policy_select(fixture.policy,
			     policy_task_find(fixture.policy, "linux-weekly"), &selection, &error),
	    ERR_OK);
	assert_int_equal(selection.count, 3);
	assert_int_equal(selection.asset_count, 2);
	selection_clear(&selection);
	fixture_clear(&fixture);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_policies_say_why),
	    cmocka_unit_test(others_may_not_write),
	    cmocka_unit_test(nothing_there),
	    cmocka_unit_test(endless_is_bounded),
	    cmocka_unit_test(many_problems_are_counted),
	    cmocka_unit_test(long_file_is_refused),
	    cmocka_unit_test(settings_are_read),
	    cmocka_unit_test(settings_have_defaults),
	    cmocka_unit_test(tasks_and_rules),
	    cmocka_unit_test(rule_fields_decide),
	    cmocka_unit_test(user_name_may_be_forbidden),
	    cmocka_unit_test(platform_minds_what_can_occur),
	    cmocka_unit_test(rules_are_shared_and_counted),
	    cmocka_unit_test(platforms_extend),
	    cmocka_unit_test(warnings_come_with_a_good_policy),
	    cmocka_unit_test(template_loads),
	};

	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
