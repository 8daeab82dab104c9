/*
 * Counting: how many secrets satisfy a rule, and how many of them begin with any given characters.
 *
 * Owns the table of exact counts, by the characters still to come, what each class has used, and
 * the tail, and the drawing from it. Never judges a rule: it takes one that generate.c found
 * consistent.
 */
#ifndef POLICY_COUNT_H
#define POLICY_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/generate.h"

/* The largest table, in bytes. It bounds the time of counting too: well under a second. */
#define TABLE_SIZE_MAX ((size_t)128 << 20)

struct table;

/* The bytes that a table takes; UINT64_MAX where that is beyond reckoning. `name` as for table_new.
 */
uint64_t table_size(const struct rule_spec *, const char *name);

/*
 * Counts the secrets that satisfy the rule and do not hold `name` in any case ("" = none; in lower
 * case, at most as long as the secret). The rule must outlive the table, and its table_size be at
 * most TABLE_SIZE_MAX. NULL when there is no memory.
 */
struct table *table_new(const struct rule_spec *, const char *name);
void table_free(struct table *);

bool table_is_empty(const struct table *);
double table_bits(const struct table *);

/*
 * Writes one of the table's secrets, each with the same chance, to `out`, which has the rule's
 * length. The table is not empty. ERR_FULL without memory, ERR_IO when the source of randomness is
 * broken.
 */
enum err table_draw(const struct table *, char *out, struct error *error) MUST_CHECK;

#endif
