#include "vault/count.h"

#include "vault/tally.h"

#define DAY_MS 86400000ULL

static const struct id overall;

/* The numbers of a day, in their order. */
enum day_slot {
	DAY_RECORDS = 0,
	DAY_EXECUTIONS = DAY_RECORDS + STATUS_COUNT,
	DAY_SECRETS = DAY_EXECUTIONS + OUTCOME_COUNT,
	DAY_SLOTS = DAY_SECRETS + 1
};
_Static_assert(DAY_SLOTS <= TALLY_SIZE_MAX, "a day's numbers fit a row of them");

static struct key accounts_key(void)
{
	return key_of_word("accounts");
}

static struct key failing_key(void)
{
	return key_of_word("failing");
}

/* ── Days ────────────────────────────────────────────────────────────────────────────────── */

uint32_t day_number(uint64_t at_ms)
{
	uint64_t number = at_ms / DAY_MS;

	return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

bool day_of_record(const struct record *record, uint32_t *number)
{
	*number = day_number(record->ended_ms);
	return record->status >= STATUS_SUCCESS;
}

static struct key day_key(uint32_t number)
{
	struct key key = {.len = 0};

	key_add_u32(&key, number);
	return key;
}

static enum err day_more(struct vault_txn *txn, uint32_t number, size_t slot)
{
	struct key key = day_key(number);

	return tally_more(txn, TABLE_DAY, &key, DAY_SLOTS, slot);
}

static enum err day_less(struct vault_txn *txn, uint32_t number, size_t slot)
{
	struct key key = day_key(number);

	return tally_less(txn, TABLE_DAY, &key, DAY_SLOTS, slot);
}

static enum err day_read(
    struct vault_txn *txn, const struct key *key, uint32_t number, struct day *day)
{
	uint64_t slots[DAY_SLOTS];
	enum err err = tally_get(txn, TABLE_DAY, key, slots, DAY_SLOTS);

	*day = (struct day){.number = number};
	for (size_t i = 0; i < STATUS_COUNT; i++)
		day->records.by_status[i] = slots[DAY_RECORDS + i];
	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		day->executions[i] = slots[DAY_EXECUTIONS + i];
	day->secrets = slots[DAY_SECRETS];
	return err;
}

void day_each(
    struct vault_txn *txn, uint32_t first, bool (*fn)(void *arg, const struct day *), void *arg)
{
	struct key key = day_key(first);
	enum step step = STEP_AT;
	struct bytes row;
	struct day day;

	while (store_step(txn, TABLE_DAY, step, &key, &row) == ERR_OK) {
		const uint8_t *b = key.bytes;
		uint32_t number =
		    (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];

		if (day_read(txn, &key, number, &day) != ERR_OK || !fn(arg, &day))
			return;
		step = STEP_UP;
	}
}

/* ── Records ─────────────────────────────────────────────────────────────────────────────── */

enum err count_get(struct vault_txn *txn, const struct id *execution, struct counts *counts)
{
	struct key key = key_of_id(execution);

	return tally_get(txn, TABLE_COUNT, &key, counts->by_status, STATUS_COUNT);
}

static enum err count_status(struct vault_txn *txn, const struct id *execution,
    const struct record *was, const struct record *is)
{
	struct key key = key_of_id(execution);
	enum err err = ERR_OK;

	if (was != NULL)
		err = tally_less(txn, TABLE_COUNT, &key, STATUS_COUNT, was->status);
	if (err == ERR_OK && is != NULL)
		err = tally_more(txn, TABLE_COUNT, &key, STATUS_COUNT, is->status);
	return err;
}

enum err count_record_day(struct vault_txn *txn, const struct record *was, const struct record *is)
{
	enum err err = ERR_OK;
	uint32_t number;

	if (was != NULL && day_of_record(was, &number))
		err = day_less(txn, number, DAY_RECORDS + was->status);
	if (err == ERR_OK && is != NULL && day_of_record(is, &number))
		err = day_more(txn, number, DAY_RECORDS + is->status);
	return err;
}

enum err count_record(struct vault_txn *txn, const struct record *was, const struct record *is)
{
	const struct id *execution = is != NULL ? &is->execution : &was->execution;
	struct execution before, after;
	enum err err;

	if (was != NULL && is != NULL && was->status == is->status && was->ended_ms == is->ended_ms)
		return ERR_OK;
	err = execution_get(txn, execution, &before);
	if (err == ERR_OK)
		err = count_status(txn, execution, was, is);
	if (err == ERR_OK)
		err = count_status(txn, &overall, was, is);
	if (err == ERR_OK)
		err = count_record_day(txn, was, is);
	if (err == ERR_OK)
		err = execution_get(txn, execution, &after);
	return err == ERR_OK ? count_execution(txn, &before, &after) : err;
}

/* ── The rest ────────────────────────────────────────────────────────────────────────────── */

enum err count_execution(
    struct vault_txn *txn, const struct execution *was, const struct execution *is)
{
	enum err err = ERR_OK;

	if (was != NULL && is != NULL && was->started_ms == is->started_ms &&
	    execution_outcome(was) == execution_outcome(is))
		return ERR_OK;
	if (was != NULL)
		err = day_less(
		    txn, day_number(was->started_ms), DAY_EXECUTIONS + execution_outcome(was));
	if (err == ERR_OK && is != NULL)
		err = day_more(
		    txn, day_number(is->started_ms), DAY_EXECUTIONS + execution_outcome(is));
	return err;
}

static enum err count_state(
    struct vault_txn *txn, const struct account *was, const struct account *is)
{
	struct key key = accounts_key();
	enum err err = ERR_OK;

	if (was != NULL && is != NULL && account_state(was) == account_state(is))
		return ERR_OK;
	if (was != NULL)
		err = tally_less(txn, TABLE_COUNT, &key, ACCOUNT_STATE_COUNT, account_state(was));
	if (err == ERR_OK && is != NULL)
		err = tally_more(txn, TABLE_COUNT, &key, ACCOUNT_STATE_COUNT, account_state(is));
	return err;
}

enum err count_account(struct vault_txn *txn, const struct account *was, const struct account *is)
{
	bool had = was != NULL && was->current != 0, has = is != NULL && is->current != 0;
	enum err err = count_state(txn, was, is);

	if (had && has && was->changed_ms == is->changed_ms)
		return err;
	if (err == ERR_OK && had)
		err = day_less(txn, day_number(was->changed_ms), DAY_SECRETS);
	if (err == ERR_OK && has)
		err = day_more(txn, day_number(is->changed_ms), DAY_SECRETS);
	return err;
}

enum err count_failing(struct vault_txn *txn, const struct id *was, const struct id *is)
{
	struct key key = failing_key();

	if (id_is_none(was) == id_is_none(is))
		return ERR_OK;
	return id_is_none(was) ? tally_more(txn, TABLE_COUNT, &key, 1, 0)
			       : tally_less(txn, TABLE_COUNT, &key, 1, 0);
}

void vault_totals(struct vault_txn *txn, struct totals *totals)
{
	struct key accounts = accounts_key(), failing = failing_key();

	if (count_get(txn, &overall, &totals->records) != ERR_OK ||
	    tally_get(txn, TABLE_COUNT, &accounts, totals->accounts, ACCOUNT_STATE_COUNT) !=
		ERR_OK ||
	    tally_get(txn, TABLE_COUNT, &failing, &totals->failing, 1) != ERR_OK)
		*totals = (struct totals){.failing = 0};
}
