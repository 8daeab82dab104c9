#include <string.h>

#include "vault.h"
#include "vault/probe.h"
#include "vault/row.h"

/*
 * Bookings of one identity, oldest first. None expires alone: assets that count failures "since the
 * last" hold them all until a whole window was quiet, so the newest decides for all.
 *
 * A returned booking is the newest one, as the accounts of an asset are worked one after another:
 * then the window runs again from the failed attempt before it, and not from the one that worked.
 */
#define GROUPS_MAX 16

struct group {
	uint64_t at_ms;
	uint32_t attempts;
};

struct bookings {
	struct group groups[GROUPS_MAX];
	size_t count;
};

static bool identity_key(
    const char *asset, const char *account, const struct lockout *lockout, struct key *key)
{
	const char *who = lockout->by_source ? "" : account;

	if (strlen(asset) >= ASSET_NAME_SIZE || strlen(who) >= ACCOUNT_NAME_SIZE)
		return false;
	*key = key_of_names(asset, who);
	return true;
}

/* ── The list ────────────────────────────────────────────────────────────────────────────── */

static uint32_t bookings_sum(const struct bookings *bookings)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < bookings->count; i++)
		sum += bookings->groups[i].attempts;
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static uint64_t bookings_last(const struct bookings *bookings)
{
	return bookings->count == 0 ? 0 : bookings->groups[bookings->count - 1].at_ms;
}

static uint64_t bookings_free_at(const struct bookings *bookings, const struct lockout *lockout)
{
	uint64_t last_ms = bookings_last(bookings);

	return lockout->window_ms > UINT64_MAX - last_ms ? UINT64_MAX
							 : last_ms + lockout->window_ms;
}

/* A clock that was set back makes the window longer, never shorter. */
static void bookings_expire(
    struct bookings *bookings, const struct lockout *lockout, uint64_t now_ms)
{
	if (now_ms >= bookings_free_at(bookings, lockout))
		bookings->count = 0;
}

/* Too many groups: the two oldest become one, at the later time. */
static void bookings_make_room(struct bookings *bookings)
{
	if (bookings->count < GROUPS_MAX)
		return;
	bookings->groups[1].attempts += bookings->groups[0].attempts;
	memmove(
	    bookings->groups, bookings->groups + 1, sizeof(bookings->groups[0]) * (GROUPS_MAX - 1));
	bookings->count--;
}

static void bookings_add(struct bookings *bookings, uint32_t attempts, uint64_t now_ms)
{
	uint64_t last_ms = bookings_last(bookings);

	bookings_make_room(bookings);
	bookings->groups[bookings->count++] = (struct group){
	    .at_ms = now_ms > last_ms ? now_ms : last_ms,
	    .attempts = attempts,
	};
}

static void bookings_take(struct bookings *bookings, uint32_t attempts)
{
	while (attempts > 0 && bookings->count > 0) {
		struct group *newest = &bookings->groups[bookings->count - 1];
		uint32_t part = attempts < newest->attempts ? attempts : newest->attempts;

		newest->attempts -= part;
		attempts -= part;
		if (newest->attempts == 0)
			bookings->count--;
	}
}

/* ── The row ─────────────────────────────────────────────────────────────────────────────── */

static enum err bookings_get(
    struct vault_txn *txn, const struct key *key, struct bookings *bookings)
{
	struct unpack *unpack;
	const struct value *array;
	size_t items;
	enum err err = row_get(txn, TABLE_PROBE, key, &unpack);

	bookings->count = 0;
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	array = unpack_root(unpack);
	items = value_count(array);
	for (size_t i = 0; i + 1 < items && bookings->count < GROUPS_MAX; i += 2) {
		bookings->groups[bookings->count++] = (struct group){
		    .at_ms = value_uint(value_item(array, i), 0),
		    .attempts = (uint32_t)value_uint(value_item(array, i + 1), 0),
		};
	}
	unpack_free(unpack);
	return ERR_OK;
}

static enum err bookings_put(
    struct vault_txn *txn, const struct key *key, const struct bookings *bookings)
{
	struct buf row;

	if (bookings->count == 0)
		return store_del(txn, TABLE_PROBE, key);
	buf_init(&row, ROW_SIZE_MAX);
	pack_array(&row, bookings->count * 2);
	for (size_t i = 0; i < bookings->count; i++) {
		pack_uint(&row, bookings->groups[i].at_ms);
		pack_uint(&row, bookings->groups[i].attempts);
	}
	return row_put(txn, TABLE_PROBE, key, &row);
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

enum err probe_book(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts, uint64_t now_ms, uint64_t *free_at_ms)
{
	uint32_t budget = lockout->limit > 0 ? lockout->limit - 1 : 0;
	struct bookings bookings;
	struct key key;
	enum err err;

	if (!identity_key(asset, account, lockout, &key))
		return ERR_INVALID;
	err = bookings_get(txn, &key, &bookings);
	if (err != ERR_OK || attempts == 0)
		return err;
	bookings_expire(&bookings, lockout, now_ms);
	if ((uint64_t)bookings_sum(&bookings) + attempts > budget) {
		if (free_at_ms != NULL)
			*free_at_ms = bookings_free_at(&bookings, lockout);
		return ERR_FULL;
	}
	bookings_add(&bookings, attempts, now_ms);
	return bookings_put(txn, &key, &bookings);
}

enum err probe_return(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts)
{
	struct bookings bookings;
	struct key key;
	enum err err;

	if (!identity_key(asset, account, lockout, &key))
		return ERR_INVALID;
	err = bookings_get(txn, &key, &bookings);
	if (err != ERR_OK || bookings.count == 0)
		return err;
	bookings_take(&bookings, attempts);
	return bookings_put(txn, &key, &bookings);
}

uint32_t probe_count(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint64_t now_ms)
{
	struct bookings bookings;
	struct key key;

	if (!identity_key(asset, account, lockout, &key) ||
	    bookings_get(txn, &key, &bookings) != ERR_OK)
		return UINT32_MAX; /* what cannot be read is not free to try */
	bookings_expire(&bookings, lockout, now_ms);
	return bookings_sum(&bookings);
}

/* ── Moving ──────────────────────────────────────────────────────────────────────────────── */

/* Of two lists one, each booking no earlier than it was: what was counted is counted on. */
static void bookings_join(struct bookings *into, const struct bookings *more)
{
	for (size_t i = 0; i < more->count; i++)
		bookings_add(into, more->groups[i].attempts, more->groups[i].at_ms);
}

static enum err bookings_move(struct vault_txn *txn, const struct key *from, const struct key *to)
{
	struct bookings moved, there;
	enum err err = bookings_get(txn, from, &moved);

	if (err == ERR_OK)
		err = bookings_get(txn, to, &there);
	if (err != ERR_OK)
		return err;
	bookings_join(&there, &moved);
	err = bookings_put(txn, to, &there);
	return err == ERR_OK ? store_del(txn, TABLE_PROBE, from) : err;
}

enum err probe_move(struct vault_txn *txn, const char *from, const char *to, uint32_t *moved)
{
	struct key prefix = key_of_names(from, ""), key = prefix;
	struct bytes row;
	enum step step = STEP_AT; /* the prefix alone is the whole asset's */
	enum err err = ERR_OK;

	for (*moved = 0; err == ERR_OK; step = STEP_UP, ++*moved) {
		struct key target = key_of_names(to, "");

		if (store_step(txn, TABLE_PROBE, step, &key, &row) != ERR_OK ||
		    !key_begins(&key, &prefix))
			break;
		key_add(&target, key.bytes + prefix.len, key.len - prefix.len);
		err = bookings_move(txn, &key, &target);
	}
	return err;
}
