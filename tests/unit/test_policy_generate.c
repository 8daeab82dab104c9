/*
 * Generating secrets: each draw satisfies its rule, all draws are equally likely, and what cannot
 * be is told.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "policy/count.h"
#include "policy/generate.h"
#include "rule_help.h"

/* ── Drawing ─────────────────────────────────────────────────────────────────────────────── */

/* A copy that a test may look at. */
static void draw(struct generator *generator, const char *name, char *text)
{
	struct error error = {0};
	struct secret *secret = NULL;

	assert_int_equal(generator_draw(generator, name, &secret, &error), ERR_OK);
	memcpy(text, secret_data(secret), secret_len(secret) + 1);
	assert_int_equal(strlen(text), secret_len(secret));
	secret_free(secret);
}

static void assert_draws_satisfy(const struct rule_spec *spec, const char *name, int draws)
{
	struct generator *generator = generator_of(spec);
	char text[RULE_LENGTH_MAX + 1];

	for (int i = 0; i < draws; i++) {
		draw(generator, name, text);
		if (!spec_satisfied(spec, name, text))
			fail_msg("drew %s, with the name %s", text, name ? name : "(none)");
	}
	generator_free(generator);
}

static void assert_invalid(const struct rule_spec *spec, const char *text)
{
	struct error error = {0};
	struct generator *generator = NULL;

	assert_int_equal(generator_new(&generator, spec, &error), ERR_INVALID);
	assert_null(generator);
	assert_string_equal(error.text, text);
}

static void bits_do_not_regard_names(void **state)
{
	struct rule_spec spec = spec_of(8, LOWER, NULL, NULL, NULL);
	struct generator *generator;
	char text[9];

	(void)state;
	spec.user_name = false;
	generator = generator_of(&spec);
	draw(generator, "app", text);
	assert_true(fabs(generator_bits(generator) - 8 * log2(26)) < 1e-9);
	generator_free(generator);
}

/* ── Drawing uniformly ───────────────────────────────────────────────────────────────────── */

/*
 * Chi square over all that satisfies the rule, in standard deviations from its mean: with a fair
 * draw within 5, and the seed makes it the same each time.
 */
static void assert_uniform(const struct rule_spec *spec, const char *name)
{
	struct generator *generator = generator_of(spec);
	struct outcomes outcomes;
	/* Valgrind is slow and looks for other things. */
	size_t *seen, expected = getenv("VALGRIND") != NULL ? 5 : 100;
	char text[RULE_LENGTH_MAX + 1];
	double square = 0, freedom;

	outcomes_enumerate(&outcomes, spec, name);
	assert_true(outcomes.count >= 20);
	seen = calloc(outcomes.count, sizeof(*seen));
	for (size_t i = 0; i < outcomes.count * expected; i++) {
		draw(generator, name, text);
		seen[outcome_find(&outcomes, text)]++;
	}
	for (size_t i = 0; i < outcomes.count; i++) {
		double off = (double)seen[i] - (double)expected;

		square += off * off / (double)expected;
	}
	freedom = (double)(outcomes.count - 1);
	if (fabs(square - freedom) / sqrt(2 * freedom) > 5)
		fail_msg("chi square %.1f with %.0f degrees of freedom", square, freedom);
	free(seen);
	free(outcomes.texts);
	generator_free(generator);
}

static void draws_are_uniform(void **state)
{
	struct rule_spec spec = spec_of(3, "abc", NULL, "123", NULL);

	(void)state;
	random_seed(1);
	assert_uniform(&spec, NULL);
	spec.longest_run = 1;
	assert_uniform(&spec, NULL);

	spec = spec_of(4, "ab", "AB", "1", "-");
	spec_limit(&spec, CLASS_LOWER, 1, 2);
	spec_limit(&spec, CLASS_DIGIT, 0, 1);
	spec.longest_run = 2;
	spec.last = EDGE_ALNUM;
	assert_uniform(&spec, NULL);
	spec.user_name = false;
	assert_uniform(&spec, "ab");
	assert_uniform(&spec, "a");
	assert_uniform(&spec, "aa");
	spec.longest_run = 0;
	assert_uniform(&spec, "aba");
	random_unseed();
}

static void draws_reach_every_secret_of_large_sets(void **state)
{
	struct rule_spec spec = spec_of(2, LOWER, UPPER, NULL, NULL);

	(void)state;
	random_seed(2);
	spec.longest_run = 1;
	spec.user_name = false;
	assert_uniform(&spec, "no");
	random_unseed();
}

/* ── Each constraint ─────────────────────────────────────────────────────────────────────── */

static void draws_satisfy_each_constraint(void **state)
{
	struct rule_spec plain = spec_of(16, LOWER, UPPER, DIGITS, SYMBOLS), spec;

	(void)state;
	random_seed(3);
	assert_draws_satisfy(&plain, "app", 200);
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		spec = plain;
		spec_limit(&spec, (enum char_class)cls, 9, 11);
		assert_draws_satisfy(&spec, "app", 200);
		spec_limit(&spec, (enum char_class)cls, 0, 0);
		assert_draws_satisfy(&spec, "app", 200);
	}
	for (int edge = EDGE_ANY; edge <= EDGE_SYMBOL; edge++) {
		spec = plain;
		spec.first = (enum edge)edge;
		assert_draws_satisfy(&spec, "app", 200);
		spec.first = EDGE_ANY;
		spec.last = (enum edge)edge;
		assert_draws_satisfy(&spec, "app", 200);
	}
	for (uint32_t run = 1; run < 4; run++) {
		spec = spec_of(60, "xy", NULL, "1", NULL);
		spec.longest_run = run;
		assert_draws_satisfy(&spec, "app", 200);
	}
	random_unseed();
}

static void draws_satisfy_all_constraints_at_once(void **state)
{
	static const char *const names[] = {
	    "postgres", "Administrator", "a", "ii", "x1", "root", "svc-web.1", ""};
	struct rule_spec spec = spec_strong();

	(void)state;
	random_seed(4);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_draws_satisfy(&spec, names[i], 300);
	assert_draws_satisfy(&spec, NULL, 300);
	random_unseed();
}

static void longest_secrets_are_drawn(void **state)
{
	struct rule_spec spec = spec_of(RULE_LENGTH_MAX, LOWER, UPPER, DIGITS, SYMBOLS);

	(void)state;
	random_seed(5);
	spec_limit(&spec, CLASS_SYMBOL, 2, 6);
	spec.longest_run = 2;
	spec.user_name = false;
	assert_draws_satisfy(&spec, "app", 20);
	spec.classes[CLASS_LOWER].set[2] = '\0';
	spec_limit(&spec, CLASS_LOWER, 150, RULE_UNLIMITED);
	spec_limit(&spec, CLASS_SYMBOL, 0, RULE_UNLIMITED);
	spec.user_name = true;
	assert_draws_satisfy(&spec, NULL, 20);
	random_unseed();
}

static void only_secret_is_drawn(void **state)
{
	struct rule_spec spec = spec_of(4, "a", NULL, "7", NULL);
	struct generator *generator;
	char text[5];

	(void)state;
	spec.longest_run = 1;
	spec.first = EDGE_DIGIT;
	generator = generator_of(&spec);
	draw(generator, "app", text);
	assert_string_equal(text, "7a7a");
	assert_true(generator_bits(generator) == 0);
	generator_free(generator);
}

static void fresh_draws_differ(void **state)
{
	struct rule_spec spec = spec_strong();
	struct generator *generator = generator_of(&spec);
	char one[RULE_LENGTH_MAX + 1], other[RULE_LENGTH_MAX + 1];

	(void)state;
	draw(generator, "app", one);
	draw(generator, "app", other);
	assert_string_not_equal(one, other);
	generator_free(generator);
}

/* ── Names ───────────────────────────────────────────────────────────────────────────────── */

static void names_are_excluded_in_any_case(void **state)
{
	struct rule_spec spec = spec_of(10, "abc", "ABC", NULL, NULL);

	(void)state;
	random_seed(6);
	spec.user_name = false;
	assert_draws_satisfy(&spec, "a", 500);
	assert_draws_satisfy(&spec, "B", 500);
	assert_draws_satisfy(&spec, "aa", 500);
	assert_draws_satisfy(&spec, "aBaB", 500);
	assert_draws_satisfy(&spec, "abcabca", 500);
	spec = spec_of(10, NULL, "ABC", NULL, NULL);
	spec.user_name = false;
	assert_draws_satisfy(&spec, "ab", 500);
	random_unseed();
}

/* Names that no secret can hold cost nothing and change nothing: the same stream gives the same
 * secrets. */
static void names_that_cannot_occur_are_nothing(void **state)
{
	static const char *const names[] = {"", "abcabcabcab", "a_b", "\xc3\xa9"};
	struct rule_spec spec = spec_of(10, "abc", "ABC", NULL, NULL);
	struct generator *generator;
	char wanted[11], text[11], endless[4 * RULE_LENGTH_MAX] = "";

	(void)state;
	spec.user_name = false;
	generator = generator_of(&spec);
	memset(endless, 'a', sizeof(endless) - 1);
	random_seed(7);
	draw(generator, endless, text);
	random_seed(7);
	draw(generator, NULL, wanted);
	assert_string_equal(text, wanted);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		random_seed(7);
		draw(generator, names[i], text);
		assert_string_equal(text, wanted);
	}
	random_unseed();
	generator_free(generator);
}

static void names_do_not_matter_when_allowed(void **state)
{
	struct rule_spec spec = spec_of(3, "a", NULL, NULL, NULL);
	struct generator *generator = generator_of(&spec);
	char text[4];

	(void)state;
	draw(generator, "a", text);
	assert_string_equal(text, "aaa");
	generator_free(generator);
}

static void names_that_leave_nothing_are_refused(void **state)
{
	struct rule_spec spec = spec_of(3, "a", NULL, NULL, NULL);
	struct secret *secret = NULL;
	struct generator *generator;
	struct error error = {0};
	char text[4];

	(void)state;
	spec.user_name = false;
	generator = generator_of(&spec);
	assert_int_equal(generator_draw(generator, "AA", &secret, &error), ERR_INVALID);
	assert_null(secret);
	assert_string_equal(error.text, "user_name = false: each secret that satisfies the rule "
					"holds the account's name \"AA\"");
	draw(generator, "b", text);
	assert_string_equal(text, "aaa");
	generator_free(generator);
}

/* More names than are kept, each twice: the right table must serve each. */
static void many_names_take_turns(void **state)
{
	struct rule_spec spec = spec_of(6, "ab", NULL, "0123", NULL);
	struct generator *generator;
	char text[7];

	(void)state;
	random_seed(8);
	spec.user_name = false;
	generator = generator_of(&spec);
	for (unsigned int i = 0; i < 3000; i++) {
		char name[3] = {"ab"[i % 2], (char)('0' + i * 7 % 64 % 4), '\0'};
		char longer[4] = {name[0], name[1], (char)('0' + i / 5 % 4), '\0'};

		draw(generator, i % 3 ? longer : name, text);
		assert_true(spec_satisfied(&spec, i % 3 ? longer : name, text));
	}
	random_unseed();
	generator_free(generator);
}

/* ── What is refused ─────────────────────────────────────────────────────────────────────── */

static void impossible_sums_are_told(void **state)
{
	struct rule_spec spec = spec_of(8, LOWER, NULL, DIGITS, SYMBOLS);

	(void)state;
	spec_limit(&spec, CLASS_LOWER, 4, RULE_UNLIMITED);
	spec_limit(&spec, CLASS_DIGIT, 4, 4);
	spec_limit(&spec, CLASS_SYMBOL, 2, 6);
	assert_invalid(&spec, "length 8, but lower 4 + digit 4 + symbol 2 ask for 10");

	spec_limit(&spec, CLASS_LOWER, 0, 2);
	spec_limit(&spec, CLASS_DIGIT, 0, 3);
	spec_limit(&spec, CLASS_SYMBOL, 0, 0);
	assert_invalid(&spec, "length 8, but lower 2 + digit 3 allow only 5");

	spec_limit(&spec, CLASS_LOWER, RULE_UNLIMITED, RULE_UNLIMITED);
	assert_invalid(&spec, "length 8, but lower 4294967295 ask for 4294967295");
}

static void impossible_classes_are_told(void **state)
{
	struct rule_spec spec = spec_of(8, LOWER, NULL, "", NULL);

	(void)state;
	spec_limit(&spec, CLASS_DIGIT, 2, RULE_UNLIMITED);
	assert_invalid(
	    &spec, "digit asks for 2, but after what is excluded it has no character left");
	spec_limit(&spec, CLASS_DIGIT, 3, 1);
	assert_invalid(&spec, "digit asks for at least 3, but for at most 1");

	spec = spec_of(8, "", NULL, NULL, NULL);
	assert_invalid(&spec, "no class has a character that may be used");
}

static void impossible_edges_and_runs_are_told(void **state)
{
	struct rule_spec spec = spec_of(4, LOWER, NULL, DIGITS, NULL);

	(void)state;
	spec_limit(&spec, CLASS_LOWER, 4, 4);
	spec.first = EDGE_DIGIT;
	assert_invalid(
	    &spec, "length 4, lower 4: first = \"digit\" leaves nothing that satisfies the rule");
	spec.last = EDGE_DIGIT;
	assert_invalid(&spec,
	    "length 4, lower 4: first = \"digit\", last = \"digit\" and longest_run 0 leave "
	    "nothing that satisfies the rule");
	spec.first = EDGE_ANY;
	assert_invalid(
	    &spec, "length 4, lower 4: last = \"digit\" leaves nothing that satisfies the rule");

	spec = spec_of(4, "x", NULL, NULL, NULL);
	spec.longest_run = 3;
	assert_invalid(&spec, "length 4, longest_run 3 leaves nothing that satisfies the rule");
}

static void malformed_rules_are_refused(void **state)
{
	struct rule_spec spec = spec_of(0, LOWER, NULL, NULL, NULL);

	(void)state;
	assert_invalid(&spec, "length 0: a secret has 1 to 256 characters");
	spec.length = RULE_LENGTH_MAX + 1;
	assert_invalid(&spec, "length 257: a secret has 1 to 256 characters");

	spec = spec_of(8, LOWER, NULL, NULL, "-+-");
	assert_invalid(&spec, "the character '-' is in symbol and again in symbol");
	spec = spec_of(8, LOWER, NULL, NULL, "-a");
	assert_invalid(&spec, "the character 'a' is in lower and again in symbol");
	spec = spec_of(8, LOWER, NULL, NULL, "-\n");
	assert_invalid(&spec, "symbol: byte 0x0a is not a printable ASCII character");
	spec_limit(&spec, CLASS_SYMBOL, 0, 0);
	assert_bits(&spec, 8 * log2(26));
}

static void too_large_rules_are_refused(void **state)
{
	struct rule_spec spec = spec_of(RULE_LENGTH_MAX, LOWER, UPPER, DIGITS, SYMBOLS);
	struct generator *generator = NULL;
	struct error error = {0};

	(void)state;
	for (size_t cls = 0; cls < CLASS_COUNT; cls++)
		spec_limit(&spec, (enum char_class)cls, 30, 100 + (uint32_t)cls);
	assert_int_equal(generator_new(&generator, &spec, &error), ERR_LIMIT);
	assert_null(generator);
	assert_string_equal(error.text,
	    "this rule would take more than 128 MB to count; relax some of: length 256, lower max "
	    "100, upper max 101, digit max 102, symbol max 103");

	/* Refused when the rule loads, not when the first name is met. */
	spec = spec_strong();
	spec.length = RULE_LENGTH_MAX;
	assert_int_equal(generator_new(&generator, &spec, &error), ERR_LIMIT);
	assert_non_null(strstr(error.text,
	    "lower min 2, upper min 2, digit min 2, symbol max 6, longest_run 2, "
	    "user_name = false"));
	spec.user_name = true;
	assert_int_equal(generator_new(&generator, &spec, &error), ERR_OK);
	generator_free(generator);

	/* The names that are reckoned with are such as its characters allow. */
	spec = spec_of(RULE_LENGTH_MAX, "xy", NULL, "1", NULL);
	spec_limit(&spec, CLASS_LOWER, 150, RULE_UNLIMITED);
	spec.longest_run = 2;
	assert_true(table_size(&spec, "") < TABLE_SIZE_MAX / 4);
	spec.user_name = false;
	assert_int_equal(generator_new(&generator, &spec, &error), ERR_LIMIT);
}

static void full_heap_is_told(void **state)
{
	struct rule_spec spec = spec_of(RULE_LENGTH_MAX, LOWER, NULL, NULL, NULL);
	struct generator *generator = generator_of(&spec);
	struct secret *secrets[4096];
	struct error error = {0};
	size_t count = 0;
	enum err err = ERR_OK;

	(void)state;
	while (err == ERR_OK && count < 4096) {
		err = generator_draw(generator, "app", &secrets[count], &error);
		count += err == ERR_OK;
	}
	assert_int_equal(err, ERR_FULL);
	assert_null(secrets[count]);
	while (count > 0)
		secret_free(secrets[--count]);
	generator_free(generator);
}

static int heap_setup(void **state)
{
	struct error error;
	bool locked;

	(void)state;
	return secret_heap_init((size_t)256 << 10, &locked, &error) == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bits_do_not_regard_names),
	    cmocka_unit_test(draws_are_uniform),
	    cmocka_unit_test(draws_reach_every_secret_of_large_sets),
	    cmocka_unit_test(draws_satisfy_each_constraint),
	    cmocka_unit_test(draws_satisfy_all_constraints_at_once),
	    cmocka_unit_test(longest_secrets_are_drawn),
	    cmocka_unit_test(only_secret_is_drawn),
	    cmocka_unit_test(fresh_draws_differ),
	    cmocka_unit_test(names_are_excluded_in_any_case),
	    cmocka_unit_test(names_that_cannot_occur_are_nothing),
	    cmocka_unit_test(names_do_not_matter_when_allowed),
	    cmocka_unit_test(names_that_leave_nothing_are_refused),
	    cmocka_unit_test(many_names_take_turns),
	    cmocka_unit_test(impossible_sums_are_told),
	    cmocka_unit_test(impossible_classes_are_told),
	    cmocka_unit_test(impossible_edges_and_runs_are_told),
	    cmocka_unit_test(malformed_rules_are_refused),
	    cmocka_unit_test(too_large_rules_are_refused),
	    cmocka_unit_test(full_heap_is_told),
	};

	return cmocka_run_group_tests(tests, heap_setup, NULL);
}
