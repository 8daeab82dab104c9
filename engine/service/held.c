#include "service/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/client.h"
#include "service/page.h"

/* ── A copy ──────────────────────────────────────────────────────────────────────────────── */

static void held_add(struct held *held, const char *asset, const char *name, enum secret_kind kind,
    bool managed, uint64_t changed_ms)
{
	if (held->count == held->room) {
		held->room = 2 * held->room + 256;
		held->accounts = xrealloc(held->accounts, held->room * sizeof(*held->accounts));
	}
	held->accounts[held->count++] = (struct held_account){.asset = xstrdup(asset),
	    .name = xstrdup(name),
	    .kind = kind,
	    .managed = managed,
	    .changed_ms = changed_ms};
}

static void held_init(struct held *held)
{
	*held = (struct held){.secrets = json_object()};
}

void held_clear(struct held *held)
{
	for (size_t i = 0; i < held->count; i++) {
		free(held->accounts[i].asset);
		free(held->accounts[i].name);
	}
	free(held->accounts);
	json_decref(held->secrets);
}

/* ── Looking ─────────────────────────────────────────────────────────────────────────────── */

static int order_of(const struct held_account *account, const char *asset, const char *name)
{
	int order = strcmp(account->asset, asset);

	return order != 0 || name == NULL ? order : strcmp(account->name, name);
}

/* The first that is not before it. */
static size_t place_of(const struct held *held, const char *asset, const char *name)
{
	size_t low = 0, high = held->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order_of(&held->accounts[middle], asset, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct held_account *held_find(const struct held *held, const char *asset, const char *name)
{
	size_t at = place_of(held, asset, name);

	return at < held->count && order_of(&held->accounts[at], asset, name) == 0
		   ? &held->accounts[at]
		   : NULL;
}

const struct held_account *held_find_kind(
    const struct held *held, const char *asset, const char *name, enum secret_kind kind)
{
	for (size_t at = place_of(held, asset, name);
	     at < held->count && order_of(&held->accounts[at], asset, name) == 0; at++)
		if (held->accounts[at].kind == kind)
			return &held->accounts[at];
	return NULL;
}

bool held_manages(const struct held *held, const char *asset, const char *name)
{
	for (size_t at = place_of(held, asset, name);
	     at < held->count && order_of(&held->accounts[at], asset, name) == 0; at++)
		if (held->accounts[at].managed)
			return true;
	return false;
}

/* ── From the vault ──────────────────────────────────────────────────────────────────────── */

static bool is_managed(const struct account *account)
{
	return account_state(account) != ACCOUNT_UNMANAGED;
}

static uint64_t changed_ms(const struct account *account)
{
	return account->current != 0 ? account->changed_ms : 0;
}

static bool note_account(void *arg, const struct account *account)
{
	held_add(arg, account->asset, account->name, account->kind, is_managed(account),
	    changed_ms(account));
	return true;
}

static bool note_secret(void *arg, const struct named_secret *secret)
{
	json_object_set_new(((struct held *)arg)->secrets, secret->name, json_true());
	return true;
}

static enum service_end held_read_here(struct request *request, struct held *held)
{
	enum service_end end = engine_open(request, NEEDS_VAULT);
	struct vault_txn *txn = end == SERVICE_OK ? request_read(request) : NULL;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	account_each(txn, NULL, note_account, held);
	named_secret_each(txn, note_secret, held);
	vault_read_end(txn);
	return SERVICE_OK;
}

/* ── From the engine that has it ─────────────────────────────────────────────────────────── */

static void take_accounts(struct held *held, const json_t *accounts)
{
	const json_t *account;
	size_t i;

	json_array_foreach(accounts, i, account)
	{
		const char *asset, *name, *kind;
		json_int_t changed;
		int managed;

		if (json_unpack((json_t *)(uintptr_t)account, "{s:s, s:s, s:s, s:b, s:I}", "asset",
			&asset, "account", &name, "kind", &kind, "managed", &managed, "changed_ms",
			&changed) == 0)
			held_add(held, asset, name,
			    strcmp(kind, secret_kind_name(SECRET_KEY)) == 0 ? SECRET_KEY
									    : SECRET_PASSWORD,
			    managed != 0, (uint64_t)changed);
	}
}

static bool held_ask(const struct request *request, struct held *held)
{
	struct client_call call = {.dir = request->service->dir, .method = "account.held"};
	enum service_end end = SERVICE_OK;
	enum client_end told;
	struct error error;
	char *next = NULL;

	do {
		json_t *params = json_object(), *page;

		if (next != NULL)
			json_object_set_new(params, "after", json_string(next));
		free(next);
		call.params = params;
		told = client_call(&call, &end, &page, &next, &error);
		json_decref(params);
		if (told != CLIENT_ANSWERED)
			return false;
		take_accounts(held, json_object_get(page, "accounts"));
		json_object_update(held->secrets, json_object_get(page, "secrets"));
		json_decref(page);
	} while (end == SERVICE_OK && next != NULL);
	free(next);
	return end == SERVICE_OK;
}

/* What is wrong with the vault is not what was asked. */
bool held_read(struct request *request, struct held *held)
{
	struct error none = {.code = ERR_OK};
	struct request quiet = {.service = request->service,
	    .snapshot = request->snapshot,
	    .policy = request->policy,
	    .error = &none};

	held_init(held);
	if (held_read_here(&quiet, held) == SERVICE_OK ||
	    (none.code == ERR_BUSY && held_ask(request, held)))
		return true;
	held_clear(held);
	return false;
}

/* ── The engine's answer ─────────────────────────────────────────────────────────────────── */

struct holding {
	json_t *accounts;
	struct page page;
	char at[PAGE_AT_SIZE];
};

static bool list_account(void *arg, const struct account *account)
{
	struct holding *holding = arg;
	json_int_t changed = (json_int_t)changed_ms(account);

	json_array_append_new(holding->accounts,
	    json_pack("{s:s, s:s, s:s, s:b, s:I}", "asset", account->asset, "account",
		account->name, "kind", secret_kind_name(account->kind), "managed",
		is_managed(account), "changed_ms", changed));
	snprintf(holding->at, sizeof(holding->at), "%s\n%s", account->asset, account->name);
	return page_take(&holding->page, true);
}

static void list_from(struct vault_txn *txn, struct holding *holding)
{
	char asset[ASSET_NAME_SIZE];
	const char *after = holding->page.after, *name = strchr(after, '\n');

	snprintf(asset, sizeof(asset), "%.*s", (int)strcspn(after, "\n"), after);
	account_each_after(txn, asset, name != NULL ? name + 1 : "", list_account, holding);
}

static bool list_secret(void *arg, const struct named_secret *secret)
{
	json_object_set_new(arg, secret->name, json_true());
	return true;
}

enum service_end account_held(struct request *request)
{
	struct holding holding = {.at = ""};
	json_t *secrets = json_object();
	struct vault_txn *txn;

	holding.accounts = json_array();
	request->result = json_pack("{s:o, s:o}", "accounts", holding.accounts, "secrets", secrets);
	if (!page_read(request, UINT64_MAX, &holding.page))
		return SERVICE_USAGE;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	list_from(txn, &holding);
	if (holding.page.after[0] == '\0')
		named_secret_each(txn, list_secret, secrets);
	vault_read_end(txn);
	page_end(request, &holding.page, holding.at);
	return SERVICE_OK;
}
