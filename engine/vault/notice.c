#include "vault/notice.h"

#include <string.h>

#include "vault/find.h"
#include "vault/row.h"
#include "vault/tally.h"
#include "vault/vault_state.h"

#define GATHER_LOOK   200  /* of the newest, to find one that a record can be added to */
#define GIVEN_UP_MOST 1000 /* of these the newest are kept */

/* The numbers of their row among the counters. */
enum number { WAITING, GIVEN_UP, SENT, LOST };
#define NUMBERS 4

static struct key counts_key(void)
{
	return key_of_word("notices");
}

static enum number number_of(const struct notice *notice)
{
	return notice->given_up_ms != 0 ? GIVEN_UP : WAITING;
}

static enum err more_of(struct vault_txn *txn, enum number number)
{
	struct key key = counts_key();

	return tally_more(txn, TABLE_COUNT, &key, NUMBERS, number);
}

static enum err less_of(struct vault_txn *txn, enum number number)
{
	struct key key = counts_key();

	return tally_less(txn, TABLE_COUNT, &key, NUMBERS, number);
}

void notice_count(struct vault_txn *txn, struct notice_counts *counts)
{
	struct key key = counts_key();
	uint64_t numbers[NUMBERS];

	if (tally_get(txn, TABLE_COUNT, &key, numbers, NUMBERS) != ERR_OK)
		memset(numbers, 0, sizeof(numbers));
	*counts = (struct notice_counts){
	    .waiting = numbers[WAITING],
	    .given_up = numbers[GIVEN_UP],
	    .sent = numbers[SENT],
	    .lost = numbers[LOST],
	};
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static void parse_counts(const struct value *array, struct counts *counts)
{
	for (size_t i = 0; i < STATUS_COUNT; i++)
		counts->by_status[i] = value_uint(value_item(array, i), 0);
}

static void parse_records(const struct value *value, struct notice *notice)
{
	size_t len = 0;
	const void *ids = value_bytes(value, &len);

	notice->record_count = len / ID_SIZE;
	if (notice->record_count > NOTICE_RECORDS_MAX)
		notice->record_count = NOTICE_RECORDS_MAX;
	if (notice->record_count > 0)
		memcpy(notice->records, ids, notice->record_count * ID_SIZE);
}

static void parse(const struct value *map, struct notice *notice)
{
	value_text(value_get(map, "c"), notice->channel, sizeof(notice->channel));
	value_text(value_get(map, "r"), notice->to, sizeof(notice->to));
	value_text(value_get(map, "e"), notice->event, sizeof(notice->event));
	value_text(value_get(map, "t"), notice->task, sizeof(notice->task));
	value_text(value_get(map, "m"), notice->text, sizeof(notice->text));
	value_text(value_get(map, "w"), notice->why, sizeof(notice->why));
	notice->execution = value_id(value_get(map, "x"));
	parse_counts(value_get(map, "n"), &notice->counts);
	parse_records(value_get(map, "i"), notice);
	notice->more = value_uint(value_get(map, "o"), 0);
	notice->queued_ms = value_uint(value_get(map, "q"), 0);
	notice->due_ms = value_uint(value_get(map, "d"), 0);
	notice->tries = (uint32_t)value_uint(value_get(map, "a"), 0);
	notice->tried_ms = value_uint(value_get(map, "l"), 0);
	notice->given_up_ms = value_uint(value_get(map, "g"), 0);
}

enum err notice_get(struct vault_txn *txn, const struct id *id, struct notice *notice)
{
	struct key key = key_of_id(id);
	struct unpack *unpack;
	enum err err = row_get(txn, TABLE_NOTICE, &key, &unpack);

	if (err != ERR_OK)
		return err;
	*notice = (struct notice){.id = *id};
	parse(unpack_root(unpack), notice);
	unpack_free(unpack);
	return ERR_OK;
}

static enum err write(struct vault_txn *txn, const struct notice *notice)
{
	struct key key = key_of_id(&notice->id);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 15);
	pack_kv_text(&row, "c", notice->channel);
	pack_kv_text(&row, "r", notice->to);
	pack_kv_text(&row, "e", notice->event);
	pack_kv_text(&row, "t", notice->task);
	pack_kv_text(&row, "m", notice->text);
	pack_kv_text(&row, "w", notice->why);
	pack_kv_id(&row, "x", &notice->execution);
	pack_text(&row, "n");
	pack_array(&row, STATUS_COUNT);
	for (size_t i = 0; i < STATUS_COUNT; i++)
		pack_uint(&row, notice->counts.by_status[i]);
	pack_kv_bytes(&row, "i", notice->records, notice->record_count * ID_SIZE);
	pack_kv_uint(&row, "o", notice->more);
	pack_kv_uint(&row, "q", notice->queued_ms);
	pack_kv_uint(&row, "d", notice->due_ms);
	pack_kv_uint(&row, "a", notice->tries);
	pack_kv_uint(&row, "l", notice->tried_ms);
	pack_kv_uint(&row, "g", notice->given_up_ms);
	return row_put(txn, TABLE_NOTICE, &key, &row);
}

/* ── Changing ────────────────────────────────────────────────────────────────────────────── */

static enum err put_new(struct vault_txn *txn, struct notice *notice)
{
	struct notice_counts counts;
	enum err err;

	notice_count(txn, &counts);
	if (counts.waiting + counts.given_up >= NOTICES_MAX)
		return more_of(txn, LOST);
	notice->id = id_make(clock_wall_ms(txn->vault->clock));
	err = write(txn, notice);
	return err == ERR_OK ? more_of(txn, number_of(notice)) : err;
}

/* Where there are too many that were given up, the oldest goes. */
static enum err make_room(struct vault_txn *txn)
{
	struct key key = {.bytes = {0}, .len = ID_SIZE};
	struct notice_counts counts;
	struct notice notice;
	struct bytes row;
	struct id id;

	notice_count(txn, &counts);
	while (counts.given_up > GIVEN_UP_MOST &&
	       store_step(txn, TABLE_NOTICE, STEP_UP, &key, &row) == ERR_OK) {
		memcpy(id.bytes, key.bytes, ID_SIZE);
		if (notice_get(txn, &id, &notice) == ERR_OK && notice.given_up_ms != 0)
			return notice_remove(txn, &id, false);
	}
	return ERR_OK;
}

enum err notice_put(struct vault_txn *txn, struct notice *notice)
{
	struct notice was;
	enum err err;

	if (id_is_none(&notice->id))
		return put_new(txn, notice);
	err = notice_get(txn, &notice->id, &was);
	if (err == ERR_OK)
		err = less_of(txn, number_of(&was));
	if (err == ERR_OK)
		err = write(txn, notice);
	if (err == ERR_OK)
		err = more_of(txn, number_of(notice));
	return err == ERR_OK ? make_room(txn) : err;
}

static bool may_take(const struct notice *there, const struct notice *notice, uint64_t now_ms)
{
	return there->tries == 0 && there->given_up_ms == 0 && there->due_ms > now_ms &&
	       strcmp(there->event, notice->event) == 0 && strcmp(there->to, notice->to) == 0 &&
	       strcmp(there->channel, notice->channel) == 0 &&
	       strcmp(there->task, notice->task) == 0;
}

enum err notice_gather(struct vault_txn *txn, struct notice *notice)
{
	uint64_t now_ms = clock_wall_ms(txn->vault->clock);
	struct notice there;
	struct bytes row;
	struct key key;
	struct id id;

	memset(&id, 0xff, sizeof(id));
	key = key_of_id(&id);
	for (int i = 0; i < GATHER_LOOK; i++) {
		if (store_step(txn, TABLE_NOTICE, STEP_DOWN, &key, &row) != ERR_OK)
			break;
		memcpy(id.bytes, key.bytes, ID_SIZE);
		if (notice_get(txn, &id, &there) != ERR_OK || !may_take(&there, notice, now_ms))
			continue;
		if (there.record_count < NOTICE_RECORDS_MAX)
			there.records[there.record_count++] = notice->records[0];
		else
			there.more++;
		return write(txn, &there);
	}
	return put_new(txn, notice);
}

enum err notice_remove(struct vault_txn *txn, const struct id *id, bool sent)
{
	struct key key = key_of_id(id);
	struct notice notice;
	enum err err = notice_get(txn, id, &notice);

	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK)
		err = store_del(txn, TABLE_NOTICE, &key);
	if (err == ERR_OK)
		err = less_of(txn, number_of(&notice));
	return err == ERR_OK && sent ? more_of(txn, SENT) : err;
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

enum err notice_find(
    struct vault_txn *txn, const char *text, struct notice *notice, struct error *error)
{
	struct id id;
	enum err err = find_by_id(txn, TABLE_NOTICE, "notice", text, &id, error);

	if (err != ERR_OK)
		return err;
	err = notice_get(txn, &id, notice);
	return err == ERR_OK ? err : error_set(error, err, "notice %s cannot be read", text);
}

size_t notice_id_length(struct vault_txn *txn, const struct id *id)
{
	return find_length(txn, TABLE_NOTICE, id);
}

void notice_each(struct vault_txn *txn, const struct id *after,
    bool (*fn)(void *arg, const struct notice *), void *arg)
{
	struct key key = key_of_id(after);
	struct notice notice;
	struct bytes row;
	struct id id;

	while (store_step(txn, TABLE_NOTICE, STEP_UP, &key, &row) == ERR_OK) {
		memcpy(id.bytes, key.bytes, ID_SIZE);
		if (notice_get(txn, &id, &notice) != ERR_OK || !fn(arg, &notice))
			return;
	}
}
