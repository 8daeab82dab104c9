/*
 * Natural numbers of a fixed count of 32-bit limbs, the lowest first: what counting secrets needs,
 * and no more.
 *
 * Owns the arithmetic. Never allocates: numbers lie where their owner put them, so that one that is
 * worth wiping can lie in memory that is wiped.
 */
#ifndef POLICY_NATURAL_H
#define POLICY_NATURAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* sum += number * factor. The caller knows that it fits: sum_len >= number_len and no carry is
 * left. */
void natural_add_product(
    uint32_t *sum, size_t sum_len, const uint32_t *number, size_t number_len, uint32_t factor);

/*
 * Takes `number` from `value` when it is not more, and tells whether it did. number_len <=
 * value_len. The numbers' sizes show in the time it takes.
 */
bool natural_take(uint32_t *value, size_t value_len, const uint32_t *number, size_t number_len);

bool natural_is_zero(const uint32_t *number, size_t len);
size_t natural_bits(const uint32_t *number, size_t len);

/* The logarithm to base 2, right to about 1e-12; -INFINITY for zero. */
double natural_log2(const uint32_t *number, size_t len);

/*
 * Draws `value` (of `len` limbs) uniformly below `limit`, which is not zero. A try fails with a
 * chance of a half at most, so two at most are expected; false after 256 of them, which only a
 * broken source of randomness comes to see.
 */
bool natural_draw_below(uint32_t *value, const uint32_t *limit, size_t len);

#endif
