#include "vault/count.h"
#include "vault/row.h"

static const struct id overall;

enum err count_get(struct vault_txn *txn, const struct id *execution, struct counts *counts)
{
	struct key key = key_of_id(execution);
	struct unpack *unpack;
	const struct value *array;
	enum err err = row_get(txn, TABLE_COUNT, &key, &unpack);

	*counts = (struct counts){{0}};
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err != ERR_OK)
		return err;
	array = unpack_root(unpack);
	for (size_t i = 0; i < STATUS_COUNT; i++)
		counts->by_status[i] = value_uint(value_item(array, i), 0);
	unpack_free(unpack);
	return ERR_OK;
}

static enum err count_put(
    struct vault_txn *txn, const struct id *execution, const struct counts *counts)
{
	struct key key = key_of_id(execution);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_array(&row, STATUS_COUNT);
	for (size_t i = 0; i < STATUS_COUNT; i++)
		pack_uint(&row, counts->by_status[i]);
	return row_put(txn, TABLE_COUNT, &key, &row);
}

static enum err count_move_one(struct vault_txn *txn, const struct id *execution,
    const enum status *before, enum status status)
{
	struct counts counts;
	enum err err = count_get(txn, execution, &counts);

	if (err != ERR_OK)
		return err;
	if (before != NULL && counts.by_status[*before] == 0)
		return txn_trouble(txn, ERR_CORRUPT, "the counts do not match the records");
	if (before != NULL)
		counts.by_status[*before]--;
	counts.by_status[status]++;
	return count_put(txn, execution, &counts);
}

enum err count_move(struct vault_txn *txn, const struct id *execution, const enum status *before,
    enum status status)
{
	enum err err;

	if (before != NULL && *before == status)
		return ERR_OK;
	err = count_move_one(txn, execution, before, status);
	return err == ERR_OK ? count_move_one(txn, &overall, before, status) : err;
}

void vault_counts(struct vault_txn *txn, struct counts *counts)
{
	if (count_get(txn, &overall, counts) != ERR_OK)
		*counts = (struct counts){{0}};
}

static bool recount_one(void *arg, const struct record *record)
{
	struct counts *counts = arg;

	counts->by_status[record->status]++;
	return true;
}

void vault_recount(struct vault_txn *txn, struct counts *counts)
{
	*counts = (struct counts){{0}};
	record_each(txn, &overall, &overall, recount_one, counts);
}
