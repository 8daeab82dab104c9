/* Approvals: a row each, by id, so in the order in which they were asked for. */
#include "vault/approval_rows.h"

#include <stdio.h>
#include <string.h>

#include "vault/find.h"
#include "vault/row.h"
#include "vault/span.h"
#include "vault/vault_state.h"

#define OF_ONE_MAX (APPROVALS_MAX / 10)

static uint64_t wall_ms(const struct vault_txn *txn)
{
	return clock_wall_ms(txn->vault->clock);
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static enum err approval_parse(struct vault_txn *txn, const struct key *key,
    const struct bytes *row, struct approval *approval)
{
	struct unpack *unpack;
	const struct value *map;
	uint64_t kind;
	enum err err = row_parse(txn, TABLE_APPROVAL, row, &unpack);

	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	kind = value_uint(value_get(map, "k"), SECRET_PASSWORD);
	*approval = (struct approval){
	    .account = value_id(value_get(map, "c")),
	    .kind = (enum secret_kind)kind,
	    .version = (uint32_t)value_uint(value_get(map, "v"), 0),
	    .asked_ms = value_uint(value_get(map, "s"), 0),
	    .by_owner = value_bool(value_get(map, "o"), false),
	    .granted = value_bool(value_get(map, "g"), false),
	    .answered_ms = value_uint(value_get(map, "t"), 0),
	    .answered_mono_ms = value_uint(value_get(map, "m"), 0),
	    .length_ms = value_uint(value_get(map, "l"), 0),
	    .used_ms = value_uint(value_get(map, "u"), 0),
	};
	value_text(value_get(map, "a"), approval->asset, sizeof(approval->asset));
	value_text(value_get(map, "n"), approval->name, sizeof(approval->name));
	value_text(value_get(map, "w"), approval->who, sizeof(approval->who));
	value_text(value_get(map, "y"), approval->why, sizeof(approval->why));
	value_text(value_get(map, "b"), approval->by, sizeof(approval->by));
	unpack_free(unpack);
	memcpy(approval->id.bytes, key->bytes, ID_SIZE);
	return row_enum(txn, TABLE_APPROVAL, kind, SECRET_KIND_COUNT) ? ERR_OK : ERR_CORRUPT;
}

static enum err approval_write(struct vault_txn *txn, const struct approval *approval)
{
	struct key key = key_of_id(&approval->id);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 15);
	pack_kv_id(&row, "c", &approval->account);
	pack_kv_uint(&row, "k", approval->kind);
	pack_kv_uint(&row, "v", approval->version);
	pack_kv_uint(&row, "s", approval->asked_ms);
	pack_kv_bool(&row, "o", approval->by_owner);
	pack_kv_bool(&row, "g", approval->granted);
	pack_kv_uint(&row, "t", approval->answered_ms);
	pack_kv_uint(&row, "m", approval->answered_mono_ms);
	pack_kv_uint(&row, "l", approval->length_ms);
	pack_kv_uint(&row, "u", approval->used_ms);
	pack_kv_text(&row, "a", approval->asset);
	pack_kv_text(&row, "n", approval->name);
	pack_kv_text(&row, "w", approval->who);
	pack_kv_text(&row, "y", approval->why);
	pack_kv_text(&row, "b", approval->by);
	return row_put(txn, TABLE_APPROVAL, &key, &row);
}

static enum err approval_get(struct vault_txn *txn, const struct id *id, struct approval *approval)
{
	struct key key = key_of_id(id);
	struct bytes row;
	enum err err = store_get(txn, TABLE_APPROVAL, &key, &row);

	return err == ERR_OK ? approval_parse(txn, &key, &row, approval) : err;
}

void approval_each(struct vault_txn *txn, bool (*fn)(void *arg, const struct approval *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every id */
	struct approval approval;
	struct bytes row;

	while (store_step(txn, TABLE_APPROVAL, STEP_UP, &key, &row) == ERR_OK)
		if (approval_parse(txn, &key, &row, &approval) != ERR_OK || !fn(arg, &approval))
			return;
}

enum err approval_find(
    struct vault_txn *txn, const char *text, struct approval *approval, struct error *error)
{
	struct id id;
	enum err err = find_by_id(txn, TABLE_APPROVAL, "approval", text, &id, error);

	if (err != ERR_OK)
		return err;
	err = approval_get(txn, &id, approval);
	return err == ERR_OK ? err : error_set(error, err, "approval %s cannot be read", text);
}

size_t approval_id_length(struct vault_txn *txn, const struct id *id)
{
	return find_length(txn, TABLE_APPROVAL, id);
}

/* ── What it is now ──────────────────────────────────────────────────────────────────────── */

const char *approval_state_name(enum approval_state state)
{
	static const char *const names[] = {
	    [APPROVAL_PENDING] = "pending",
	    [APPROVAL_GRANTED] = "granted",
	    [APPROVAL_DENIED] = "denied",
	    [APPROVAL_USED] = "used",
	    [APPROVAL_EXPIRED] = "expired",
	};

	return names[state];
}

uint64_t approval_until_ms(struct vault_txn *txn, const struct approval *approval)
{
	return span_until_ms(
	    txn, approval->answered_ms, approval->answered_mono_ms, approval->length_ms);
}

enum approval_state approval_state(struct vault_txn *txn, const struct approval *approval)
{
	if (approval->used_ms != 0)
		return APPROVAL_USED;
	if (approval->by[0] == '\0')
		return wall_ms(txn) < approval->asked_ms + APPROVAL_KEEP_MS ? APPROVAL_PENDING
									    : APPROVAL_EXPIRED;
	if (!approval->granted)
		return APPROVAL_DENIED;
	return wall_ms(txn) < approval_until_ms(txn, approval) ? APPROVAL_GRANTED
							       : APPROVAL_EXPIRED;
}

struct finding {
	struct vault_txn *txn;
	const struct id *account;
	uint32_t version;
	const char *who;
	struct approval *found;
	bool any, granted;
};

static bool find_one(void *arg, const struct approval *approval)
{
	struct finding *finding = arg;
	enum approval_state state = approval_state(finding->txn, approval);
	bool granted = state == APPROVAL_GRANTED;

	if (!id_equal(&approval->account, finding->account) ||
	    approval->version != finding->version || strcmp(approval->who, finding->who) != 0 ||
	    (state != APPROVAL_PENDING && !granted) || (finding->granted && !granted))
		return true;
	*finding->found = *approval;
	finding->any = true;
	finding->granted = granted;
	return true;
}

enum err approval_for(struct vault_txn *txn, const struct id *account, uint32_t version,
    const char *who, struct approval *out)
{
	struct finding finding = {
	    .txn = txn, .account = account, .version = version, .who = who, .found = out};

	approval_each(txn, find_one, &finding);
	return finding.any ? ERR_OK : ERR_NOT_FOUND;
}

/* ── Asking ──────────────────────────────────────────────────────────────────────────────── */

struct counting {
	struct vault_txn *txn;
	const char *who;
	size_t all, own; /* own: not answered */
	struct id oldest_ended;
	bool any_ended;
};

static bool count_one(void *arg, const struct approval *approval)
{
	struct counting *counting = arg;
	enum approval_state state = approval_state(counting->txn, approval);

	counting->all++;
	counting->own += state == APPROVAL_PENDING && strcmp(approval->who, counting->who) == 0;
	if (!counting->any_ended && state != APPROVAL_PENDING && state != APPROVAL_GRANTED) {
		counting->oldest_ended = approval->id;
		counting->any_ended = true;
	}
	return true;
}

/* What is older than it is kept goes; where there are too many, the oldest that has ended. */
static enum err make_room(struct vault_txn *txn, struct counting *counting)
{
	struct key key = {.bytes = {0}, .len = 1};
	struct approval approval;
	struct bytes row;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_APPROVAL, STEP_UP, &key, &row) == ERR_OK) {
		err = approval_parse(txn, &key, &row, &approval);
		if (err == ERR_OK && wall_ms(txn) >= approval.asked_ms + APPROVAL_KEEP_MS &&
		    approval_state(txn, &approval) != APPROVAL_GRANTED)
			err = store_del(txn, TABLE_APPROVAL, &key);
	}
	approval_each(txn, count_one, counting);
	if (err == ERR_OK && counting->all >= APPROVALS_MAX && counting->any_ended) {
		key = key_of_id(&counting->oldest_ended);
		err = store_del(txn, TABLE_APPROVAL, &key);
		counting->all--;
	}
	return err;
}

enum err approval_ask(struct vault_txn *txn, const struct account *account, uint32_t version,
    const char *who, const char *why, struct approval *out, struct error *error)
{
	struct counting counting = {.txn = txn, .who = who};
	enum err err = make_room(txn, &counting);

	if (err == ERR_OK && (counting.all >= APPROVALS_MAX || counting.own >= OF_ONE_MAX))
		return error_set(error, ERR_LIMIT,
		    "too many approvals are asked for already: have some of them answered "
		    "(lockstep approval list)");
	*out = (struct approval){
	    .id = id_make(wall_ms(txn)),
	    .account = account->id,
	    .kind = account->kind,
	    .version = version,
	    .asked_ms = wall_ms(txn),
	};
	memcpy(out->asset, account->asset, sizeof(out->asset));
	memcpy(out->name, account->name, sizeof(out->name));
	snprintf(out->who, sizeof(out->who), "%s", who);
	snprintf(out->why, sizeof(out->why), "%s", why != NULL ? why : "");
	if (err == ERR_OK)
		err = approval_write(txn, out);
	return err == ERR_OK ? err : error_set(error, err, "what is asked for cannot be kept");
}

/* ── Answering and using ─────────────────────────────────────────────────────────────────── */

static enum err not_so(struct vault_txn *txn, const struct approval *approval, struct error *error)
{
	return error_set(error, ERR_REFUSED,
	    "that approval is %s: each is answered once, and used once",
	    approval_state_name(approval_state(txn, approval)));
}

enum err approval_answer(struct vault_txn *txn, const struct id *id, const char *by, bool by_owner,
    uint64_t length_ms, struct approval *out, struct error *error)
{
	enum err err = approval_get(txn, id, out);

	if (err != ERR_OK)
		return error_set(error, err, "that approval is kept no more");
	if (approval_state(txn, out) != APPROVAL_PENDING)
		return not_so(txn, out, error);
	if (strcmp(out->who, by) == 0 || by[0] == '\0')
		return error_set(
		    error, ERR_REFUSED, "nobody answers what they asked for themselves");
	snprintf(out->by, sizeof(out->by), "%s", by);
	out->by_owner = by_owner;
	out->granted = length_ms > 0;
	out->answered_ms = wall_ms(txn);
	out->answered_mono_ms = clock_mono_ms(txn->vault->clock);
	out->length_ms = length_ms;
	err = approval_write(txn, out);
	return err == ERR_OK ? err : error_set(error, err, "the answer cannot be kept");
}

enum err approval_void(struct vault_txn *txn, const struct id *id, struct error *error)
{
	struct approval approval;
	enum err err = approval_get(txn, id, &approval);

	if (err == ERR_OK && approval_state(txn, &approval) == APPROVAL_GRANTED) {
		approval.granted = false;
		err = approval_write(txn, &approval);
	}
	return err == ERR_OK ? err : error_set(error, err, "an approval cannot be taken back");
}

enum err approval_use(struct vault_txn *txn, const struct id *id, struct error *error)
{
	struct approval approval;
	enum err err = approval_get(txn, id, &approval);

	if (err != ERR_OK)
		return error_set(error, err, "that approval is kept no more");
	if (approval_state(txn, &approval) != APPROVAL_GRANTED)
		return not_so(txn, &approval, error);
	approval.used_ms = wall_ms(txn);
	err = approval_write(txn, &approval);
	return err == ERR_OK ? err : error_set(error, err, "that it was used cannot be kept");
}

/* ── What becomes of their account ───────────────────────────────────────────────────────── */

enum err approval_rename(struct vault_txn *txn, const struct account *account)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every id */
	struct approval approval;
	struct bytes row;
	enum err err = ERR_OK;

	while (err == ERR_OK && store_step(txn, TABLE_APPROVAL, STEP_UP, &key, &row) == ERR_OK) {
		err = approval_parse(txn, &key, &row, &approval);
		if (err != ERR_OK || !id_equal(&approval.account, &account->id))
			continue;
		memcpy(approval.asset, account->asset, sizeof(approval.asset));
		err = approval_write(txn, &approval);
	}
	return err;
}
