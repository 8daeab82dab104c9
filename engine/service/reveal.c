/* Revealing: an account's secret, on request. */
#include "service/account_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ssh_key.h"
#include "service/audit.h"
#include "service/names.h"
#include "service/shape.h"
#include "vault/copy.h"

struct reveal {
	struct request *request;
	struct vault_txn *txn;
	struct account account; /* the row whose secret is asked for */
	json_t *candidates;
	bool failed;
};

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
	json_array_append_new(reveal->candidates, shape);
	return shape != NULL;
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
static bool reveal_kind(struct request *request, struct account_rows *rows)
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
static const struct account *rows_choose(const struct account_rows *rows)
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

	reveal->account = *rows_choose(rows);
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

/* ── The result ──────────────────────────────────────────────────────────────────────────── */

static enum service_end reveal_all(struct reveal *reveal, const struct account_rows *rows)
{
	const struct account *account = &reveal->account;
	struct version version;
	enum service_end end = reveal_choose(reveal, rows, &version);
	json_t *shape;

	if (end != SERVICE_OK)
		return end;
	shape = reveal_version(reveal, &version);
	if (shape == NULL)
		return SERVICE_NO_ENGINE;
	reveal_candidates(reveal);
	json_object_set_new(shape, "asset", json_text(account->asset));
	json_object_set_new(shape, "account", json_text(account->name));
	json_object_set_new(
	    shape, "in_doubt", json_boolean(account_state(account) == ACCOUNT_IN_DOUBT));
	json_object_set_new(shape, "candidates", reveal->candidates);
	json_object_set_new(shape, "stale", json_boolean(account_is_stale(reveal->txn, account)));
	if (reveal->failed) {
		json_decref(shape);
		return SERVICE_NO_ENGINE;
	}
	reveal->request->result = shape;
	return SERVICE_OK;
}

/* Nobody sees what is not in the audit log first. */
static enum service_end reveal_audit(struct reveal *reveal)
{
	struct request *request = reveal->request;
	json_t *shown = json_object_get(request->result, "version");
	char others[64] = "";
	enum service_end end;

	if (json_array_size(reveal->candidates) > 0)
		snprintf(others, sizeof(others), "and %zu versions that may open it",
		    json_array_size(reveal->candidates));
	end = request_audit_now(request, &(struct audit_event){.what = AUDIT_REVEAL,
					     .asset = reveal->account.asset,
					     .account = reveal->account.name,
					     .object = secret_kind_name(reveal->account.kind),
					     .version = (uint32_t)json_integer_value(shown),
					     .detail = others});
	if (end != SERVICE_OK) {
		json_decref(request->result);
		request->result = NULL;
	}
	return end;
}

enum service_end account_reveal(struct request *request)
{
	struct reveal reveal = {.request = request};
	struct account_rows rows;
	bool declared;
	enum service_end end = account_find(request, &reveal.txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	end = reveal_kind(request, &rows) ? reveal_all(&reveal, &rows) : SERVICE_USAGE;
	vault_read_end(reveal.txn);
	return end == SERVICE_OK ? reveal_audit(&reveal) : end;
}
