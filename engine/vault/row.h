/*
 * Rows as MessagePack: the few steps between a table and a struct. What does not parse is the
 * transaction's trouble, so that nothing is decided on half a row.
 */
#ifndef VAULT_ROW_H
#define VAULT_ROW_H

#include "base/buf.h"
#include "base/pack.h"
#include "vault/store.h"

/* The largest row: a host key in full, a record with a long message. */
#define ROW_SIZE_MAX 8192

/* The value points into the map: copy it before the transaction changes. Free with unpack_free. */
enum err row_get(struct vault_txn *, enum table, const struct key *, struct unpack **) MUST_CHECK;
enum err row_parse(
    struct vault_txn *, enum table, const struct bytes *, struct unpack **) MUST_CHECK;

/* Puts what was packed into `row` (made with ROW_SIZE_MAX) and clears it. */
enum err row_put(struct vault_txn *, enum table, const struct key *, struct buf *row) MUST_CHECK;

/* A row that is nothing but its key. */
enum err row_mark(struct vault_txn *, enum table, const struct key *) MUST_CHECK;

/* True when a row's number is one of an enum with `count` values; else trouble. */
bool row_enum(struct vault_txn *, enum table, uint64_t value, int count);

#endif
