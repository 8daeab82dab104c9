#include "vault/generation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "vault/copy.h"
#include "vault/row.h"
#include "vault/vault_state.h"

#define FILE_NAME "generation"
#define TEXT_MAX  32

/* ── The file ────────────────────────────────────────────────────────────────────────────── */

static char *file_of(const char *dir)
{
	return xasprintf("%s/%s", dir, FILE_NAME);
}

bool generation_read(const char *dir, uint64_t *generation)
{
	char *path = file_of(dir), *end;
	struct error error;
	struct buf text;
	bool read;

	buf_init(&text, TEXT_MAX);
	read = file_read(path, &text, &error) == ERR_OK && text.len > 0;
	*generation = read ? strtoull(buf_text(&text), &end, 10) : 0;
	buf_clear(&text);
	free(path);
	return read;
}

enum err generation_write(const char *dir, uint64_t generation, struct error *error)
{
	char *path = file_of(dir), text[TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", generation);
	enum err err = file_write(path, text, (size_t)len, 0600, 1, error);

	free(path);
	return err;
}

/* ── The row ─────────────────────────────────────────────────────────────────────────────── */

enum err life_read(struct vault_txn *txn, struct life *life)
{
	struct key key = key_of_word("life");
	struct unpack *unpack;
	enum err err = row_get(txn, TABLE_META, &key, &unpack);

	*life = (struct life){.generation = 0};
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	life->generation = value_uint(value_get(unpack_root(unpack), "g"), 0);
	life->restored_ms = value_uint(value_get(unpack_root(unpack), "r"), 0);
	life->restored = value_uint(value_get(unpack_root(unpack), "b"), 0);
	life->open = value_bool(value_get(unpack_root(unpack), "o"), false);
	unpack_free(unpack);
	return ERR_OK;
}

/* ── Doubts of then ──────────────────────────────────────────────────────────────────────── */

struct doubts {
	struct vault_txn *txn;
	enum err err;
};

/* How far its settling came, and that its end was seen, says nothing: it may have been sent again
 * since. */
static bool forget_progress(void *arg, const struct account *account)
{
	struct doubts *doubts = arg;
	struct record record;
	enum err err = record_get(doubts->txn, &account->pending_record, &record);

	if (err == ERR_OK && record.status == STATUS_UNVERIFIED) {
		snprintf(record.reason, sizeof(record.reason), "restored");
		snprintf(record.error_class, sizeof(record.error_class), "uncertain");
		snprintf(record.error_code, sizeof(record.error_code), "restored");
		snprintf(record.error_message, sizeof(record.error_message),
		    "the vault was put back from a copy, which does not know what came of it "
		    "since");
		err = record_put(doubts->txn, &record);
	}
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		doubts->err = err;
	return doubts->err == ERR_OK;
}

static enum err doubts_forget(struct vault_txn *txn)
{
	struct doubts doubts = {.txn = txn, .err = ERR_OK};

	account_each_in_doubt(txn, forget_progress, &doubts);
	return doubts.err;
}

/* ── Keeping it ──────────────────────────────────────────────────────────────────────────── */

static enum err life_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct life *life = arg;
	struct key key = key_of_word("life");
	struct buf row;
	enum err err;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 4);
	pack_kv_uint(&row, "g", life->generation);
	pack_kv_uint(&row, "r", life->restored_ms);
	pack_kv_uint(&row, "b", life->restored);
	pack_kv_bool(&row, "o", life->open);
	err = row_put(txn, TABLE_META, &key, &row);
	return err == ERR_OK ? err : error_set(error, err, "the generation cannot be kept");
}

static enum err restored_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	enum err err = life_apply(txn, arg, error);

	if (err == ERR_OK)
		err = doubts_forget(txn);
	return err == ERR_OK ? err : error_set(error, err, "what is in doubt cannot be kept so");
}

/* The vault first: a file that is behind is caught up with, one that is ahead says that the vault
 * is an older one. */
static enum err life_put(
    struct vault *vault, const struct life *life, vault_apply_fn apply, struct error *error)
{
	struct life copy = *life;
	enum err err = vault_write(vault, apply, &copy, error);

	if (err == ERR_OK)
		err = generation_write(vault->dir, life->generation, error);
	if (err == ERR_OK)
		vault->life = *life;
	return err;
}

/* ── Noticing ────────────────────────────────────────────────────────────────────────────── */

/* Ahead of the vault, or gone though copies were made: this is one of them. */
static bool is_put_back(const struct life *life, bool there, uint64_t beside)
{
	return there ? beside > life->generation : life->generation > 0;
}

enum err life_open(struct vault *vault, struct error *error)
{
	struct vault_txn *txn = vault_read(vault);
	struct life life;
	uint64_t beside;
	bool there = generation_read(vault->dir, &beside);
	enum err err = txn == NULL ? ERR_IO : life_read(txn, &life);

	vault_read_end(txn);
	if (err != ERR_OK)
		return error_set(error, err, "vault %s: its generation cannot be read", vault->dir);
	vault->life = life;
	if (is_put_back(&life, there, beside)) {
		life.generation = (beside > life.generation ? beside : life.generation) + 1;
		life.restored_ms = clock_wall_ms(vault->clock);
		life.restored = life.generation;
		life.open = life.just_now = true;
		return life_put(vault, &life, restored_apply, error);
	}
	if (!there || beside < life.generation)
		return generation_write(vault->dir, life.generation, error);
	return ERR_OK;
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

enum err vault_outdate_copies(struct vault *vault, struct error *error)
{
	struct life life = vault->life;

	life.generation++;
	return life_put(vault, &life, life_apply, error);
}

uint64_t vault_restored_ms(const struct vault *vault)
{
	return vault->life.restored_ms;
}

bool vault_was_put_back(const struct vault *vault)
{
	return vault->life.just_now;
}

bool vault_restore_is_open(const struct vault *vault)
{
	return vault->life.open;
}

enum err vault_restore_settled(struct vault *vault, struct error *error)
{
	struct life life = vault->life;

	life.open = false;
	return life_put(vault, &life, life_apply, error);
}

bool account_is_stale(struct vault_txn *txn, const struct account *account)
{
	struct version version;

	return account->current != 0 &&
	       version_get(txn, account, account->current, &version) == ERR_OK &&
	       version.generation < txn->vault->life.restored;
}
