/*
 * What the counters and the indices should hold, by walking everything. For tests and the
 * simulator: nothing else may take as long as there is much.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vault/count.h"
#include "vault/index.h"
#include "vault/notice.h"
#include "vault/row.h"

struct recount {
	struct vault_txn *txn;
	struct totals totals;
	struct day *days; /* in order */
	size_t day_count, day_room;
	size_t bad, past, failing; /* rows that there should be */
	const char *differs;	   /* NULL = nothing, until now */
};

static bool differs(struct recount *recount, const char *what)
{
	if (recount->differs == NULL)
		recount->differs = what;
	return false;
}

/* ── Days ────────────────────────────────────────────────────────────────────────────────── */

static struct day *day_insert(struct recount *recount, size_t at, uint32_t number)
{
	if (recount->day_count == recount->day_room) {
		recount->day_room = recount->day_room * 2 + 64;
		recount->days = xrealloc(recount->days, recount->day_room * sizeof(*recount->days));
	}
	memmove(&recount->days[at + 1], &recount->days[at],
	    (recount->day_count - at) * sizeof(*recount->days));
	recount->days[at] = (struct day){.number = number};
	recount->day_count++;
	return &recount->days[at];
}

static struct day *day_at(struct recount *recount, uint32_t number)
{
	size_t low = 0, high = recount->day_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (recount->days[middle].number == number)
			return &recount->days[middle];
		if (recount->days[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return day_insert(recount, low, number);
}

struct comparing {
	struct recount *recount;
	size_t at;
};

static bool compare_day(void *arg, const struct day *day)
{
	struct comparing *comparing = arg;
	struct recount *recount = comparing->recount;

	if (comparing->at == recount->day_count ||
	    memcmp(day, &recount->days[comparing->at], sizeof(*day)) != 0)
		return differs(recount, "a day's counts");
	comparing->at++;
	return true;
}

static void compare_days(struct recount *recount)
{
	struct comparing comparing = {.recount = recount};

	day_each(recount->txn, 0, compare_day, &comparing);
	if (comparing.at != recount->day_count)
		differs(recount, "a day's counts");
}

/* ── What is counted ─────────────────────────────────────────────────────────────────────── */

static bool recount_account(void *arg, const struct account *account)
{
	struct recount *recount = arg;

	recount->totals.accounts[account_state(account)]++;
	if (account->current != 0)
		day_at(recount, day_number(account->changed_ms))->secrets++;
	return true;
}

static bool has_row(struct recount *recount, enum table table, const struct key *key)
{
	struct bytes row;

	return store_get(recount->txn, table, key, &row) == ERR_OK;
}

/* Each account once: by the last record of each of its streams, the first stream that it has. */
static bool is_last_of_account(struct recount *recount, const struct record *record)
{
	struct record newest;

	for (int stream = 0; stream < STREAM_COUNT; stream++)
		if (past_newest(recount->txn, record, (enum stream)stream, &newest) == ERR_OK)
			return id_equal(&newest.id, &record->id);
	return false;
}

static bool recount_failing(struct recount *recount, const struct record *record)
{
	struct id id;
	struct key key;

	if (!is_last_of_account(recount, record))
		return true;
	if (failing_of(recount->txn, record, &id) != ERR_OK)
		return differs(recount, "an account's last record");
	if (id_is_none(&id))
		return true;
	recount->failing++;
	key = key_of_id(&id);
	return has_row(recount, TABLE_FAILING, &key) ||
	       differs(recount, "the index of failing accounts");
}

static bool recount_ended(struct recount *recount, const struct record *record)
{
	struct key bad = bad_key(record), past = past_key(record);
	uint32_t number;

	if (!day_of_record(record, &number))
		return true;
	day_at(recount, number)->records.by_status[record->status]++;
	recount->past++;
	if (!has_row(recount, TABLE_PAST, &past))
		return differs(recount, "the index of records by account");
	if (record_is_bad(record)) {
		recount->bad++;
		if (!has_row(recount, TABLE_BAD, &bad))
			return differs(recount, "the index of records by status");
	}
	return recount_failing(recount, record);
}

static bool recount_record(void *arg, const struct record *record)
{
	struct recount *recount = arg;

	recount->totals.records.by_status[record->status]++;
	return recount_ended(recount, record);
}

static bool recount_member(void *arg, const struct record *record)
{
	((struct counts *)arg)->by_status[record->status]++;
	return true;
}

static bool recount_execution(void *arg, const struct execution *execution)
{
	struct recount *recount = arg;
	const struct id first = {{0}};
	struct execution walked = *execution;

	walked.counts = (struct counts){{0}};
	record_each(recount->txn, &execution->id, &first, recount_member, &walked.counts);
	if (memcmp(&walked.counts, &execution->counts, sizeof(walked.counts)) != 0)
		return differs(recount, "an execution's counts");
	day_at(recount, day_number(execution->started_ms))
	    ->executions[execution_outcome(execution)]++;
	return true;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static size_t rows_of(struct vault_txn *txn, enum table table)
{
	struct key key = {.len = 0};
	struct bytes row;
	size_t rows = 0;

	key_add(&key, "", 1);
	while (store_step(txn, table, rows == 0 ? STEP_AT : STEP_UP, &key, &row) == ERR_OK)
		rows++;
	return rows;
}

static bool recount_notice(void *arg, const struct notice *notice)
{
	struct notice_counts *counts = arg;

	counts->waiting += notice->given_up_ms == 0;
	counts->given_up += notice->given_up_ms != 0;
	return true;
}

static void compare_notices(struct recount *recount)
{
	struct notice_counts kept, walked = {.waiting = 0};
	const struct id first = {{0}};

	notice_count(recount->txn, &kept);
	notice_each(recount->txn, &first, recount_notice, &walked);
	if (kept.waiting != walked.waiting || kept.given_up != walked.given_up)
		differs(recount, "the notices");
}

static void compare_indices(struct recount *recount)
{
	if (rows_of(recount->txn, TABLE_BAD) != recount->bad)
		differs(recount, "the index of records by status");
	if (rows_of(recount->txn, TABLE_PAST) != recount->past)
		differs(recount, "the index of records by account");
	if (rows_of(recount->txn, TABLE_FAILING) != recount->failing)
		differs(recount, "the index of failing accounts");
}

enum err vault_recount(struct vault_txn *txn, struct error *error)
{
	const struct id none = {{0}};
	struct recount recount = {.txn = txn};
	struct totals kept;

	account_each(txn, NULL, recount_account, &recount);
	execution_each(txn, &none, recount_execution, &recount);
	record_each(txn, &none, &none, recount_record, &recount);
	recount.totals.failing = recount.failing;
	vault_totals(txn, &kept);
	if (memcmp(&kept, &recount.totals, sizeof(kept)) != 0)
		differs(&recount, "the totals");
	compare_days(&recount);
	compare_notices(&recount);
	compare_indices(&recount);
	free(recount.days);
	if (recount.differs == NULL)
		return ERR_OK;
	return error_set(error, ERR_CORRUPT, "%s: not what a walk finds", recount.differs);
}
