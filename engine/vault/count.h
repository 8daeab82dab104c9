/*
 * What is counted: records by status, overall and in each execution, and by the day that they ended
 * on; executions by outcome and day; accounts by state, and by the day of their secret. Kept in the
 * transactions that change them, so that nobody walks anything to know.
 *
 * Each is told what a row was and what it is: NULL = it was not there, or is not any more.
 */
#ifndef VAULT_COUNT_H
#define VAULT_COUNT_H

#include "vault.h"

/* `execution` none = overall. */
enum err count_get(struct vault_txn *, const struct id *execution, struct counts *) MUST_CHECK;

enum err count_record(
    struct vault_txn *, const struct record *was, const struct record *is) MUST_CHECK;
enum err count_execution(
    struct vault_txn *, const struct execution *was, const struct execution *is) MUST_CHECK;
enum err count_account(
    struct vault_txn *, const struct account *was, const struct account *is) MUST_CHECK;
enum err count_failing(struct vault_txn *, const struct id *was, const struct id *is) MUST_CHECK;

/* The day alone: the rest was counted by older schemas too. */
enum err count_record_day(
    struct vault_txn *, const struct record *was, const struct record *is) MUST_CHECK;

/* The day that a record counts for; false = it has not ended. */
bool day_of_record(const struct record *, uint32_t *number);

#endif
