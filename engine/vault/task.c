/* What is kept of tasks: how far their schedules were followed, and who paused them. */
#include <stdio.h>
#include <string.h>

#include "vault/row.h"
#include "vault/tally.h"
#include "vault/task.h"
#include "vault/vault_state.h"

/* A task's name is a key as it stands. */
static enum err task_key(const char *task, struct key *key)
{
	if (task[0] == '\0' || strlen(task) >= TASK_NAME_SIZE)
		return ERR_INVALID;
	*key = key_of_word(task);
	return ERR_OK;
}

static void state_parse(const struct value *map, struct task_state *state)
{
	size_t len = 0;
	const void *id = value_bytes(value_get(map, "x"), &len);

	*state = (struct task_state){
	    .handled_ms = value_uint(value_get(map, "h"), 0),
	    .schedule = value_uint(value_get(map, "s"), 0),
	    .paused_ms = value_uint(value_get(map, "p"), 0),
	    .until_ms = value_uint(value_get(map, "u"), 0),
	};
	if (id != NULL && len == ID_SIZE)
		memcpy(state->execution.bytes, id, ID_SIZE);
	value_text(value_get(map, "b"), state->paused_by, sizeof(state->paused_by));
	value_text(value_get(map, "w"), state->paused_why, sizeof(state->paused_why));
}

enum err task_state_get(struct vault_txn *txn, const char *task, struct task_state *state)
{
	struct unpack *unpack;
	struct key key;
	enum err err = task_key(task, &key);

	if (err == ERR_OK)
		err = row_get(txn, TABLE_TASK, &key, &unpack);
	if (err != ERR_OK)
		return err;
	state_parse(unpack_root(unpack), state);
	unpack_free(unpack);
	snprintf(state->task, sizeof(state->task), "%s", task);
	return ERR_OK;
}

enum err task_state_put(struct vault_txn *txn, const struct task_state *state)
{
	struct key key;
	struct buf row;
	enum err err = task_key(state->task, &key);

	if (err != ERR_OK)
		return err;
	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 7);
	pack_kv_uint(&row, "h", state->handled_ms);
	pack_kv_uint(&row, "s", state->schedule);
	pack_kv_bytes(&row, "x", state->execution.bytes, ID_SIZE);
	pack_kv_uint(&row, "p", state->paused_ms);
	pack_kv_uint(&row, "u", state->until_ms);
	pack_kv_text(&row, "b", state->paused_by);
	pack_kv_text(&row, "w", state->paused_why);
	return row_put(txn, TABLE_TASK, &key, &row);
}

enum err task_state_drop(struct vault_txn *txn, const char *task)
{
	struct key key;
	enum err err = task_key(task, &key);

	return err == ERR_OK ? store_del(txn, TABLE_TASK, &key) : err;
}

void task_state_each(
    struct vault_txn *txn, bool (*fn)(void *arg, const struct task_state *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every name */
	struct task_state state;
	struct bytes row;
	char task[TASK_NAME_SIZE];

	while (store_step(txn, TABLE_TASK, STEP_UP, &key, &row) == ERR_OK) {
		if (key.len >= sizeof(task)) {
			(void)txn_trouble(txn, ERR_CORRUPT, "the name of a task is damaged");
			return;
		}
		memcpy(task, key.bytes, key.len);
		task[key.len] = '\0';
		if (task_state_get(txn, task, &state) != ERR_OK || !fn(arg, &state))
			return;
	}
}

/* ── When it last went well ──────────────────────────────────────────────────────────────── */

uint64_t task_succeeded_ms(struct vault_txn *txn, const char *task)
{
	struct key key;
	uint64_t at_ms = 0;

	if (task_key(task, &key) != ERR_OK || tally_get(txn, TABLE_WELL, &key, &at_ms, 1) != ERR_OK)
		return 0;
	return at_ms;
}

enum err task_succeeded(struct vault_txn *txn, const struct execution *execution)
{
	struct key key;

	if (execution_outcome(execution) != OUTCOME_SUCCEEDED ||
	    task_key(execution->task, &key) != ERR_OK)
		return ERR_OK;
	return tally_put(txn, TABLE_WELL, &key, &execution->ended_ms, 1);
}
