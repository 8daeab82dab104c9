/* Check-outs: a row for each account's secret and person, from its beginning until it is rotated.
 */
#include "vault/checkout_rows.h"

#include <stdio.h>
#include <string.h>

#include "vault/row.h"
#include "vault/seen.h"
#include "vault/span.h"
#include "vault/vault_state.h"

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static struct key row_prefix(const struct id *account, enum secret_kind kind)
{
	struct key key = key_of_id(account);
	uint8_t byte = (uint8_t)kind;

	key_add(&key, &byte, 1);
	return key;
}

static struct key checkout_key(const struct id *account, enum secret_kind kind, const char *who)
{
	struct key key = row_prefix(account, kind);

	key_add(&key, who, strnlen(who, WHO_SIZE - 1));
	return key;
}

static enum err checkout_parse(
    struct vault_txn *txn, const struct bytes *row, struct checkout *checkout)
{
	struct unpack *unpack;
	const struct value *map;
	uint64_t kind;
	enum err err = row_parse(txn, TABLE_CHECKOUT, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	kind = value_uint(value_get(map, "k"), SECRET_PASSWORD);
	*checkout = (struct checkout){
	    .account = value_id(value_get(map, "id")),
	    .kind = (enum secret_kind)kind,
	    .version = (uint32_t)value_uint(value_get(map, "v"), 0),
	    .since_ms = value_uint(value_get(map, "s"), 0),
	    .since_mono_ms = value_uint(value_get(map, "m"), 0),
	    .length_ms = value_uint(value_get(map, "l"), 0),
	    .ended_ms = value_uint(value_get(map, "e"), 0),
	    .tries = (uint32_t)value_uint(value_get(map, "t"), 0),
	    .again_ms = value_uint(value_get(map, "g"), 0),
	    .execution = value_id(value_get(map, "x")),
	};
	value_text(value_get(map, "a"), checkout->asset, sizeof(checkout->asset));
	value_text(value_get(map, "n"), checkout->name, sizeof(checkout->name));
	value_text(value_get(map, "w"), checkout->who, sizeof(checkout->who));
	value_text(value_get(map, "y"), checkout->why, sizeof(checkout->why));
	unpack_free(unpack);
	return row_enum(txn, TABLE_CHECKOUT, kind, SECRET_KIND_COUNT) ? ERR_OK : ERR_CORRUPT;
}

static enum err checkout_write(struct vault_txn *txn, const struct checkout *checkout)
{
	struct key key = checkout_key(&checkout->account, checkout->kind, checkout->who);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 14);
	pack_kv_id(&row, "id", &checkout->account);
	pack_kv_uint(&row, "k", checkout->kind);
	pack_kv_uint(&row, "v", checkout->version);
	pack_kv_uint(&row, "s", checkout->since_ms);
	pack_kv_uint(&row, "m", checkout->since_mono_ms);
	pack_kv_uint(&row, "l", checkout->length_ms);
	pack_kv_uint(&row, "e", checkout->ended_ms);
	pack_kv_uint(&row, "t", checkout->tries);
	pack_kv_uint(&row, "g", checkout->again_ms);
	pack_kv_id(&row, "x", &checkout->execution);
	pack_kv_text(&row, "a", checkout->asset);
	pack_kv_text(&row, "n", checkout->name);
	pack_kv_text(&row, "w", checkout->who);
	pack_kv_text(&row, "y", checkout->why);
	return row_put(txn, TABLE_CHECKOUT, &key, &row);
}

static enum err checkout_read(
    struct vault_txn *txn, const struct key *key, struct checkout *checkout)
{
	struct bytes row;
	enum err err = store_get(txn, TABLE_CHECKOUT, key, &row);

	return err == ERR_OK ? checkout_parse(txn, &row, checkout) : err;
}

static enum err checkout_drop(struct vault_txn *txn, const struct checkout *checkout)
{
	struct key key = checkout_key(&checkout->account, checkout->kind, checkout->who);

	return store_del(txn, TABLE_CHECKOUT, &key);
}

/* Behind `*key`, among those that begin with the prefix. */
static bool checkout_next(
    struct vault_txn *txn, const struct key *prefix, struct key *key, struct checkout *checkout)
{
	struct bytes row;

	return store_step(txn, TABLE_CHECKOUT, STEP_UP, key, &row) == ERR_OK &&
	       key_begins(key, prefix) && checkout_parse(txn, &row, checkout) == ERR_OK;
}

/* ── Time ────────────────────────────────────────────────────────────────────────────────── */

static uint64_t wall_ms(const struct vault_txn *txn)
{
	return clock_wall_ms(txn->vault->clock);
}

uint64_t checkout_until_ms(struct vault_txn *txn, const struct checkout *checkout)
{
	return span_until_ms(txn, checkout->since_ms, checkout->since_mono_ms, checkout->length_ms);
}

bool checkout_is_out(struct vault_txn *txn, const struct checkout *checkout)
{
	return checkout->ended_ms == 0 && wall_ms(txn) < checkout_until_ms(txn, checkout);
}

/* ── Beginning and ending ────────────────────────────────────────────────────────────────── */

enum err checkout_get(struct vault_txn *txn, const struct account *account, const char *who,
    struct checkout *checkout)
{
	struct key key = checkout_key(&account->id, account->kind, who);

	return checkout_read(txn, &key, checkout);
}

enum err checkout_begin(struct vault_txn *txn, const struct account *account, const char *who,
    const char *why, uint64_t length_ms, struct checkout *there, struct error *error)
{
	struct checkout checkout = {
	    .account = account->id,
	    .kind = account->kind,
	    .version = account->current,
	    .since_ms = wall_ms(txn),
	    .since_mono_ms = clock_mono_ms(txn->vault->clock),
	    .length_ms = length_ms,
	};
	enum err err = checkout_get(txn, account, who, there);

	if (who[0] == '\0' || account_state(account) != ACCOUNT_CURRENT)
		return error_set(error, ERR_REFUSED,
		    "account \"%s\" on asset \"%s\" has no secret that is known to open it",
		    account->name, account->asset);
	if (err == ERR_OK)
		return error_set(error, ERR_EXISTS, "%s has account \"%s\" on asset \"%s\" already",
		    who, account->name, account->asset);
	if (err == ERR_NOT_FOUND) {
		memcpy(checkout.asset, account->asset, sizeof(checkout.asset));
		memcpy(checkout.name, account->name, sizeof(checkout.name));
		snprintf(checkout.who, sizeof(checkout.who), "%s", who);
		snprintf(checkout.why, sizeof(checkout.why), "%s", why != NULL ? why : "");
		err = checkout_write(txn, &checkout);
	}
	return err == ERR_OK ? err : error_set(error, err, "a check-out cannot be kept");
}

/* Takes one that is over away where its person does not know what opens the account. */
static enum err checkout_leave(struct vault_txn *txn, const struct checkout *checkout, bool *left)
{
	struct account account;
	enum err err = account_get(txn, checkout->asset, checkout->name, checkout->kind, &account);

	*left = true;
	if (err != ERR_OK || !id_equal(&account.id, &checkout->account))
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	*left = seen_may_open(txn, &account, checkout->who, 0);
	return *left ? ERR_OK : checkout_drop(txn, checkout);
}

enum err checkout_end(struct vault_txn *txn, const struct checkout *checkout, bool *left)
{
	struct key key = checkout_key(&checkout->account, checkout->kind, checkout->who);
	struct checkout now;
	enum err err = checkout_read(txn, &key, &now);

	*left = false;
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (now.ended_ms == 0) {
		now.ended_ms = wall_ms(txn);
		err = checkout_write(txn, &now);
	}
	return err == ERR_OK ? checkout_leave(txn, &now, left) : err;
}

enum err checkout_forget(struct vault_txn *txn, const struct checkout *checkout)
{
	return checkout_drop(txn, checkout);
}

enum err checkout_tried(struct vault_txn *txn, const struct checkout *checkout,
    const struct id *execution, uint64_t again_ms)
{
	struct key key = checkout_key(&checkout->account, checkout->kind, checkout->who);
	struct checkout now;
	enum err err = checkout_read(txn, &key, &now);

	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	now.tries++;
	now.again_ms = again_ms;
	if (execution != NULL)
		now.execution = *execution;
	return checkout_write(txn, &now);
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

bool checkout_any(struct vault_txn *txn)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every id */
	struct bytes row;

	return store_step(txn, TABLE_CHECKOUT, STEP_UP, &key, &row) == ERR_OK;
}

void checkout_each(struct vault_txn *txn, bool (*fn)(void *arg, const struct checkout *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every id */
	const struct key all = {.len = 0};
	struct checkout checkout;

	while (checkout_next(txn, &all, &key, &checkout))
		if (!fn(arg, &checkout))
			return;
}

void checkout_each_of(struct vault_txn *txn, const struct account *account,
    bool (*fn)(void *arg, const struct checkout *), void *arg)
{
	struct key prefix = row_prefix(&account->id, account->kind), key = prefix;
	struct checkout checkout;

	while (checkout_next(txn, &prefix, &key, &checkout))
		if (!fn(arg, &checkout))
			return;
}

bool account_is_out(struct vault_txn *txn, const struct account *account, const char *but, bool any,
    struct checkout *checkout)
{
	struct key prefix = row_prefix(&account->id, account->kind), key = prefix;

	while (checkout_next(txn, &prefix, &key, checkout))
		if ((but == NULL || strcmp(checkout->who, but) != 0) &&
		    (any || checkout_is_out(txn, checkout)))
			return true;
	return false;
}

/* ── What becomes of their account ───────────────────────────────────────────────────────── */

enum err checkout_rotated(struct vault_txn *txn, const struct account *account)
{
	struct key prefix = row_prefix(&account->id, account->kind), key = prefix;
	struct checkout checkout;
	enum err err = ERR_OK;

	while (err == ERR_OK && checkout_next(txn, &prefix, &key, &checkout))
		if (!checkout_is_out(txn, &checkout) &&
		    !seen_may_open(txn, account, checkout.who, 0))
			err = checkout_drop(txn, &checkout);
	return err;
}

enum err checkout_rename(struct vault_txn *txn, const struct account *account)
{
	struct key prefix = row_prefix(&account->id, account->kind), key = prefix;
	struct checkout checkout;
	enum err err = ERR_OK;

	while (err == ERR_OK && checkout_next(txn, &prefix, &key, &checkout)) {
		memcpy(checkout.asset, account->asset, sizeof(checkout.asset));
		err = checkout_write(txn, &checkout);
	}
	return err;
}
