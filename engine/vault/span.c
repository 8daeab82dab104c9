#include "vault/span.h"

#include "vault/vault_state.h"

/* Where the monotonic clock stands before the beginning, the machine was started since, and the
 * wall clock alone is left. */
uint64_t span_until_ms(
    const struct vault_txn *txn, uint64_t since_ms, uint64_t since_mono_ms, uint64_t length_ms)
{
	uint64_t mono_ms = clock_mono_ms(txn->vault->clock);
	uint64_t by_wall_ms = since_ms + length_ms, by_mono_ms;
	uint64_t passed_ms = mono_ms - since_mono_ms, left_ms = 0;

	if (mono_ms < since_mono_ms)
		return by_wall_ms;
	if (passed_ms < length_ms)
		left_ms = length_ms - passed_ms;
	by_mono_ms = clock_wall_ms(txn->vault->clock) + left_ms;
	return by_mono_ms < by_wall_ms ? by_mono_ms : by_wall_ms;
}
