#include "vault/tally.h"

#include "vault/row.h"

enum err tally_get(
    struct vault_txn *txn, enum table table, const struct key *key, uint64_t *numbers, size_t count)
{
	struct unpack *unpack;
	const struct value *array;
	enum err err = row_get(txn, table, key, &unpack);

	for (size_t i = 0; i < count; i++)
		numbers[i] = 0;
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err != ERR_OK)
		return err;
	array = unpack_root(unpack);
	for (size_t i = 0; i < count; i++)
		numbers[i] = value_uint(value_item(array, i), 0);
	unpack_free(unpack);
	return ERR_OK;
}

enum err tally_put(struct vault_txn *txn, enum table table, const struct key *key,
    const uint64_t *numbers, size_t count)
{
	uint64_t any = 0;
	struct buf row;

	for (size_t i = 0; i < count; i++)
		any |= numbers[i];
	if (any == 0)
		return store_del(txn, table, key);
	buf_init(&row, ROW_SIZE_MAX);
	pack_array(&row, count);
	for (size_t i = 0; i < count; i++)
		pack_uint(&row, numbers[i]);
	return row_put(txn, table, key, &row);
}

enum err tally_more(
    struct vault_txn *txn, enum table table, const struct key *key, size_t count, size_t at)
{
	uint64_t numbers[TALLY_SIZE_MAX];
	enum err err = tally_get(txn, table, key, numbers, count);

	numbers[at]++;
	return err == ERR_OK ? tally_put(txn, table, key, numbers, count) : err;
}

enum err tally_less(
    struct vault_txn *txn, enum table table, const struct key *key, size_t count, size_t at)
{
	uint64_t numbers[TALLY_SIZE_MAX];
	enum err err = tally_get(txn, table, key, numbers, count);

	if (err != ERR_OK)
		return err;
	if (numbers[at] == 0)
		return txn_trouble(txn, ERR_CORRUPT, "the counts do not match what is kept");
	numbers[at]--;
	return tally_put(txn, table, key, numbers, count);
}
