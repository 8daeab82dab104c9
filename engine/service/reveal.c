/* Revealing: an account's secret, on request. */
#include "service/reveal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ssh_key.h"
#include "base/text.h"
#include "service/approval.h"
#include "service/audit.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/shape.h"
#include "vault/copy.h"
#include "vault/seen.h"

static json_t *secret_shape(const struct secret *secret)
{
	return secret == NULL ? json_null() : json_stringn(secret_data(secret), secret_len(secret));
}

/* What an asset has of a key: its public line, with our mark. Null of a password. */
static json_t *public_shape(const struct reveal *reveal, const struct version *version,
    const struct secret *secret, const struct secret *passphrase)
{
	char line[SSH_KEY_LINE_SIZE], id[ID_TEXT_SIZE];
	struct error error;
	json_t *shape;
	char *text;

	if (version->kind != SECRET_KEY ||
	    ssh_key_public(secret, passphrase, line, &error) != ERR_OK)
		return json_null();
	text = xasprintf("%s lockstep:%s", line, id_text(&reveal->account.id, id));
	shape = json_text(text);
	free(text);
	return shape;
}

/* {version, stage, kind, secret, passphrase, public} */
static json_t *reveal_version(struct reveal *reveal, const struct version *version)
{
	struct secret *secret, *passphrase;
	json_int_t number = version->number;
	json_t *shape;

	/* What nobody knows that they have seen is not shown. */
	if (!seen_has(
		reveal->txn, &reveal->account.id, version->number, reveal->request->person.name))
		return json_null();
	if (version_open(reveal->txn, &reveal->account, version->number, &secret, &passphrase,
		reveal->request->error) != ERR_OK)
		return NULL;
	shape = json_pack("{s:I, s:s, s:s, s:o, s:o, s:o}", "version", number, "stage",
	    version_stage(&reveal->account, version->number), "kind",
	    secret_kind_name(version->kind), "secret", secret_shape(secret), "passphrase",
	    secret_shape(passphrase), "public", public_shape(reveal, version, secret, passphrase));
	secret_free(secret);
	secret_free(passphrase);
	if (shape == NULL)
		request_fail(reveal->request, SERVICE_NO_ENGINE,
		    "version %u of account \"%s\" on asset \"%s\" cannot be shown: it is not "
		    "UTF-8; "
		    "a task sets a new one: lockstep run TASK",
		    version->number, reveal->account.name, reveal->account.asset);
	return shape;
}

/* While it is not known what opens the account: every version that may. */
static bool may_open(const struct account *account, const struct version *version)
{
	return version->number == account->pending || version->number == account->current ||
	       (version->end == VERSION_NO_VERDICT && version->number > account->current);
}

static bool reveal_candidate(void *arg, const struct version *version)
{
	struct reveal *reveal = arg;
	json_t *shape;

	if (!may_open(&reveal->account, version))
		return true;
	shape = reveal_version(reveal, version);
	reveal->failed = shape == NULL;
	if (json_is_null(shape)) /* it came since this was let through */
		json_decref(shape);
	else
		json_array_append_new(reveal->candidates, shape);
	return !reveal->failed;
}

static void reveal_candidates(struct reveal *reveal)
{
	enum account_state state = account_state(&reveal->account);

	reveal->candidates = json_array();
	if (state == ACCOUNT_IN_DOUBT || state == ACCOUNT_MISMATCH)
		version_each(reveal->txn, &reveal->account, reveal_candidate, reveal);
}

/* ── Which one ───────────────────────────────────────────────────────────────────────────── */

/* Leaves the rows of the kind asked for. */
bool reveal_kind(struct request *request, struct account_rows *rows)
{
	const char *word = param_text(request, "kind");
	size_t kept = 0;

	if (word == NULL)
		return true;
	if (strcmp(word, "password") != 0 && strcmp(word, "key") != 0) {
		request_fail(request, SERVICE_USAGE,
		    "--kind: \"%.32s\" is none: give password or key", word);
		return false;
	}
	for (size_t i = 0; i < rows->count; i++)
		if (strcmp(secret_kind_name(rows->items[i].kind), word) == 0)
			rows->items[kept++] = rows->items[i];
	if (kept == 0) {
		request_fail(request, SERVICE_USAGE,
		    "no %s of account \"%s\" on asset \"%s\" is known: lockstep account show %s %s "
		    "tells what is kept",
		    word, rows->items[0].name, rows->items[0].asset, rows->items[0].asset,
		    rows->items[0].name);
		return false;
	}
	rows->count = kept;
	return true;
}

/* Without a number: what opens the account, a password before a key; else what may. */
const struct account *reveal_row(const struct account_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].current != 0)
			return &rows->items[i];
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].pending != 0)
			return &rows->items[i];
	return &rows->items[0];
}

static enum service_end reveal_number(struct reveal *reveal, const struct account_rows *rows,
    uint64_t number, struct version *version)
{
	uint32_t last = 0;

	for (size_t i = 0; i < rows->count; i++) {
		reveal->account = rows->items[i];
		if (number <= UINT32_MAX &&
		    version_get(reveal->txn, &reveal->account, (uint32_t)number, version) == ERR_OK)
			return SERVICE_OK;
		last = rows->items[i].last > last ? rows->items[i].last : last;
	}
	return request_fail(reveal->request, SERVICE_USAGE,
	    "account \"%s\" on asset \"%s\" has no version %llu%s (the newest is %u): "
	    "lockstep account show %s %s tells which are kept",
	    reveal->account.name, reveal->account.asset, (unsigned long long)number,
	    param_text(reveal->request, "kind") != NULL ? " of this kind" : "", last,
	    reveal->account.asset, reveal->account.name);
}

/* The version asked for; else current, else the one in doubt. */
static enum service_end reveal_choose(
    struct reveal *reveal, const struct account_rows *rows, struct version *version)
{
	struct request *request = reveal->request;
	const struct account *account = &reveal->account;
	uint64_t number;

	reveal->account = *reveal_row(rows);
	if (!param_count(request, "version",
		account->current != 0 ? account->current : account->pending, &number))
		return SERVICE_USAGE;
	if (number == 0 && account->last == 0)
		return request_fail(request, SERVICE_USAGE,
		    "no secret of account \"%s\" on asset \"%s\" is known: lockstep account add %s "
		    "%s",
		    account->name, account->asset, account->asset, account->name);
	if (number == 0)
		return request_fail(request, SERVICE_USAGE,
		    "no secret is known to open account \"%s\" on asset \"%s\": --version %u shows "
		    "the newest that is kept",
		    account->name, account->asset, account->last);
	return reveal_number(reveal, rows, number, version);
}

/* ── Whether it may be seen ──────────────────────────────────────────────────────────────── */

bool reveal_reason(struct request *request, const char *asset)
{
	const struct user *user = request->person.user;
	const char *reason = param_text(request, "reason");
	bool needed = policy_settings(request->policy)->reveal_reason;

	if (user != NULL && !request->person.owner)
		needed = needed || user_needs_reason(user, request_node_of(request, asset));
	if (reason != NULL && strlen(reason) >= WHY_SIZE) {
		request_fail(request, SERVICE_USAGE,
		    "--reason: give a shorter reason, of at most %d bytes", WHY_SIZE - 1);
		return false;
	}
	if (!needed || (reason != NULL && reason[0] != '\0'))
		return true;
	request_fail(request, SERVICE_USAGE,
	    "to see a secret of asset \"%s\" takes a reason: give it with --reason, for whoever "
	    "reads the audit log",
	    asset);
	return false;
}

enum err reveal_bars(const struct request *request, struct vault_txn *txn,
    const struct account *account, struct error *error)
{
	const struct settings *settings = policy_settings(request->policy);
	struct checkout other;
	char until[32];

	if (!settings_checkout_is_exclusive(settings, request_node_of(request, account->asset)) ||
	    !account_is_out(txn, account, request->person.name, true, &other))
		return ERR_OK;
	if (!checkout_is_out(txn, &other))
		return error_set(error, ERR_REFUSED,
		    "%s has had account \"%s\" on asset \"%s\" checked out, and it is not rotated "
		    "yet: lockstep account list --out tells why",
		    other.who, account->name, account->asset);
	return error_set(error, ERR_REFUSED,
	    "%s has account \"%s\" on asset \"%s\" checked out until %s, and nobody else sees it "
	    "until it was rotated; whoever has \"admin\" ends that: lockstep account checkin %s %s "
	    "--of %s",
	    other.who, account->name, account->asset,
	    text_rfc3339(until, checkout_until_ms(txn, &other)), account->asset, account->name,
	    other.who);
}

static bool count_candidate(void *arg, const struct version *version)
{
	struct reveal *reveal = arg;

	reveal->may_open += may_open(&reveal->account, version);
	return true;
}

static void count_candidates(struct reveal *reveal)
{
	enum account_state state = account_state(&reveal->account);

	if (state == ACCOUNT_IN_DOUBT || state == ACCOUNT_MISMATCH)
		version_each(reveal->txn, &reveal->account, count_candidate, reveal);
}

/* What is shown besides the version, and why. */
static void detail_text(const struct reveal *reveal, const char *more, char *out, size_t size)
{
	const char *reason = param_text(reveal->request, "reason");
	char others[64] = "";

	if (reveal->may_open > 0)
		snprintf(
		    others, sizeof(others), "and %zu versions that may open it", reveal->may_open);
	snprintf(out, size, "%s%s%s%s%s", more, more[0] != '\0' && others[0] != '\0' ? ", " : "",
	    others, reason != NULL && (more[0] != '\0' || others[0] != '\0') ? ": " : "",
	    reason != NULL ? reason : "");
}

/* Before a code is asked for, and spent. */
static bool reveal_is_free(const struct reveal *reveal)
{
	struct request *request = reveal->request;
	struct vault_txn *txn = request_read(request);
	bool is_free =
	    txn != NULL && reveal_bars(request, txn, &reveal->account, request->error) == ERR_OK;

	vault_read_end(txn);
	return is_free;
}

/* What is to be shown is known to have been seen, in the commit of its entry. */
struct showing {
	struct reveal *reveal;
	struct vault_txn *txn;
	struct account account;
	uint32_t versions[2]; /* 0 = none */
	struct approving approving;
	enum err err;
};

static bool show_candidate(void *arg, const struct version *version)
{
	struct showing *showing = arg;

	if (may_open(&showing->account, version))
		showing->err = seen_put(showing->txn, &showing->account.id, version->number,
		    showing->reveal->request->person.name);
	return showing->err == ERR_OK;
}

static enum err showing_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct showing *showing = arg;
	const struct account *account = &showing->reveal->account;
	const char *who = showing->reveal->request->person.name;

	showing->txn = txn;
	showing->err =
	    account_get(txn, account->asset, account->name, account->kind, &showing->account);
	if (showing->err == ERR_OK &&
	    reveal_bars(showing->reveal->request, txn, &showing->account, error) != ERR_OK)
		return ERR_REFUSED;
	for (size_t i = 0; i < 2 && showing->err == ERR_OK; i++)
		if (showing->versions[i] != 0)
			showing->err =
			    seen_put(txn, &showing->account.id, showing->versions[i], who);
	if (showing->err == ERR_OK && approval_spend(txn, &showing->approving, error) != ERR_OK)
		return ERR_REFUSED;
	/* Another let them see this version, and no other. */
	if (showing->err == ERR_OK && !showing->approving.needed &&
	    (account_state(&showing->account) == ACCOUNT_IN_DOUBT ||
		account_state(&showing->account) == ACCOUNT_MISMATCH))
		version_each(txn, &showing->account, show_candidate, showing);
	return showing->err == ERR_OK
		   ? ERR_OK
		   : error_set(error, showing->err, "who sees it cannot be kept");
}

/*
 * Nobody sees what is not in the audit log first. `earlier` is shown besides the version (0 =
 * nothing is), and `more` says what else.
 */
static enum service_end reveal_pass(
    struct reveal *reveal, uint32_t version, uint32_t earlier, const char *more)
{
	struct showing showing = {.reveal = reveal, .versions = {version, earlier}};
	struct request *request = reveal->request;
	const struct account *account = &reveal->account;
	char detail[2 * WHY_SIZE + 128], approved[WHO_SIZE + ID_TEXT_SIZE + 32];
	enum service_end end;

	if (!reveal_reason(request, account->asset) || !reveal_is_free(reveal))
		return SERVICE_USAGE;
	end = approval_pass(request, account, version, &showing.approving);
	if (end == SERVICE_OK)
		end = mfa_pass(request);
	if (end != SERVICE_OK)
		return end;
	if (showing.approving.needed)
		more = approval_text(&showing.approving, approved, sizeof(approved));
	detail_text(reveal, more, detail, sizeof(detail));
	if (request_write(request, showing_apply, &showing,
		&(struct audit_event){.what = AUDIT_REVEAL,
		    .asset = account->asset,
		    .account = account->name,
		    .object = secret_kind_name(account->kind),
		    .version = version,
		    .detail = detail}) == ERR_OK)
		return SERVICE_OK;
	if (request->error->code == ERR_REFUSED)
		return SERVICE_USAGE;
	error_prefix(request->error, "what is not in the audit log is not done: ");
	return SERVICE_NO_ENGINE;
}

/* ── An account's ────────────────────────────────────────────────────────────────────────── */

static void reveal_shape(struct reveal *reveal, json_t *shape)
{
	const struct account *account = &reveal->account;

	reveal_candidates(reveal);
	json_object_set_new(shape, "asset", json_text(account->asset));
	json_object_set_new(shape, "account", json_text(account->name));
	json_object_set_new(
	    shape, "in_doubt", json_boolean(account_state(account) == ACCOUNT_IN_DOUBT));
	json_object_set_new(shape, "candidates", reveal->candidates);
	json_object_set_new(shape, "stale", json_boolean(account_is_stale(reveal->txn, account)));
}

/* The rows as they are now: what was permitted is the version, whatever became of it since. */
enum service_end reveal_again(struct reveal *reveal, const struct version *version, json_t **shape)
{
	struct request *request = reveal->request;
	enum service_end end = SERVICE_NO_ENGINE;

	*shape = NULL;
	reveal->txn = request_read(request);
	if (reveal->txn == NULL)
		return end;
	if (account_get(reveal->txn, reveal->account.asset, reveal->account.name, version->kind,
		&reveal->account) == ERR_OK)
		*shape = reveal_version(reveal, version);
	else
		end = request_fail(request, SERVICE_USAGE, "that account is kept no more");
	if (*shape != NULL)
		reveal_shape(reveal, *shape);
	vault_read_end(reveal->txn);
	if (*shape != NULL && !reveal->failed)
		return SERVICE_OK;
	json_decref(*shape);
	*shape = NULL;
	return end;
}

static enum service_end reveal_find(struct reveal *reveal, struct version *version)
{
	struct account_rows rows;
	bool declared;
	enum service_end end = account_find(reveal->request, &reveal->txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	end = reveal_kind(reveal->request, &rows) ? reveal_choose(reveal, &rows, version)
						  : SERVICE_USAGE;
	if (end == SERVICE_OK)
		count_candidates(reveal);
	vault_read_end(reveal->txn);
	return end;
}

enum service_end account_reveal(struct request *request)
{
	struct reveal reveal = {.request = request};
	struct version version;
	enum service_end end = reveal_find(&reveal, &version);

	if (end == SERVICE_OK)
		end = reveal_pass(&reveal, version.number, 0, "");
	if (end == SERVICE_OK)
		end = reveal_again(&reveal, &version, &request->result);
	return end;
}

/* ── A record's ──────────────────────────────────────────────────────────────────────────── */

/* Null where there was none, or it is kept no more. */
static json_t *reveal_of_record(struct reveal *reveal, uint32_t number)
{
	struct version version;

	if (number == 0 || version_get(reveal->txn, &reveal->account, number, &version) != ERR_OK)
		return json_null();
	return reveal_version(reveal, &version);
}

static enum service_end record_reveal_shape(struct reveal *reveal, const struct record *record)
{
	json_t *old = reveal_of_record(reveal, record->old_version), *new;
	json_t *shape;

	if (old == NULL)
		return SERVICE_NO_ENGINE;
	new = reveal_of_record(reveal, record->new_version);
	shape = json_pack("{s:o, s:s, s:o}", "record", json_id(&record->id), "kind",
	    secret_kind_name(record->kind), "old", old);
	reveal_shape(reveal, shape);
	if (new == NULL || reveal->failed) {
		json_decref(new);
		json_decref(shape);
		return SERVICE_NO_ENGINE;
	}
	json_object_set_new(shape, "new", new);
	reveal->request->result = shape;
	return SERVICE_OK;
}

static enum service_end record_find_visible(struct reveal *reveal, struct record *record)
{
	struct request *request = reveal->request;
	const char *id = param_need(request, "record");
	enum service_end end = id == NULL ? SERVICE_USAGE : engine_open(request, NEEDS_VAULT);
	struct vault_txn *txn = end == SERVICE_OK ? request_read(request) : NULL;

	if (txn == NULL)
		return id == NULL ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	if (record_find(txn, id, record, request->error) != ERR_OK)
		end = SERVICE_USAGE;
	else if (!request_sees_record(request, record))
		end = request_deny(request, "that record");
	else if (account_get(txn, record->asset, record->account, record->kind, &reveal->account) !=
		 ERR_OK)
		end = request_fail(request, SERVICE_USAGE,
		    "no %s of account \"%s\" on asset \"%s\" is kept, as record %s names it",
		    secret_kind_name(record->kind), record->account, record->asset, id);
	reveal->txn = txn;
	if (end == SERVICE_OK)
		count_candidates(reveal);
	vault_read_end(txn);
	return end;
}

enum service_end record_reveal(struct request *request)
{
	struct reveal reveal = {.request = request};
	char more[64], id[ID_TEXT_SIZE];
	struct record record;
	enum service_end end = record_find_visible(&reveal, &record);

	if (end != SERVICE_OK)
		return end;
	if (approval_is_needed(request, record.asset))
		return request_fail(request, SERVICE_USAGE,
		    "to see a secret of asset \"%s\" takes the approval of another, of one version "
		    "at a time: lockstep account reveal %s %s --version N",
		    record.asset, record.asset, record.account);
	snprintf(more, sizeof(more), "old and new of record %s", id_text(&record.id, id));
	end =
	    reveal_pass(&reveal, record.new_version != 0 ? record.new_version : record.old_version,
		record.old_version, more);
	if (end != SERVICE_OK)
		return end;
	reveal.txn = request_read(request);
	if (reveal.txn == NULL)
		return SERVICE_NO_ENGINE;
	end = record_reveal_shape(&reveal, &record);
	vault_read_end(reveal.txn);
	return end;
}
