/* Renaming an asset: its rows move to the new name, all in one transaction. */
#include <string.h>

#include "vault/account.h"
#include "vault/approval_rows.h"
#include "vault/checkout_rows.h"
#include "vault/probe.h"
#include "vault/store.h"

struct renaming {
	struct vault_txn *txn;
	const char *from, *to;
	struct host_key from_pins[HOST_KEYS_MAX], to_pins[HOST_KEYS_MAX];
	size_t from_count, to_count;
};

static bool name_fits(const char *asset)
{
	return asset[0] != '\0' && strlen(asset) < ASSET_NAME_SIZE;
}

/* ── Whether it may be ───────────────────────────────────────────────────────────────────── */

static bool note_account(void *arg, const struct account *account)
{
	struct account *first = arg;

	*first = *account;
	return false;
}

static bool note_doubt(void *arg, const struct account *account)
{
	struct account *doubt = arg;

	if (account->pending == 0)
		return true;
	*doubt = *account;
	return false;
}

static bool pin_is_same(const struct host_key *a, const struct host_key *b)
{
	return strcmp(a->type, b->type) == 0 && a->len == b->len &&
	       memcmp(a->blob, b->blob, a->len) == 0;
}

static bool pins_share_one(const struct renaming *renaming)
{
	for (size_t i = 0; i < renaming->from_count; i++)
		for (size_t k = 0; k < renaming->to_count; k++)
			if (pin_is_same(&renaming->from_pins[i], &renaming->to_pins[k]))
				return true;
	return false;
}

static bool pins_are_trusted(const struct renaming *renaming)
{
	for (size_t k = 0; k < renaming->to_count; k++)
		if (strcmp(renaming->to_pins[k].how, "trust") != 0)
			return false;
	return true;
}

/*
 * The secrets of one machine must not go to another that only has its new name: pins that were
 * taken as they came have to agree with those that the secrets were used under.
 */
static bool pins_agree(const struct renaming *renaming)
{
	return renaming->from_count == 0 || renaming->to_count == 0 || pins_share_one(renaming) ||
	       pins_are_trusted(renaming);
}

static enum err renaming_check(struct renaming *renaming, struct error *error)
{
	struct account left = {.last = 0}, there = {.last = 0}, doubt = {.pending = 0};

	account_each(renaming->txn, renaming->from, note_account, &left);
	account_each(renaming->txn, renaming->to, note_account, &there);
	if (left.name[0] != '\0' && there.name[0] != '\0')
		return error_set(error, ERR_EXISTS,
		    "asset \"%s\" has kept secrets of its own (of account \"%s\"), which would be "
		    "lost among those of \"%s\"; nothing was moved: give it a third name in the "
		    "inventory, and rename \"%s\" to that",
		    renaming->to, there.name, renaming->from, renaming->from);
	account_each(renaming->txn, renaming->from, note_doubt, &doubt);
	if (doubt.pending != 0)
		return error_set(error, ERR_BUSY,
		    "account \"%s\" on asset \"%s\" is in doubt: run its task with the old name in "
		    "the inventory, which settles it, then rename; nothing was moved",
		    doubt.name, renaming->from);
	if (!pins_agree(renaming))
		return error_set(error, ERR_REFUSED,
		    "asset \"%s\" was seen with another host key than is pinned for \"%s\"; "
		    "nothing "
		    "was moved; if it is the same machine: lockstep asset trust %s, then rename",
		    renaming->to, renaming->from, renaming->to);
	return ERR_OK;
}

/* ── Moving ──────────────────────────────────────────────────────────────────────────────── */

static enum err account_move(struct renaming *renaming, const struct bytes *row)
{
	struct vault_txn *txn = renaming->txn;
	struct account account;
	enum err err = account_parse(txn, row, &account);

	if (err == ERR_OK)
		err = account_drop(txn, &account);
	if (err != ERR_OK)
		return err;
	memcpy(account.asset, renaming->to, strlen(renaming->to) + 1);
	err = account_put(txn, &account);
	if (err == ERR_OK)
		err = checkout_rename(txn, &account);
	return err == ERR_OK ? approval_rename(txn, &account) : err;
}

/* Each is taken away before the next is looked for, so that stepping goes on whatever the name. */
static enum err accounts_move(struct renaming *renaming, uint32_t *moved)
{
	struct key prefix = key_of_names(renaming->from, "");
	enum err err = ERR_OK;

	for (*moved = 0; err == ERR_OK; ++*moved) {
		struct key key = prefix;
		struct bytes row;

		if (store_step(renaming->txn, TABLE_ACCOUNT, STEP_UP, &key, &row) != ERR_OK ||
		    !key_begins(&key, &prefix))
			break;
		err = account_move(renaming, &row);
	}
	return err;
}

/* What the new name has stays; what the old one had beside it joins, where they agree. */
static enum err pins_move(struct renaming *renaming, uint32_t *moved)
{
	bool join = renaming->to_count == 0 || pins_share_one(renaming);
	enum err err = host_key_forget(renaming->txn, renaming->from);

	*moved = 0;
	for (size_t i = 0; join && err == ERR_OK && i < renaming->from_count; i++) {
		size_t before = renaming->to_count;

		err = host_key_pin(renaming->txn, renaming->to, &renaming->from_pins[i]);
		if (err == ERR_EXISTS) /* another of its type: the new name's */
			err = ERR_OK;
		renaming->to_count = host_key_list(renaming->txn, renaming->to, renaming->to_pins);
		*moved += renaming->to_count > before;
	}
	return err;
}

enum err asset_rename(struct vault_txn *txn, const char *from, const char *to,
    struct renamed *renamed, struct error *error)
{
	struct renaming renaming = {.txn = txn, .from = from, .to = to};
	enum err err;

	*renamed = (struct renamed){.accounts = 0};
	if (!name_fits(from) || !name_fits(to) || strcmp(from, to) == 0)
		return error_set(error, ERR_INVALID,
		    "\"%.*s\" cannot be renamed to \"%.*s\": give two names of 1 to %d bytes",
		    ASSET_NAME_SIZE, from, ASSET_NAME_SIZE, to, ASSET_NAME_SIZE - 1);
	renaming.from_count = host_key_list(txn, from, renaming.from_pins);
	renaming.to_count = host_key_list(txn, to, renaming.to_pins);
	err = renaming_check(&renaming, error);
	if (err != ERR_OK)
		return err;
	err = accounts_move(&renaming, &renamed->accounts);
	if (err == ERR_OK)
		err = pins_move(&renaming, &renamed->host_keys);
	if (err == ERR_OK)
		err = probe_move(txn, from, to, &renamed->attempts);
	if (err != ERR_OK)
		return error_set(error, err, "what is kept of asset \"%s\" cannot be moved", from);
	if (renamed->accounts == 0 && renaming.from_count == 0 && renamed->attempts == 0)
		return error_set(error, ERR_NOT_FOUND,
		    "nothing is kept of asset \"%s\", so nothing was moved: lockstep account list "
		    "--orphaned tells of what there is",
		    from);
	return ERR_OK;
}
