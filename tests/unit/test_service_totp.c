/*
 * Codes: RFC 6238's vectors, each once, guesses, clocks that are off, recovery.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "service/totp.h"

#define NOW_MS 1790000000000u

static struct secret *secret;
static struct credentials who;

static int set_up(void **state)
{
	(void)state;
	who = (struct credentials){.user = "ann", .made_ms = 1, .enrolled_ms = 1};
	secret = secret_from("12345678901234567890", 20);
	return secret == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	secret_free(secret);
	return 0;
}

static const char *code_at(uint64_t at_ms)
{
	static char code[TOTP_DIGITS + 1];

	totp_code(secret, at_ms / TOTP_STEP_MS, code);
	return code;
}

static enum code_word give(const char *code, uint64_t now_ms)
{
	return code_judge(&who, secret, code, now_ms).word;
}

/* Appendix B, SHA-1: the last six of its eight digits are the code of six. */
static void test_vectors(void **state)
{
	static const struct {
		uint64_t at_s;
		const char *code;
	} vectors[] = {
	    {59, "94287082"},
	    {1111111109, "07081804"},
	    {1111111111, "14050471"},
	    {1234567890, "89005924"},
	    {2000000000, "69279037"},
	    {20000000000, "65353130"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_string_equal(code_at(vectors[i].at_s * 1000), vectors[i].code + 2);
}

static void test_each_once_and_none_before_it(void **state)
{
	char code[TOTP_DIGITS + 1], before[TOTP_DIGITS + 1];

	(void)state;
	strcpy(before, code_at(NOW_MS - TOTP_STEP_MS));
	strcpy(code, code_at(NOW_MS));
	assert_int_equal(give(code, NOW_MS), CODE_RIGHT);
	assert_int_equal(give(code, NOW_MS), CODE_USED);
	assert_int_equal(give(before, NOW_MS), CODE_USED);
	assert_int_equal(who.failures, 0);
	assert_int_equal(give(code_at(NOW_MS + TOTP_STEP_MS), NOW_MS + TOTP_STEP_MS), CODE_RIGHT);
}

/* One step on either side, and no more. */
static void test_window(void **state)
{
	(void)state;
	assert_int_equal(give(code_at(NOW_MS - 2 * TOTP_STEP_MS), NOW_MS), CODE_CLOCK);
	assert_int_equal(give(code_at(NOW_MS + 2 * TOTP_STEP_MS), NOW_MS), CODE_WRONG);
	assert_int_equal(give(code_at(NOW_MS - TOTP_STEP_MS), NOW_MS), CODE_RIGHT);
	assert_int_equal(give(code_at(NOW_MS + TOTP_STEP_MS), NOW_MS), CODE_RIGHT);
}

static void test_ill_formed(void **state)
{
	static const char *const codes[] = {"", "1", "12345", "1234567", "12345a", "abcdef",
	    "      ", "-", "99999999999999999999999999999999999999999999999999", "١٢٣٤٥٦"};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_int_equal(give(codes[i], NOW_MS), CODE_WRONG);
		who.locked_ms = 0;
	}
	assert_int_equal(who.failures, sizeof(codes) / sizeof(codes[0]));
	who.failures = 0;
	{
		char spaced[16];
		const char *code = code_at(NOW_MS);

		snprintf(spaced, sizeof(spaced), "%.3s %.3s", code, code + 3);
		assert_int_equal(give(spaced, NOW_MS), CODE_RIGHT);
	}
}

/* 10,000 guesses, each as soon as it can be: the pauses grow to an hour each. */
static void test_guesses(void **state)
{
	uint64_t now_ms = NOW_MS, looked_at = 0, locked = 0;
	char code[TOTP_DIGITS + 1];

	(void)state;
	for (unsigned guess = 0; guess < 10000; guess++) {
		snprintf(code, sizeof(code), "%06u", guess * 97 % 1000000);
		switch (give(code, now_ms)) {
		case CODE_LOCKED: locked++; break;
		case CODE_RIGHT: return; /* three in a million */
		default: looked_at++; break;
		}
		now_ms += 1000;
	}
	assert_true(looked_at < 20);
	assert_true(locked > 9900);
	/* A right one is not looked at either, and does not end the pause. */
	assert_int_equal(give(code_at(now_ms), now_ms), CODE_LOCKED);
	now_ms = who.locked_ms;
	assert_int_equal(give(code_at(now_ms), now_ms), CODE_RIGHT);
	assert_int_equal(who.failures, 0);
}

static void test_a_phone_behind_is_told_at_once(void **state)
{
	struct code_verdict verdict;

	(void)state;
	verdict = code_judge(&who, secret, code_at(NOW_MS - 3600000), NOW_MS);
	assert_int_equal(verdict.word, CODE_CLOCK);
	assert_int_equal(verdict.off_ms, -3600000);
	assert_int_equal(who.failures, 1);
}

/* A code that will be right is not told to be one until a second one says the same. */
static void test_a_phone_ahead_is_told_with_its_second_code(void **state)
{
	uint64_t then_ms = NOW_MS + TOTP_STEP_MS;
	struct code_verdict verdict;

	(void)state;
	assert_int_equal(give(code_at(NOW_MS + 3600000), NOW_MS), CODE_WRONG);
	assert_int_equal(give(code_at(NOW_MS + 3600000), NOW_MS), CODE_WRONG);
	who.failures = 0;
	who.locked_ms = 0;
	verdict = code_judge(&who, secret, code_at(then_ms + 3600000), then_ms);
	assert_int_equal(verdict.word, CODE_CLOCK);
	assert_int_equal(verdict.off_ms, 3600000);
	/* And is never accepted for that. */
	assert_int_equal(who.used_step, 0);
}

static void test_recovery_codes_work_once(void **state)
{
	char codes[RECOVERY_MAX][RECOVERY_TEXT_SIZE];

	(void)state;
	recovery_make(&who, codes);
	assert_int_equal(strlen(codes[0]), 19);
	for (size_t i = 0; i < RECOVERY_MAX; i++) {
		assert_int_equal(give(codes[i], NOW_MS), CODE_RECOVERY);
		assert_int_equal(give(codes[i], NOW_MS), CODE_WRONG);
		assert_int_equal(who.recovery_count, RECOVERY_MAX - 1 - i);
	}
}

static void test_uri(void **state)
{
	char *uri = totp_uri(secret, "ann");

	(void)state;
	assert_string_equal(uri, "otpauth://totp/Lockstep:ann?secret="
				 "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Lockstep");
	mem_free(uri);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    EACH(test_vectors),
	    EACH(test_each_once_and_none_before_it),
	    EACH(test_window),
	    EACH(test_ill_formed),
	    EACH(test_guesses),
	    EACH(test_a_phone_behind_is_told_at_once),
	    EACH(test_a_phone_ahead_is_told_with_its_second_code),
	    EACH(test_recovery_codes_work_once),
	    EACH(test_uri),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
