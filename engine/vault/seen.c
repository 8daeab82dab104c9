/* Who has seen what: a row for each version and person, and one for each person. */
#include "vault/seen_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vault/audit.h"
#include "vault/row.h"
#include "vault/vault_state.h"

/* Behind the account's id and the version's number stands the person's name. */
#define NAME_AT (ID_SIZE + 4)

/* Of a person: what they saw first and last, and when they saw all there was. */
struct viewer {
	uint64_t last_ms;
	uint64_t all_ms; /* 0 = never */
};

static struct key version_prefix(const struct id *account, uint32_t version)
{
	struct key key = key_of_id(account);

	key_add_u32(&key, version);
	return key;
}

static struct key seen_key(const struct id *account, uint32_t version, const char *who)
{
	struct key key = version_prefix(account, version);

	key_add(&key, who, strnlen(who, WHO_SIZE - 1));
	return key;
}

/* No account has this id. */
static struct key viewer_key(const char *who)
{
	const struct id none = {{0}};

	return seen_key(&none, 0, who);
}

static bool key_is_of(const struct key *key, const char *who)
{
	size_t len = strnlen(who, WHO_SIZE - 1);

	return key->len == NAME_AT + len && memcmp(key->bytes + NAME_AT, who, len) == 0;
}

static uint32_t key_version(const struct key *key)
{
	uint32_t number = 0;

	for (size_t i = ID_SIZE; i < NAME_AT && i < key->len; i++)
		number = number << 8 | key->bytes[i];
	return number;
}

static uint64_t now_ms(const struct vault_txn *txn)
{
	return clock_wall_ms(txn->vault->clock);
}

/* ── People ──────────────────────────────────────────────────────────────────────────────── */

static enum err viewer_get(struct vault_txn *txn, const char *who, struct viewer *viewer)
{
	struct key key = viewer_key(who);
	struct unpack *unpack;
	enum err err = row_get(txn, TABLE_SEEN, &key, &unpack);

	*viewer = (struct viewer){0};
	if (err != ERR_OK)
		return err;
	viewer->last_ms = value_uint(value_get(unpack_root(unpack), "t"), 0);
	viewer->all_ms = value_uint(value_get(unpack_root(unpack), "a"), 0);
	unpack_free(unpack);
	return ERR_OK;
}

static enum err viewer_note(struct vault_txn *txn, const char *who, uint64_t at_ms, bool all)
{
	struct key key = viewer_key(who);
	struct viewer viewer;
	struct buf row;
	enum err err = viewer_get(txn, who, &viewer);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if (at_ms > viewer.last_ms)
		viewer.last_ms = at_ms;
	if (all && at_ms > viewer.all_ms)
		viewer.all_ms = at_ms;
	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 2);
	pack_kv_uint(&row, "t", viewer.last_ms);
	pack_kv_uint(&row, "a", viewer.all_ms);
	return row_put(txn, TABLE_SEEN, &key, &row);
}

bool seen_knows(struct vault_txn *txn, const char *who)
{
	struct viewer viewer;

	return viewer_get(txn, who, &viewer) == ERR_OK;
}

/* ── Versions ────────────────────────────────────────────────────────────────────────────── */

static enum err seen_write(struct vault_txn *txn, const struct key *key, uint64_t at_ms)
{
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 1);
	pack_kv_uint(&row, "t", at_ms);
	return row_put(txn, TABLE_SEEN, key, &row);
}

static uint64_t seen_ms(struct vault_txn *txn, const struct bytes *row)
{
	struct unpack *unpack;
	uint64_t at_ms = 0;

	if (row_parse(txn, TABLE_SEEN, row, &unpack) != ERR_OK)
		return 0;
	at_ms = value_uint(value_get(unpack_root(unpack), "t"), 0);
	unpack_free(unpack);
	return at_ms;
}

static enum err seen_put_at(struct vault_txn *txn, const struct id *account, uint32_t version,
    const char *who, uint64_t at_ms)
{
	struct key key = seen_key(account, version, who);
	enum err err;

	if (who[0] == '\0' || version == 0)
		return ERR_INVALID;
	err = seen_write(txn, &key, at_ms);
	return err == ERR_OK ? viewer_note(txn, who, at_ms, false) : err;
}

enum err seen_put(
    struct vault_txn *txn, const struct id *account, uint32_t version, const char *who)
{
	return seen_put_at(txn, account, version, who, now_ms(txn));
}

enum err seen_put_all(struct vault_txn *txn, const char *who)
{
	return who[0] == '\0' ? ERR_INVALID : viewer_note(txn, who, now_ms(txn), true);
}

bool seen_has(struct vault_txn *txn, const struct id *account, uint32_t version, const char *who)
{
	struct key key = seen_key(account, version, who);
	struct bytes row;

	return store_get(txn, TABLE_SEEN, &key, &row) == ERR_OK;
}

enum err seen_drop(struct vault_txn *txn, const struct id *account, uint32_t version)
{
	struct key prefix = version_prefix(account, version);
	struct key key = prefix;
	struct bytes row;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_SEEN, STEP_UP, &key, &row) == ERR_OK &&
	       key_begins(&key, &prefix))
		err = store_del(txn, TABLE_SEEN, &key);
	return err;
}

/* ── The same secret again ───────────────────────────────────────────────────────────────── */

/* What cannot be opened may be the same. */
static bool is_same_secret(struct vault_txn *txn, const struct account *account, uint32_t number,
    const struct secret *secret)
{
	struct secret *earlier;
	struct error error;
	bool same = true;

	if (version_open(txn, account, number, &earlier, NULL, &error) != ERR_OK)
		return true;
	same = secret_equal(earlier, secret);
	secret_free(earlier);
	return same;
}

enum err seen_carry(struct vault_txn *txn, const struct account *account, uint32_t number,
    const struct secret *secret)
{
	struct key prefix = key_of_id(&account->id), key = prefix;
	uint32_t looked_at = 0;
	struct version version;
	struct bytes row;
	bool same = false;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_SEEN, STEP_UP, &key, &row) == ERR_OK &&
	       key_begins(&key, &prefix) && key_version(&key) < number) {
		uint32_t earlier = key_version(&key);
		uint64_t at_ms = seen_ms(txn, &row);
		struct key anew = version_prefix(&account->id, number);

		if (earlier != looked_at)
			same = version_get(txn, account, earlier, &version) == ERR_OK &&
			       is_same_secret(txn, account, earlier, secret);
		looked_at = earlier;
		key_add(&anew, key.bytes + NAME_AT, key.len - NAME_AT);
		if (same)
			err = seen_write(txn, &anew, at_ms);
	}
	return err;
}

/* ── Whether it opens still ──────────────────────────────────────────────────────────────── */

/* The newest version of a row's kind that someone knows, unless it was proven not to be the
 * account's. */
struct known {
	struct vault_txn *txn;
	const struct account *account;
	uint64_t all_ms; /* all that was made until then */
	uint32_t newest; /* 0 = none */
};

static void known_take(struct known *known, const struct version *version)
{
	if (version->end != VERSION_NOT_LIVE && version->number > known->newest)
		known->newest = version->number;
}

static bool known_of_all(void *arg, const struct version *version)
{
	struct known *known = arg;

	if (version->created_ms <= known->all_ms)
		known_take(known, version);
	return true;
}

static void known_one_by_one(struct known *known, const char *who, uint64_t since_ms)
{
	struct key prefix = key_of_id(&known->account->id), key = prefix;
	struct version version;
	struct bytes row;

	while (store_step(known->txn, TABLE_SEEN, STEP_UP, &key, &row) == ERR_OK &&
	       key_begins(&key, &prefix))
		if (key_is_of(&key, who) && seen_ms(known->txn, &row) >= since_ms &&
		    version_get(known->txn, known->account, key_version(&key), &version) == ERR_OK)
			known_take(known, &version);
}

static bool was_rotated(void *arg, const struct version *version)
{
	struct known *known = arg;

	if (version->number <= known->newest)
		return false;
	if (id_is_none(&version->record) || version->proof <= PROOF_TOLD)
		return true;
	known->newest = 0;
	return false;
}

bool seen_may_open(
    struct vault_txn *txn, const struct account *account, const char *who, uint64_t since_ms)
{
	struct known known = {.txn = txn, .account = account};
	struct viewer viewer;

	if (account->last == 0 || viewer_get(txn, who, &viewer) != ERR_OK ||
	    viewer.last_ms < since_ms)
		return false;
	if (viewer.all_ms != 0 && viewer.all_ms >= since_ms) {
		known.all_ms = viewer.all_ms;
		version_each(txn, account, known_of_all, &known);
	}
	known_one_by_one(&known, who, since_ms);
	if (known.newest != 0)
		version_each(txn, account, was_rotated, &known);
	return known.newest != 0;
}

/* ── From the audit log ──────────────────────────────────────────────────────────────────── */

struct moved {
	uint64_t number; /* of the entry that says so */
	char from[ASSET_NAME_SIZE], to[ASSET_NAME_SIZE];
};

struct migrating {
	struct vault_txn *txn;
	struct moved *moves; /* in order */
	size_t move_count, move_room;
	const struct audit_entry *entry;
	struct account account;
	enum err err;
};

static bool was_done(const struct audit_entry *entry, enum audit_what what)
{
	return strcmp(entry->what, audit_what_name(what)) == 0 &&
	       strcmp(entry->outcome, audit_outcome_name(AUDIT_DONE)) == 0;
}

static bool note_move(void *arg, const struct audit_entry *entry)
{
	struct migrating *migrating = arg;
	struct moved *moved;

	if (!was_done(entry, AUDIT_RENAME))
		return true;
	if (migrating->move_count == migrating->move_room) {
		migrating->move_room = migrating->move_room * 2 + 16;
		migrating->moves =
		    xrealloc(migrating->moves, migrating->move_room * sizeof(*migrating->moves));
	}
	moved = &migrating->moves[migrating->move_count++];
	moved->number = entry->number;
	snprintf(moved->from, sizeof(moved->from), "%s", entry->asset);
	snprintf(moved->to, sizeof(moved->to), "%.*s", (int)sizeof(moved->to) - 1, entry->object);
	return true;
}

/* An asset's entries name it as it was called then. */
static void follow_moves(const struct migrating *migrating, char asset[ASSET_NAME_SIZE])
{
	for (size_t i = 0; i < migrating->move_count; i++) {
		const struct moved *moved = &migrating->moves[i];

		if (moved->number > migrating->entry->number && strcmp(moved->from, asset) == 0)
			memcpy(asset, moved->to, sizeof(moved->to));
	}
}

/* The log does not name every version that was shown: whoever saw one may have seen all that there
 * were. */
static bool migrate_version(void *arg, const struct version *version)
{
	struct migrating *migrating = arg;
	const struct audit_entry *entry = migrating->entry;

	if (version->created_ms <= entry->at_ms || version->number == entry->version)
		migrating->err = seen_put_at(migrating->txn, &migrating->account.id,
		    version->number, entry->user, entry->at_ms);
	return migrating->err == ERR_OK;
}

static void migrate_reveal(struct migrating *migrating)
{
	const struct audit_entry *entry = migrating->entry;
	struct account *account = &migrating->account;
	enum secret_kind kind =
	    strcmp(entry->object, secret_kind_name(SECRET_KEY)) == 0 ? SECRET_KEY : SECRET_PASSWORD;

	memcpy(account->asset, entry->asset, sizeof(account->asset));
	follow_moves(migrating, account->asset);
	if (account_get(migrating->txn, account->asset, entry->account, kind, account) == ERR_OK)
		version_each(migrating->txn, account, migrate_version, migrating);
}

static bool migrate_entry(void *arg, const struct audit_entry *entry)
{
	struct migrating *migrating = arg;

	migrating->entry = entry;
	if (entry->user[0] == '\0')
		return true;
	if (was_done(entry, AUDIT_REVEAL))
		migrate_reveal(migrating);
	else if (was_done(entry, AUDIT_EXPORT))
		migrating->err = viewer_note(migrating->txn, entry->user, entry->at_ms, true);
	return migrating->err == ERR_OK;
}

enum err seen_migrate(struct vault_txn *txn)
{
	struct migrating migrating = {.txn = txn, .err = ERR_OK};

	audit_each(txn, 0, note_move, &migrating);
	audit_each(txn, 0, migrate_entry, &migrating);
	free(migrating.moves);
	return migrating.err;
}
