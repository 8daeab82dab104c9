#include "vault/migrate.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "vault/account.h"
#include "vault/count.h"
#include "vault/probe.h"
#include "vault/record.h"
#include "vault/seen_rows.h"
#include "vault/version.h"

/* ── Schema 1: one row an account, versions of both kinds in one history ───────────────────── */

/* What an old row's versions of one kind come to. */
struct split {
	const struct account *was;
	struct account now;
	struct version current; /* number 0: none found yet */
	bool any;
	bool mismatch; /* one that ended without a verdict is newer than what is current */
};

/*
 * Newest first. What the old row calls current or pending stays so. Of the other kind, the newest
 * one that was once believed becomes current: it was replaced only because an account had room for
 * one secret, and nothing was seen to make it wrong.
 */
static bool split_version(void *arg, const struct version *version)
{
	struct split *split = arg;
	struct account *now = &split->now;
	bool believed = version->end == VERSION_LIVE || version->end == VERSION_REPLACED;

	split->any = true;
	if (version->number == split->was->pending) {
		now->pending = version->number;
		now->pending_record = split->was->pending_record;
	} else if (split->current.number == 0 && believed) {
		now->current = version->number;
		split->current = *version;
	} else if (version->number == split->was->previous) {
		now->previous = version->number;
	} else if (split->current.number == 0 && version->end == VERSION_NO_VERDICT) {
		split->mismatch = true;
	}
	return true;
}

static struct split split_of(
    struct vault_txn *txn, const struct account *was, enum secret_kind kind)
{
	struct split split = {.was = was, .now = *was};
	struct account *now = &split.now;

	now->kind = kind;
	now->current = now->previous = now->pending = 0;
	now->pending_record = (struct id){{0}};
	version_each(txn, now, split_version, &split);
	if (now->current != was->current)
		now->changed_ms = split.current.created_ms;
	/* Only passwords were ever rotated, so only a password can have been changed by another. */
	now->mismatch = kind == SECRET_PASSWORD &&
			(now->current == was->current ? was->mismatch : split.mismatch);
	return split;
}

static enum err split_keep(struct vault_txn *txn, struct split *split)
{
	struct version *current = &split->current;
	enum err err = ERR_OK;

	if (!split->any)
		return ERR_OK;
	if (current->number != 0 && current->end != VERSION_LIVE) {
		current->end = VERSION_LIVE;
		current->ended_ms = 0;
		err = version_put(txn, &split->now.id, current);
	}
	return err == ERR_OK ? account_put(txn, &split->now) : err;
}

static enum err split_row(struct vault_txn *txn, const struct key *key, const struct account *was)
{
	enum err err = store_del(txn, TABLE_ACCOUNT, key);

	if (err == ERR_OK)
		err = store_del(txn, TABLE_DOUBT, key);
	for (int kind = 0; err == ERR_OK && kind < SECRET_KIND_COUNT; kind++) {
		struct split split = split_of(txn, was, (enum secret_kind)kind);

		err = split_keep(txn, &split);
	}
	return err;
}

/* True for the key of a row that was split already: it stands behind the one it was split from. */
static bool key_has_kind(const struct key *key)
{
	const uint8_t *name = memchr(key->bytes, '\0', key->len);
	size_t left = name == NULL ? 0 : key->len - (size_t)(name + 1 - key->bytes);

	return left > 0 && memchr(name + 1, '\0', left) != NULL;
}

static enum err split_rows(struct vault_txn *txn)
{
	struct key key = key_of_names("", "");
	struct account was;
	struct bytes row;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_ACCOUNT, STEP_UP, &key, &row) == ERR_OK) {
		if (key_has_kind(&key))
			continue;
		err = account_parse(txn, &row, &was);
		if (err == ERR_OK)
			err = split_row(txn, &key, &was);
	}
	return err;
}

/* ── Schema 3: no days, no accounts counted, no indices of records ─────────────────────────── */

struct counting {
	struct vault_txn *txn;
	enum err err;
};

static bool count_one_account(void *arg, const struct account *account)
{
	struct counting *counting = arg;

	counting->err = count_account(counting->txn, NULL, account);
	return counting->err == ERR_OK;
}

static bool count_one_execution(void *arg, const struct execution *execution)
{
	struct counting *counting = arg;

	counting->err = count_execution(counting->txn, NULL, execution);
	return counting->err == ERR_OK;
}

static bool count_one_record(void *arg, const struct record *record)
{
	struct counting *counting = arg;

	counting->err = record_enter(counting->txn, record);
	return counting->err == ERR_OK;
}

/* What a step before this one has put is counted by now, and is counted again with the others. */
static enum err days_clear(struct vault_txn *txn)
{
	struct key key = {.len = 0}, accounts = key_of_word("accounts");
	struct bytes row;
	enum err err = store_del(txn, TABLE_COUNT, &accounts);

	key_add_u32(&key, 0);
	while (err == ERR_OK && store_step(txn, TABLE_DAY, STEP_AT, &key, &row) == ERR_OK)
		err = store_del(txn, TABLE_DAY, &key);
	return err;
}

static enum err count_all(struct vault_txn *txn)
{
	const struct id none = {{0}};
	struct counting counting = {.txn = txn, .err = days_clear(txn)};

	if (counting.err == ERR_OK)
		account_each(txn, NULL, count_one_account, &counting);
	if (counting.err == ERR_OK)
		execution_each(txn, &none, count_one_execution, &counting);
	if (counting.err == ERR_OK)
		record_each(txn, &none, &none, count_one_record, &counting);
	return counting.err;
}

/* ── The transaction ─────────────────────────────────────────────────────────────────────── */

static enum err migrate_rows(struct vault_txn *txn, uint64_t schema)
{
	enum err err = ERR_OK;

	if (schema < 2)
		err = split_rows(txn);
	if (err == ERR_OK && schema < 3)
		err = probe_migrate(txn);
	if (err == ERR_OK && schema < 4)
		err = count_all(txn);
	/* Schema 4 differs in that nothing was audited: an older release must not write to it. */
	if (err == ERR_OK && schema < 6)
		err = seen_migrate(txn);
	/* Schema 6 knows no check-outs: an older release would rotate what is out. Schema 7 no
	 * approvals: it would show without one. */
	return err == ERR_OK ? store_schema_raise(txn) : err;
}

/* ERR_AGAIN: the map is too small for it. */
static enum err migrate_once(struct vault *vault, uint64_t schema, struct error *error)
{
	struct vault_txn txn;
	enum err err = store_begin(vault->store, true, &txn, error);

	if (err != ERR_OK)
		return err;
	txn.vault = vault;
	err = migrate_rows(&txn, schema);
	if (err == ERR_OK && txn.trouble.code == ERR_OK)
		return store_commit(&txn, error);
	if (txn.map_full)
		err = ERR_AGAIN;
	else if (txn.trouble.code != ERR_OK)
		err = error_set(error, txn.trouble.code, "%s", txn.trouble.text);
	else
		err = error_set(
		    error, err, "vault %s cannot be brought to this release's schema", vault->dir);
	store_abort(&txn);
	return err;
}

static enum err schema_of(struct vault *vault, uint64_t *schema, struct error *error)
{
	struct vault_txn txn;
	enum err err = store_begin(vault->store, false, &txn, error);

	if (err != ERR_OK)
		return err;
	*schema = store_schema(&txn);
	store_abort(&txn);
	return ERR_OK;
}

enum err vault_migrate(struct vault *vault, struct error *error)
{
	uint64_t schema;
	char from[24];
	enum err err = schema_of(vault, &schema, error);

	if (err != ERR_OK || schema == STORE_SCHEMA)
		return err;
	while ((err = migrate_once(vault, schema, error)) == ERR_AGAIN) {
		err = store_grow(vault->store, error);
		if (err != ERR_OK)
			return err;
	}
	if (err == ERR_OK) {
		snprintf(from, sizeof(from), "%llu", (unsigned long long)schema);
		log_event(
		    LOG_LEVEL_INFO, "vault_migrated", "vault", vault->dir, "from", from, NULL);
	}
	return err;
}
