/*
 * Rows of numbers: counters that stand together.
 *
 * Never knows what is counted.
 */
#ifndef VAULT_TALLY_H
#define VAULT_TALLY_H

#include "vault/store.h"

#define TALLY_SIZE_MAX 16

/* All 0 where there is no such row. */
enum err tally_get(
    struct vault_txn *, enum table, const struct key *, uint64_t *numbers, size_t count) MUST_CHECK;

enum err tally_put(struct vault_txn *, enum table, const struct key *, const uint64_t *numbers,
    size_t count) MUST_CHECK;

/* One more, or one less, of one of the row's numbers; trouble below 0. A row that is all 0 goes. */
enum err tally_more(
    struct vault_txn *, enum table, const struct key *, size_t count, size_t at) MUST_CHECK;
enum err tally_less(
    struct vault_txn *, enum table, const struct key *, size_t count, size_t at) MUST_CHECK;

#endif
