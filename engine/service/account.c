/* Accounts: what is kept of them, and, on request, their secrets. */
#include "service/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/names.h"
#include "service/shape.h"

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct request *request;
	struct vault_txn *txn;
	bool unmanaged, in_doubt; /* only these */
};

static void listing_add(struct listing *listing, const struct account *account, bool declared)
{
	enum account_state state = account_state(account);
	bool any = !listing->unmanaged && !listing->in_doubt;

	if (any || (listing->unmanaged && state == ACCOUNT_UNMANAGED) ||
	    (listing->in_doubt && state == ACCOUNT_IN_DOUBT))
		json_array_append_new(
		    listing->request->result, shape_account(account, listing->txn, declared));
}

/* What the vault knows of a declared account: nothing yet, perhaps. */
static void account_of(
    struct vault_txn *txn, const char *asset, const char *name, struct account *account)
{
	if (account_get(txn, asset, name, account) == ERR_OK)
		return;
	*account = (struct account){.current = 0};
	snprintf(account->asset, sizeof(account->asset), "%s", asset);
	snprintf(account->name, sizeof(account->name), "%s", name);
}

static void list_declared(struct listing *listing, const struct asset *asset)
{
	struct account account;

	for (size_t i = 0; i < asset->account_count; i++) {
		account_of(listing->txn, asset->name, asset->accounts[i], &account);
		listing_add(listing, &account, true);
	}
}

/* What is kept is shown, also when the policy declares it no more. */
static bool list_undeclared(void *arg, const struct account *account)
{
	struct listing *listing = arg;
	const struct asset *asset =
	    policy_asset_find(listing->request->service->policy, account->asset);

	if (asset == NULL || !asset_has_account(asset, account->name))
		listing_add(listing, account, false);
	return true;
}

static void list_accounts(struct listing *listing, const struct asset_list *assets, bool all)
{
	for (size_t i = 0; i < assets->count; i++) {
		list_declared(listing, assets->items[i]);
		if (!all)
			account_each(
			    listing->txn, assets->items[i]->name, list_undeclared, listing);
	}
	if (all)
		account_each(listing->txn, NULL, list_undeclared, listing);
}

enum service_end account_list(struct request *request)
{
	struct listing listing = {
	    .request = request,
	    .unmanaged = param_flag(request, "unmanaged"),
	    .in_doubt = param_flag(request, "in_doubt"),
	};
	bool all = json_array_size(json_object_get(request->params, "assets")) == 0;
	struct asset_list assets;
	enum service_end end;

	if (!assets_meant(request, &assets))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	listing.txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (listing.txn != NULL) {
		request->result = json_array();
		list_accounts(&listing, &assets, all);
		vault_read_end(listing.txn);
	} else {
		end = SERVICE_NO_ENGINE;
	}
	asset_list_clear(&assets);
	return end;
}

/* ── One account ─────────────────────────────────────────────────────────────────────────── */

/* An account that the vault keeps may be looked at, whatever the policy declares now. */
static bool undeclared_is_kept(struct request *request, const char *asset, const char *name)
{
	struct account account;
	struct vault_txn *txn = request_read(request);
	bool kept;

	if (txn == NULL)
		return false;
	kept = account_get(txn, asset, name, &account) == ERR_OK;
	vault_read_end(txn);
	return kept;
}

/* Opens the vault and finds the account there, or what the policy declares of it. */
static enum service_end account_find(
    struct request *request, struct vault_txn **txn, struct account *account, bool *declared)
{
	const char *name = param_need(request, "account");
	const char *asset_name = name == NULL ? NULL : param_need(request, "asset");
	const struct asset *asset;
	enum service_end end;

	if (asset_name == NULL)
		return SERVICE_USAGE;
	asset = policy_asset_find(request->service->policy, asset_name);
	*declared = asset != NULL && asset_has_account(asset, name);
	end = engine_open(request, NEEDS_VAULT);
	if (!*declared && (end != SERVICE_OK || !undeclared_is_kept(request, asset_name, name))) {
		asset = need_asset(request, asset_name);
		if (asset != NULL)
			(void)need_account(request, asset, name);
		return SERVICE_USAGE;
	}
	*txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (*txn == NULL)
		return SERVICE_NO_ENGINE;
	account_of(*txn, asset_name, name, account);
	return SERVICE_OK;
}

struct versions {
	const struct account *account;
	json_t *array;
};

static bool versions_add(void *arg, const struct version *version)
{
	struct versions *versions = arg;

	json_array_append_new(versions->array, shape_version(versions->account, version));
	return true;
}

enum service_end account_show(struct request *request)
{
	struct vault_txn *txn;
	struct account account;
	struct versions versions = {.account = &account};
	bool declared;
	enum service_end end = account_find(request, &txn, &account, &declared);

	if (end != SERVICE_OK)
		return end;
	request->result = shape_account(&account, txn, declared);
	versions.array = json_array();
	if (account.last != 0)
		version_each(txn, &account, versions_add, &versions);
	json_object_set_new(request->result, "versions", versions.array);
	vault_read_end(txn);
	return SERVICE_OK;
}

/* ── Revealing ───────────────────────────────────────────────────────────────────────────── */

struct reveal {
	struct request *request;
	struct vault_txn *txn;
	struct account account;
	json_t *candidates;
	bool failed;
};

static json_t *secret_shape(const struct secret *secret)
{
	return secret == NULL ? json_null() : json_stringn(secret_data(secret), secret_len(secret));
}

/* {version, stage, kind, secret, passphrase} */
static json_t *reveal_version(struct reveal *reveal, const struct version *version)
{
	struct secret *secret, *passphrase;
	json_int_t number = version->number;
	json_t *shape;

	if (version_open(reveal->txn, &reveal->account, version->number, &secret, &passphrase,
		reveal->request->error) != ERR_OK)
		return NULL;
	shape = json_pack("{s:I, s:s, s:s, s:o, s:o}", "version", number, "stage",
	    version_stage(&reveal->account, version->number), "kind",
	    secret_kind_name(version->kind), "secret", secret_shape(secret), "passphrase",
	    secret_shape(passphrase));
	secret_free(secret);
	secret_free(passphrase);
	if (shape == NULL)
		request_fail(reveal->request, SERVICE_NO_ENGINE,
		    "version %u cannot be shown: it is not UTF-8", version->number);
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

/* The version asked for; else current, else the one in doubt. */
static enum service_end reveal_choose(struct reveal *reveal, struct version *version)
{
	struct request *request = reveal->request;
	const struct account *account = &reveal->account;
	uint64_t number;

	if (!param_count(request, "version",
		account->current != 0 ? account->current : account->pending, &number))
		return SERVICE_USAGE;
	if (number == 0 && account->last == 0)
		return request_fail(request, SERVICE_USAGE,
		    "no secret of account \"%s\" on asset \"%s\" is known: lockstep account add",
		    account->name, account->asset);
	if (number == 0)
		return request_fail(request, SERVICE_USAGE,
		    "no secret is known to open account \"%s\" on asset \"%s\"; the newest one "
		    "kept is --version %u",
		    account->name, account->asset, account->last);
	if (number > account->last ||
	    version_get(reveal->txn, account, (uint32_t)number, version) != ERR_OK)
		return request_fail(request, SERVICE_USAGE,
		    "account \"%s\" on asset \"%s\" has no version %llu: the newest is %u",
		    account->name, account->asset, (unsigned long long)number, account->last);
	return SERVICE_OK;
}

static enum service_end reveal_all(struct reveal *reveal)
{
	const struct account *account = &reveal->account;
	struct version version;
	enum service_end end = reveal_choose(reveal, &version);
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
	if (reveal->failed) {
		json_decref(shape);
		return SERVICE_NO_ENGINE;
	}
	reveal->request->result = shape;
	return SERVICE_OK;
}

enum service_end account_reveal(struct request *request)
{
	struct reveal reveal = {.request = request};
	bool declared;
	enum service_end end = account_find(request, &reveal.txn, &reveal.account, &declared);

	if (end != SERVICE_OK)
		return end;
	end = reveal_all(&reveal);
	vault_read_end(reveal.txn);
	return end;
}
