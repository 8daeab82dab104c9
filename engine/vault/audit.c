#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "vault/audit_text.h"
#include "vault/row.h"
#include "vault/trail.h"
#include "vault/vault_state.h"

#define SIGN_EVERY    100   /* entries, at the latest */
#define SIGN_AFTER_MS 60000 /* and so long after the first that is not signed */

/* No named secret's name begins so. */
#define KEY_NAME     "-audit"
#define KEY_ROW_SIZE 512

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static struct key key_of_number(uint64_t number)
{
	struct key key = {.len = 0};

	key_add_u32(&key, (uint32_t)(number >> 32));
	key_add_u32(&key, (uint32_t)number);
	return key;
}

static uint64_t number_of_key(const struct key *key)
{
	uint64_t number = 0;

	for (size_t i = 0; i < key->len && i < 8; i++)
		number = number << 8 | key->bytes[i];
	return number;
}

static void entry_unpack(const struct value *map, struct audit_entry *entry)
{
	const void *bytes;
	size_t len;

	entry->at_ms = value_uint(value_get(map, "t"), 0);
	entry->has_uid = value_get(map, "i") != NULL;
	entry->uid = value_uint(value_get(map, "i"), 0);
	entry->version = (uint32_t)value_uint(value_get(map, "v"), 0);
	value_text(value_get(map, "w"), entry->what, sizeof(entry->what));
	value_text(value_get(map, "r"), entry->outcome, sizeof(entry->outcome));
	value_text(value_get(map, "o"), entry->origin, sizeof(entry->origin));
	value_text(value_get(map, "u"), entry->user, sizeof(entry->user));
	value_text(value_get(map, "f"), entry->address, sizeof(entry->address));
	value_text(value_get(map, "y"), entry->token, sizeof(entry->token));
	value_text(value_get(map, "k"), entry->task, sizeof(entry->task));
	value_text(value_get(map, "a"), entry->asset, sizeof(entry->asset));
	value_text(value_get(map, "n"), entry->account, sizeof(entry->account));
	value_text(value_get(map, "b"), entry->object, sizeof(entry->object));
	value_text(value_get(map, "x"), entry->execution, sizeof(entry->execution));
	value_text(value_get(map, "d"), entry->detail, sizeof(entry->detail));
	bytes = value_bytes(value_get(map, "s"), &len);
	entry->is_signed = bytes != NULL && len == sizeof(entry->signature);
	if (entry->is_signed)
		memcpy(entry->signature, bytes, len);
	bytes = value_bytes(value_get(map, "h"), &len);
	if (bytes != NULL && len == sizeof(entry->hash))
		memcpy(entry->hash, bytes, len);
}

static enum err entry_parse(struct vault_txn *txn, const struct key *key, const struct bytes *row,
    struct audit_entry *entry, uint64_t *signed_to)
{
	struct unpack *unpack;
	enum err err = row_parse(txn, TABLE_AUDIT, row, &unpack);

	if (err != ERR_OK)
		return err;
	*entry = (struct audit_entry){.number = number_of_key(key)};
	entry_unpack(unpack_root(unpack), entry);
	*signed_to = value_uint(value_get(unpack_root(unpack), "g"), 0);
	unpack_free(unpack);
	return ERR_OK;
}

/* Of texts only those that say something, as on the line. */
struct member {
	const char *key, *text;
};

static void pack_members(struct buf *row, const struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (members[i].text[0] != '\0')
			pack_kv_text(row, members[i].key, members[i].text);
}

static size_t count_members(const struct member *members, size_t count)
{
	size_t given = 0;

	for (size_t i = 0; i < count; i++)
		given += members[i].text[0] != '\0';
	return given;
}

/* `signed_to` is no part of the entry: it says when the next signature is due. */
static enum err entry_put(
    struct vault_txn *txn, const struct audit_entry *entry, uint64_t signed_to)
{
	const struct member members[] = {{"w", entry->what}, {"r", entry->outcome},
	    {"o", entry->origin}, {"u", entry->user}, {"f", entry->address}, {"y", entry->token},
	    {"k", entry->task}, {"a", entry->asset}, {"n", entry->account}, {"b", entry->object},
	    {"x", entry->execution}, {"d", entry->detail}};
	const size_t count = sizeof(members) / sizeof(members[0]);
	struct key key = key_of_number(entry->number);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, count_members(members, count) + 4 + entry->has_uid + entry->is_signed);
	pack_kv_uint(&row, "t", entry->at_ms);
	pack_kv_uint(&row, "v", entry->version);
	pack_kv_uint(&row, "g", signed_to);
	pack_kv_bytes(&row, "h", entry->hash, sizeof(entry->hash));
	if (entry->has_uid)
		pack_kv_uint(&row, "i", entry->uid);
	if (entry->is_signed)
		pack_kv_bytes(&row, "s", entry->signature, sizeof(entry->signature));
	pack_members(&row, members, count);
	return row_put(txn, TABLE_AUDIT, &key, &row);
}

/* The last one; number 0 where there is none. */
static enum err entry_last(struct vault_txn *txn, struct audit_entry *entry, uint64_t *signed_to)
{
	struct key key = key_of_number(UINT64_MAX);
	struct bytes row;
	enum err err = store_step(txn, TABLE_AUDIT, STEP_DOWN, &key, &row);

	*entry = (struct audit_entry){.number = 0};
	*signed_to = 0;
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	return err == ERR_OK ? entry_parse(txn, &key, &row, entry, signed_to) : err;
}

uint64_t audit_last(struct vault_txn *txn)
{
	struct key key = key_of_number(UINT64_MAX);
	struct bytes row;

	return store_step(txn, TABLE_AUDIT, STEP_DOWN, &key, &row) == ERR_OK ? number_of_key(&key)
									     : 0;
}

enum err trail_get(struct vault_txn *txn, uint64_t number, struct audit_entry *entry)
{
	struct key key = key_of_number(number);
	struct bytes row;
	uint64_t signed_to;
	enum err err = store_get(txn, TABLE_AUDIT, &key, &row);

	return err == ERR_OK ? entry_parse(txn, &key, &row, entry, &signed_to) : err;
}

enum err trail_hash(struct vault_txn *txn, uint64_t number, uint8_t hash[AUDIT_HASH_SIZE])
{
	struct audit_entry entry;
	enum err err;

	if (number == 0) {
		audit_genesis(seal_vault(txn->vault->seal), hash);
		return ERR_OK;
	}
	err = trail_get(txn, number, &entry);
	if (err == ERR_OK)
		memcpy(hash, entry.hash, AUDIT_HASH_SIZE);
	return err;
}

static void each(struct vault_txn *txn, enum step step, struct key key,
    bool (*fn)(void *arg, const struct audit_entry *), void *arg)
{
	struct audit_entry entry;
	uint64_t signed_to;
	struct bytes row;

	while (store_step(txn, TABLE_AUDIT, step, &key, &row) == ERR_OK) {
		if (entry_parse(txn, &key, &row, &entry, &signed_to) != ERR_OK || !fn(arg, &entry))
			return;
	}
}

void audit_each(struct vault_txn *txn, uint64_t after,
    bool (*fn)(void *arg, const struct audit_entry *), void *arg)
{
	each(txn, STEP_UP, key_of_number(after), fn, arg);
}

void audit_each_back(struct vault_txn *txn, uint64_t before,
    bool (*fn)(void *arg, const struct audit_entry *), void *arg)
{
	each(txn, STEP_DOWN, key_of_number(before == 0 ? UINT64_MAX : before), fn, arg);
}

/* ── The signing key ─────────────────────────────────────────────────────────────────────── */

static enum err no_signature(struct error *error)
{
	return error_set(error, ERR_IO, "OpenSSL refuses Ed25519: look at its configuration");
}

static EVP_PKEY *pkey_of(const struct secret *seed)
{
	return EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, (const unsigned char *)secret_data(seed), secret_len(seed));
}

static enum err key_put(struct vault_txn *txn, const uint8_t *public_key, const struct secret *seed,
    struct error *error)
{
	struct key key = key_of_word("audit");
	struct buf sealed, row;
	enum err err;

	buf_init(&sealed, SEALED_SIZE_MAX);
	buf_init(&row, KEY_ROW_SIZE);
	err = seal_close_named(txn->vault->seal, KEY_NAME, seed, &sealed, error);
	if (err == ERR_OK) {
		pack_map(&row, 2);
		pack_kv_bytes(&row, "p", public_key, AUDIT_KEY_SIZE);
		pack_kv_bytes(&row, "k", sealed.data, sealed.len);
		err = row_put(txn, TABLE_META, &key, &row);
	}
	buf_clear(&sealed);
	buf_clear(&row);
	return err;
}

static enum err key_make(struct vault_txn *txn, struct error *error)
{
	struct secret *seed = secret_new(AUDIT_KEY_SIZE);
	uint8_t public_key[AUDIT_KEY_SIZE];
	size_t len = sizeof(public_key);
	EVP_PKEY *pkey;
	enum err err;

	if (seed == NULL)
		return error_set(error, ERR_FULL, "the memory for secrets is full");
	random_bytes(secret_bytes(seed), AUDIT_KEY_SIZE);
	pkey = pkey_of(seed);
	if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, public_key, &len) != 1)
		err = no_signature(error);
	else
		err = key_put(txn, public_key, seed, error);
	EVP_PKEY_free(pkey);
	secret_free(seed);
	return err;
}

static enum err key_open(struct vault_txn *txn, uint8_t public_key[AUDIT_KEY_SIZE],
    struct secret **seed, struct error *error)
{
	struct key key = key_of_word("audit");
	struct unpack *unpack;
	const void *bytes;
	size_t len;
	enum err err = row_get(txn, TABLE_META, &key, &unpack);

	*seed = NULL;
	if (err != ERR_OK)
		return err;
	bytes = value_bytes(value_get(unpack_root(unpack), "p"), &len);
	if (bytes == NULL || len != AUDIT_KEY_SIZE)
		err = error_set(error, ERR_CORRUPT, "the audit log's key is damaged");
	else
		memcpy(public_key, bytes, len);
	bytes = value_bytes(value_get(unpack_root(unpack), "k"), &len);
	if (err == ERR_OK)
		err = seal_open_named(txn->vault->seal, KEY_NAME, bytes, len, seed, error);
	unpack_free(unpack);
	return err;
}

enum err trail_public_key(struct vault_txn *txn, uint8_t out[AUDIT_KEY_SIZE])
{
	struct key key = key_of_word("audit");
	struct unpack *unpack;
	const void *bytes;
	size_t len;
	enum err err = row_get(txn, TABLE_META, &key, &unpack);

	if (err != ERR_OK)
		return err;
	bytes = value_bytes(value_get(unpack_root(unpack), "p"), &len);
	if (bytes != NULL && len == AUDIT_KEY_SIZE)
		memcpy(out, bytes, len);
	else
		err = ERR_CORRUPT;
	unpack_free(unpack);
	return err;
}

enum err trail_reseal(struct vault_txn *txn, struct error *error)
{
	uint8_t public_key[AUDIT_KEY_SIZE];
	struct secret *seed;
	enum err err = key_open(txn, public_key, &seed, error);

	if (err == ERR_OK)
		err = key_put(txn, public_key, seed, error);
	secret_free(seed);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err key_ensure(struct vault_txn *txn, struct error *error)
{
	struct key key = key_of_word("audit");
	struct bytes row;
	enum err err = store_get(txn, TABLE_META, &key, &row);

	return err == ERR_NOT_FOUND ? key_make(txn, error) : err;
}

/* ── Appending ───────────────────────────────────────────────────────────────────────────── */

static void trail_add(struct vault *vault, const struct audit_entry *entry)
{
	struct trail *trail = &vault->trail;
	char line[AUDIT_LINE_SIZE];

	if (trail->count == trail->room) {
		trail->room = trail->room * 2 + 8;
		trail->lines = xrealloc(trail->lines, trail->room * sizeof(*trail->lines));
	}
	trail->lines[trail->count++] = xstrdup(audit_line(entry, line));
	trail->ends_signed = entry->is_signed;
}

static enum err entry_add(struct vault_txn *txn, struct audit_entry *entry,
    const struct audit_entry *before, uint64_t signed_to)
{
	uint8_t hash[AUDIT_HASH_SIZE];
	enum err err;

	if (before->number == 0)
		audit_genesis(seal_vault(txn->vault->seal), hash);
	else
		memcpy(hash, before->hash, sizeof(hash));
	audit_hash(entry, hash);
	err = entry_put(txn, entry, signed_to);
	if (err == ERR_OK)
		trail_add(txn->vault, entry);
	return err;
}

static bool entry_sign(struct vault_txn *txn, struct audit_entry *entry,
    const struct audit_entry *before, const struct secret *seed)
{
	char text[AUDIT_SIGNED_SIZE], id[ID_TEXT_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey = pkey_of(seed);
	size_t text_len, len = sizeof(entry->signature);

	id_text(seal_vault(txn->vault->seal), id);
	text_len = audit_signed_text(id, before->hash, entry, text);
	entry->is_signed =
	    ctx != NULL && pkey != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestSign(ctx, entry->signature, &len, (const unsigned char *)text, text_len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return entry->is_signed;
}

static enum err sign_behind(
    struct vault_txn *txn, const struct audit_entry *before, struct error *error)
{
	struct audit_entry entry = {
	    .number = before->number + 1,
	    .at_ms = clock_wall_ms(txn->vault->clock),
	};
	uint8_t public_key[AUDIT_KEY_SIZE];
	struct secret *seed;
	enum err err = key_ensure(txn, error);

	if (err == ERR_OK)
		err = key_open(txn, public_key, &seed, error);
	if (err != ERR_OK)
		return err;
	snprintf(entry.what, sizeof(entry.what), "%s", audit_what_name(AUDIT_SIGN));
	snprintf(entry.outcome, sizeof(entry.outcome), "%s", audit_outcome_name(AUDIT_DONE));
	snprintf(entry.origin, sizeof(entry.origin), "%s", audit_origin_name(AUDIT_ENGINE));
	if (entry_sign(txn, &entry, before, seed))
		err = entry_add(txn, &entry, before, entry.number);
	else
		err = no_signature(error);
	secret_free(seed);
	return err;
}

static void take_text(char *out, size_t size, const char *text)
{
	if (text != NULL)
		text_escape(out, size, text, strlen(text));
}

static void entry_of(struct vault_txn *txn, const struct audit_event *event, uint64_t number,
    struct audit_entry *entry)
{
	*entry = (struct audit_entry){
	    .number = number,
	    .at_ms = clock_wall_ms(txn->vault->clock),
	    .has_uid = event->who.has_uid,
	    .uid = event->who.uid,
	    .version = event->version,
	};
	take_text(entry->what, sizeof(entry->what), audit_what_name(event->what));
	take_text(entry->outcome, sizeof(entry->outcome), audit_outcome_name(event->outcome));
	take_text(entry->origin, sizeof(entry->origin), audit_origin_name(event->who.origin));
	take_text(entry->user, sizeof(entry->user), event->who.user);
	take_text(entry->address, sizeof(entry->address), event->who.address);
	take_text(entry->token, sizeof(entry->token), event->who.token);
	take_text(entry->task, sizeof(entry->task), event->task);
	take_text(entry->asset, sizeof(entry->asset), event->asset);
	take_text(entry->account, sizeof(entry->account), event->account);
	take_text(entry->object, sizeof(entry->object), event->object);
	take_text(entry->detail, sizeof(entry->detail), event->detail);
	if (!id_is_none(&event->execution))
		id_text(&event->execution, entry->execution);
}

enum err audit_append(struct vault_txn *txn, const struct audit_event *event, struct error *error)
{
	struct audit_entry last, entry;
	uint64_t signed_to;
	enum err err = entry_last(txn, &last, &signed_to);

	if (err == ERR_OK) {
		entry_of(txn, event, last.number + 1, &entry);
		err = entry_add(txn, &entry, &last, signed_to);
	}
	if (err == ERR_OK && entry.number - signed_to >= SIGN_EVERY)
		return sign_behind(txn, &entry, error);
	return err == ERR_OK ? ERR_OK : error_set(error, err, "the audit log cannot be written");
}

/* ── The policy that was told of last ────────────────────────────────────────────────────── */

enum err audit_policy_get(struct vault_txn *txn, const char *digest, struct buf *listing)
{
	struct key key = key_of_word("policy");
	struct unpack *unpack;
	const void *text;
	char kept[2 * AUDIT_HASH_SIZE + 1];
	size_t len;
	enum err err = row_get(txn, TABLE_META, &key, &unpack);

	if (err != ERR_OK)
		return err;
	value_text(value_get(unpack_root(unpack), "d"), kept, sizeof(kept));
	text = value_bytes(value_get(unpack_root(unpack), "l"), &len);
	if (text != NULL)
		buf_add(listing, text, len);
	unpack_free(unpack);
	return strcmp(kept, digest) == 0 ? ERR_OK : ERR_EXISTS;
}

enum err audit_policy_put(
    struct vault_txn *txn, const char *digest, const void *listing, size_t len)
{
	struct key key = key_of_word("policy");
	struct buf row;

	buf_init(&row, len + KEY_ROW_SIZE);
	pack_map(&row, 2);
	pack_kv_text(&row, "d", digest);
	pack_kv_bytes(&row, "l", listing, len);
	return row_put(txn, TABLE_META, &key, &row);
}

/* ── Signing in time ─────────────────────────────────────────────────────────────────────── */

static enum err sign_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct audit_entry last;
	uint64_t signed_to;
	enum err err = entry_last(txn, &last, &signed_to);

	(void)arg;
	return err == ERR_OK && last.number > signed_to ? sign_behind(txn, &last, error) : err;
}

static void sign_done(void *arg, enum err result, const struct error *error)
{
	struct vault *vault = arg;

	if (result == ERR_OK)
		return;
	log_event(LOG_LEVEL_WARN, "audit_not_signed", "error", error->text, NULL);
	timer_start(vault->clock, &vault->trail.timer, SIGN_AFTER_MS);
}

static void sign_turn(void *arg)
{
	vault_submit(arg, sign_apply, sign_done, arg);
}

enum err vault_audit_sign(struct vault *vault, struct error *error)
{
	return vault->trail.unsigned_left ? vault_write(vault, sign_apply, NULL, error) : ERR_OK;
}

static enum err key_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	uint8_t public_key[AUDIT_KEY_SIZE];
	enum err err = key_ensure(txn, error);

	if (err == ERR_OK)
		err = trail_public_key(txn, public_key);
	if (err == ERR_OK)
		hex_of(public_key, sizeof(public_key), arg);
	return err;
}

enum err vault_audit_key(struct vault *vault, char out[AUDIT_KEY_TEXT_SIZE], struct error *error)
{
	return vault_write(vault, key_apply, out, error);
}

/* ── The trail ───────────────────────────────────────────────────────────────────────────── */

void vault_audit_tell(struct vault *vault, void (*fn)(void *arg, const char *line), void *arg)
{
	vault->trail.tell = fn;
	vault->trail.arg = arg;
}

void trail_begin(struct vault *vault)
{
	struct trail *trail = &vault->trail;

	while (trail->count > 0)
		free(trail->lines[--trail->count]);
}

void trail_committed(struct vault *vault)
{
	struct trail *trail = &vault->trail;
	bool was_left = trail->unsigned_left;

	if (trail->count == 0)
		return;
	for (size_t i = 0; trail->tell != NULL && i < trail->count; i++)
		trail->tell(trail->arg, trail->lines[i]);
	trail->unsigned_left = !trail->ends_signed;
	if (!trail->unsigned_left)
		timer_stop(&trail->timer);
	else if (!was_left)
		timer_start(vault->clock, &trail->timer, SIGN_AFTER_MS);
	trail_begin(vault);
}

void trail_init(struct vault *vault)
{
	struct trail *trail = &vault->trail;
	struct vault_txn *txn = vault_read(vault);
	struct audit_entry last;
	uint64_t signed_to;

	trail->timer = (struct timer){.fn = sign_turn, .arg = vault};
	if (txn == NULL)
		return;
	trail->unsigned_left =
	    entry_last(txn, &last, &signed_to) == ERR_OK && last.number > signed_to;
	vault_read_end(txn);
	if (trail->unsigned_left)
		timer_start(vault->clock, &trail->timer, SIGN_AFTER_MS);
}

void trail_clear(struct vault *vault)
{
	timer_stop(&vault->trail.timer);
	trail_begin(vault);
	free(vault->trail.lines);
}
