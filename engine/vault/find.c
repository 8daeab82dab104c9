#include <string.h>

#include "vault/find.h"

/* Ids that are looked at to tell how many characters would be enough. */
#define LOOK_MAX 1000

static size_t common_length(const struct id *a, const struct id *b)
{
	char text_a[ID_TEXT_SIZE], text_b[ID_TEXT_SIZE];
	size_t len = 0;

	id_text(a, text_a);
	id_text(b, text_b);
	while (text_a[len] != '\0' && text_a[len] == text_b[len])
		len++;
	return len;
}

static bool next_id(
    struct vault_txn *txn, enum table table, enum step step, struct id *at, const struct id *high)
{
	struct key key = key_of_id(at);
	struct bytes row;

	if (store_step(txn, table, step, &key, &row) != ERR_OK || key.len != ID_SIZE)
		return false;
	memcpy(at->bytes, key.bytes, ID_SIZE);
	return memcmp(at->bytes, high->bytes, ID_SIZE) <= 0;
}

static enum err several(struct vault_txn *txn, enum table table, const char *what, const char *text,
    struct id at, const struct id *high, struct error *error)
{
	struct id last = at;
	size_t common = 0, more;

	for (int i = 0; i < LOOK_MAX && next_id(txn, table, STEP_UP, &at, high); i++) {
		size_t len = common_length(&last, &at);

		common = len > common ? len : common;
		last = at;
	}
	more = common + 1 - strlen(text);
	return error_set(error, ERR_INVALID,
	    "several %ss have an id that begins with %s: give at least %zu more character%s", what,
	    text, more, more == 1 ? "" : "s");
}

enum err find_by_id(struct vault_txn *txn, enum table table, const char *what, const char *text,
    struct id *id, struct error *error)
{
	struct id low, high, second;

	if (!id_range(text, &low, &high))
		return error_set(error, ERR_NOT_FOUND,
		    "there is no %s \"%.32s\": an id has up to %d letters and digits; lockstep %s "
		    "list shows them",
		    what, text, ID_TEXT_SIZE - 1, what);
	if (!next_id(txn, table, STEP_AT, &low, &high))
		return error_set(error, ERR_NOT_FOUND,
		    "there is no %s whose id begins with %s: lockstep %s list shows them", what,
		    text, what);
	second = low;
	if (next_id(txn, table, STEP_UP, &second, &high))
		return several(txn, table, what, text, low, &high, error);
	*id = low;
	return ERR_OK;
}

size_t find_length(struct vault_txn *txn, enum table table, const struct id *id)
{
	static const enum step steps[] = {STEP_DOWN, STEP_UP};
	size_t length = FIND_LENGTH_MIN;

	for (size_t i = 0; i < 2; i++) {
		struct key key = key_of_id(id);
		struct id neighbour;
		struct bytes row;
		size_t common;

		if (store_step(txn, table, steps[i], &key, &row) != ERR_OK || key.len != ID_SIZE)
			continue;
		memcpy(neighbour.bytes, key.bytes, ID_SIZE);
		common = common_length(id, &neighbour);
		length = common + 1 > length ? common + 1 : length;
	}
	return length;
}
