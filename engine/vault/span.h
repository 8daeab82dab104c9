/* A span of time that is over when either clock says so. */
#ifndef VAULT_SPAN_H
#define VAULT_SPAN_H

#include <stdint.h>

struct vault_txn;

/*
 * When it is over, by the wall clock: as that says, or sooner where the monotonic one does, so that
 * a clock that is set back makes nothing longer.
 */
uint64_t span_until_ms(
    const struct vault_txn *, uint64_t since_ms, uint64_t since_mono_ms, uint64_t length_ms);

#endif
