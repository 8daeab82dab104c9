#include "vault/slot.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/pack.h"
#include "base/random.h"
#include "vault/row.h"

/* 64 MB and a fraction of a second: what a guess costs. */
#define SCRYPT_LOG_N 16
#define SCRYPT_R     8
#define SCRYPT_P     1

/* What a damaged row may not ask for. */
#define LOG_N_MAX 20
#define R_MAX	  16
#define P_MAX	  4

#define ROW_SIZE   2048
#define SCRYPT_MEM (2048UL * 1024 * 1024)

/* ── One ─────────────────────────────────────────────────────────────────────────────────── */

static struct secret *derive(const struct slot *slot, const struct secret *passphrase)
{
	struct secret *master = secret_new(MASTER_KEY_SIZE);

	if (master == NULL || slot->log_n > LOG_N_MAX || slot->r > R_MAX || slot->p > P_MAX ||
	    EVP_PBE_scrypt(secret_data(passphrase), secret_len(passphrase), slot->salt,
		sizeof(slot->salt), (uint64_t)1 << slot->log_n, slot->r, slot->p, SCRYPT_MEM,
		(unsigned char *)secret_bytes(master), MASTER_KEY_SIZE) != 1) {
		secret_free(master);
		return NULL;
	}
	return master;
}

enum err slot_make(struct slot *slot, const struct secret *material, bool passphrase,
    uint64_t now_ms, struct error *error)
{
	*slot = (struct slot){.derived = passphrase, .made_ms = now_ms};
	if (passphrase) {
		random_bytes(slot->salt, sizeof(slot->salt));
		slot->log_n = SCRYPT_LOG_N;
		slot->r = SCRYPT_R;
		slot->p = SCRYPT_P;
		slot->master = derive(slot, material);
	} else {
		slot->master = secret_copy(material);
	}
	return slot->master != NULL
		   ? ERR_OK
		   : error_set(error, ERR_FULL, "no memory to make a master key of what was given");
}

enum err slot_wrap(struct slot *slot, const struct seal *seal, struct error *error)
{
	struct buf wrapped;
	enum err err;

	if (slot->master == NULL)
		return ERR_OK;
	buf_init(&wrapped, sizeof(slot->wrapped));
	err = seal_wrap(seal, slot->master, &wrapped, error);
	if (err == ERR_OK) {
		memcpy(slot->wrapped, wrapped.data, wrapped.len);
		slot->len = wrapped.len;
	}
	buf_clear(&wrapped);
	return err;
}

bool slot_open(struct slot *slot, bool legacy, const struct secret *material, bool passphrase,
    struct seal *seal)
{
	struct secret *master;

	if (slot->derived != passphrase)
		return false;
	master = passphrase ? derive(slot, material) : secret_copy(material);
	if (master == NULL || !seal_unwrap(seal, master, slot->wrapped, slot->len, legacy)) {
		secret_free(master);
		return false;
	}
	secret_free(slot->master);
	slot->master = master; /* transferred */
	return true;
}

void slots_clear(struct slots *slots)
{
	for (size_t i = 0; i < slots->count; i++)
		secret_free(slots->items[i].master);
	*slots = (struct slots){.count = 0};
}

/* ── The row ─────────────────────────────────────────────────────────────────────────────── */

static bool take_bytes(const struct value *value, uint8_t *out, size_t most, size_t *len)
{
	const void *bytes = value_bytes(value, len);

	if (bytes == NULL || *len > most)
		return false;
	memcpy(out, bytes, *len);
	return true;
}

static bool slot_parse(const struct value *map, struct slot *slot)
{
	size_t salt;

	*slot = (struct slot){
	    .derived = value_bool(value_get(map, "d"), false),
	    .log_n = (uint32_t)value_uint(value_get(map, "n"), 0),
	    .r = (uint32_t)value_uint(value_get(map, "r"), 0),
	    .p = (uint32_t)value_uint(value_get(map, "p"), 0),
	    .made_ms = value_uint(value_get(map, "t"), 0),
	};
	return take_bytes(value_get(map, "s"), slot->salt, sizeof(slot->salt), &salt) &&
	       salt == sizeof(slot->salt) &&
	       take_bytes(value_get(map, "w"), slot->wrapped, sizeof(slot->wrapped), &slot->len);
}

static bool slots_parse(const struct value *map, struct slots *slots)
{
	const struct value *array = value_get(map, "slots");

	*slots = (struct slots){.legacy = array == NULL};
	if (slots->legacy) {
		slots->count = 1;
		return take_bytes(value_get(map, "key"), slots->items[0].wrapped,
		    sizeof(slots->items[0].wrapped), &slots->items[0].len);
	}
	if (value_count(array) == 0 || value_count(array) > SLOTS_MAX)
		return false;
	for (; slots->count < value_count(array); slots->count++)
		if (!slot_parse(value_item(array, slots->count), &slots->items[slots->count]))
			return false;
	return true;
}

enum err slots_read(struct vault_txn *txn, struct id *vault, struct slots *slots)
{
	struct key key = key_of_word("seal");
	struct unpack *unpack;
	struct bytes row;
	bool good;

	if (store_get(txn, TABLE_META, &key, &row) != ERR_OK ||
	    unpack_new(&unpack, row.data, row.len) != ERR_OK)
		return ERR_CORRUPT;
	*vault = value_id(value_get(unpack_root(unpack), "id"));
	good = slots_parse(unpack_root(unpack), slots);
	unpack_free(unpack);
	return good ? ERR_OK : ERR_CORRUPT;
}

static void slot_pack(struct buf *row, const struct slot *slot)
{
	pack_map(row, 7);
	pack_kv_bool(row, "d", slot->derived);
	pack_kv_bytes(row, "s", slot->salt, sizeof(slot->salt));
	pack_kv_uint(row, "n", slot->log_n);
	pack_kv_uint(row, "r", slot->r);
	pack_kv_uint(row, "p", slot->p);
	pack_kv_uint(row, "t", slot->made_ms);
	pack_kv_bytes(row, "w", slot->wrapped, slot->len);
}

enum err slots_write(struct vault_txn *txn, const struct id *vault, const struct slots *slots)
{
	struct key key = key_of_word("seal");
	struct buf row;

	buf_init(&row, ROW_SIZE);
	pack_map(&row, 2);
	pack_kv_id(&row, "id", vault);
	pack_text(&row, "slots");
	pack_array(&row, slots->count);
	for (size_t i = 0; i < slots->count; i++)
		slot_pack(&row, &slots->items[i]);
	return row_put(txn, TABLE_META, &key, &row);
}
