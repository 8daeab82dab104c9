/* What to do next about a record that did not succeed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/advice.h"

static json_t *record(const char *status, const char *reason, const char *code, const char *said)
{
	json_t *error = code == NULL ? json_null()
				     : json_pack("{s:s, s:s, s:s}", "class", "permanent", "code",
					   code, "message", said);

	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o}", "id", "01JD", "asset", "web1",
	    "account", "app", "status", status, "reason", reason, "error", error);
}

static void check(json_t *about, const char *what, const char *next)
{
	char out[256];

	assert_string_equal(advice_what(about), what);
	assert_string_equal(advice_next(out, sizeof(out), about), next);
	json_decref(about);
}

static void test_the_asset_s_words_come_first(void **state)
{
	(void)state;
	check(record("failed", NULL, "host_key", "pinned A, offered B"), "pinned A, offered B",
	    "if this is right: lockstep asset trust web1, then lockstep record retry 01JD");
	check(record("failed", NULL, "become_password", ""),
	    "sudo refused the privileged account's password",
	    "lockstep account import, then lockstep record retry 01JD");
}

static void test_reasons(void **state)
{
	(void)state;
	check(record("skipped", "locked", NULL, NULL),
	    "the account is locked on the asset; nothing was sent",
	    "unlock it there, then lockstep record retry 01JD");
	check(record("skipped", "no_lifeline", NULL, NULL),
	    "this is the account that changes the others", "");
}

static void test_doubts_settle_themselves(void **state)
{
	(void)state;
	check(record("unverified", "lost", "lost", "the link broke"), "the link broke",
	    "the next run settles it (lockstep record show 01JD)");
	check(record("unverified", "accepted_does_not_open", NULL, NULL),
	    "the asset said yes, and neither secret opens it",
	    "tell its secret: lockstep account add web1 app");
}

static void test_unknown_words_stay(void **state)
{
	(void)state;
	check(record("failed", NULL, "brand_new", "odd"), "odd", "lockstep record retry 01JD");
	check(
	    record("skipped", "brand_new", NULL, NULL), "brand_new", "lockstep record retry 01JD");
}

static void test_long_names_are_cut(void **state)
{
	json_t *about = record("failed", NULL, "host_key", "");
	char out[24];

	(void)state;
	advice_next(out, sizeof(out), about);
	assert_string_equal(out, "if this is right: locks");
	json_decref(about);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_asset_s_words_come_first),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_doubts_settle_themselves),
	    cmocka_unit_test(test_unknown_words_stay),
	    cmocka_unit_test(test_long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
