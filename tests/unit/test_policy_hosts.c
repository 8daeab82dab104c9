/*
 * Inventories as `ansible-inventory --list` prints them, and inventories in Lua.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "policy_fixture.h"

#define MANY 100000

static const struct asset *find(const struct fixture *fixture, const char *name)
{
	const struct asset *asset = policy_asset_find(fixture->policy, name);

	assert_non_null(asset);
	return asset;
}

static void assert_accounts(const struct asset *asset, const char *expected)
{
	char text[256] = "";

	for (size_t i = 0; i < asset->account_count; i++)
		snprintf(
		    text + strlen(text), sizeof(text) - strlen(text), "%s ", asset->accounts[i]);
	assert_string_equal(text, expected);
}

static void assert_labels(const struct asset *asset, const char *expected)
{
	char text[256] = "";

	for (size_t i = 0; i < asset->label_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s=%s ",
		    asset->labels[i].key, asset->labels[i].value);
	assert_string_equal(text, expected);
}

static void load(struct fixture *fixture)
{
	fixture_init(fixture, "ansible");
	fixture_load_good(fixture);
}

static void hosts_become_assets(void **state)
{
	struct fixture fixture;
	const struct asset *asset;

	(void)state;
	load(&fixture);
	assert_int_equal(policy_asset_count(fixture.policy), 8);

	asset = find(&fixture, "web1");
	assert_string_equal(asset->address, "192.0.2.1");
	assert_int_equal(asset->port, 2222);
	assert_string_equal(asset->admin, "ops");
	assert_int_equal(asset->become, BECOME_DOAS);
	assert_string_equal(asset->platform, "switch");
	assert_string_equal(asset->node, "/prod/web");
	assert_string_equal(asset->gateway, "jump");
	assert_string_equal(asset->file, "hosts.json");
	assert_int_equal(asset->line, 0);
	assert_accounts(asset, "app backup deploy ops ");

	asset = find(&fixture, "web2");
	assert_string_equal(asset->address, "192.0.2.2");
	assert_int_equal(asset->port, 2200);
	assert_string_equal(asset->admin, "admin2");
	assert_int_equal(asset->become, BECOME_NONE);
	assert_null(asset->gateway);
	assert_accounts(asset, "admin2 app backup deploy ");

	/* Named by a group alone: it has no variables. */
	asset = find(&fixture, "lone.example.com");
	assert_string_equal(asset->address, "lone.example.com");
	assert_int_equal(asset->port, 22);
	assert_null(asset->admin);

	/* Ansible's older words, and ours, which win. */
	asset = find(&fixture, "old");
	assert_string_equal(asset->address, "192.0.2.7");
	assert_int_equal(asset->port, 24);
	assert_string_equal(asset->admin, "boss");
	assert_int_equal(asset->become, BECOME_SU);
	assert_accounts(asset, "boss root ");
	fixture_clear(&fixture);
}

static void groups_become_labels(void **state)
{
	struct fixture fixture;

	(void)state;
	load(&fixture);
	/* Its own group, those above, and the label that its variables say. */
	assert_labels(find(&fixture, "web1"), "eu=true nginx=true site=3 tier=1 web=true ");
	assert_labels(find(&fixture, "web2"), "eu=true tier=2 web=true ");
	assert_labels(find(&fixture, "db1"), "db=true eu=true lone=true ");
	assert_labels(find(&fixture, "lone.example.com"), "");
	/* Groups that hold each other. */
	assert_labels(find(&fixture, "round1"), "ring_a=true ring_b=true ");
	fixture_clear(&fixture);
}

/* The secrets are not read, and nothing says them; one warning for a file. */
static void secrets_are_warned_of(void **state)
{
	struct fixture fixture;
	char *text;

	(void)state;
	load(&fixture);
	text = problems_text(&fixture.warnings);
	assert_non_null(strstr(text,
	    "hosts.json: asset \"web1\": variable \"ansible_become_pass\" is for a secret, and is "
	    "not read: secrets come in by lockstep account import (this one and 2 more)\n"));
	assert_non_null(strstr(text,
	    "hosts.json: asset \"db1\": variable \"ansible_ssh_common_args\" leads through another "
	    "host, and is not read: say which asset: lockstep_gateway (this one)\n"));
	assert_null(strstr(text, "hunter2"));
	free(text);
	fixture_clear(&fixture);
}

static void lua_declares_assets(void **state)
{
	struct fixture fixture;

	(void)state;
	load(&fixture);
	assert_string_equal(find(&fixture, "jump")->address, "192.0.2.250");
	assert_null(find(&fixture, "jump")->gateway); /* it stands below the node that names it */
	fixture_clear(&fixture);
}

/* ── Many ────────────────────────────────────────────────────────────────────────────────── */

static void write_hosts(FILE *file)
{
	fputs("{\n    \"_meta\": {\n        \"hostvars\": {\n", file);
	for (int i = 0; i < MANY; i++)
		fprintf(file,
		    "            \"host%d\": {\n"
		    "                \"ansible_host\": \"10.%d.%d.%d\",\n"
		    "                \"ansible_user\": \"ops\",\n"
		    "                \"http_port\": 8080,\n"
		    "                \"lockstep_accounts\": [\n"
		    "                    \"app\",\n"
		    "                    \"deploy\"\n"
		    "                ],\n"
		    "                \"lockstep_node\": \"/prod/r%d\"\n"
		    "            }%s\n",
		    i, i >> 16, i >> 8 & 255, i & 255, i % 50, i + 1 < MANY ? "," : "");
	fputs("        }\n    },\n    \"all\": {\"children\": [\"ungrouped\", \"web\"]},\n", file);
	fputs("    \"web\": {\n        \"hosts\": [\n", file);
	for (int i = 0; i < MANY; i++)
		fprintf(file, "            \"host%d\"%s\n", i, i + 1 < MANY ? "," : "");
	fputs("        ]\n    }\n}\n", file);
}

static void hundred_thousand(void **state)
{
	struct fixture fixture;
	struct timespec start, end;
	char *path;
	FILE *file;

	(void)state;
	if (getenv("VALGRIND") != NULL) /* the same path as the small ones, thirty times slower */
		skip();
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua",
	    "inventory \"a.json\"\n"
	    "task \"t\" { accounts = \"*\", nodes = \"/\" }\n");
	path = xasprintf("%s/a.json", fixture.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	write_hosts(file);
	assert_int_equal(fclose(file), 0);
	chmod(path, 0600);
	free(path);
	clock_gettime(CLOCK_MONOTONIC, &start);
	fixture_load_good(&fixture);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("%d assets in %ld ms\n", MANY,
	    (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000);
	assert_int_equal(policy_asset_count(fixture.policy), MANY);
	assert_string_equal(find(&fixture, "host99999")->node, "/prod/r49");
	assert_labels(find(&fixture, "host99999"), "web=true ");
	assert_true(end.tv_sec - start.tv_sec < 30);
	fixture_clear(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts_become_assets),
	    cmocka_unit_test(groups_become_labels),
	    cmocka_unit_test(secrets_are_warned_of),
	    cmocka_unit_test(lua_declares_assets),
	    cmocka_unit_test(hundred_thousand),
	};

	json_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
