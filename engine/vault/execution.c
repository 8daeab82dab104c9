#include <string.h>

#include "vault/count.h"
#include "vault/find.h"
#include "vault/record.h"
#include "vault/row.h"
#include "vault/task.h"

/* One that was interrupted is over, though nobody knows when it ended. */
static bool execution_is_open(const struct execution *execution)
{
	return execution->ended_ms == 0 && !execution->interrupted;
}

enum outcome execution_outcome(const struct execution *execution)
{
	const uint64_t *counts = execution->counts.by_status;

	if (execution_is_open(execution))
		return OUTCOME_RUNNING;
	return execution->interrupted || counts[STATUS_FAILED] + counts[STATUS_UNVERIFIED] > 0
		   ? OUTCOME_FAILED
		   : OUTCOME_SUCCEEDED;
}

static enum err execution_write(struct vault_txn *txn, const struct execution *execution)
{
	struct key key = key_of_id(&execution->id);
	struct buf row;
	enum err err;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 6);
	pack_kv_text(&row, "t", execution->task);
	pack_kv_text(&row, "w", execution->trigger);
	pack_kv_uint(&row, "s", execution->started_ms);
	pack_kv_uint(&row, "e", execution->ended_ms);
	pack_kv_bool(&row, "i", execution->interrupted);
	pack_kv_text(&row, "y", execution->stopped);
	err = row_put(txn, TABLE_EXECUTION, &key, &row);
	if (err != ERR_OK)
		return err;
	return execution_is_open(execution) ? row_mark(txn, TABLE_OPEN, &key)
					    : store_del(txn, TABLE_OPEN, &key);
}

enum err execution_put(struct vault_txn *txn, const struct execution *execution)
{
	struct execution was, is = *execution;
	bool is_new;
	enum err err;

	if (id_is_none(&execution->id))
		return ERR_INVALID;
	err = execution_get(txn, &execution->id, &was);
	is_new = err == ERR_NOT_FOUND;
	if (is_new || err == ERR_OK)
		err = count_get(txn, &execution->id, &is.counts);
	if (err == ERR_OK)
		err = execution_write(txn, execution);
	if (err == ERR_OK)
		err = count_execution(txn, is_new ? NULL : &was, &is);
	return err == ERR_OK ? task_succeeded(txn, &is) : err;
}

enum err execution_drop(struct vault_txn *txn, const struct execution *execution)
{
	struct key key = key_of_id(&execution->id);
	enum err err = store_del(txn, TABLE_EXECUTION, &key);

	if (err == ERR_OK)
		err = store_del(txn, TABLE_OPEN, &key);
	if (err == ERR_OK)
		err = store_del(txn, TABLE_COUNT, &key);
	return err == ERR_OK ? count_execution(txn, execution, NULL) : err;
}

enum err execution_get(struct vault_txn *txn, const struct id *id, struct execution *execution)
{
	struct key key = key_of_id(id);
	struct unpack *unpack;
	const struct value *map;
	enum err err = row_get(txn, TABLE_EXECUTION, &key, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	*execution = (struct execution){
	    .id = *id,
	    .started_ms = value_uint(value_get(map, "s"), 0),
	    .ended_ms = value_uint(value_get(map, "e"), 0),
	    .interrupted = value_bool(value_get(map, "i"), false),
	};
	value_text(value_get(map, "t"), execution->task, sizeof(execution->task));
	value_text(value_get(map, "w"), execution->trigger, sizeof(execution->trigger));
	value_text(value_get(map, "y"), execution->stopped, sizeof(execution->stopped));
	unpack_free(unpack);
	return count_get(txn, id, &execution->counts);
}

enum err execution_find(
    struct vault_txn *txn, const char *text, struct execution *execution, struct error *error)
{
	struct id id;
	enum err err = find_by_id(txn, TABLE_EXECUTION, "execution", text, &id, error);

	if (err != ERR_OK)
		return err;
	err = execution_get(txn, &id, execution);
	return err == ERR_OK ? err : error_set(error, err, "execution %s cannot be read", text);
}

size_t execution_id_length(struct vault_txn *txn, const struct id *id)
{
	return find_length(txn, TABLE_EXECUTION, id);
}

void execution_each(struct vault_txn *txn, const struct id *before,
    bool (*fn)(void *arg, const struct execution *), void *arg)
{
	struct key key = key_of_id(before);
	struct execution execution;
	struct bytes row;
	struct id id;

	if (id_is_none(before)) {
		memset(&id, 0xff, sizeof(id));
		key = key_of_id(&id);
	}
	while (store_step(txn, TABLE_EXECUTION, STEP_DOWN, &key, &row) == ERR_OK) {
		memcpy(id.bytes, key.bytes, ID_SIZE);
		if (execution_get(txn, &id, &execution) != ERR_OK || !fn(arg, &execution))
			return;
	}
}

void execution_each_open(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct execution *), void *arg)
{
	struct execution execution;
	struct id id = {{0}};
	struct key key = key_of_id(&id);
	struct bytes row;

	while (store_step(txn, TABLE_OPEN, STEP_UP, &key, &row) == ERR_OK) {
		memcpy(id.bytes, key.bytes, ID_SIZE);
		if (execution_get(txn, &id, &execution) != ERR_OK || !fn(arg, &execution))
			return;
	}
}
