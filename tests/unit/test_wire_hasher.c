#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <crypt.h>
#include <event2/event.h>

#include "base/loop.h"
#include "wire/hasher.h"

static struct loop *loop;
static struct hasher *hasher;

struct answer {
	enum wire_verdict verdict;
	unsigned count;
};

static void on_done(void *arg, enum wire_verdict verdict)
{
	struct answer *answer = arg;

	answer->verdict = verdict;
	answer->count++;
	loop_stop(loop);
}

static enum wire_verdict compare_bytes(const void *password, size_t len, const char *hash)
{
	struct secret *one = secret_from(password, len), *two = secret_from(hash, strlen(hash));
	struct answer answer = {.count = 0};

	assert_non_null(hasher_compare(hasher, one, two, on_done, &answer));
	/* Copied: ours may go. */
	secret_free(one);
	secret_free(two);
	assert_int_equal(answer.count, 0);
	loop_run(loop);
	assert_int_equal(answer.count, 1);
	return answer.verdict;
}

static enum wire_verdict compare(const char *password, const char *hash)
{
	return compare_bytes(password, strlen(password), hash);
}

static void test_kinds(void **state)
{
	static const char *const prefixes[] = {"$1$", "$5$", "$6$", "$2b$", "$y$"};

	(void)state;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE];

		assert_non_null(crypt_gensalt_rn(
		    prefixes[i], 0, "0123456789abcdef", 16, setting, sizeof(setting)));
		assert_non_null(memcpy(hash, crypt("right", setting), sizeof(hash)));
		assert_int_equal(compare("right", hash), VERDICT_MATCH);
		assert_int_equal(compare("wrong", hash), VERDICT_MISMATCH);
		assert_int_equal(compare("", hash), VERDICT_MISMATCH);
		assert_int_equal(compare_bytes("right\0", 6, hash), VERDICT_UNKNOWN);
	}
}

static void test_unknown(void **state)
{
	static const char *const hashes[] = {"", "!", "*", "*0", "x", "!$6$salt$abc", "$9$salt$abc",
	    "$6$rounds=999999999$saltsalt$abc", "$2b$31$0123456789012345678901", "$y$jLT$salt$abc",
	    "$7$CU..../....salt$abc"};

	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		assert_int_equal(compare("right", hashes[i]), VERDICT_UNKNOWN);
}

/* An asset cannot have us spend seconds and hundreds of megabytes: the same password, too dear. */
static void test_too_dear(void **state)
{
	static const struct {
		const char *prefix;
		unsigned long cost;
		enum wire_verdict verdict;
	} cases[] = {
	    {"$y$", 6, VERDICT_MATCH},
	    {"$y$", 9, VERDICT_UNKNOWN},
	    {"$6$", 900000, VERDICT_MATCH},
	    {"$6$", 1100000, VERDICT_UNKNOWN},
	};

	(void)state;
	if (getenv("VALGRIND") != NULL) /* it would be dear indeed, and shows nothing more */
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE];

		assert_non_null(crypt_gensalt_rn(cases[i].prefix, cases[i].cost, "0123456789abcdef",
		    16, setting, sizeof(setting)));
		memcpy(hash, crypt("right", setting), sizeof(hash));
		assert_true(hash[0] == '$');
		assert_int_equal(compare("right", hash), cases[i].verdict);
	}
}

/* A hash cut or lengthened is no match, though its beginning is. */
static void test_lengths(void **state)
{
	char hash[CRYPT_OUTPUT_SIZE + 1];

	(void)state;
	memset(hash, 0, sizeof(hash));
	memcpy(hash, crypt("right", "$6$saltsalt$"), CRYPT_OUTPUT_SIZE);
	hash[strlen(hash) + 1] = '\0';
	hash[strlen(hash)] = 'x';
	assert_int_equal(compare("right", hash), VERDICT_MISMATCH);
	hash[strlen(hash) - 2] = '\0';
	assert_int_equal(compare("right", hash), VERDICT_MISMATCH);
}

/* Cancelled ones are silent, wherever they are; the others are answered in order. */
static void test_cancel(void **state)
{
	struct secret *password = secret_from("right", 5);
	struct secret *hash = secret_from("$6$saltsalt$abc", 15);
	struct answer answers[20] = {{.count = 0}};
	struct hash_job *jobs[20];

	(void)state;
	for (size_t i = 0; i < 20; i++)
		jobs[i] = hasher_compare(hasher, password, hash, on_done, &answers[i]);
	for (size_t i = 0; i < 19; i++)
		hash_job_cancel(jobs[i]);
	loop_run(loop);
	for (size_t i = 0; i < 19; i++)
		assert_int_equal(answers[i].count, 0);
	assert_int_equal(answers[19].count, 1);
	secret_free(password);
	secret_free(hash);
}

/* Full is said, and the end of the hasher frees what waits. */
static void test_full(void **state)
{
	struct secret *password = secret_from("right", 5);
	struct secret *hash = secret_from("$6$rounds=200000$saltsalt$abc", 29);
	struct answer answer = {.count = 0};
	struct hasher *other;
	struct error error;
	size_t count = 0;

	(void)state;
	assert_int_equal(hasher_new(&other, loop_base(loop), &error), ERR_OK);
	while (count < 10000 && hasher_compare(other, password, hash, on_done, &answer) != NULL)
		count++;
	assert_in_range(count, 10, 9999);
	hasher_free(other);
	assert_int_equal(answer.count, 0);
	secret_free(password);
	secret_free(hash);
}

static int begin(void **state)
{
	struct error error;

	(void)state;
	loop = loop_new();
	if (secret_heap_init(1 << 20, NULL, &error) != ERR_OK)
		return -1;
	return hasher_new(&hasher, loop_base(loop), &error) == ERR_OK ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	hasher_free(hasher);
	loop_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_too_dear),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
