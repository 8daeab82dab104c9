/* The table of what did not succeed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/trouble.h"

static json_t *record(const char *status, const char *asset, const char *reason, const char *code)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "id",
	    "01JDX8", "task", "weekly", "short", "01JD", "staged", "2026-11-24T09:41:07Z", "asset",
	    asset, "account", "app", "status", status, "reason", reason, "error", "class",
	    "permanent", "code", code, "message", "");
}

static char *printed(json_t *records, size_t width, bool colour)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	troubles_print(out, records, "01EX", width, colour);
	fclose(out);
	json_decref(records);
	return text;
}

static void check(char *text, const char *expected)
{
	assert_string_equal(text, expected);
	free(text);
}

static void test_failed_ones_come_first(void **state)
{
	(void)state;
	check(printed(json_pack("[o, o, o]", record("skipped", "edge2", "locked", ""),
			  record("unverified", "old9", "lost", "lost"),
			  record("failed", "db03", "", "connect")),
		  0, false),
	    "  FAILED      db03   app  the connection was refused  → lockstep asset ping db03; "
	    "when it answers, lockstep record retry 01JD\n"
	    "  UNVERIFIED  old9   app  the link broke  → the next run settles it (lockstep record "
	    "show 01JD)\n"
	    "  SKIPPED     edge2  app  the account is locked on the asset; nothing was sent  → "
	    "unlock it there, then lockstep record retry 01JD\n"
	    "when the causes are mended: lockstep record retry --execution 01EX\n");
}

static void test_a_narrow_terminal_and_colour(void **state)
{
	(void)state;
	check(printed(json_pack("[o]", record("failed", "db03", "", "connect")), 80, true),
	    "\033[31m  FAILED    \033[0m  db03  app  the connection was refused\n"
	    "              → lockstep asset ping db03; when it answers, lockstep record retry "
	    "01JD\n");
}

static void test_many_are_told_by_their_causes(void **state)
{
	json_t *records = json_array();
	char *text;

	(void)state;
	for (int i = 0; i < 1250; i++)
		json_array_append_new(records, record("failed", "web", "", "timeout"));
	json_array_append_new(records, record("failed", "web", "", "auth"));
	json_array_append_new(records, record("skipped", "web", "locked", ""));
	text = printed(records, 0, false);
	assert_non_null(strstr(text, "… and 1,232 more: lockstep record list --execution 01EX\n"
				     "  in all: timeout 1,250, "));
	assert_non_null(strstr(text, "auth 1"));
	assert_non_null(strstr(text, "locked 1"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_failed_ones_come_first),
	    cmocka_unit_test(test_a_narrow_terminal_and_colour),
	    cmocka_unit_test(test_many_are_told_by_their_causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
