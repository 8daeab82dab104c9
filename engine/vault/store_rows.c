/* Rows of the store: reading, writing, and stepping from one to the next. */
#include <string.h>

#include "vault/store_state.h"

/* What stands in a transaction's way is remembered with it: whoever runs it decides what to do. */
static enum err row_error(struct vault_txn *txn, int rc, enum table table)
{
	enum err code = store_disk_is_full(txn->store, rc) ? ERR_FULL : store_mdb_err(rc);

	if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND)
		return code;
	if (rc == MDB_MAP_FULL) {
		txn->map_full = true;
		return ERR_FULL;
	}
	return txn_trouble(txn, code, "table %s: %s", table_name(table), mdb_strerror(rc));
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

/* LMDB does not change a key it is given; its type cannot say so. */
static MDB_val val_of_key(struct key *copy, const struct key *key)
{
	*copy = *key;
	return (MDB_val){.mv_size = copy->len, .mv_data = copy->bytes};
}

enum err store_get(
    struct vault_txn *txn, enum table table, const struct key *key, struct bytes *row)
{
	struct key copy;
	MDB_val k = val_of_key(&copy, key), v;
	int rc = mdb_get(txn->mdb, txn->store->tables[table], &k, &v);

	if (rc == 0)
		*row = (struct bytes){.data = v.mv_data, .len = v.mv_size};
	return row_error(txn, rc, table);
}

enum err store_put(
    struct vault_txn *txn, enum table table, const struct key *key, const void *data, size_t len)
{
	struct key copy;
	MDB_val k = val_of_key(&copy, key), v = {.mv_size = len};
	int rc;

	/* Reserved and filled, as LMDB's type for a value cannot say that it is not changed. */
	txn->changes++;
	rc = mdb_put(txn->mdb, txn->store->tables[table], &k, &v, MDB_RESERVE);
	if (rc == 0 && len > 0)
		memcpy(v.mv_data, data, len);
	return row_error(txn, rc, table);
}

enum err store_del(struct vault_txn *txn, enum table table, const struct key *key)
{
	struct key copy;
	MDB_val k = val_of_key(&copy, key);
	int rc;

	txn->changes++;
	rc = mdb_del(txn->mdb, txn->store->tables[table], &k, NULL);
	return row_error(txn, rc == MDB_NOTFOUND ? 0 : rc, table);
}

static int cursor_step(
    MDB_cursor *cursor, enum step step, const struct key *from, MDB_val *k, MDB_val *v)
{
	int rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);

	if (step == STEP_DOWN) /* the row before the first at or after, or the last of all */
		return mdb_cursor_get(cursor, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (step == STEP_UP && rc == 0 && k->mv_size == from->len &&
	    memcmp(k->mv_data, from->bytes, from->len) == 0)
		return mdb_cursor_get(cursor, k, v, MDB_NEXT);
	return rc;
}

enum err store_step(
    struct vault_txn *txn, enum table table, enum step step, struct key *key, struct bytes *row)
{
	struct key from;
	MDB_val k = val_of_key(&from, key), v;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn->mdb, txn->store->tables[table], &cursor);

	if (rc != 0)
		return row_error(txn, rc, table);
	rc = cursor_step(cursor, step, &from, &k, &v);
	mdb_cursor_close(cursor);
	if (rc != 0)
		return row_error(txn, rc, table);
	key->len = 0;
	key_add(key, k.mv_data, k.mv_size);
	*row = (struct bytes){.data = v.mv_data, .len = v.mv_size};
	return ERR_OK;
}
