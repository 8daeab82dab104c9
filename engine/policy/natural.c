#include "policy/natural.h"

#include <math.h>

#include "base/random.h"

#define LIMB_BITS      32
#define DRAW_TRIES_MAX 256

void natural_add_product(
    uint32_t *sum, size_t sum_len, const uint32_t *number, size_t number_len, uint32_t factor)
{
	uint64_t carry = 0;
	size_t i;

	/* (2^32 - 1)^2 + 2 (2^32 - 1) is 2^64 - 1: the step below cannot overflow. */
	for (i = 0; i < number_len; i++) {
		carry += (uint64_t)number[i] * factor + sum[i];
		sum[i] = (uint32_t)carry;
		carry >>= LIMB_BITS;
	}
	for (; carry != 0 && i < sum_len; i++) {
		carry += sum[i];
		sum[i] = (uint32_t)carry;
		carry >>= LIMB_BITS;
	}
}

static size_t significant(const uint32_t *number, size_t len)
{
	while (len > 0 && number[len - 1] == 0)
		len--;
	return len;
}

static bool is_less(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len)
{
	a_len = significant(a, a_len);
	b_len = significant(b, b_len);
	if (a_len != b_len)
		return a_len < b_len;
	for (size_t i = a_len; i > 0; i--) {
		if (a[i - 1] != b[i - 1])
			return a[i - 1] < b[i - 1];
	}
	return false;
}

bool natural_take(uint32_t *value, size_t value_len, const uint32_t *number, size_t number_len)
{
	uint64_t borrow = 0;

	if (is_less(value, value_len, number, number_len))
		return false;
	for (size_t i = 0; i < value_len && (i < number_len || borrow != 0); i++) {
		uint64_t taken = borrow + (i < number_len ? number[i] : 0);

		borrow = value[i] < taken;
		value[i] = (uint32_t)(value[i] - taken);
	}
	return true;
}

bool natural_is_zero(const uint32_t *number, size_t len)
{
	return significant(number, len) == 0;
}

size_t natural_bits(const uint32_t *number, size_t len)
{
	size_t bits;

	len = significant(number, len);
	if (len == 0)
		return 0;
	bits = (len - 1) * LIMB_BITS;
	for (uint32_t top = number[len - 1]; top != 0; top >>= 1)
		bits++;
	return bits;
}

double natural_log2(const uint32_t *number, size_t len)
{
	double leading = 0;
	size_t i;

	/* Three limbs hold at least 65 significant bits, more than a double does. */
	len = significant(number, len);
	for (i = len; i > 0 && len - i < 3; i--)
		leading = ldexp(leading, LIMB_BITS) + number[i - 1];
	return log2(leading) + (double)(i * LIMB_BITS);
}

bool natural_draw_below(uint32_t *value, const uint32_t *limit, size_t len)
{
	size_t bits = natural_bits(limit, len);
	size_t used = (bits + LIMB_BITS - 1) / LIMB_BITS;
	uint32_t top_mask = UINT32_MAX >> (used * LIMB_BITS - bits);

	for (size_t i = used; i < len; i++)
		value[i] = 0;
	for (int tries = 0; tries < DRAW_TRIES_MAX; tries++) {
		random_bytes(value, used * sizeof(*value));
		value[used - 1] &= top_mask;
		if (is_less(value, used, limit, used))
			return true;
	}
	return false;
}
