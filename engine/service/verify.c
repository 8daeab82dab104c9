/* Verifying accounts: does what the vault holds still open them? */
#include "service/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "service/names.h"

/* Nothing is set, so no task says how; what a record keeps of it is no name. */
static const struct task verify_task = {
    .name = "",
    .kind = TASK_VERIFY,
    .priority = PRIORITY_NORMAL,
    .limits = {.retries = 1},
    .active = true,
};

struct accounts {
	struct selected *items;
	size_t count, room;
};

static void accounts_add(struct accounts *accounts, const struct asset *asset, const char *pattern)
{
	for (size_t i = 0; i < asset->account_count; i++) {
		if (pattern != NULL && !text_glob(pattern, asset->accounts[i]))
			continue;
		if (accounts->count == accounts->room) {
			accounts->room = accounts->room * 2 + 64;
			accounts->items =
			    xrealloc(accounts->items, accounts->room * sizeof(*accounts->items));
		}
		accounts->items[accounts->count++] = (struct selected){
		    .asset = asset,
		    .account = asset->accounts[i],
		};
	}
}

enum service_end account_verify(struct request *request)
{
	const char *pattern = param_text(request, "account");
	struct accounts accounts = {.items = NULL};
	struct asset_list assets;
	enum service_end end;

	if (!assets_meant(request, &assets))
		return SERVICE_USAGE;
	for (size_t i = 0; i < assets.count; i++)
		accounts_add(&accounts, assets.items[i], pattern);
	asset_list_clear(&assets);
	if (accounts.count == 0 && pattern != NULL)
		return request_fail(request, SERVICE_USAGE,

		    "no asset that is meant declares an account \"%.64s\": lockstep account list "
		    "tells which there are",
		    pattern);
	end = run_order(request, &(struct rotation_order){
				     .kind = ROTATION_VERIFY,
				     .task = &verify_task,
				     .items = accounts.items,
				     .count = accounts.count,
				     .trigger = "verify",
				 });
	free(accounts.items);
	return end;
}
