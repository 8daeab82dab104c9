/*
 * Sealing anew: what older data keys seal is sealed by the newest one, table by table and some
 * hundreds of values a commit. How far it has come is kept, so that a killed engine goes on there.
 */
#include <string.h>

#include "vault/key_ring.h"
#include "vault/named.h"
#include "vault/row.h"
#include "vault/trail.h"
#include "vault/vault_state.h"
#include "vault/version.h"

#define VALUES_MOST 200 /* a commit */

/* In this order; what is new meanwhile is sealed by the newest data key as it is. */
enum stage { STAGE_VERSIONS, STAGE_NAMED, STAGE_REST, STAGE_END };

struct progress {
	uint64_t data_key; /* towards which: after another change it begins again */
	uint64_t stage;
	struct key at; /* the row that was sealed last; len 0 = none of the stage */
};

struct batch_step {
	struct vault *vault;
	bool over;
};

static struct key progress_key(void)
{
	return key_of_word("reseal");
}

/* ── How far ─────────────────────────────────────────────────────────────────────────────── */

static enum err progress_get(struct vault_txn *txn, struct progress *progress)
{
	struct key key = progress_key();
	struct unpack *unpack;
	const void *at;
	size_t len;
	enum err err = row_get(txn, TABLE_META, &key, &unpack);

	*progress = (struct progress){.data_key = seal_number(txn->vault->seal)};
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	at = value_bytes(value_get(unpack_root(unpack), "k"), &len);
	if (value_uint(value_get(unpack_root(unpack), "n"), 0) == progress->data_key &&
	    len <= KEY_SIZE) {
		progress->stage = value_uint(value_get(unpack_root(unpack), "s"), 0);
		if (len > 0)
			key_add(&progress->at, at, len);
	}
	unpack_free(unpack);
	return ERR_OK;
}

static enum err progress_put(struct vault_txn *txn, const struct progress *progress)
{
	struct key key = progress_key();
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 3);
	pack_kv_uint(&row, "n", progress->data_key);
	pack_kv_uint(&row, "s", progress->stage);
	pack_kv_bytes(&row, "k", progress->at.bytes, progress->at.len);
	return row_put(txn, TABLE_META, &key, &row);
}

/* ── One value ───────────────────────────────────────────────────────────────────────────── */

static enum err reseal_at(struct vault_txn *txn, uint64_t stage, const struct key *key,
    const struct bytes *row, struct error *error)
{
	return stage == STAGE_VERSIONS ? version_reseal(txn, key, row, error)
				       : named_reseal(txn, key, row, error);
}

static enum err reseal_rows(
    struct vault_txn *txn, struct progress *progress, size_t *left, struct error *error)
{
	enum table table = progress->stage == STAGE_VERSIONS ? TABLE_SEAL : TABLE_NAMED;
	struct bytes row;
	enum err err = ERR_OK;

	for (; err == ERR_OK && *left > 0; --*left) {
		enum step step = progress->at.len == 0 ? STEP_AT : STEP_UP;

		if (progress->at.len == 0)
			progress->at = (struct key){.bytes = {0}, .len = 1};
		err = store_step(txn, table, step, &progress->at, &row);
		if (err == ERR_NOT_FOUND) {
			progress->stage++;
			progress->at.len = 0;
			return ERR_OK;
		}
		if (err == ERR_OK)
			err = reseal_at(txn, progress->stage, &progress->at, &row, error);
	}
	return err;
}

static enum err reseal_end(struct vault_txn *txn, struct batch_step *step, struct error *error)
{
	struct key key = progress_key();
	enum err err = trail_reseal(txn, error);

	if (err == ERR_OK)
		err = key_ring_shed(step->vault, txn, error);
	if (err == ERR_OK)
		err = store_del(txn, TABLE_META, &key);
	step->over = err == ERR_OK;
	return err;
}

static enum err reseal_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct batch_step *step = arg;
	struct progress progress;
	size_t left = VALUES_MOST;
	enum err err = progress_get(txn, &progress);

	step->over = false;
	while (err == ERR_OK && progress.stage < STAGE_REST && left > 0)
		err = reseal_rows(txn, &progress, &left, error);
	if (err == ERR_OK && progress.stage >= STAGE_REST)
		return reseal_end(txn, step, error);
	return err == ERR_OK ? progress_put(txn, &progress) : err;
}

enum err vault_reseal(struct vault *vault, bool *more, struct error *error)
{
	struct batch_step step = {.vault = vault};
	enum err err;

	*more = seal_count(vault->seal) > 1;
	if (!*more)
		return ERR_OK;
	err = vault_write(vault, reseal_apply, &step, error);
	if (err != ERR_OK)
		return err;
	if (step.over)
		key_ring_shed_done(vault);
	*more = !step.over;
	return ERR_OK;
}
