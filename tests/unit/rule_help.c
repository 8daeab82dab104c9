#include "rule_help.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#define OUTCOMES_MAX 40000

struct rule_spec spec_of(
    uint32_t length, const char *lower, const char *upper, const char *digit, const char *symbol)
{
	const char *const sets[CLASS_COUNT] = {lower, upper, digit, symbol};
	struct rule_spec spec = {.length = length, .user_name = true};

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		spec.classes[cls].max = sets[cls] ? RULE_UNLIMITED : 0;
		strcpy(spec.classes[cls].set, sets[cls] ? sets[cls] : "");
	}
	return spec;
}

void spec_limit(struct rule_spec *spec, enum char_class cls, uint32_t min, uint32_t max)
{
	spec->classes[cls].min = min;
	spec->classes[cls].max = max;
}

struct rule_spec spec_strong(void)
{
	struct rule_spec spec = spec_of(24, LOWER, UPPER, DIGITS, "-_.+=");

	spec_limit(&spec, CLASS_LOWER, 2, RULE_UNLIMITED);
	spec_limit(&spec, CLASS_UPPER, 2, RULE_UNLIMITED);
	spec_limit(&spec, CLASS_DIGIT, 2, RULE_UNLIMITED);
	spec_limit(&spec, CLASS_SYMBOL, 2, 6);
	spec.first = EDGE_LETTER;
	spec.last = EDGE_LETTER;
	spec.longest_run = 2;
	spec.user_name = false;
	return spec;
}

/* The class of a character, or CLASS_COUNT. */
static size_t class_of(const struct rule_spec *spec, char c)
{
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		if (strchr(spec->classes[cls].set, c) != NULL)
			return cls;
	}
	return CLASS_COUNT;
}

static bool edge_is(enum edge edge, size_t cls)
{
	bool letter = cls == CLASS_LOWER || cls == CLASS_UPPER;

	switch (edge) {
	case EDGE_ANY: return true;
	case EDGE_LETTER: return letter;
	case EDGE_LOWER: return cls == CLASS_LOWER;
	case EDGE_UPPER: return cls == CLASS_UPPER;
	case EDGE_DIGIT: return cls == CLASS_DIGIT;
	case EDGE_ALNUM: return letter || cls == CLASS_DIGIT;
	case EDGE_SYMBOL: return cls == CLASS_SYMBOL;
	}
	return false;
}

static bool holds_name(const char *text, const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return false;
	for (; *text != '\0'; text++) {
		if (strncasecmp(text, name, len) == 0)
			return true;
	}
	return false;
}

static uint32_t longest_run(const char *text)
{
	uint32_t longest = 0, run = 0;

	for (size_t i = 0; text[i] != '\0'; i++) {
		run = i > 0 && text[i] == text[i - 1] ? run + 1 : 1;
		if (run > longest)
			longest = run;
	}
	return longest;
}

bool spec_satisfied(const struct rule_spec *spec, const char *name, const char *text)
{
	size_t used[CLASS_COUNT + 1] = {0};

	if (strlen(text) != spec->length)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		used[class_of(spec, *c)]++;
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		if (used[cls] < spec->classes[cls].min || used[cls] > spec->classes[cls].max)
			return false;
	}
	return used[CLASS_COUNT] == 0 && edge_is(spec->first, class_of(spec, text[0])) &&
	       edge_is(spec->last, class_of(spec, text[spec->length - 1])) &&
	       (spec->longest_run == 0 || longest_run(text) <= spec->longest_run) &&
	       (spec->user_name || name == NULL || !holds_name(text, name));
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

void outcomes_enumerate(struct outcomes *outcomes, const struct rule_spec *spec, const char *name)
{
	char alphabet[CLASS_COUNT * CLASS_SET_SIZE] = "", text[16] = "";
	size_t digits[16] = {0}, size, place = 0;

	for (size_t cls = 0; cls < CLASS_COUNT; cls++)
		strcat(alphabet, spec->classes[cls].set);
	size = strlen(alphabet);
	outcomes->texts = calloc(OUTCOMES_MAX, sizeof(*outcomes->texts));
	outcomes->count = 0;
	while (size > 0 && place < spec->length) {
		for (size_t i = 0; i < spec->length; i++)
			text[i] = alphabet[digits[i]];
		if (spec_satisfied(spec, name, text)) {
			assert_true(outcomes->count < OUTCOMES_MAX);
			strcpy(outcomes->texts[outcomes->count++], text);
		}
		for (place = 0; place < spec->length && ++digits[place] == size; place++)
			digits[place] = 0;
	}
	qsort(outcomes->texts, outcomes->count, sizeof(*outcomes->texts), compare_texts);
}

size_t outcome_find(const struct outcomes *outcomes, const char *text)
{
	const char(*found)[16] = bsearch(
	    text, outcomes->texts, outcomes->count, sizeof(*outcomes->texts), compare_texts);

	assert_non_null(found);
	return (size_t)(found - (const char(*)[16])outcomes->texts);
}

struct generator *generator_of(const struct rule_spec *spec)
{
	struct error error = {0};
	struct generator *generator = NULL;
	enum err err = generator_new(&generator, spec, &error);

	if (err != ERR_OK)
		print_error("%s\n", error.text);
	assert_int_equal(err, ERR_OK);
	return generator;
}

void assert_bits(const struct rule_spec *spec, double bits)
{
	struct generator *generator = generator_of(spec);

	if (fabs(generator_bits(generator) - bits) > 1e-9)
		fail_msg("%.12f bits, not %.12f", generator_bits(generator), bits);
	generator_free(generator);
}
