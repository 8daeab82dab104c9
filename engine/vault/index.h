/*
 * Indices of records: by execution and status, by account, and of the accounts that fail. All
 * follow from the records' rows, and are kept in the transactions that change those.
 */
#ifndef VAULT_INDEX_H
#define VAULT_INDEX_H

#include "vault.h"
#include "vault/key.h"

/* Apart by what they say of an account: so that the last of each is found at once. */
enum stream { STREAM_CHANGE, STREAM_LOOK, STREAM_SKIPPED };
#define STREAM_COUNT 3

/* Of a record that has ended. */
enum stream stream_of(const struct record *);

/* Whether the record's status is one of those that are indexed. */
bool record_is_bad(const struct record *);
/* Whether its account fails by it, where it is the last one. */
bool record_fails(const struct record *);

struct key bad_key(const struct record *);
struct key past_key(const struct record *);

/* The newest one of the record's account in a stream. ERR_NOT_FOUND where there is none. */
enum err past_newest(
    struct vault_txn *, const struct record *of, enum stream, struct record *out) MUST_CHECK;

/* The record by which the account of `record` fails; none where it does not. */
enum err failing_of(struct vault_txn *, const struct record *, struct id *id) MUST_CHECK;
enum err failing_move(struct vault_txn *, const struct id *was, const struct id *is) MUST_CHECK;

/* A record's own rows; NULL = it was not there, or is not any more. */
enum err index_record(
    struct vault_txn *, const struct record *was, const struct record *is) MUST_CHECK;

#endif
