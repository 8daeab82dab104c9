/*
 * Selecting: what a task means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy_fixture.h"

static const char assets[] =
    "node '/' { admin = 'ops', accounts = 'backup' }\n"
    "asset 'web1' { node = '/prod/web', accounts = { 'app', 'deploy' }, labels = { 'nginx', tier = "
    "'1' } }\n"
    "asset 'web2' { node = '/prod/web', accounts = { 'app', 'deployer' }, labels = { tier = '2' }, "
    "port = 2222 }\n"
    "asset 'shop' { node = '/prod/webshop', accounts = 'app', labels = { eu = 'true' } }\n"
    "asset 'test1' { node = '/test/web', accounts = 'app', address = '192.0.2.1' }\n"
    "asset 'root1' { accounts = 'app' }\n";

static char *selection_text(const struct selection *selection)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < selection->count; i++) {
		char *longer = xasprintf(
		    "%s%s/%s ", text, selection->items[i].asset->name, selection->items[i].account);

		free(text);
		text = longer;
	}
	return text;
}

/* The task with these fields selects these accounts on so many assets. */
static void assert_selects(const char *fields, const char *expected, size_t asset_count)
{
	char *policy = xasprintf("%stask 't' { %s }\n", assets, fields), *text;
	struct selection selection;
	struct fixture fixture;
	struct error error;

	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", policy);
	fixture_load_good(&fixture);
	assert_int_equal(
	    policy_select(fixture.policy, policy_task(fixture.policy, 0), &selection, &error),
	    ERR_OK);
	text = selection_text(&selection);
	assert_string_equal(text, expected);
	assert_int_equal(selection.asset_count, asset_count);
	free(text);
	selection_clear(&selection);
	fixture_clear(&fixture);
	free(policy);
}

static void nodes_mean_subtrees(void **state)
{
	(void)state;
	assert_selects("accounts = 'app', nodes = '/prod/web'", "web1/app web2/app ", 2);
	assert_selects("accounts = 'app', nodes = '/prod'", "shop/app web1/app web2/app ", 3);
	assert_selects(
	    "accounts = 'app', nodes = '/'", "root1/app shop/app test1/app web1/app web2/app ", 5);
	assert_selects("accounts = 'app', nodes = '/*/web'", "test1/app web1/app web2/app ", 3);
	assert_selects("accounts = 'app', nodes = '/prod/web*'", "shop/app web1/app web2/app ", 3);
	assert_selects("accounts = 'app', nodes = '/pro'", "", 0);
}

static void accounts_take_patterns(void **state)
{
	(void)state;
	assert_selects(
	    "accounts = '*', assets = 'web1'", "web1/app web1/backup web1/deploy web1/ops ", 1);
	assert_selects("accounts = { 'deploy*' }, nodes = '/'", "web1/deploy web2/deployer ", 2);
	assert_selects("accounts = { 'deploy' }, nodes = '/'", "web1/deploy ", 1);
	assert_selects("accounts = { 'app', 'a*', 'app' }, assets = { 'web1' }", "web1/app ", 1);
	assert_selects("accounts = { 'none' }, nodes = '/'", "", 0);
}

static void assets_and_nodes_unite(void **state)
{
	(void)state;
	assert_selects("accounts = 'app', assets = { 'root1', 'web1' }, nodes = '/prod/web'",
	    "root1/app web1/app web2/app ", 3);
	assert_selects("accounts = 'app', assets = 'web*'", "web1/app web2/app ", 2);
	assert_selects("accounts = 'app', assets = { 'web9' }", "", 0);
}

static void exclude_narrows(void **state)
{
	(void)state;
	assert_selects("accounts = 'app', nodes = '/', exclude = { assets = { 'web1', 'root*' } }",
	    "shop/app test1/app web2/app ", 3);
	assert_selects("accounts = 'app', nodes = '/', exclude = { nodes = '/prod/web' }",
	    "root1/app shop/app test1/app ", 3);
	assert_selects("accounts = '*', assets = 'web1', exclude = { accounts = { 'ba*', 'ops' } }",
	    "web1/app web1/deploy ", 1);
	assert_selects("accounts = 'app', assets = 'web1', exclude = { nodes = '/' }", "", 0);
}

static void where_narrows(void **state)
{
	(void)state;
	assert_selects(
	    "accounts = 'app', nodes = '/', where = function(a) return a.labels.tier == '1' end",
	    "web1/app ", 1);
	assert_selects(
	    "accounts = 'app', nodes = '/', where = function(a) return a.labels.nginx == true end",
	    "web1/app ", 1);
	assert_selects(
	    "accounts = 'app', nodes = '/', where = function(a) return a.labels.eu == true end",
	    "shop/app ", 1);
	assert_selects(
	    "accounts = 'app', nodes = '/prod', where = function(a) return a.port == 2222 and"
	    " a.become == 'sudo' and a.gateway == nil end",
	    "web2/app ", 1);
	assert_selects(
	    "accounts = 'app', nodes = '/', where = function(a)"
	    " return a.name == 'test1' and a.address == '192.0.2.1' and a.platform == 'linux'"
	    " and a.node == '/test/web' and a.admin == 'ops' end",
	    "test1/app ", 1);
	/* What it does to its argument concerns nobody else. */
	assert_selects("accounts = 'app', nodes = '/prod', where = function(a) a.name = 'x'; "
		       "a.labels.tier = nil;"
		       " return true end",
	    "shop/app web1/app web2/app ", 3);
	assert_selects("accounts = 'app', nodes = '/', where = function() end", "", 0);
}

/* Fine while the policy loads, wrong later: the error has its place. */
static void where_may_fail_later(void **state)
{
	struct selection selection;
	struct fixture fixture;
	struct error error;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "local calls = 0\n"
	    "asset 'a' { accounts = 'app' }\n"
	    "task 't' { accounts = '*', nodes = '/', where = function()\n"
	    "  calls = calls + 1\n"
	    "  return calls < 2 or asset 'b' {}\n"
	    "end }\n");
	fixture_load_good(&fixture);
	assert_int_equal(
	    policy_select(fixture.policy, policy_task(fixture.policy, 0), &selection, &error),
	    ERR_INVALID);
	assert_string_equal(error.text,
	    "lockstep.lua:5: task \"t\": where: statements belong to the policy's files, "
	    "not into a function that runs later");
	assert_int_equal(selection.count, 0);
	assert_int_equal(policy_asset_count(fixture.policy), 1);
	selection_clear(&selection);
	fixture_clear(&fixture);
}

/* The task that sets an account's secret is the one whose selection has it, for each account. */
static void one_account_finds_its_task(void **state)
{
	static const char tasks[] =
	    "task 'a-off' { accounts = '*', nodes = '/', active = false }\n"
	    "task 'a-look' { kind = 'verify', accounts = '*', nodes = '/' }\n"
	    "task 'a-same' { accounts = '*', assets = 'root*', secret = specified 'x' }\n"
	    "task 'some' { accounts = 'dep*', nodes = '/prod',\n"
	    "  exclude = { accounts = 'deployer' } }\n"
	    "task 'z' { accounts = '*', nodes = '/prod', exclude = { assets = 'shop' },\n"
	    "  where = function(asset) return asset.port == 22 end }\n";
	static const struct {
		const char *asset, *account, *task;
		bool key, fresh;
	} cases[] = {
	    {"web1", "deploy", "some", false, true},
	    {"web1", "app", "z", false, true},
	    {"web1", "app", NULL, true, true},
	    {"web2", "deployer", NULL, false, true}, /* excluded; of another port */
	    {"shop", "app", NULL, false, true},
	    {"root1", "app", NULL, false, true},
	    {"root1", "app", "a-same", false, false},
	    {"root1", "app", NULL, true, false},
	    {"web1", "nobody", NULL, false, true},
	    {"nowhere", "app", NULL, false, true},
	};
	char *policy = xasprintf("%s%s", assets, tasks);
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", policy);
	fixture_load_good(&fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct selected item;
		const struct task *task = policy_task_for(fixture.policy, cases[i].asset,
		    cases[i].account, cases[i].key, cases[i].fresh, &item);

		if (cases[i].task == NULL && task != NULL)
			fail_msg("case %zu: %s", i, task->name);
		if (cases[i].task == NULL)
			continue;
		assert_non_null(task);
		assert_string_equal(task->name, cases[i].task);
		assert_string_equal(item.asset->name, cases[i].asset);
		assert_string_equal(item.account, cases[i].account);
	}
	fixture_clear(&fixture);
	free(policy);
}

/* So often it is told that tasks with a schedule change the same account; once of these two. */
static void assert_warned(const char *tasks, size_t count, const char *first, const char *second)
{
	char *policy = xasprintf("%s%s", assets, tasks), *text;
	char *told = xasprintf("task \"%s\": selects accounts that task \"%s\"", second, first);
	struct fixture fixture;
	size_t found = 0;

	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", policy);
	fixture_load_good(&fixture);
	for (size_t i = 0; i < fixture.warnings.count; i++)
		found += strstr(fixture.warnings.items[i].text, "selects too") != NULL;
	text = problems_text(&fixture.warnings);
	assert_int_equal(found, count);
	assert_true(count == 0 || strstr(text, told) != NULL);
	free(text);
	fixture_clear(&fixture);
	free(told);
	free(policy);
}

static void two_tasks_for_an_account_are_told(void **state)
{
	(void)state;
	/* Only the last of three assets is in both. */
	assert_warned("task 'a' { accounts = 'app', nodes = '/prod', schedule = every '1h' }\n"
		      "task 'b' { accounts = '*', assets = { 'web2', 'test1' },\n"
		      "  schedule = every '1h' }\n",
	    1, "a", "b");
	/* One asset, but not one account of it. */
	assert_warned("task 'a' { accounts = 'app', assets = 'web1', schedule = every '1h' }\n"
		      "task 'b' { accounts = 'deploy', assets = 'web1', schedule = every '1h' }\n"
		      "task 'c' { accounts = 'app', assets = 'shop', schedule = every '1h' }\n",
	    0, "a", "b");
	/* Who has no schedule, is not active or only looks changes nothing by itself. */
	assert_warned("task 'a' { accounts = 'app', nodes = '/', schedule = every '1h' }\n"
		      "task 'c' { accounts = 'app', nodes = '/' }\n"
		      "task 'd' { accounts = 'app', nodes = '/', kind = 'verify',\n"
		      "  schedule = every '1h' }\n"
		      "task 'e' { accounts = 'app', nodes = '/', active = false,\n"
		      "  schedule = every '1h' }\n",
	    0, "a", "b");
	assert_warned("task 'a' { accounts = 'app', nodes = '/', schedule = every '1h' }\n"
		      "task 'b' { accounts = 'app', nodes = '/', schedule = every '1h' }\n"
		      "task 'c' { accounts = 'app', nodes = '/', schedule = every '1h' }\n",
	    2, "b", "c");
}

static void check_outs_are_set_for_nodes(void **state)
{
	const struct settings *settings;
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "settings { checkout = { longest = '8h', exclusive = { '/prod', '/*/db' } } }\n");
	fixture_load_good(&fixture);
	settings = policy_settings(fixture.policy);
	assert_int_equal(settings->checkout_longest_ms, 8 * 3600000);
	assert_true(settings_checkout_is_exclusive(settings, "/prod/web"));
	assert_true(settings_checkout_is_exclusive(settings, "/test/db"));
	assert_false(settings_checkout_is_exclusive(settings, "/test"));
	fixture_clear(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nodes_mean_subtrees),
	    cmocka_unit_test(accounts_take_patterns),
	    cmocka_unit_test(assets_and_nodes_unite),
	    cmocka_unit_test(exclude_narrows),
	    cmocka_unit_test(where_narrows),
	    cmocka_unit_test(where_may_fail_later),
	    cmocka_unit_test(one_account_finds_its_task),
	    cmocka_unit_test(two_tasks_for_an_account_are_told),
	    cmocka_unit_test(check_outs_are_set_for_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
