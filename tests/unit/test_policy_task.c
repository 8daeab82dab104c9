/*
 * Tasks: where their secrets come from, how they are proved, what they pass on to platforms.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy_fixture.h"

#define DRAWS 4000

/* The one task of a policy that says `fields` beside which accounts it means. */
static const struct task *load_task(struct fixture *fixture, const char *fields)
{
	char *text =
	    xasprintf("include 'platforms/*.lua'\n"
		      "asset 'box1' { platform = 'box', accounts = 'app', admin = 'ops' }\n"
		      "task 't' { accounts = 'app', nodes = '/', %s }\n",
		fields);

	fixture_write(fixture, "platforms/box.lua",
	    "platform 'box' {\n"
	    "  change_password = function() end, change_key = function() end,\n"
	    "  persist = function() end, read_hash = function() end,\n"
	    "  params = { shell = 'text', create = 'flag', uid = 'number', groups = 'list' },\n"
	    "}\n");
	fixture_write(fixture, "lockstep.lua", text);
	free(text);
	fixture_load_good(fixture);
	return policy_task(fixture->policy, 0);
}

static void assert_secret(const struct task *task, const char *expected)
{
	char text[128];

	task_describe_secret(task, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void assert_verify(const struct task *task, const char *expected)
{
	char text[64];

	task_describe_verify(task, text, sizeof(text));
	assert_string_equal(text, expected);
}

/* ── Proofs ──────────────────────────────────────────────────────────────────────────────── */

static void proofs_have_an_order(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(&fixture, "verify = { 'hash', 'login', 'su' }");
	assert_int_equal(task->verify_count, 3);
	assert_int_equal(task->verify[0], VERIFY_HASH);
	assert_int_equal(task->verify[1], VERIFY_LOGIN);
	assert_int_equal(task->verify[2], VERIFY_SU);
	assert_verify(task, "hash, then login, then su");
	task = load_task(&fixture, "verify = { 'su' }");
	assert_int_equal(task->verify_count, 1);
	assert_verify(task, "su");
	task = load_task(&fixture, "verify = false");
	assert_int_equal(task->verify_count, 0);
	assert_verify(task, "false");
	task = load_task(&fixture, "");
	assert_verify(task, "login");
	fixture_clear(&fixture);
}

/* ── Kinds and limits ─────────────────────────────────────────────────────────────────────── */

static void kinds_have_defaults(void **state)
{
	struct fixture fixture;
	const struct task *task;
	char text[64];

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(&fixture, "");
	assert_int_equal(task->kind, TASK_CHANGE);
	assert_int_equal(task->priority, PRIORITY_NORMAL);
	assert_int_equal(task->limits.in_flight, 0);
	assert_int_equal(task->limits.canary.count + task->limits.canary.per_10000, 0);
	task = load_task(&fixture, "kind = 'verify', priority = 'low'");
	assert_int_equal(task->kind, TASK_VERIFY);
	assert_int_equal(task->priority, PRIORITY_LOW);
	assert_null(task->rule);
	task_describe_secret(task, text, sizeof(text));
	assert_string_equal(text, "verifies only");
	fixture_clear(&fixture);
}

static void portions_are_numbers_or_parts(void **state)
{
	static const struct {
		const char *written;
		uint32_t count, per_10000;
		size_t of_1236, of_3;
	} cases[] = {
	    {"7", 7, 0, 7, 3},
	    {"'1%'", 0, 100, 12, 1},
	    {"'0.5%'", 0, 50, 6, 1},
	    {"'0.25%'", 0, 25, 3, 1},
	    {"'100%'", 0, 10000, 1236, 3},
	    {"'05.0%'", 0, 500, 61, 1},
	};
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *fields = xasprintf("limits = { canary = %s, per_second = 50, per_node = 3, "
					 "per_gateway = 4 }",
		    cases[i].written);
		const struct limits *limits = &load_task(&fixture, fields)->limits;

		assert_int_equal(limits->canary.count, cases[i].count);
		assert_int_equal(limits->canary.per_10000, cases[i].per_10000);
		assert_int_equal(portion_of(&limits->canary, 1236), cases[i].of_1236);
		assert_int_equal(portion_of(&limits->canary, 3), cases[i].of_3);
		assert_int_equal(portion_of(&limits->canary, 0), 0);
		assert_int_equal(limits->per_second, 50);
		assert_int_equal(limits->per_node, 3);
		assert_int_equal(limits->per_gateway, 4);
		free(fields);
	}
	fixture_clear(&fixture);
}

/* ── Sources ─────────────────────────────────────────────────────────────────────────────── */

static void secrets_have_sources(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(&fixture, "secret = specified 'corp/web@1'");
	assert_int_equal(task->source, SOURCE_SPECIFIED);
	assert_string_equal(task->specified, "corp/web@1");
	assert_null(task->rule);
	assert_secret(task, "specified \"corp/web@1\"");
	task = load_task(&fixture, "");
	assert_int_equal(task->source, SOURCE_RANDOM);
	assert_null(task->specified);
	assert_non_null(task->rule);
	fixture_clear(&fixture);
}

static void keys_have_defaults(void **state)
{
	static const struct {
		const char *fields, *said;
		uint32_t bits;
	} cases[] = {
	    {"", "ssh key ed25519, replaces ours", 256},
	    {"replace = 'all'", "ssh key ed25519, replaces all", 256},
	    {"type = 'ecdsa'", "ssh key ecdsa 256 bits, replaces ours", 256},
	    {"type = 'ecdsa', bits = 521", "ssh key ecdsa 521 bits, replaces ours", 521},
	    {"bits = 384, type = 'ecdsa', replace = 'add'", "ssh key ecdsa 384 bits, replaces none",
		384},
	};
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *fields = xasprintf("secret = ssh_key { %s }", cases[i].fields);
		const struct task *task = load_task(&fixture, fields);

		assert_int_equal(task->source, SOURCE_SSH_KEY);
		assert_null(task->rule);
		assert_int_equal(task->ssh_key.bits, cases[i].bits);
		assert_secret(task, cases[i].said);
		free(fields);
	}
	fixture_clear(&fixture);
}

/* ── Parameters ──────────────────────────────────────────────────────────────────────────── */

static void params_become_json(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(&fixture,
	    "params = { uid = 1001, groups = { 'wheel', \"o'ps\" }, shell = '/bin/\"b', create = "
	    "false }");
	assert_string_equal(task->params, "{\"create\":false,\"groups\":[\"wheel\",\"o'ps\"],"
					  "\"shell\":\"/bin/\\\"b\",\"uid\":1001}");
	task = load_task(&fixture, "params = { groups = {} }");
	assert_string_equal(task->params, "{\"groups\":[]}");
	task = load_task(&fixture, "params = {}");
	assert_null(task->params);
	task = load_task(&fixture, "");
	assert_null(task->params);
	fixture_clear(&fixture);
}

static void platforms_say_what_they_can(void **state)
{
	struct fixture fixture;
	const struct platform *platform;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", "include 'p/*.lua'");
	fixture_write(&fixture, "p/a.lua",
	    "platform 'a' { extends = 'linux', change_key = function() end,\n"
	    "  params = { uid = 'text', home = 'text' } }\n");
	fixture_write(&fixture, "p/b.lua",
	    "platform 'b' { extends = 'a', persist = function() end, persist_keys_only = true,\n"
	    "  params = { uid = 'number' } }\n");
	fixture_write(&fixture, "p/c.lua", "platform 'c' { extends = 'b' }\n");
	fixture_write(
	    &fixture, "p/d.lua", "platform 'd' { extends = 'b', persist = function() end }\n");
	fixture_load_good(&fixture);
	platform = policy_platform_find(fixture.policy, "a");
	assert_true(platform->change_password && platform->change_key && platform->read_hash);
	assert_false(platform->persist);
	platform = policy_platform_find(fixture.policy, "b");
	assert_true(platform->change_password && platform->change_key && platform->persist);
	assert_int_equal(platform->param_count, 2);
	assert_string_equal(platform->params[0].name, "home");
	assert_int_equal(platform->params[0].type, PARAM_TEXT);
	assert_string_equal(platform->params[1].name, "uid");
	assert_int_equal(platform->params[1].type, PARAM_NUMBER);
	assert_true(platform->persist_keys_only);
	platform = policy_platform_find(fixture.policy, "c");
	assert_true(platform->persist && platform->persist_keys_only);
	platform = policy_platform_find(fixture.policy, "d");
	assert_true(platform->persist && !platform->persist_keys_only);
	platform = policy_platform_find(fixture.policy, "linux");
	assert_false(platform->change_key || platform->persist || platform->param_count > 0);
	fixture_clear(&fixture);
}

/* ── Passphrases ─────────────────────────────────────────────────────────────────────────── */

static struct secret *draw(const struct task *task)
{
	struct secret *secret;
	struct error error;

	assert_int_equal(rule_generate(task->rule, "app", &secret, &error), ERR_OK);
	return secret;
}

static void eff_list_is_whole(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(&fixture, "secret = random { words = 1, join = '' }");
	assert_true(fabs(rule_entropy_bits(task->rule) - log2(7776)) < 1e-9);
	assert_int_equal(rule_shortest(task->rule), 3);
	assert_int_equal(rule_longest(task->rule), 9);
	/* "drop-down", "felt-tip", "t-shirt" and "yo-yo" hold what joins. */
	task = load_task(&fixture, "secret = random { words = 6, capital = true, digit = 1 }");
	assert_true(fabs(rule_entropy_bits(task->rule) - 6 * log2(7772) - log2(10)) < 1e-9);
	assert_int_equal(rule_shortest(task->rule), 6 * 3 + 5 + 1);
	assert_int_equal(rule_longest(task->rule), 6 * 9 + 5 + 1);
	assert_secret(task, "passphrase 6 words, 80 bits");
	fixture_clear(&fixture);
}

/* Five words of letters with a capital each, joined, a digit at the end. */
static bool looks_right(const char *text)
{
	for (size_t i = 0; i < 5; i++) {
		if (i > 0 && *text++ != '.')
			return false;
		if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 1)
			return false;
		text += 1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz-");
	}
	return strspn(text, "0123456789") == 2 && text[2] == '\0';
}

static void phrases_are_joined(void **state)
{
	struct fixture fixture;
	const struct task *task;

	(void)state;
	fixture_init(&fixture, NULL);
	task = load_task(
	    &fixture, "secret = random { words = 5, join = '.', capital = true, digit = 2 }");
	for (size_t i = 0; i < 200; i++) {
		struct secret *secret = draw(task);

		assert_true(looks_right(secret_data(secret)));
		assert_true(secret_len(secret) <= rule_longest(task->rule));
		assert_true(secret_len(secret) >= rule_shortest(task->rule));
		secret_free(secret);
	}
	fixture_clear(&fixture);
}

/* Two words of three: nine texts, each about as often as the others. */
static void phrases_are_even(void **state)
{
	static const char *const words[] = {"ab", "cde", "f"};
	struct fixture fixture;
	const struct task *task;
	size_t counts[9] = {0};

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "words/mine.txt", "# mine\n111\tab\r\n  cde\n\n112 f\ng+h\n");
	task = load_task(
	    &fixture, "secret = random { words = 2, list = 'words/mine.txt', join = '+' }");
	assert_true(fabs(rule_entropy_bits(task->rule) - 2 * log2(3)) < 1e-9);
	assert_int_equal(rule_shortest(task->rule), 3);
	assert_int_equal(rule_longest(task->rule), 7);
	for (size_t i = 0; i < DRAWS; i++) {
		struct secret *secret = draw(task);
		size_t at = 0;

		for (; at < 9; at++) {
			char text[16];

			snprintf(text, sizeof(text), "%s+%s", words[at / 3], words[at % 3]);
			if (strcmp(text, secret_data(secret)) == 0)
				break;
		}
		assert_true(at < 9);
		counts[at]++;
		secret_free(secret);
	}
	/* The mean is 444, the deviation 20: eight deviations never happen. */
	for (size_t i = 0; i < 9; i++)
		assert_true(counts[i] > 284 && counts[i] < 604);
	fixture_clear(&fixture);
}

/* What a program may change in a file, by where the statement stands. */
static void spans_are_found(void **state)
{
	static const struct {
		const char *text, *name;
		const char *span; /* NULL = there is none */
		bool alone;
	} cases[] = {
	    {"task \"a\" { x = 1 }\n", "a", "task \"a\" { x = 1 }", true},
	    {"-- task \"a\" {}\n\ntask 'a' {\n\ty = { \"}\" },\n};\n--[[ end ]]", "a",
		"task 'a' {\n\ty = { \"}\" },\n}", true},
	    {"task(\"a\") { [[}]] }", "a", "task(\"a\") { [[}]] }", true},
	    {"task \"b\" {}\ntask \"a\" {}", "a", "task \"a\" {}", false},
	    {"task \"a\" {}\nlocal x", "a", "task \"a\" {}", false},
	    {"local t = task\nt \"a\" {}", "a", NULL, false},
	    {"task(\"a\" .. \"b\") {}", "ab", NULL, false},
	    {"task [[a]] {}", "a", NULL, false},
	    {"task \"a\" { x = 1", "a", NULL, false},
	    {"task \"a\"", "a", NULL, false},
	    {"", "a", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		struct task_span span;
		bool found = task_span_find(text, strlen(text), cases[i].name, &span);

		assert_int_equal(found, cases[i].span != NULL);
		if (!found)
			continue;
		assert_int_equal(span.end - span.begin, strlen(cases[i].span));
		assert_memory_equal(text + span.begin, cases[i].span, span.end - span.begin);
		assert_memory_equal(
		    text + span.name_begin + 1, cases[i].name, strlen(cases[i].name));
		assert_int_equal(span.name_end - span.name_begin, strlen(cases[i].name) + 2);
		assert_int_equal(span.alone, cases[i].alone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(proofs_have_an_order),
	    cmocka_unit_test(kinds_have_defaults),
	    cmocka_unit_test(portions_are_numbers_or_parts),
	    cmocka_unit_test(secrets_have_sources),
	    cmocka_unit_test(keys_have_defaults),
	    cmocka_unit_test(params_become_json),
	    cmocka_unit_test(platforms_say_what_they_can),
	    cmocka_unit_test(eff_list_is_whole),
	    cmocka_unit_test(phrases_are_joined),
	    cmocka_unit_test(phrases_are_even),
	    cmocka_unit_test(spans_are_found),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
