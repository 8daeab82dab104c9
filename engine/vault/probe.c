#include <string.h>

#include "vault.h"
#include "vault/probe.h"
#include "vault/row.h"
#include "vault/vault_state.h"

/*
 * Bookings of one identity, oldest first. None expires alone: assets that count failures "since the
 * last" hold them all until a whole window was quiet, so the newest decides for all.
 *
 * A returned booking is the newest one, as the accounts of an asset are worked one after another:
 * then the window runs again from the failed attempt before it, and not from the one that worked.
 *
 * A window has passed when both clocks say so. The wall clock may be set forward, and the asset
 * would not know; the monotonic one begins anew when the machine does. Where it stands before the
 * booking's, the machine was started since, and the wall clock alone is left.
 */
#define GROUPS_MAX 16

struct moment {
	uint64_t wall_ms, mono_ms;
};

struct group {
	struct moment at;
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

static struct moment bookings_last(const struct bookings *bookings)
{
	return bookings->count == 0 ? (struct moment){0} : bookings->groups[bookings->count - 1].at;
}

static struct moment moment_of(const struct vault_txn *txn, uint64_t wall_ms)
{
	return (struct moment){
	    .wall_ms = wall_ms,
	    .mono_ms = clock_mono_ms(txn->vault->clock),
	};
}

static uint64_t sum_capped(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

/* By the wall clock. One that was set back makes the window longer, never shorter. */
static uint64_t bookings_free_at(
    const struct bookings *bookings, const struct lockout *lockout, struct moment now)
{
	struct moment last = bookings_last(bookings);
	uint64_t by_wall_ms = sum_capped(last.wall_ms, lockout->window_ms);
	uint64_t passed_ms = now.mono_ms - last.mono_ms, by_mono_ms = 0;

	if (now.mono_ms >= last.mono_ms && passed_ms < lockout->window_ms)
		by_mono_ms = sum_capped(now.wall_ms, lockout->window_ms - passed_ms);
	return by_wall_ms > by_mono_ms ? by_wall_ms : by_mono_ms;
}

static void bookings_expire(
    struct bookings *bookings, const struct lockout *lockout, struct moment now)
{
	if (now.wall_ms >= bookings_free_at(bookings, lockout, now))
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

static void bookings_add(struct bookings *bookings, uint32_t attempts, struct moment now)
{
	struct moment last = bookings_last(bookings);

	if (now.wall_ms < last.wall_ms) { /* the later of each, then */
		now.wall_ms = last.wall_ms;
		now.mono_ms = now.mono_ms > last.mono_ms ? now.mono_ms : last.mono_ms;
	}
	bookings_make_room(bookings);
	bookings->groups[bookings->count++] = (struct group){.at = now, .attempts = attempts};
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

/* A group is `width` numbers. */
static enum err bookings_read(
    struct vault_txn *txn, const struct key *key, size_t width, struct bookings *bookings)
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
	for (size_t i = 0; i + width <= items && bookings->count < GROUPS_MAX; i += width) {
		bookings->groups[bookings->count++] = (struct group){
		    .at.wall_ms = value_uint(value_item(array, i), 0),
		    .attempts = (uint32_t)value_uint(value_item(array, i + 1), 0),
		    .at.mono_ms = width > 2 ? value_uint(value_item(array, i + 2), 0) : 0,
		};
	}
	unpack_free(unpack);
	return ERR_OK;
}

static enum err bookings_get(
    struct vault_txn *txn, const struct key *key, struct bookings *bookings)
{
	return bookings_read(txn, key, 3, bookings);
}

static enum err bookings_put(
    struct vault_txn *txn, const struct key *key, const struct bookings *bookings)
{
	struct buf row;

	if (bookings->count == 0)
		return store_del(txn, TABLE_PROBE, key);
	buf_init(&row, ROW_SIZE_MAX);
	pack_array(&row, bookings->count * 3);
	for (size_t i = 0; i < bookings->count; i++) {
		pack_uint(&row, bookings->groups[i].at.wall_ms);
		pack_uint(&row, bookings->groups[i].attempts);
		pack_uint(&row, bookings->groups[i].at.mono_ms);
	}
	return row_put(txn, TABLE_PROBE, key, &row);
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

enum err probe_book(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts, uint64_t now_ms, uint64_t *free_at_ms)
{
	uint32_t budget = lockout->limit > 0 ? lockout->limit - 1 : 0;
	struct moment now = moment_of(txn, now_ms);
	struct bookings bookings;
	struct key key;
	enum err err;

	if (!identity_key(asset, account, lockout, &key))
		return ERR_INVALID;
	err = bookings_get(txn, &key, &bookings);
	if (err != ERR_OK || attempts == 0)
		return err;
	bookings_expire(&bookings, lockout, now);
	if ((uint64_t)bookings_sum(&bookings) + attempts > budget) {
		if (free_at_ms != NULL)
			*free_at_ms = bookings_free_at(&bookings, lockout, now);
		return ERR_FULL;
	}
	bookings_add(&bookings, attempts, now);
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
	bookings_expire(&bookings, lockout, moment_of(txn, now_ms));
	return bookings_sum(&bookings);
}

/* ── Moving ──────────────────────────────────────────────────────────────────────────────── */

/* Of two lists one, each booking no earlier than it was: what was counted is counted on. */
static void bookings_join(struct bookings *into, const struct bookings *more)
{
	for (size_t i = 0; i < more->count; i++)
		bookings_add(into, more->groups[i].attempts, more->groups[i].at);
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

/* ── Schema 2 had the wall clock alone ───────────────────────────────────────────────────── */

enum err probe_migrate(struct vault_txn *txn)
{
	struct key key = key_of_names("", "");
	struct bookings bookings;
	struct bytes row;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_PROBE, STEP_UP, &key, &row) == ERR_OK) {
		err = bookings_read(txn, &key, 2, &bookings);
		if (err == ERR_OK)
			err = bookings_put(txn, &key, &bookings);
	}
	return err;
}
