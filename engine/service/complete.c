/* Names for the completion of a shell. Never opens the vault: a key press waits for nobody. */
#include "service/engine.h"

#include <string.h>

#include "base/json.h"
#include "service/names.h"

static void add_assets(const struct policy *policy, json_t *array)
{
	for (size_t i = 0; i < policy_asset_count(policy); i++)
		json_array_append_new(array, json_text(policy_asset(policy, i)->name));
}

static void add_tasks(const struct policy *policy, json_t *array)
{
	for (size_t i = 0; i < policy_task_count(policy); i++)
		json_array_append_new(array, json_text(policy_task(policy, i)->name));
}

static void add_users(const struct policy *policy, json_t *array)
{
	for (size_t i = 0; i < policy_user_count(policy); i++)
		json_array_append_new(array, json_text(policy_user(policy, i)->name));
}

static enum service_end add_accounts(struct request *request, json_t *array)
{
	const char *name = param_text(request, "asset");
	const struct asset *asset = name == NULL ? NULL : policy_asset_find(request->policy, name);

	for (size_t i = 0; asset != NULL && i < asset->account_count; i++)
		json_array_append_new(array, json_text(asset->accounts[i]));
	return SERVICE_OK;
}

enum service_end complete_names(struct request *request)
{
	const char *kind = param_need(request, "kind");

	if (kind == NULL)
		return SERVICE_USAGE;
	request->result = json_array();
	if (strcmp(kind, "asset") == 0)
		add_assets(request->policy, request->result);
	else if (strcmp(kind, "task") == 0)
		add_tasks(request->policy, request->result);
	else if (strcmp(kind, "user") == 0)
		add_users(request->policy, request->result);
	else if (strcmp(kind, "account") == 0)
		return add_accounts(request, request->result);
	return SERVICE_OK;
}
