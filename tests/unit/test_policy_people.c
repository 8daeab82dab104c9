/*
 * People: what roles come to, where they reach, and what deserves a warning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy_fixture.h"

static const char policy[] =
    "asset 'web1' { node = '/prod/web', accounts = 'app' }\n"
    "asset 'db1' { node = '/prod/db', accounts = 'app' }\n"
    "task 'web-weekly' { accounts = 'app', nodes = '/prod/web',\n"
    "\trecipients = { 'ann', 'ops@example.com', 'ann@example.com' } }\n"
    "role 'seer' { 'view', 'reveal', nodes = '/prod/web', reason = true }\n"
    "role 'chief' { 'reveal', nodes = '/prod/db' }\n"
    "role 'runner' { 'run', tasks = 'web-*' }\n"
    "role 'viewer' { 'view', nodes = '/prod/db' }\n"
    "user 'ann' { role = 'operator', uid = 4201, mail = 'ann@example.com' }\n"
    "user 'bob' { role = { 'seer', 'runner', 'chief' } }\n"
    "user 'cyd' { role = 'admin', nodes = '/prod/web' }\n"
    "user 'dan' { role = 'viewer' }\n";

static struct fixture fixture;

static int set_up(void **state)
{
	(void)state;
	fixture_init(&fixture, NULL);
	fixture_write(&fixture, "lockstep.lua", policy);
	fixture_load_good(&fixture);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_clear(&fixture);
	return 0;
}

static bool may(const char *name, enum permission permission, const char *node, const char *task)
{
	return user_may(policy_user_find(fixture.policy, name), permission, node, task);
}

static void test_shipped_roles(void **state)
{
	(void)state;
	assert_true(may("ann", PERMIT_VIEW, "", ""));
	assert_true(may("ann", PERMIT_RUN, "/prod/web", "web-weekly"));
	assert_false(may("ann", PERMIT_REVEAL, NULL, NULL));
	assert_false(may("ann", PERMIT_EDIT, NULL, NULL));
	for (int i = 0; i < PERMISSION_COUNT; i++)
		assert_true(may("cyd", (enum permission)i, NULL, NULL));
}

/* One role lets see at one place, another run by some tasks: no union of the two goes further. */
static void test_reach(void **state)
{
	(void)state;
	assert_true(may("bob", PERMIT_VIEW, "/prod/web", NULL));
	assert_true(may("bob", PERMIT_VIEW, "/prod/web/inner", NULL));
	assert_false(may("bob", PERMIT_VIEW, "/prod/webshop", NULL));
	assert_false(may("bob", PERMIT_VIEW, "/prod/db", NULL));
	assert_false(may("bob", PERMIT_VIEW, "", NULL));
	assert_true(may("bob", PERMIT_RUN, "/prod/db", "web-weekly"));
	assert_false(may("bob", PERMIT_RUN, "/prod/db", "db-weekly"));
	assert_false(may("bob", PERMIT_RUN, NULL, ""));
	assert_true(may("bob", PERMIT_REVEAL, "/prod/db", NULL));
}

/* A user's own limits narrow all of their roles. */
static void test_own_reach(void **state)
{
	(void)state;
	assert_true(may("cyd", PERMIT_ADMIN, "/prod/web", "any"));
	assert_false(may("cyd", PERMIT_ADMIN, "/prod/db", "any"));
	assert_false(may("cyd", PERMIT_ADMIN, "", ""));
}

static void test_own_role_replaces_the_shipped_one(void **state)
{
	(void)state;
	assert_true(may("dan", PERMIT_VIEW, "/prod/db", NULL));
	assert_false(may("dan", PERMIT_VIEW, "/prod/web", NULL));
}

/* One role that asks for none is enough, where it reaches. */
static void test_conditions(void **state)
{
	const struct user *bob = policy_user_find(fixture.policy, "bob");
	const struct user *cyd = policy_user_find(fixture.policy, "cyd");

	(void)state;
	assert_true(user_needs_reason(bob, "/prod/web"));
	assert_false(user_needs_reason(bob, "/prod/db"));
	assert_false(user_needs_reason(cyd, "/prod/web"));
}

static void test_finding(void **state)
{
	(void)state;
	assert_int_equal(policy_user_count(fixture.policy), 4);
	assert_string_equal(policy_user_of_uid(fixture.policy, 4201)->name, "ann");
	assert_null(policy_user_of_uid(fixture.policy, 4202));
	assert_null(policy_user_of_uid(fixture.policy, UINT32_MAX));
	assert_string_equal(policy_user_nearest(fixture.policy, "anne"), "ann");
	assert_int_equal(permission_named("reveal"), PERMIT_REVEAL);
	assert_int_equal(permission_named("rewind"), PERMISSION_COUNT);
}

static void test_warnings(void **state)
{
	struct fixture odd;
	char *text;

	(void)state;
	fixture_init(&odd, NULL);
	fixture_write(&odd, "lockstep.lua",
	    "role 'lone' { 'view' }\nuser 'ann' { role = 'viewer', nodes = '/no/such' }\n");
	fixture_load_good(&odd);
	text = problems_text(&odd.warnings);
	assert_non_null(strstr(text, "lockstep.lua:1: role \"lone\": no user has it"));
	assert_non_null(strstr(text, "user \"ann\": no asset is at or below node \"/no/such\""));
	free(text);
	fixture_clear(&odd);
}

/* A recipient may be a user, who may be declared later and has one address however often named. */
static void test_recipients(void **state)
{
	const struct task *task = policy_task_find(fixture.policy, "web-weekly");

	(void)state;
	assert_int_equal(task->recipient_count, 2);
	assert_string_equal(task->recipients[0], "ann@example.com");
	assert_string_equal(task->recipients[1], "ops@example.com");
}

static void test_recipients_without_mail(void **state)
{
	struct fixture odd;
	char *text;

	(void)state;
	fixture_init(&odd, NULL);
	fixture_write(&odd, "lockstep.lua",
	    "asset 'web1' { accounts = 'app' }\nuser 'ann' { role = 'viewer' }\n"
	    "task 'a' { accounts = 'app', nodes = '/', recipients = { 'ann', 'bob' } }\n");
	assert_int_not_equal(fixture_load(&odd), ERR_OK);
	text = problems_text(&odd.errors);
	assert_non_null(strstr(text, "\"recipients\": \"ann\" is a user without mail"));
	assert_non_null(strstr(text, "\"recipients\": \"bob\" is neither a user nor a mail"));
	free(text);
	fixture_clear(&odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shipped_roles),
	    cmocka_unit_test(test_reach),
	    cmocka_unit_test(test_own_reach),
	    cmocka_unit_test(test_own_role_replaces_the_shipped_one),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_finding),
	    cmocka_unit_test(test_warnings),
	    cmocka_unit_test(test_recipients),
	    cmocka_unit_test(test_recipients_without_mail),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
