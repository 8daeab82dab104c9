/*
 * Retention: records and executions that are old enough are taken away, a bounded step at a time.
 *
 * Never what may be live or is in doubt, nor the last record of an account: of its changes, of its
 * looks and of what was skipped, the newest stays however old it is.
 */
#include <string.h>

#include "vault/count.h"
#include "vault/index.h"
#include "vault/record.h"
#include "vault/row.h"

#define LOOK_MOST   2000 /* rows that a step looks at */
#define REMOVE_MOST 500	 /* and takes away */

/* Whether the account is in doubt by it. */
static enum err is_in_doubt(struct vault_txn *txn, const struct record *record, bool *in_doubt)
{
	struct account account;
	enum err err = account_get(txn, record->asset, record->account, record->kind, &account);

	*in_doubt =
	    err == ERR_OK && account.pending != 0 && id_equal(&account.pending_record, &record->id);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err may_go(
    struct vault_txn *txn, const struct record *record, uint64_t before_ms, bool *may)
{
	struct record newest;
	bool in_doubt;
	enum err err;

	*may = false;
	if (record->status < STATUS_SUCCESS || record->ended_ms >= before_ms)
		return ERR_OK;
	err = past_newest(txn, record, stream_of(record), &newest);
	if (err != ERR_OK || id_equal(&newest.id, &record->id))
		return err;
	err = is_in_doubt(txn, record, &in_doubt);
	*may = err == ERR_OK && !in_doubt;
	return err;
}

static enum err remove_record(struct vault_txn *txn, struct removal *removal)
{
	struct record record;
	bool may;
	enum err err = record_get(txn, &removal->record, &record);

	if (err == ERR_NOT_FOUND)
		return txn_trouble(txn, ERR_CORRUPT, "an execution's member is no record");
	if (err == ERR_OK)
		err = may_go(txn, &record, removal->before_ms, &may);
	if (err != ERR_OK || !may)
		return err;
	removal->records++;
	return record_drop(txn, &record);
}

/* The member behind the last one that was looked at. */
static bool next_member(struct vault_txn *txn, struct removal *removal)
{
	struct key prefix = key_of_id(&removal->execution);
	struct key key = key_of_ids(&removal->execution, &removal->record);
	struct bytes row;

	if (store_step(txn, TABLE_MEMBER, STEP_UP, &key, &row) != ERR_OK ||
	    !key_begins(&key, &prefix))
		return false;
	memcpy(removal->record.bytes, key.bytes + ID_SIZE, ID_SIZE);
	return true;
}

/* One of which nothing is left goes too. */
static enum err leave_execution(struct vault_txn *txn, struct removal *removal)
{
	struct removal first = {.execution = removal->execution};
	struct execution execution;
	enum err err;

	removal->record = (struct id){{0}};
	if (next_member(txn, &first))
		return ERR_OK;
	err = execution_get(txn, &removal->execution, &execution);
	if (err != ERR_OK)
		return err;
	removal->executions++;
	return execution_drop(txn, &execution);
}

/* The next one that is old enough and has ended; `more` false = there is none. */
static enum err next_execution(struct vault_txn *txn, struct removal *removal)
{
	struct key key = key_of_id(&removal->execution);
	struct execution execution;
	struct bytes row;
	enum err err;

	removal->more = false;
	while (store_step(txn, TABLE_EXECUTION, STEP_UP, &key, &row) == ERR_OK) {
		memcpy(removal->execution.bytes, key.bytes, ID_SIZE);
		err = execution_get(txn, &removal->execution, &execution);
		if (err != ERR_OK || execution.started_ms >= removal->before_ms)
			return err;
		removal->more = execution_outcome(&execution) != OUTCOME_RUNNING;
		if (removal->more)
			return ERR_OK;
	}
	return ERR_OK;
}

enum err vault_remove_old(struct vault_txn *txn, struct removal *removal)
{
	uint32_t end = removal->records + removal->executions + REMOVE_MOST;
	enum err err = ERR_OK;

	if (!removal->more)
		err = next_execution(txn, removal);
	for (int i = 0; err == ERR_OK && removal->more && i < LOOK_MOST &&
			removal->records + removal->executions < end;
	     i++) {
		if (next_member(txn, removal)) {
			err = remove_record(txn, removal);
		} else {
			err = leave_execution(txn, removal);
			if (err == ERR_OK)
				err = next_execution(txn, removal);
		}
	}
	return err;
}
