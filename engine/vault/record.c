#include <stdio.h>
#include <string.h>

#include "vault/count.h"
#include "vault/find.h"
#include "vault/index.h"
#include "vault/record.h"
#include "vault/row.h"
#include "vault/vault_state.h"

const char *status_name(enum status status)
{
	static const char *const names[STATUS_COUNT] = {
	    "planned",
	    "staged",
	    "success",
	    "failed",
	    "unverified",
	    "skipped",
	};

	return (unsigned)status < STATUS_COUNT ? names[status] : "";
}

static void record_pack(struct buf *row, const struct record *record)
{
	pack_map(row, record->ignored_ms != 0 ? 25 : 22);
	pack_kv_id(row, "x", &record->execution);
	pack_kv_text(row, "t", record->task);
	pack_kv_text(row, "a", record->asset);
	pack_kv_text(row, "n", record->account);
	pack_kv_uint(row, "k", record->kind);
	pack_kv_uint(row, "s", record->status);
	pack_kv_text(row, "w", record->reason);
	pack_kv_text(row, "ek", record->error_class);
	pack_kv_text(row, "ec", record->error_code);
	pack_kv_text(row, "em", record->error_message);
	pack_kv_uint(row, "vo", record->old_version);
	pack_kv_uint(row, "vn", record->new_version);
	pack_kv_uint(row, "p", record->proof);
	pack_kv_uint(row, "ca", record->attempts);
	pack_kv_uint(row, "cs", record->sends);
	pack_kv_uint(row, "t0", record->planned_ms);
	pack_kv_uint(row, "t1", record->staged_ms);
	pack_kv_uint(row, "t2", record->sent_ms);
	pack_kv_uint(row, "t3", record->proved_ms);
	pack_kv_uint(row, "t4", record->ended_ms);
	pack_kv_id(row, "id", &record->id);
	pack_kv_bool(row, "l", record->look);
	if (record->ignored_ms == 0)
		return;
	pack_kv_uint(row, "it", record->ignored_ms);
	pack_kv_text(row, "ib", record->ignored_by);
	pack_kv_text(row, "iw", record->ignored_why);
}

static void record_texts(const struct value *map, struct record *record)
{
	value_text(value_get(map, "t"), record->task, sizeof(record->task));
	value_text(value_get(map, "a"), record->asset, sizeof(record->asset));
	value_text(value_get(map, "n"), record->account, sizeof(record->account));
	value_text(value_get(map, "w"), record->reason, sizeof(record->reason));
	value_text(value_get(map, "ek"), record->error_class, sizeof(record->error_class));
	value_text(value_get(map, "ec"), record->error_code, sizeof(record->error_code));
	value_text(value_get(map, "em"), record->error_message, sizeof(record->error_message));
	value_text(value_get(map, "ib"), record->ignored_by, sizeof(record->ignored_by));
	value_text(value_get(map, "iw"), record->ignored_why, sizeof(record->ignored_why));
}

static enum err record_parse(struct vault_txn *txn, const struct bytes *row, struct record *record)
{
	struct unpack *unpack;
	const struct value *map;
	uint64_t kind, status, proof;
	enum err err = row_parse(txn, TABLE_RECORD, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	kind = value_uint(value_get(map, "k"), SECRET_PASSWORD); /* before there were keys */
	status = value_uint(value_get(map, "s"), 0);
	proof = value_uint(value_get(map, "p"), 0);
	*record = (struct record){
	    .id = value_id(value_get(map, "id")),
	    .execution = value_id(value_get(map, "x")),
	    .kind = (enum secret_kind)kind,
	    .status = (enum status)status,
	    .old_version = (uint32_t)value_uint(value_get(map, "vo"), 0),
	    .new_version = (uint32_t)value_uint(value_get(map, "vn"), 0),
	    .proof = (enum proof)proof,
	    .attempts = (uint32_t)value_uint(value_get(map, "ca"), 0),
	    .sends = (uint32_t)value_uint(value_get(map, "cs"), 0),
	    .planned_ms = value_uint(value_get(map, "t0"), 0),
	    .staged_ms = value_uint(value_get(map, "t1"), 0),
	    .sent_ms = value_uint(value_get(map, "t2"), 0),
	    .proved_ms = value_uint(value_get(map, "t3"), 0),
	    .ended_ms = value_uint(value_get(map, "t4"), 0),
	    .ignored_ms = value_uint(value_get(map, "it"), 0),
	};
	record_texts(map, record);
	/* Before tasks could look, only what was of no task did. */
	record->look = value_bool(value_get(map, "l"), record->task[0] == '\0');
	unpack_free(unpack);
	if (!row_enum(txn, TABLE_RECORD, kind, SECRET_KIND_COUNT) ||
	    !row_enum(txn, TABLE_RECORD, status, STATUS_COUNT) ||
	    !row_enum(txn, TABLE_RECORD, proof, PROOF_HASH + 1))
		return ERR_CORRUPT;
	return ERR_OK;
}

enum err record_get(struct vault_txn *txn, const struct id *id, struct record *record)
{
	struct key key = key_of_id(id);
	struct bytes row;
	enum err err = store_get(txn, TABLE_RECORD, &key, &row);

	return err == ERR_OK ? record_parse(txn, &row, record) : err;
}

static enum err record_write(struct vault_txn *txn, const struct record *record)
{
	struct key key = key_of_id(&record->id);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	record_pack(&row, record);
	return row_put(txn, TABLE_RECORD, &key, &row);
}

/* A new one joins its execution, which must be there. */
static enum err record_join(struct vault_txn *txn, const struct record *record)
{
	struct key execution = key_of_id(&record->execution);
	struct key member = key_of_ids(&record->execution, &record->id);
	struct bytes row;
	enum err err = store_get(txn, TABLE_EXECUTION, &execution, &row);

	return err == ERR_OK ? row_mark(txn, TABLE_MEMBER, &member) : err;
}

/* Whose it is stays, once it has ended: it is found by that. */
static bool is_the_same(const struct record *was, const struct record *is)
{
	if (!id_equal(&was->execution, &is->execution))
		return false;
	return was->status < STATUS_SUCCESS ||
	       (was->kind == is->kind && was->look == is->look &&
		   strcmp(was->asset, is->asset) == 0 && strcmp(was->account, is->account) == 0);
}

/* Its row, and all that follows from it; `was` NULL = it is new. */
static enum err record_change(
    struct vault_txn *txn, const struct record *was, const struct record *is)
{
	bool had_ended = was != NULL && was->status >= STATUS_SUCCESS;
	bool matters = had_ended || is->status >= STATUS_SUCCESS;
	struct id failing_was, failing_is;
	enum err err = count_record(txn, was, is);

	if (err == ERR_OK && matters)
		err = failing_of(txn, is, &failing_was);
	if (err == ERR_OK)
		err = record_write(txn, is);
	if (err == ERR_OK)
		err = index_record(txn, was, is);
	if (err == ERR_OK && matters)
		err = failing_of(txn, is, &failing_is);
	return err == ERR_OK && matters ? failing_move(txn, &failing_was, &failing_is) : err;
}

static void ignored_copy(struct record *to, const struct record *from)
{
	to->ignored_ms = from->ignored_ms;
	memcpy(to->ignored_by, from->ignored_by, sizeof(to->ignored_by));
	memcpy(to->ignored_why, from->ignored_why, sizeof(to->ignored_why));
}

enum err record_put(struct vault_txn *txn, const struct record *record)
{
	struct record before = {.ignored_ms = 0}, is = *record;
	bool is_new;
	enum err err;

	if (id_is_none(&record->id) || (unsigned)record->status >= STATUS_COUNT)
		return ERR_INVALID;
	err = record_get(txn, &record->id, &before);
	is_new = err == ERR_NOT_FOUND;
	if (is_new)
		err = record_join(txn, record);
	else if (err == ERR_OK && !is_the_same(&before, record))
		err = ERR_INVALID;
	if (err != ERR_OK)
		return err;
	ignored_copy(&is, &before);
	return record_change(txn, is_new ? NULL : &before, &is);
}

enum err record_ignore(struct vault_txn *txn, const struct id *id, const char *by, const char *why)
{
	struct record was, is;
	enum err err = record_get(txn, id, &was);

	if (err != ERR_OK)
		return err;
	is = was;
	is.ignored_ms = why == NULL ? 0 : clock_wall_ms(txn->vault->clock);
	snprintf(is.ignored_by, sizeof(is.ignored_by), "%s", why == NULL ? "" : by);
	snprintf(is.ignored_why, sizeof(is.ignored_why), "%s", why == NULL ? "" : why);
	return record_change(txn, &was, &is);
}

enum err record_enter(struct vault_txn *txn, const struct record *record)
{
	struct id failing_was, failing_is;
	enum err err = count_record_day(txn, NULL, record);

	if (err == ERR_OK)
		err = failing_of(txn, record, &failing_was);
	if (err == ERR_OK)
		err = index_record(txn, NULL, record);
	if (err == ERR_OK)
		err = failing_of(txn, record, &failing_is);
	return err == ERR_OK ? failing_move(txn, &failing_was, &failing_is) : err;
}

enum err record_drop(struct vault_txn *txn, const struct record *record)
{
	struct key key = key_of_id(&record->id);
	struct key member = key_of_ids(&record->execution, &record->id);
	struct id failing_was, failing_is;
	enum err err = failing_of(txn, record, &failing_was);

	if (err == ERR_OK)
		err = count_record(txn, record, NULL);
	if (err == ERR_OK)
		err = index_record(txn, record, NULL);
	if (err == ERR_OK)
		err = store_del(txn, TABLE_RECORD, &key);
	if (err == ERR_OK)
		err = store_del(txn, TABLE_MEMBER, &member);
	if (err == ERR_OK)
		err = failing_of(txn, record, &failing_is);
	return err == ERR_OK ? failing_move(txn, &failing_was, &failing_is) : err;
}

enum err record_find(
    struct vault_txn *txn, const char *text, struct record *record, struct error *error)
{
	struct id id;
	enum err err = find_by_id(txn, TABLE_RECORD, "record", text, &id, error);

	if (err != ERR_OK)
		return err;
	err = record_get(txn, &id, record);
	return err == ERR_OK ? err : error_set(error, err, "record %s cannot be read", text);
}

size_t record_id_length(struct vault_txn *txn, const struct id *id)
{
	return find_length(txn, TABLE_RECORD, id);
}

static void record_each_of_all(struct vault_txn *txn, const struct id *after,
    bool (*fn)(void *arg, const struct record *), void *arg)
{
	struct key key = key_of_id(after);
	struct record record;
	struct bytes row;

	while (store_step(txn, TABLE_RECORD, STEP_UP, &key, &row) == ERR_OK) {
		if (record_parse(txn, &row, &record) != ERR_OK || !fn(arg, &record))
			return;
	}
}

static void record_each_of_one(struct vault_txn *txn, const struct id *execution,
    const struct id *after, bool (*fn)(void *arg, const struct record *), void *arg)
{
	struct key prefix = key_of_id(execution);
	struct key key = key_of_ids(execution, after);
	struct record record;
	struct bytes row;
	struct id id;

	while (store_step(txn, TABLE_MEMBER, STEP_UP, &key, &row) == ERR_OK &&
	       key_begins(&key, &prefix)) {
		memcpy(id.bytes, key.bytes + ID_SIZE, ID_SIZE);
		if (record_get(txn, &id, &record) != ERR_OK || !fn(arg, &record))
			return;
	}
}

void record_each(struct vault_txn *txn, const struct id *execution, const struct id *after,
    bool (*fn)(void *arg, const struct record *), void *arg)
{
	if (id_is_none(execution))
		record_each_of_all(txn, after, fn, arg);
	else
		record_each_of_one(txn, execution, after, fn, arg);
}
