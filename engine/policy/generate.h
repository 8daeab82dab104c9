/*
 * Generating: secrets drawn uniformly from all strings that satisfy a rule.
 *
 * Owns the counting (dynamic programming over position, what each class still owes and may still
 * spend, the last run, and how much of the account's name was just spelled) and the exact sampling
 * from it. Never loops until something fits, never reads policy.
 */
#ifndef POLICY_GENERATE_H
#define POLICY_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

enum char_class { CLASS_LOWER, CLASS_UPPER, CLASS_DIGIT, CLASS_SYMBOL, CLASS_COUNT };

#define RULE_LENGTH_MAX 256
#define CLASS_SET_SIZE	128
#define RULE_UNLIMITED	UINT32_MAX

/* How many of a class, and which characters it has (printable ASCII, each once). */
struct class_spec {
	uint32_t min, max; /* max RULE_UNLIMITED = as many as fit; max 0 = none */
	char set[CLASS_SET_SIZE];
};

/* What may stand first or last. */
enum edge { EDGE_ANY, EDGE_LETTER, EDGE_LOWER, EDGE_UPPER, EDGE_DIGIT, EDGE_ALNUM, EDGE_SYMBOL };

struct rule_spec {
	uint32_t length;			/* 1 … RULE_LENGTH_MAX */
	struct class_spec classes[CLASS_COUNT]; /* sets less `exclude` and `ambiguous` */
	enum edge first, last;
	uint32_t longest_run; /* of one and the same character; 0 = no limit */
	bool user_name;	      /* false: the account's name may not appear inside, in any case */
};

struct generator;

/*
 * Counts the strings. ERR_INVALID with the reason in words ("length 8, but lower 4 + digit 4 +
 * symbol 2 ask for 10") when there are none; ERR_LIMIT when the rule is too large to count (more
 * than a few million states).
 */
enum err generator_new(
    struct generator **, const struct rule_spec *, struct error *error) MUST_CHECK;
void generator_free(struct generator *);

/* log2 of the count, without regard to names. */
double generator_bits(const struct generator *);

/*
 * Draws one, exactly uniform over all strings that satisfy the rule and, where user_name is false,
 * do not hold `account`. The tables for an account are kept for the next draw (a few names at
 * most). Errors as rule_generate in policy.h.
 */
enum err generator_draw(
    struct generator *, const char *account, struct secret **out, struct error *error) MUST_CHECK;

#endif
