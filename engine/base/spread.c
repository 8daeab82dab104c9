#include "base/spread.h"

#include <string.h>

/* FNV-1a (draft-eastlake-fnv-17), 64 bits; then the finalizer of MurmurHash3, because FNV's high
 * bits hardly change with the last bytes of a short name. */
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

uint64_t spread_add(uint64_t state, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	state ^= FNV_BASIS;
	for (size_t i = 0; i < len; i++)
		state = (state ^ at[i]) * FNV_PRIME;
	return state ^ FNV_BASIS;
}

uint64_t spread_text(uint64_t state, const char *text)
{
	return spread_add(state, text, strlen(text) + 1);
}

uint64_t spread_number(uint64_t state, uint64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	return spread_add(state, bytes, sizeof(bytes));
}

uint64_t spread_end(uint64_t state)
{
	state ^= state >> 33;
	state *= 0xff51afd7ed558ccdu;
	state ^= state >> 33;
	state *= 0xc4ceb9fe1a85ec53u;
	return state ^ state >> 33;
}
