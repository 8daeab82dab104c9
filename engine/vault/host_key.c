#include <string.h>

#include "vault.h"
#include "vault/row.h"

/* What begins the keys of all of an asset's pins. */
static struct key pins_of(const char *asset)
{
	return key_of_names(asset, "");
}

static bool asset_fits(const char *asset)
{
	return asset[0] != '\0' && strlen(asset) < ASSET_NAME_SIZE;
}

static enum err pin_get(struct vault_txn *txn, const struct key *key, struct host_key *pin)
{
	size_t prefix_len = strnlen((const char *)key->bytes, key->len) + 1;
	size_t type_len = key->len - prefix_len;
	const struct value *map;
	const void *blob;
	struct unpack *unpack;
	enum err err = row_get(txn, TABLE_HOST_KEY, key, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	*pin = (struct host_key){.seen_ms = value_uint(value_get(map, "t"), 0)};
	value_text(value_get(map, "h"), pin->how, sizeof(pin->how));
	blob = value_bytes(value_get(map, "b"), &pin->len);
	if (blob == NULL || pin->len > HOST_KEY_SIZE || type_len >= sizeof(pin->type)) {
		unpack_free(unpack);
		return txn_trouble(txn, ERR_CORRUPT, "a pinned host key is damaged");
	}
	memcpy(pin->blob, blob, pin->len);
	memcpy(pin->type, key->bytes + prefix_len, type_len);
	unpack_free(unpack);
	return ERR_OK;
}

/* The next pin of the asset after `*key`, which becomes its key. */
static bool pin_next(struct vault_txn *txn, const struct key *prefix, struct key *key)
{
	struct bytes row;

	return store_step(txn, TABLE_HOST_KEY, STEP_UP, key, &row) == ERR_OK &&
	       key_begins(key, prefix);
}

static size_t pins_count(struct vault_txn *txn, const char *asset)
{
	struct key prefix = pins_of(asset), key = prefix;
	size_t count = 0;

	while (pin_next(txn, &prefix, &key))
		count++;
	return count;
}

static enum err pin_put(struct vault_txn *txn, const struct key *key, const struct host_key *pin)
{
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 3);
	pack_kv_bytes(&row, "b", pin->blob, pin->len);
	pack_kv_uint(&row, "t", pin->seen_ms);
	pack_kv_text(&row, "h", pin->how);
	return row_put(txn, TABLE_HOST_KEY, key, &row);
}

enum err host_key_pin(struct vault_txn *txn, const char *asset, const struct host_key *pin)
{
	struct host_key before;
	struct key key;
	enum err err;

	if (!asset_fits(asset) || pin->type[0] == '\0' || pin->len == 0 || pin->len > HOST_KEY_SIZE)
		return ERR_INVALID;
	key = key_of_names(asset, pin->type);
	err = pin_get(txn, &key, &before);
	if (err == ERR_OK) {
		bool same = before.len == pin->len && memcmp(before.blob, pin->blob, pin->len) == 0;

		return same ? ERR_OK : ERR_EXISTS;
	}
	if (err != ERR_NOT_FOUND)
		return err;
	if (pins_count(txn, asset) >= HOST_KEYS_MAX)
		return ERR_LIMIT;
	return pin_put(txn, &key, pin);
}

enum err host_key_forget(struct vault_txn *txn, const char *asset)
{
	struct key prefix, key;
	enum err err = ERR_OK;

	if (!asset_fits(asset))
		return ERR_OK;
	prefix = pins_of(asset);
	for (key = prefix; err == ERR_OK && pin_next(txn, &prefix, &key);)
		err = store_del(txn, TABLE_HOST_KEY, &key);
	return err;
}

size_t host_key_list(struct vault_txn *txn, const char *asset, struct host_key *out)
{
	struct key prefix, key;
	size_t count = 0;

	if (!asset_fits(asset))
		return 0;
	prefix = pins_of(asset);
	for (key = prefix; count < HOST_KEYS_MAX && pin_next(txn, &prefix, &key); count++) {
		if (pin_get(txn, &key, &out[count]) != ERR_OK)
			break;
	}
	return count;
}
