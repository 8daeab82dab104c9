#include "many.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const trouble_names[TROUBLE_COUNT] = {
    [TROUBLE_NONE] = "none",
    [TROUBLE_RESET] = "reset",
    [TROUBLE_SILENT] = "silent",
    [TROUBLE_BANNER] = "banner",
    [TROUBLE_FLOOD] = "flood",
    [TROUBLE_DRIP] = "drip",
    [TROUBLE_DISCONNECT] = "disconnect",
    [TROUBLE_HANG] = "hang",
    [TROUBLE_WRONG_KEY] = "wrong_key",
    [TROUBLE_DH] = "dh",
    [TROUBLE_LEAVE] = "leave",
    [TROUBLE_STALE] = "stale",
    [TROUBLE_DROP_BEFORE] = "drop_before",
    [TROUBLE_DROP_MIDDLE] = "drop_middle",
    [TROUBLE_DROP_AFTER] = "drop_after",
    [TROUBLE_PARTIAL] = "partial",
    [TROUBLE_MUTE] = "mute",
    [TROUBLE_REFUSE] = "refuse",
    [TROUBLE_LIE] = "lie",
};

enum trouble trouble_by_name(const char *name)
{
	enum trouble trouble = TROUBLE_NONE;

	while (trouble < TROUBLE_COUNT && strcmp(name, trouble_names[trouble]) != 0)
		trouble++;
	return trouble;
}

static void store_grow(struct store *store, uint32_t number)
{
	uint32_t room = store->room == 0 ? 1024 : store->room;

	while (room <= number)
		room *= 2;
	store->assets = xrealloc(store->assets, room * sizeof(struct asset *));
	memset(&store->assets[store->room], 0, (room - store->room) * sizeof(struct asset *));
	store->room = room;
}

struct asset *store_asset(struct store *store, uint32_t number)
{
	if (number >= ASSETS_MAX)
		return NULL;
	if (number >= store->room)
		store_grow(store, number);
	if (store->assets[number] == NULL) {
		store->assets[number] = xcalloc(1, sizeof(struct asset));
		store->assets[number]->number = number;
		SLIST_INIT(&store->assets[number]->accounts);
	}
	return store->assets[number];
}

struct account *store_account(struct store *store, struct asset *asset, const char *name)
{
	struct account *account;

	SLIST_FOREACH(account, &asset->accounts, entry)
	if (strcmp(account->name, name) == 0)
		return account;
	account = xcalloc(1, sizeof(*account));
	strncpy(account->name, name, sizeof(account->name) - 1);
	strncpy(account->password, store->first_password, sizeof(account->password) - 1);
	SLIST_INSERT_HEAD(&asset->accounts, account, entry);
	return account;
}

bool account_opens(const struct account *account, const struct store *store,
    const struct asset *asset, const char *password)
{
	return strcmp(account->password, password) == 0 ||
	       (asset->trouble == TROUBLE_STALE && strcmp(store->first_password, password) == 0);
}

void account_set(struct account *account, const char *password, size_t len)
{
	if (len >= sizeof(account->password))
		len = sizeof(account->password) - 1;
	memcpy(account->password, password, len);
	account->password[len] = '\0';
	account->changes++;
	account->proven = false;
}

void store_tell(const struct store *store, struct buf *out)
{
	for (uint32_t number = 0; number < store->room; number++) {
		const struct asset *asset = store->assets[number];
		const struct account *account;

		if (asset == NULL)
			continue;
		SLIST_FOREACH(account, &asset->accounts, entry)
		buf_addf(out, "%u\t%s\t%s\t%u\t%u\t%u\t%d\n", number, account->name,
		    account->password, account->changes, account->logins, account->refused,
		    account->proven);
	}
}

static void asset_free(struct asset *asset)
{
	struct account *account;

	while ((account = SLIST_FIRST(&asset->accounts)) != NULL) {
		SLIST_REMOVE_HEAD(&asset->accounts, entry);
		free(account);
	}
	free(asset);
}

void store_clear(struct store *store)
{
	for (uint32_t number = 0; number < store->room; number++)
		if (store->assets[number] != NULL)
			asset_free(store->assets[number]);
	free(store->assets);
}
