/*
 * Counting secrets: against enumeration for thousands of small rules, against closed forms for
 * large ones.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/count.h"
#include "policy/natural.h"
#include "rule_help.h"

static void arithmetic_carries(void **state)
{
	const uint32_t ones[] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	uint32_t sum[5] = {0};

	(void)state;
	/* 94 (2^96 - 1) + 2^96 - 1 is 94 2^96 + 2^96 - 95. */
	natural_add_product(sum, 5, ones, 3, 94);
	natural_add_product(sum, 5, ones, 3, 1);
	assert_int_equal(sum[0], UINT32_MAX - 94);
	assert_int_equal(sum[1], UINT32_MAX);
	assert_int_equal(sum[3], 94);
	assert_int_equal(natural_bits(sum, 5), 103);
	for (int i = 0; i < 95; i++)
		assert_true(natural_take(sum, 5, ones, 3));
	assert_true(natural_is_zero(sum, 5));
	assert_false(natural_take(sum, 5, ones, 3));
}

/* Tests' own dice, so that random_seed's stream is the generator's alone. */
static uint32_t dice(uint64_t *state, uint32_t sides)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % sides;
}

static struct rule_spec spec_by_dice(uint64_t *state)
{
	static const char *const sets[CLASS_COUNT][3] = {
	    {NULL, "a", "ab"}, {NULL, "A", "AB"}, {NULL, "1", "12"}, {NULL, "-", "xX"}};
	const char *chosen[CLASS_COUNT];
	struct rule_spec spec;

	for (size_t cls = 0; cls < CLASS_COUNT; cls++)
		chosen[cls] = sets[cls][dice(state, 3)];
	spec = spec_of(1 + dice(state, 5), chosen[0], chosen[1], chosen[2], chosen[3]);
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		if (chosen[cls] != NULL && dice(state, 2))
			spec.classes[cls].max = 1 + dice(state, 4);
		if (chosen[cls] != NULL && dice(state, 3) == 0)
			spec.classes[cls].min = dice(state, 3);
	}
	if (dice(state, 3) == 0)
		spec.first = (enum edge)dice(state, EDGE_SYMBOL + 1);
	if (dice(state, 3) == 0)
		spec.last = (enum edge)dice(state, EDGE_SYMBOL + 1);
	spec.longest_run = dice(state, 4);
	return spec;
}

static void counts_equal_enumeration(void **state)
{
	uint64_t rolled = 7;
	size_t possible = 0, impossible = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct rule_spec spec = spec_by_dice(&rolled);
		struct generator *generator = NULL;
		struct outcomes outcomes;
		struct error error = {0};
		enum err err = generator_new(&generator, &spec, &error);

		outcomes_enumerate(&outcomes, &spec, NULL);
		if (outcomes.count == 0) {
			impossible++;
			assert_int_equal(err, ERR_INVALID);
			assert_true(strlen(error.text) > 0);
		} else {
			possible++;
			assert_int_equal(err, ERR_OK);
			assert_int_equal(llround(exp2(generator_bits(generator))), outcomes.count);
		}
		generator_free(generator);
		free(outcomes.texts);
	}
	assert_true(possible > 300 && impossible > 100);
}

static void counts_with_names_equal_enumeration(void **state)
{
	static const char letters[] = "ababx1-";
	uint64_t rolled = 11;
	size_t compared = 0, emptied = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct rule_spec spec = spec_by_dice(&rolled);
		struct generator *generator = NULL;
		struct outcomes outcomes;
		struct table *table;
		char name[5] = "";
		size_t name_len = 1 + dice(&rolled, 4);

		spec.user_name = false;
		for (size_t n = 0; n < name_len; n++)
			name[n] = letters[dice(&rolled, sizeof(letters) - 1)];
		if (name_len > spec.length || generator_new(&generator, &spec, NULL) != ERR_OK)
			continue;
		table = table_new(&spec, name);
		outcomes_enumerate(&outcomes, &spec, name);
		assert_true(table_is_empty(table) == (outcomes.count == 0));
		if (outcomes.count > 0)
			assert_int_equal(llround(exp2(table_bits(table))), outcomes.count);
		else
			emptied++;
		compared++;
		table_free(table);
		free(outcomes.texts);
		generator_free(generator);
	}
	assert_true(compared > 400 && emptied > 20);
}

static void bits_equal_closed_forms(void **state)
{
	struct rule_spec spec = spec_of(10, LOWER, NULL, NULL, NULL);

	(void)state;
	assert_bits(&spec, 10 * log2(26));

	spec = spec_of(RULE_LENGTH_MAX, LOWER, UPPER, DIGITS, SYMBOLS);
	assert_bits(&spec, RULE_LENGTH_MAX * log2(94));

	spec = spec_of(20, LOWER, UPPER, DIGITS, NULL);
	spec.first = EDGE_LETTER;
	assert_bits(&spec, log2(52) + 19 * log2(62));
	spec.last = EDGE_DIGIT;
	assert_bits(&spec, log2(52) + 18 * log2(62) + log2(10));

	spec = spec_of(30, LOWER, UPPER, NULL, NULL);
	spec.longest_run = 1;
	assert_bits(&spec, log2(52) + 29 * log2(51));

	/* Where the digits stand, which they are, and the letters around them. */
	spec = spec_of(12, LOWER, NULL, DIGITS, NULL);
	spec_limit(&spec, CLASS_DIGIT, 3, 3);
	assert_bits(&spec, log2(220) + 3 * log2(10) + 9 * log2(26));

	/* At least one digit: all, without those that have none. */
	spec_limit(&spec, CLASS_DIGIT, 1, RULE_UNLIMITED);
	assert_bits(&spec, log2(pow(36, 12) - pow(26, 12)));

	spec = spec_of(1, "x", NULL, NULL, NULL);
	assert_bits(&spec, 0);
}

/* Runs and names cost only rules that speak of them. */
static void plain_rules_take_small_tables(void **state)
{
	struct rule_spec spec = spec_strong();
	uint64_t plain, with_runs;

	(void)state;
	spec.longest_run = 0;
	plain = table_size(&spec, "");
	spec.longest_run = 2;
	with_runs = table_size(&spec, "");
	assert_int_equal(with_runs, plain * 9);
	assert_true(table_size(&spec, "postgres") > with_runs);
	spec.longest_run = spec.length;
	assert_int_equal(table_size(&spec, ""), plain);

	/* A max that what the others ask for allows anyhow is none. */
	spec_limit(&spec, CLASS_DIGIT, 2, 18);
	assert_int_equal(table_size(&spec, ""), plain);
	spec_limit(&spec, CLASS_DIGIT, 2, 17);
	assert_true(table_size(&spec, "") > plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arithmetic_carries),
	    cmocka_unit_test(counts_equal_enumeration),
	    cmocka_unit_test(counts_with_names_equal_enumeration),
	    cmocka_unit_test(bits_equal_closed_forms),
	    cmocka_unit_test(plain_rules_take_small_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
