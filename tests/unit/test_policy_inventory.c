/*
 * Assets: from CSV and statements, and what they inherit from their nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy_fixture.h"

#define MANY 100000

static const struct asset *find(const struct fixture *fixture, const char *name)
{
	const struct asset *asset = policy_asset_find(fixture->policy, name);

	assert_non_null(asset);
	return asset;
}

/* NULL = none. */
static void expect_gateway(const struct fixture *fixture, const char *name, const char *gateway)
{
	const struct asset *asset = find(fixture, name);

	if (gateway)
		assert_string_equal(asset->gateway, gateway);
	else
		assert_null(asset->gateway);
}

static char *accounts_text(const struct asset *asset)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < asset->account_count; i++) {
		char *longer = xasprintf("%s%s ", text, asset->accounts[i]);

		free(text);
		text = longer;
	}
	return text;
}

static char *labels_text(const struct asset *asset)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < asset->label_count; i++) {
		char *longer =
		    xasprintf("%s%s=%s ", text, asset->labels[i].key, asset->labels[i].value);

		free(text);
		text = longer;
	}
	return text;
}

static void assert_accounts(const struct asset *asset, const char *expected)
{
	char *text = accounts_text(asset);

	assert_string_equal(text, expected);
	free(text);
}

static void assert_labels(const struct asset *asset, const char *expected)
{
	char *text = labels_text(asset);

	assert_string_equal(text, expected);
	free(text);
}

static void nodes_hand_down(void **state)
{
	struct fixture fixture;
	const struct asset *asset;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	assert_int_equal(policy_asset_count(fixture.policy), 6);

	asset = find(&fixture, "web1");
	assert_string_equal(asset->address, "192.0.2.1");
	assert_int_equal(asset->port, 2222);
	assert_string_equal(asset->platform, "linux");
	assert_string_equal(asset->node, "/prod/web");
	assert_string_equal(asset->admin, "ops");
	assert_int_equal(asset->become, BECOME_NONE);
	assert_accounts(asset, "app backup deploy ops ");
	assert_labels(asset, "managed=true nginx=true tier=1 ");
	assert_int_equal(asset->lockout_limit, 5);
	assert_int_equal(asset->lockout_window_ms, 3600000);
	assert_true(asset->lockout_by_source);
	assert_string_equal(asset->file, "lockstep.lua");
	assert_int_equal(asset->line, 29);
	assert_null(asset->gateway);

	asset = find(&fixture, "web2.example.com");
	assert_string_equal(asset->address, "web2.example.com");
	assert_int_equal(asset->port, 22);
	assert_string_equal(asset->admin, "root");
	assert_int_equal(asset->become, BECOME_NONE);
	assert_accounts(asset, "backup deploy root ");
	assert_labels(asset, "managed=true tier=2 ");

	/* /prod/webshop is not below /prod/web. */
	asset = find(&fixture, "webshop");
	assert_int_equal(asset->become, BECOME_SUDO);
	assert_accounts(asset, "backup ops ");
	assert_false(asset->lockout_by_source);
	assert_int_equal(asset->lockout_limit, 5);

	asset = find(&fixture, "sw1");
	assert_string_equal(asset->platform, "edge");
	assert_string_equal(asset->admin, "netadmin");
	assert_int_equal(asset->become, BECOME_NONE);
	assert_int_equal(asset->port, 22);
	assert_int_equal(asset->lockout_limit, 3);
	assert_int_equal(asset->lockout_window_ms, 15 * 60 * 1000);
	assert_accounts(asset, "backup monitor netadmin ");
	fixture_clear(&fixture);
}

static void csv_is_read(void **state)
{
	struct fixture fixture;
	const struct asset *asset;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	asset = find(&fixture, "db1");
	assert_string_equal(asset->address, "192.0.2.9");
	assert_string_equal(asset->node, "/prod/db");
	assert_accounts(asset, "app backup ops postgres ");
	assert_labels(asset, "managed=true note=\"a, b\" tier=1 ");
	assert_string_equal(asset->file, "inventory/a.csv");
	assert_int_equal(asset->line, 2);

	asset = find(&fixture, "lone");
	assert_string_equal(asset->node, "/");
	assert_string_equal(asset->platform, "linux");
	assert_int_equal(asset->become, BECOME_SUDO);
	fixture_clear(&fixture);
}

static void accounts_are_known(void **state)
{
	struct fixture fixture;
	const struct asset *asset;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	asset = find(&fixture, "web1");
	assert_true(asset_has_account(asset, "app"));
	assert_false(asset_has_account(asset, "ap"));
	assert_false(asset_has_account(asset, "root"));
	assert_true(asset_account_privileged(asset, "ops"));
	assert_true(asset_account_privileged(asset, "Root"));
	assert_true(asset_account_privileged(asset, "ADMINISTRATOR"));
	assert_false(asset_account_privileged(asset, "app"));
	assert_false(asset_account_privileged(asset, "OPS"));
	fixture_clear(&fixture);
}

static void assets_are_in_order(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, "good");
	fixture_load_good(&fixture);
	for (size_t i = 1; i < policy_asset_count(fixture.policy); i++)
		assert_true(strcmp(policy_asset(fixture.policy, i - 1)->name,
				policy_asset(fixture.policy, i)->name) < 0);
	assert_null(policy_asset_find(fixture.policy, "web"));
	assert_string_equal(policy_asset_nearest(fixture.policy, "webshpo"), "webshop");
	fixture_clear(&fixture);
}

/* The nearest node's, unless that is the asset itself, or the asset says none. */
static void gateways_are_inherited(void **state)
{
	static const struct {
		const char *asset, *gateway;
	} cases[] = {
	    {"edge", NULL},
	    {"jump", "edge"},
	    {"web1", "jump"},
	    {"web2", "edge"},
	    {"web3", NULL},
	    {"csv1", "web1"},
	    {"csv2", "jump"},
	};
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "a.csv",
	    "name,node,gateway,address\n"
	    "csv1,/prod,web1,192.0.2.1\n"
	    "csv2,/prod,,192.0.2.1\n");
	fixture_write(&fixture, "lockstep.lua",
	    "node '/' { gateway = 'edge' }\n"
	    "node '/prod' { gateway = 'jump' }\n"
	    "asset 'edge' {}\n"
	    "asset 'jump' { node = '/prod' }\n"
	    "asset 'web1' { node = '/prod/web', address = '192.0.2.1', port = 2222 }\n"
	    "asset 'web2' { node = '/test', address = '192.0.2.1' }\n"
	    "asset 'web3' { node = '/prod', gateway = false, address = '192.0.2.1' }\n"
	    "inventory 'a.csv'\n");
	fixture_load_good(&fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_gateway(&fixture, cases[i].asset, cases[i].gateway);
	fixture_clear(&fixture);
}

/* An asset that its node names as the gateway is declared in the same words as those behind it. */
static void gateway_is_declared_like_others(void **state)
{
	static const struct {
		const char *asset, *gateway;
	} cases[] = {{"app1", "jump"}, {"edge", NULL}, {"jump", "edge"}, {"web1", "jump"}};
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "a.csv",
	    "name,node,gateway\n"
	    "web1,/prod,\n"
	    "jump,/prod,\n"
	    "app1,/prod,\n"
	    "edge,/prod/edge,\n");
	fixture_write(&fixture, "lockstep.lua",
	    "node '/' { gateway = 'edge' }\n"
	    "node '/prod' { gateway = 'jump' }\n"
	    "node '/prod/edge' { gateway = false }\n"
	    "inventory 'a.csv'\n");
	fixture_load_good(&fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_gateway(&fixture, cases[i].asset, cases[i].gateway);
	fixture_clear(&fixture);
}

static void assert_shared(const struct asset *a, const struct asset *b)
{
	assert_ptr_equal(a->platform, b->platform);
	assert_ptr_equal(a->node, b->node);
	assert_ptr_equal(a->admin, b->admin);
	assert_ptr_equal(a->gateway, b->gateway);
	assert_ptr_equal(a->accounts, b->accounts);
	assert_ptr_equal(a->labels, b->labels);
}

/* In whatever file, and whatever else they say: what equals is in memory once. */
static void equal_words_are_kept_once(void **state)
{
	struct fixture fixture;
	const struct asset *first, *again;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "a.csv",
	    "name,platform,node,admin,become,accounts,labels,gateway,port\n"
	    "jump,linux,/,root,none,,,,\n"
	    "a1,linux,/prod,ops,su,app;deploy,nginx;tier=1,jump,22\n"
	    "a2,linux,/prod,ops,su,app;deploy,nginx;tier=1,jump,2222\n"
	    "a3,linux,/prod,ops,su,deploy;app,tier=1;nginx,jump,22\n"
	    "a4,linux,/prod,ops,su,app,nginx;tier=2,jump,22\n");
	fixture_write(&fixture, "b.lua",
	    "asset 'b1' { platform = 'linux', node = '/prod', admin = 'ops', become = 'su',\n"
	    "  accounts = { 'app', 'deploy' }, labels = { 'nginx', tier = 1 },\n"
	    "  gateway = 'jump' }\n");
	fixture_write(&fixture, "c.json",
	    "{\"_meta\": {\"hostvars\": {\"c1\": {\"lockstep_platform\": \"linux\",\n"
	    " \"lockstep_node\": \"/prod\", \"lockstep_admin\": \"ops\",\n"
	    " \"lockstep_become\": \"su\", \"lockstep_accounts\": [\"app\", \"deploy\"],\n"
	    " \"lockstep_labels\": {\"tier\": 1}, \"lockstep_gateway\": \"jump\"}}},\n"
	    " \"nginx\": {\"hosts\": [\"c1\"]}}\n");
	fixture_write(
	    &fixture, "lockstep.lua", "inventory 'a.csv'\ninventory 'b.lua'\ninventory 'c.json'\n");
	fixture_load_good(&fixture);
	first = find(&fixture, "a1");
	assert_accounts(first, "app deploy ops root ");
	assert_labels(first, "nginx=true tier=1 ");
	assert_string_equal(first->gateway, "jump");
	for (const char *const *name = (const char *const[]){"a2", "a3", "b1", "c1", NULL}; *name;
	     name++)
		assert_shared(first, find(&fixture, *name));
	assert_int_equal(find(&fixture, "a2")->port, 2222);
	again = find(&fixture, "a4");
	assert_accounts(again, "app ops root ");
	assert_labels(again, "nginx=true tier=2 ");
	assert_ptr_equal(again->accounts[0], first->accounts[0]);
	assert_int_equal(again->line, 6);
	fixture_clear(&fixture);
}

static void long_line_is_refused(void **state)
{
	size_t len = 10 * 1024 * 1024;
	char *text = xcalloc(1, len + 6);
	struct fixture fixture;

	(void)state;
	snprintf(text, len, "name\n");
	memset(text + 5, 'x', len);
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", "inventory \"a.csv\"\n");
	fixture_write(&fixture, "a.csv", text);
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_int_equal(fixture.errors.count, 1);
	assert_string_equal(fixture.errors.items[0].text, "a.csv:2: the line is too long");
	fixture_clear(&fixture);
	free(text);
}

/* A pipe in the place of an inventory must not make the loader wait. */
static void pipe_is_refused(void **state)
{
	struct fixture fixture;
	char *path;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", "inventory \"a.csv\"\ninclude \"b.lua\"\n");
	path = xasprintf("%s/a.csv", fixture.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	free(path);
	path = xasprintf("%s/b.lua", fixture.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	free(path);
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_int_equal(fixture.errors.count, 2);
	fixture_clear(&fixture);
}

static void write_many(const struct fixture *fixture)
{
	char *path = xasprintf("%s/a.csv", fixture->dir);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("name,address,node,admin,accounts,labels\n", file);
	for (int i = 0; i < MANY; i++)
		fprintf(file, "host%d,10.%d.%d.%d,/prod/r%d,ops,app;deploy,tier=%d;nginx\n", i,
		    i >> 16, i >> 8 & 255, i & 255, i % 50, i % 3);
	assert_int_equal(fclose(file), 0);
	chmod(path, 0600);
	free(path);
}

static void hundred_thousand(void **state)
{
	struct fixture fixture;
	struct timespec start, end;

	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "inventory \"a.csv\"\n"
	    "task \"t\" { accounts = \"*\", nodes = \"/\" }\n");
	write_many(&fixture);
	clock_gettime(CLOCK_MONOTONIC, &start);
	fixture_load_good(&fixture);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("%d assets in %ld ms\n", MANY,
	    (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000);
	assert_int_equal(policy_asset_count(fixture.policy), MANY);
	assert_non_null(policy_asset_find(fixture.policy, "host99999"));
	assert_true(end.tv_sec - start.tv_sec < 30);
	fixture_clear(&fixture);
}

/* A mistake in every row: what was meant is looked up for the first ones alone. */
static void many_mistakes_end_soon(void **state)
{
	struct fixture fixture;
	struct timespec start, end;
	char *path;
	FILE *file;

	(void)state;
	if (getenv("VALGRIND") != NULL)
		skip();
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", "inventory \"a.csv\"\n");
	path = xasprintf("%s/a.csv", fixture.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("name,address,gateway\n", file);
	for (int i = 0; i < MANY / 2; i++)
		fprintf(file, "host%d,10.%d.%d.%d,hots%d\n", i, i >> 16, i >> 8 & 255, i & 255, i);
	assert_int_equal(fclose(file), 0);
	chmod(path, 0600);
	free(path);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(fixture.errors.count + fixture.errors.more, MANY / 2);
	assert_non_null(strstr(fixture.errors.items[0].text, "did you mean \"host"));
	assert_true(end.tv_sec - start.tv_sec < 60);
	fixture_clear(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nodes_hand_down),
	    cmocka_unit_test(csv_is_read),
	    cmocka_unit_test(accounts_are_known),
	    cmocka_unit_test(assets_are_in_order),
	    cmocka_unit_test(gateways_are_inherited),
	    cmocka_unit_test(gateway_is_declared_like_others),
	    cmocka_unit_test(equal_words_are_kept_once),
	    cmocka_unit_test(long_line_is_refused),
	    cmocka_unit_test(pipe_is_refused),
	    cmocka_unit_test(hundred_thousand),
	    cmocka_unit_test(many_mistakes_end_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
