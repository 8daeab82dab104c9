/*
 * What the tests of generating share: rules to try, and what satisfies one, told by looking at a
 * finished string. It shares nothing with the tables that it judges.
 */
#ifndef TESTS_RULE_HELP_H
#define TESTS_RULE_HELP_H

#include "policy/generate.h"

#define LOWER	"abcdefghijklmnopqrstuvwxyz"
#define UPPER	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"
#define SYMBOLS "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

/* A rule that asks for nothing; a set that is NULL is a class that may not be used. */
struct rule_spec spec_of(
    uint32_t length, const char *lower, const char *upper, const char *digit, const char *symbol);
void spec_limit(struct rule_spec *, enum char_class, uint32_t min, uint32_t max);

/* The strictest rule that people write. */
struct rule_spec spec_strong(void);

bool spec_satisfied(const struct rule_spec *, const char *name, const char *text);

struct outcomes {
	char (*texts)[16]; /* in order */
	size_t count;
};

/*
 * All strings of the rule's characters that satisfy it: at most 40000, of at most 15 characters.
 * The caller frees `texts`.
 */
void outcomes_enumerate(struct outcomes *, const struct rule_spec *, const char *name);

/* Where `text` stands; fails the test when it does not. */
size_t outcome_find(const struct outcomes *, const char *text);

/* The generator, or a failed test. */
struct generator *generator_of(const struct rule_spec *);
void assert_bits(const struct rule_spec *, double bits);

#endif
