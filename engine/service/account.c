/* Accounts: what is kept of them. */
#include "service/account_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"
#include "service/viewed.h"
#include "vault/checkout.h"
#include "vault/seen.h"

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static void rows_add_nothing(struct account_rows *rows, const char *asset, const char *name)
{
	struct account *account = &rows->items[rows->count++];

	*account = (struct account){.current = 0};
	snprintf(account->asset, sizeof(account->asset), "%s", asset);
	snprintf(account->name, sizeof(account->name), "%s", name);
}

void account_rows_read(
    struct account_rows *rows, struct vault_txn *txn, const char *asset, const char *name)
{
	rows->count = 0;
	for (int kind = 0; kind < SECRET_KIND_COUNT; kind++)
		rows->count += account_get(txn, asset, name, (enum secret_kind)kind,
				   &rows->items[rows->count]) == ERR_OK;
	if (rows->count == 0)
		rows_add_nothing(rows, asset, name);
}

bool account_is_managed(struct vault_txn *txn, const char *asset, const char *name)
{
	struct account account;

	for (int kind = 0; kind < SECRET_KIND_COUNT; kind++) {
		if (account_get(txn, asset, name, (enum secret_kind)kind, &account) == ERR_OK &&
		    account_state(&account) != ACCOUNT_UNMANAGED)
			return true;
	}
	return false;
}

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

#define STATE_COUNT (ACCOUNT_MISMATCH + 1)

/* The parameters that choose by state: any of them; the others narrow further. */
static const char *const state_params[STATE_COUNT] = {
    [ACCOUNT_UNMANAGED] = "unmanaged",
    [ACCOUNT_IN_DOUBT] = "in_doubt",
    [ACCOUNT_MISMATCH] = "mismatch",
};

struct listing {
	struct request *request;
	struct vault_txn *txn;
	bool states[STATE_COUNT];
	bool any_state;
	bool orphaned;
	uint64_t before_ms; /* only secrets that were set before it; wall, 0 = any */
	struct viewed viewed;
	bool out; /* only what is checked out, or was and waits to be rotated */
	struct page page;
	char at[PAGE_AT_SIZE]; /* what was looked at last, where the page ends with it */
};

/* Where a page ends: with an asset of the policy, or with an account that it declares no more. */
#define AT_ASSET   'a'
#define AT_ACCOUNT 'u'

static bool listing_read(struct listing *listing)
{
	struct request *request = listing->request;
	const char *older = param_text(request, "older");
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	unsigned long long age_ms = 0;

	listing->any_state = true;
	for (size_t state = 0; state < STATE_COUNT; state++) {
		if (state_params[state] == NULL || !param_flag(request, state_params[state]))
			continue;
		listing->states[state] = true;
		listing->any_state = false;
	}
	listing->orphaned = param_flag(request, "orphaned");
	listing->out = param_flag(request, "out");
	if (older == NULL)
		return true;
	if (!text_duration_ms(older, strlen(older), &age_ms) || age_ms == 0) {
		request_fail(request, SERVICE_USAGE,
		    "--older: \"%.64s\" is no span of time: give a whole number and s, m, h, d or "
		    "w, "
		    "such as 90d",
		    older);
		return false;
	}
	listing->before_ms = now_ms > age_ms ? now_ms - age_ms : 1;
	return true;
}

/* What another person has seen is told to those who may read what people did. */
static enum service_end listing_viewed(struct listing *listing)
{
	struct request *request = listing->request;
	const char *who = param_text(request, "revealed_to");

	if (who != NULL && strcmp(who, request->person.name) != 0) {
		request->permission = PERMIT_AUDIT;
		if (!request_may(request, "", ""))
			return request_deny(request, "what someone else has seen");
		request->permission = PERMIT_VIEW;
	}
	return viewed_read(request, &listing->viewed) ? SERVICE_OK : SERVICE_USAGE;
}

static bool listing_takes(
    const struct listing *listing, const struct account *account, bool declared)
{
	struct checkout checkout;
	bool old = account->changed_ms != 0 && account->changed_ms < listing->before_ms;

	if (listing->viewed.who != NULL &&
	    !seen_may_open(listing->txn, account, listing->viewed.who, listing->viewed.since_ms))
		return false;
	if (listing->out &&
	    (account->last == 0 || !account_is_out(listing->txn, account, NULL, true, &checkout)))
		return false;
	return (listing->any_state || listing->states[account_state(account)]) &&
	       (!listing->orphaned || !declared) && (listing->before_ms == 0 || old);
}

/* False when the page is full. */
static bool listing_add(struct listing *listing, const struct account *account, bool declared)
{
	bool listed = listing_takes(listing, account, declared);

	if (listed)
		json_array_append_new(
		    listing->request->result, shape_account(account, listing->txn, declared));
	return page_take(&listing->page, listed);
}

/* An asset's accounts stay on one page, which may be a little longer for it. */
static bool list_declared(struct listing *listing, const struct asset *asset)
{
	bool room = true;

	for (size_t i = 0; i < asset->account_count; i++) {
		struct account_rows rows;

		account_rows_read(&rows, listing->txn, asset->name, asset->accounts[i]);
		for (size_t k = 0; k < rows.count; k++)
			room = listing_add(listing, &rows.items[k], true) && room;
	}
	return room;
}

/* What is kept is shown, also when the policy declares it no more. */
static bool list_undeclared(void *arg, const struct account *account)
{
	struct listing *listing = arg;
	const struct asset *asset = policy_asset_find(listing->request->policy, account->asset);

	snprintf(listing->at, sizeof(listing->at), "%c%s\n%s", AT_ACCOUNT, account->asset,
	    account->name);
	if ((asset != NULL && asset_has_account(asset, account->name)) ||
	    !request_sees_asset(listing->request, account->asset))
		return page_take(&listing->page, false);
	return listing_add(listing, account, false);
}

static bool list_undeclared_here(void *arg, const struct account *account)
{
	(void)list_undeclared(arg, account);
	return true;
}

/* True when all of them were looked at. */
static bool list_assets(struct listing *listing, const struct asset_list *assets, bool all)
{
	const char *after = listing->page.after;
	size_t i = 0;

	while (after[0] == AT_ASSET && i < assets->count &&
	       strcmp(assets->items[i]->name, after + 1) <= 0)
		i++;
	for (; i < assets->count; i++) {
		const char *name = assets->items[i]->name;
		bool room = list_declared(listing, assets->items[i]);

		if (!all)
			account_each(listing->txn, name, list_undeclared_here, listing);
		snprintf(listing->at, sizeof(listing->at), "%c%s", AT_ASSET, name);
		if (!room)
			return false;
	}
	return true;
}

static void list_accounts(struct listing *listing, const struct asset_list *assets, bool all)
{
	const char *after = listing->page.after, *name = "";
	char asset[ASSET_NAME_SIZE] = "";

	if (after[0] != AT_ACCOUNT && !list_assets(listing, assets, all))
		return;
	if (!all)
		return;
	if (after[0] == AT_ACCOUNT) {
		snprintf(asset, sizeof(asset), "%s", after + 1);
		asset[strcspn(asset, "\n")] = '\0';
		name = after + 1 + strlen(asset);
		name += *name == '\n';
	}
	account_each_after(listing->txn, asset, name, list_undeclared, listing);
}

enum service_end account_list(struct request *request)
{
	struct listing listing = {.request = request};
	bool all = json_array_size(json_object_get(request->params, "assets")) == 0;
	struct asset_list assets;
	enum service_end end;

	if (!listing_read(&listing) || !page_read(request, UINT64_MAX, &listing.page) ||
	    !assets_meant(request, &assets))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	if (end == SERVICE_OK)
		end = listing_viewed(&listing);
	if (end == SERVICE_USAGE) {
		asset_list_clear(&assets);
		return end;
	}
	listing.txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (listing.txn != NULL) {
		request->result = json_array();
		list_accounts(&listing, &assets, all);
		vault_read_end(listing.txn);
		page_end(request, &listing.page, listing.at);
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
	struct account_rows rows;
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return false;
	account_rows_read(&rows, txn, asset, name);
	vault_read_end(txn);
	return rows.items[0].last != 0;
}

enum service_end account_find(
    struct request *request, struct vault_txn **txn, struct account_rows *rows, bool *declared)
{
	const char *name = param_need(request, "account");
	const char *asset_name = name == NULL ? NULL : param_need(request, "asset");
	const struct asset *asset;
	enum service_end end;

	if (asset_name == NULL)
		return SERVICE_USAGE;
	asset = policy_asset_find(request->policy, asset_name);
	*declared = asset != NULL && asset_has_account(asset, name);
	end = engine_open(request, NEEDS_VAULT);
	if (!*declared && (end != SERVICE_OK || !undeclared_is_kept(request, asset_name, name))) {
		asset = need_asset(request, asset_name);
		if (asset != NULL)
			(void)need_account(request, asset, name);
		return SERVICE_USAGE;
	}
	if (end == SERVICE_OK && !request_sees_asset(request, asset_name))
		return request_deny(request, "that asset");
	*txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (*txn == NULL)
		return SERVICE_NO_ENGINE;
	account_rows_read(rows, *txn, asset_name, name);
	return SERVICE_OK;
}

/* The versions of all kinds, to be put in one order: their numbers are one sequence. */
struct versions {
	const struct account *account;
	struct {
		uint32_t number;
		json_t *shape;
	} * items;
	size_t count, room;
};

static bool versions_add(void *arg, const struct version *version)
{
	struct versions *versions = arg;

	if (versions->count == versions->room) {
		versions->room = versions->room * 2 + 16;
		versions->items =
		    xrealloc(versions->items, versions->room * sizeof(*versions->items));
	}
	versions->items[versions->count].number = version->number;
	versions->items[versions->count++].shape = shape_version(versions->account, version);
	return true;
}

static int newest_first(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a < b) - (a > b);
}

json_t *account_versions(struct vault_txn *txn, const struct account_rows *rows)
{
	struct versions versions = {.count = 0};
	json_t *array = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		versions.account = &rows->items[i];
		if (versions.account->last != 0)
			version_each(txn, versions.account, versions_add, &versions);
	}
	if (versions.count > 1)
		qsort(versions.items, versions.count, sizeof(*versions.items), newest_first);
	for (size_t i = 0; i < versions.count; i++)
		json_array_append_new(array, versions.items[i].shape);
	free(versions.items);
	return array;
}

/* Of the whole account: what asks for attention first. */
static enum account_state rows_state(const struct account_rows *rows)
{
	static const enum account_state order[] = {
	    ACCOUNT_IN_DOUBT, ACCOUNT_MISMATCH, ACCOUNT_CURRENT, ACCOUNT_UNMANAGED};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (size_t k = 0; k < rows->count; k++)
			if (account_state(&rows->items[k]) == order[i])
				return order[i];
	return ACCOUNT_UNMANAGED;
}

enum service_end account_show(struct request *request)
{
	struct vault_txn *txn;
	struct account_rows rows;
	json_t *secrets;
	bool declared;
	enum service_end end = account_find(request, &txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	secrets = json_array();
	for (size_t i = 0; i < rows.count; i++)
		if (rows.items[i].last != 0)
			json_array_append_new(
			    secrets, shape_account(&rows.items[i], txn, declared));
	request->result = json_pack("{s:o, s:o, s:s, s:b, s:o, s:o}", "asset",
	    json_text(rows.items[0].asset), "account", json_text(rows.items[0].name), "state",
	    account_state_name(rows_state(&rows)), "declared", declared, "secrets", secrets,
	    "versions", account_versions(txn, &rows));
	vault_read_end(txn);
	return SERVICE_OK;
}
