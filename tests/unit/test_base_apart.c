/* What runs apart brings back its result, and tells how it ended where it has none. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/apart.h"

struct result {
	int number;
	char text[100000]; /* more than a pipe takes at once */
};

static struct result result;

static enum err works(void *arg, void *out, struct error *error)
{
	struct result *left = out;

	(void)error;
	left->number = *(int *)arg + 1;
	memset(left->text, 'x', sizeof(left->text));
	return ERR_OK;
}

static enum err refuses(void *arg, void *out, struct error *error)
{
	(void)arg;
	(void)out;
	return error_set(error, ERR_NOT_FOUND, "there is none");
}

static enum err dies(void *arg, void *out, struct error *error)
{
	(void)out;
	(void)error;
	(void)kill(getpid(), *(int *)arg);
	return ERR_OK;
}

static enum err leaves(void *arg, void *out, struct error *error)
{
	(void)arg;
	(void)out;
	(void)error;
	_exit(0);
}

static enum err spins(void *arg, void *out, struct error *error)
{
	volatile int *forever = arg;

	(void)out;
	(void)error;
	while (*forever != 0)
		;
	return ERR_OK;
}

static enum err run(enum err (*fn)(void *, void *, struct error *), int number, struct error *error)
{
	bool answered;
	enum err err = apart_run(fn, &number, &result, sizeof(result), 1, &answered, error);

	assert_int_equal(answered, fn == works || fn == refuses);
	return err;
}

static void test_result(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(run(works, 41, &error), ERR_OK);
	assert_int_equal(result.number, 42);
	assert_int_equal(result.text[sizeof(result.text) - 1], 'x');
}

static void test_error(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(run(refuses, 0, &error), ERR_NOT_FOUND);
	assert_int_equal(error.code, ERR_NOT_FOUND);
	assert_string_equal(error.text, "there is none");
}

static void test_crash(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(run(dies, SIGSEGV, &error), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "ended by signal 11"));
	assert_int_equal(run(dies, SIGBUS, &error), ERR_CORRUPT);
	assert_int_equal(run(leaves, 0, &error), ERR_CORRUPT);
	assert_string_equal(error.text, "it ended without an answer");
	assert_int_equal(run(spins, 1, &error), ERR_CORRUPT);
	assert_string_equal(error.text, "it did not come to an end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_result),
	    cmocka_unit_test(test_error),
	    cmocka_unit_test(test_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
