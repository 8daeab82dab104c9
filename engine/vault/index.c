#include "vault/index.h"

#include <string.h>

#include "vault/count.h"
#include "vault/row.h"

static bool has_ended(const struct record *record)
{
	return record->status >= STATUS_SUCCESS;
}

enum stream stream_of(const struct record *record)
{
	if (record->status == STATUS_SKIPPED)
		return STREAM_SKIPPED;
	return record->look ? STREAM_LOOK : STREAM_CHANGE;
}

static bool status_is_bad(enum status status)
{
	return status > STATUS_SUCCESS;
}

bool record_is_bad(const struct record *record)
{
	return status_is_bad(record->status);
}

bool record_fails(const struct record *record)
{
	return record->ignored_ms == 0 &&
	       (record->status == STATUS_FAILED || record->status == STATUS_UNVERIFIED);
}

/* ── Keys ────────────────────────────────────────────────────────────────────────────────── */

static struct key bad_prefix(const struct id *execution, enum status status)
{
	struct key key = key_of_id(execution);
	uint8_t byte = (uint8_t)status;

	key_add(&key, &byte, 1);
	return key;
}

struct key bad_key(const struct record *record)
{
	struct key key = bad_prefix(&record->execution, record->status);

	key_add(&key, record->id.bytes, ID_SIZE);
	return key;
}

static struct key past_prefix(const struct record *record, enum stream stream)
{
	struct key key = key_of_account(record->asset, record->account, (uint8_t)record->kind);
	uint8_t byte = (uint8_t)stream;

	key_add(&key, &byte, 1);
	return key;
}

struct key past_key(const struct record *record)
{
	struct key key = past_prefix(record, stream_of(record));

	key_add(&key, record->id.bytes, ID_SIZE);
	return key;
}

/* ── By execution and status ─────────────────────────────────────────────────────────────── */

/* The record whose id ends an index's key. */
static enum err indexed_get(struct vault_txn *txn, const struct key *key, struct record *record)
{
	struct id id;
	enum err err;

	memcpy(id.bytes, key->bytes + key->len - ID_SIZE, ID_SIZE);
	err = record_get(txn, &id, record);
	if (err == ERR_NOT_FOUND)
		err = txn_trouble(txn, ERR_CORRUPT, "an index names no record");
	return err;
}

struct sifting {
	enum status status;
	bool (*fn)(void *arg, const struct record *);
	void *arg;
};

static bool sift(void *arg, const struct record *record)
{
	const struct sifting *sifting = arg;

	return record->status != sifting->status || sifting->fn(sifting->arg, record);
}

void record_each_with(struct vault_txn *txn, const struct id *execution, enum status status,
    const struct id *after, bool (*fn)(void *arg, const struct record *), void *arg)
{
	struct sifting sifting = {status, fn, arg};
	struct key prefix = bad_prefix(execution, status), key = prefix;
	struct counts counts;
	struct record record;
	struct bytes row;

	if (count_get(txn, execution, &counts) != ERR_OK || counts.by_status[status] == 0)
		return;
	if (!status_is_bad(status)) {
		record_each(txn, execution, after, sift, &sifting);
		return;
	}
	if (!id_is_none(after))
		key_add(&key, after->bytes, ID_SIZE);
	while (store_step(txn, TABLE_BAD, STEP_UP, &key, &row) == ERR_OK &&
	       key_begins(&key, &prefix)) {
		if (indexed_get(txn, &key, &record) != ERR_OK || !fn(arg, &record))
			return;
	}
}

/* ── By account ──────────────────────────────────────────────────────────────────────────── */

enum err past_newest(
    struct vault_txn *txn, const struct record *of, enum stream stream, struct record *out)
{
	static const uint8_t last[ID_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct key prefix = past_prefix(of, stream), key = prefix;
	struct bytes row;
	enum err err;

	key_add(&key, last, ID_SIZE);
	err = store_step(txn, TABLE_PAST, STEP_DOWN, &key, &row);
	if (err == ERR_OK && !key_begins(&key, &prefix))
		err = ERR_NOT_FOUND;
	return err == ERR_OK ? indexed_get(txn, &key, out) : err;
}

/* A look that found all well does not mend a change that failed: only another change does. */
enum err failing_of(struct vault_txn *txn, const struct record *record, struct id *id)
{
	struct record change, look;
	enum err change_err = past_newest(txn, record, STREAM_CHANGE, &change);
	enum err look_err = past_newest(txn, record, STREAM_LOOK, &look);
	bool looked_last;

	*id = (struct id){{0}};
	if (change_err != ERR_OK && change_err != ERR_NOT_FOUND)
		return change_err;
	if (look_err != ERR_OK && look_err != ERR_NOT_FOUND)
		return look_err;
	looked_last = look_err == ERR_OK &&
		      (change_err != ERR_OK || memcmp(look.id.bytes, change.id.bytes, ID_SIZE) > 0);
	if (looked_last && record_fails(&look))
		*id = look.id;
	else if (change_err == ERR_OK && record_fails(&change))
		*id = change.id;
	return ERR_OK;
}

enum err failing_move(struct vault_txn *txn, const struct id *was, const struct id *is)
{
	struct key before = key_of_id(was), after = key_of_id(is);
	enum err err = ERR_OK;

	if (id_equal(was, is))
		return ERR_OK;
	if (!id_is_none(was))
		err = store_del(txn, TABLE_FAILING, &before);
	if (err == ERR_OK && !id_is_none(is))
		err = row_mark(txn, TABLE_FAILING, &after);
	return err == ERR_OK ? count_failing(txn, was, is) : err;
}

void failing_each(struct vault_txn *txn, const struct id *before,
    bool (*fn)(void *arg, const struct record *), void *arg)
{
	struct record record;
	struct bytes row;
	struct id id = *before;
	struct key key;

	if (id_is_none(before))
		memset(&id, 0xff, sizeof(id));
	key = key_of_id(&id);
	while (store_step(txn, TABLE_FAILING, STEP_DOWN, &key, &row) == ERR_OK) {
		if (indexed_get(txn, &key, &record) != ERR_OK || !fn(arg, &record))
			return;
	}
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum err index_row(
    struct vault_txn *txn, enum table table, const struct key *was, const struct key *is)
{
	enum err err = ERR_OK;

	if (was->len == is->len && memcmp(was->bytes, is->bytes, was->len) == 0)
		return ERR_OK;
	if (was->len > 0)
		err = store_del(txn, table, was);
	return err == ERR_OK && is->len > 0 ? row_mark(txn, table, is) : err;
}

enum err index_record(struct vault_txn *txn, const struct record *was, const struct record *is)
{
	const struct key none = {.len = 0};
	struct key bad_was = none, bad_is = none, past_was = none, past_is = none;
	enum err err;

	if (was != NULL && record_is_bad(was))
		bad_was = bad_key(was);
	if (is != NULL && record_is_bad(is))
		bad_is = bad_key(is);
	if (was != NULL && has_ended(was))
		past_was = past_key(was);
	if (is != NULL && has_ended(is))
		past_is = past_key(is);
	err = index_row(txn, TABLE_BAD, &bad_was, &bad_is);
	return err == ERR_OK ? index_row(txn, TABLE_PAST, &past_was, &past_is) : err;
}
