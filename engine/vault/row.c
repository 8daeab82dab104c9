#include "vault/row.h"

enum err row_parse(
    struct vault_txn *txn, enum table table, const struct bytes *bytes, struct unpack **out)
{
	*out = NULL;
	if (unpack_new(out, bytes->data, bytes->len) == ERR_OK)
		return ERR_OK;
	return txn_trouble(txn, ERR_CORRUPT, "a row of table %s cannot be read: put back a backup",
	    table_name(table));
}

enum err row_get(
    struct vault_txn *txn, enum table table, const struct key *key, struct unpack **out)
{
	struct bytes bytes;
	enum err err = store_get(txn, table, key, &bytes);

	*out = NULL;
	return err == ERR_OK ? row_parse(txn, table, &bytes, out) : err;
}

enum err row_put(struct vault_txn *txn, enum table table, const struct key *key, struct buf *row)
{
	enum err err;

	if (buf_failed(row))
		err = txn_trouble(txn, ERR_LIMIT, "a row of table %s is over %d bytes",
		    table_name(table), ROW_SIZE_MAX);
	else
		err = store_put(txn, table, key, row->data, row->len);
	buf_clear(row);
	return err;
}

enum err row_mark(struct vault_txn *txn, enum table table, const struct key *key)
{
	return store_put(txn, table, key, NULL, 0);
}

bool row_enum(struct vault_txn *txn, enum table table, uint64_t value, int count)
{
	if (value < (uint64_t)count)
		return true;
	(void)txn_trouble(txn, ERR_CORRUPT, "a row of table %s holds a word that is not known",
	    table_name(table));
	return false;
}
