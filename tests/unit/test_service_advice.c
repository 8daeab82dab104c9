/* What to do next about a record that did not succeed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <glob.h>

#include "service/advice.h"
#include "wire.h"

static json_t *record(const char *status, const char *reason, const char *code, const char *said)
{
	json_t *error = code == NULL ? json_null()
				     : json_pack("{s:s, s:s, s:s}", "class", "permanent", "code",
					   code, "message", said);

	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o, s:s}", "id", "01JD", "asset", "web1",
	    "account", "app", "status", status, "reason", reason, "error", error, "staged",
	    "2026-11-24T09:41:07Z");
}

static void check(json_t *about, const char *what, const char *next)
{
	char out[256], words[256];

	assert_string_equal(advice_what(words, sizeof(words), about), what);
	assert_string_equal(advice_next(out, sizeof(out), about), next);
	json_decref(about);
}

static void test_the_asset_s_words_come_first(void **state)
{
	(void)state;
	check(record("failed", NULL, "host_key", "pinned A, offered B"), "pinned A, offered B",
	    "if this is right: lockstep asset trust web1, then lockstep record retry 01JD");
	check(record("failed", NULL, "become_denied", ""), "the privileged account may not elevate",
	    "allow it on the asset (sudoers, doas.conf, su's group), then lockstep record retry "
	    "01JD");
}

static void test_reasons(void **state)
{
	(void)state;
	check(record("skipped", "locked", NULL, NULL),
	    "the account is locked on the asset; nothing was sent",
	    "unlock it there, then lockstep record retry 01JD");
	check(record("skipped", "busy", NULL, NULL), "another record is at it",
	    "when that one has ended, lockstep record retry 01JD");
}

static void test_doubts_settle_themselves(void **state)
{
	(void)state;
	check(record("unverified", "lost", "lost", "the link broke"), "the link broke",
	    "the next run settles it (lockstep record show 01JD)");
	check(record("unverified", "host_key", "host_key", ""), "its host key changed",
	    "if this is right: lockstep asset trust web1, then the next run settles it (lockstep "
	    "record show 01JD)");
	check(record("unverified", "accepted_does_not_open", NULL, NULL),
	    "the asset said yes, and neither secret opens it",
	    "tell its secret: lockstep account add web1 app");
}

/* What a heartbeat could not see is seen again; there is nothing to settle. */
static void test_what_staged_nothing_is_tried_again(void **state)
{
	json_t *about = record("unverified", "unreachable", "connect", "refused");

	(void)state;
	json_object_set_new(about, "staged", json_null());
	json_object_set_new(about, "reason", json_string("no_verdict"));
	check(about, "refused", "set verify = \"login\"; lockstep record retry 01JD");
}

static void test_what_is_not_kept_is_run(void **state)
{
	json_t *about = record("skipped", "locked", NULL, NULL);

	(void)state;
	json_object_del(about, "id");
	json_object_set_new(about, "task", json_string("linux-weekly"));
	check(about, "the account is locked on the asset; nothing was sent",
	    "unlock it there, then lockstep run linux-weekly");
}

static void test_a_verify_is_verified_again(void **state)
{
	json_t *about = record("failed", "", "connect", "");

	(void)state;
	json_object_set_new(about, "task", json_string(""));
	check(about, "the connection was refused",
	    "lockstep asset ping web1; when it answers, lockstep account verify web1 app");
}

static void test_keys_are_imported(void **state)
{
	json_t *about = record("failed", "mismatch", NULL, NULL);

	(void)state;
	json_object_set_new(about, "kind", json_string("key"));
	check(about, "no secret that is kept opens it: someone else changed it",
	    "tell its secret: lockstep account import, with its key_file; or rotate it: a task "
	    "sets a new one");
}

static void test_times_are_local(void **state)
{
	(void)state;
	setenv("TZ", "UTC-2", 1);
	tzset();
	check(
	    record("failed", "", "probe_budget", "not before 2026-11-24T23:30:00.120Z, or 2026-1"),
	    "not before 2026-11-25 01:30:00, or 2026-1",
	    "wait until the lockout's window has passed, then lockstep record retry 01JD");
}

static void test_looks_are_looked_at_again(void **state)
{
	json_t *look = json_pack("{s:s, s:s, s:{s:s, s:s}}", "asset", "web1", "status", "failed",
	    "error", "code", "connect", "message", "refused");

	(void)state;
	check(json_incref(look), "refused",
	    "see that it is up and its address and port are right, then lockstep asset ping web1");
	json_object_set_new(look, "offered", json_null());
	check(look, "refused",
	    "see that it is up and its address and port are right, then lockstep asset trust web1");
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

/* ── Every word has advice ───────────────────────────────────────────────────────────────── */

/* Words in rotation that are no reason and no error's code. */
static const char *const other_words[] = {"account", "asset", "canary", "checkin",
    "checkin_not_rotated", "due", "error", "first_use", "hash", "late_s", "login", "permanent",
    "retry", "root", "schedule", "schedule_failed", "stop_after", "su", "task", "uncertain", "who",
    "work", "works"};

static bool is_other(const char *word)
{
	for (size_t i = 0; i < sizeof(other_words) / sizeof(other_words[0]); i++)
		if (strcmp(other_words[i], word) == 0)
			return true;
	return false;
}

/* A word in quotes, as reasons and codes are: small letters and `_`. NULL at the end. */
static char *next_word(char **text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	for (char *quote; (quote = strchr(*text, '"')) != NULL;) {
		size_t len = strspn(quote + 1, letters);

		*text = quote + 1 + len;
		if (len == 0 || **text != '"')
			continue;
		*(*text)++ = '\0';
		return quote + 1;
	}
	return NULL;
}

static size_t check_words(const char *path)
{
	static char text[1 << 16];
	FILE *file = fopen(path, "r");
	size_t len, count = 0;
	char *at = text, *word;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	for (; (word = next_word(&at)) != NULL; count++)
		if (!advice_knows(word) && !is_other(word))
			fail_msg("%s: service/advice.c has no advice for \"%s\"", path, word);
	return count;
}

/*
 * Each word of rotation's sources and of the wire's faults is one that a record may have as reason
 * or error. Whoever adds one says what to do about it, or that it is none (other_words).
 */
static void test_every_word_has_advice(void **state)
{
	const char *srcdir = getenv("srcdir");
	char pattern[512];
	size_t count = 0;
	glob_t found;

	(void)state;
	for (int fault = FAULT_NONE + 1; fault <= FAULT_WIRE; fault++)
		if (!advice_knows(fault_name((enum fault)fault)))
			fail_msg("no advice for the fault \"%s\"", fault_name((enum fault)fault));
	snprintf(pattern, sizeof(pattern), "%s/engine/rotation/*.c", srcdir != NULL ? srcdir : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	snprintf(pattern, sizeof(pattern), "%s/engine/wire/fault.c", srcdir != NULL ? srcdir : ".");
	assert_int_equal(glob(pattern, GLOB_APPEND, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		count += check_words(found.gl_pathv[i]);
	assert_true(count > 40);
	globfree(&found);
}

/* Where one is kept: a number above one is not the first. */
static void test_an_earlier_secret_is_named(void **state)
{
	json_t *about = record("failed", "mismatch", "mismatch", "");
	char next[512];

	(void)state;
	json_object_set_new(about, "old_version", json_integer(1));
	assert_null(strstr(advice_next(next, sizeof(next), about), "restore"));
	json_object_set_new(about, "old_version", json_integer(3));
	assert_non_null(strstr(advice_next(next, sizeof(next), about),
	    "lockstep account restore web1 app --version N"));
	json_decref(about);
}

static void test_advice_is_whole(void **state)
{
	json_t *about = record("failed", "", "rule", "");
	char next[512], what[512];

	(void)state;
	for (int fault = FAULT_NONE + 1; fault <= FAULT_WIRE; fault++) {
		json_object_set_new(json_object_get(about, "error"), "code",
		    json_string(fault_name((enum fault)fault)));
		assert_true(strlen(advice_what(what, sizeof(what), about)) > 0);
		assert_true(strlen(advice_next(next, sizeof(next), about)) > 0);
		assert_null(strchr(next, '%'));
	}
	json_decref(about);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_asset_s_words_come_first),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_doubts_settle_themselves),
	    cmocka_unit_test(test_what_staged_nothing_is_tried_again),
	    cmocka_unit_test(test_what_is_not_kept_is_run),
	    cmocka_unit_test(test_a_verify_is_verified_again),
	    cmocka_unit_test(test_keys_are_imported),
	    cmocka_unit_test(test_times_are_local),
	    cmocka_unit_test(test_looks_are_looked_at_again),
	    cmocka_unit_test(test_unknown_words_stay),
	    cmocka_unit_test(test_long_names_are_cut),
	    cmocka_unit_test(test_every_word_has_advice),
	    cmocka_unit_test(test_an_earlier_secret_is_named),
	    cmocka_unit_test(test_advice_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
