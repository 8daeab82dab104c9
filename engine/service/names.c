#include "service/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define WORDS_SIZE 512
#define SHOWN	   128 /* bytes of a wrong name */

/* ── Parameters ──────────────────────────────────────────────────────────────────────────── */

const char *param_text(const struct request *request, const char *key)
{
	return json_string_value(json_object_get(request->params, key));
}

const char *param_need(struct request *request, const char *key)
{
	const char *text = param_text(request, key);

	if (text == NULL)
		request_fail(request, SERVICE_USAGE, "the parameter \"%s\" is missing", key);
	return text;
}

bool param_flag(const struct request *request, const char *key)
{
	return json_is_true(json_object_get(request->params, key));
}

bool param_count(struct request *request, const char *key, uint64_t otherwise, uint64_t *out)
{
	const char *text = param_text(request, key);
	char *end;

	*out = otherwise;
	if (text == NULL)
		return true;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0)
		return true;
	request_fail(request, SERVICE_USAGE,
	    "--%s: \"%.32s\" is no whole number above 0: give 1 or more", key, text);
	return false;
}

/* ── Unknown ones ────────────────────────────────────────────────────────────────────────── */

/* `which` is the command that tells which there are. */
static void unknown(char *out, size_t size, const char *what, const char *name, const char *nearest,
    const char *which)
{
	if (nearest != NULL)
		snprintf(out, size, "there is no %s \"%.*s\"; did you mean \"%s\"?", what, SHOWN,
		    name, nearest);
	else
		snprintf(out, size, "there is no %s \"%.*s\"; %s tells which there are", what,
		    SHOWN, name, which);
}

/* The nearest name that the person may know of. */
static const char *asset_near(const struct request *request, const char *name)
{
	const char *near = policy_asset_nearest(request->policy, name);

	return near != NULL && request_sees_asset(request, near) ? near : NULL;
}

void unknown_asset(const struct request *request, const char *name, char *out, size_t size)
{
	if (name[0] == '/')
		snprintf(out, size,
		    "no asset is at or below node \"%.*s\"; lockstep asset list tells where they "
		    "are",
		    SHOWN, name);
	else if (!pattern_is_name(name))
		snprintf(out, size,
		    "no asset's name matches \"%.*s\"; lockstep asset list tells which there are",
		    SHOWN, name);
	else
		unknown(out, size, "asset", name, asset_near(request, name), "lockstep asset list");
}

void unknown_account(const struct asset *asset, const char *account, char *out, size_t size)
{
	const char *nearest = text_nearest(account, asset->accounts, asset->account_count);
	size_t used;

	snprintf(out, size, "asset \"%s\" (%s:%u) declares no account \"%.*s\"; ", asset->name,
	    asset->file, asset->line, SHOWN, account);
	used = strlen(out);
	if (nearest != NULL)
		snprintf(out + used, size - used, "did you mean \"%s\"?", nearest);
	else
		snprintf(out + used, size - used, "lockstep account list %s tells which it does",
		    asset->name);
}

static const char *task_near(const struct request *request, const char *name)
{
	const char *near = policy_task_nearest(request->policy, name);

	return near != NULL && request_may(request, NULL, near) ? near : NULL;
}

const struct task *need_task(struct request *request, const char *name)
{
	const struct task *task = policy_task_find(request->policy, name);
	char text[WORDS_SIZE];

	if (task == NULL) {
		unknown(
		    text, sizeof(text), "task", name, task_near(request, name), "lockstep check");
		request_fail(request, SERVICE_USAGE, "%s", text);
	} else if (!request_may(request, NULL, task->name)) {
		snprintf(text, sizeof(text), "task \"%s\"", task->name);
		request_deny(request, text);
		return NULL;
	}
	return task;
}

const struct task *need_active_task(struct request *request, const char *name)
{
	const struct task *task = need_task(request, name);

	if (task == NULL || task->active)
		return task;
	request_fail(request, SERVICE_USAGE,
	    "task \"%s\" is not active (%s:%zu): take active = false out to run it", name,
	    task->file, task->line);
	return NULL;
}

const struct asset *need_asset(struct request *request, const char *name)
{
	const struct asset *asset = policy_asset_find(request->policy, name);
	char text[WORDS_SIZE];

	if (asset == NULL) {
		unknown_asset(request, name, text, sizeof(text));
		request_fail(request, SERVICE_USAGE, "%s", text);
	} else if (!request_may(request, asset->node, NULL)) {
		snprintf(text, sizeof(text), "asset \"%s\"", asset->name);
		request_deny(request, text);
		return NULL;
	}
	return asset;
}

bool need_account(struct request *request, const struct asset *asset, const char *account)
{
	char text[WORDS_SIZE];

	if (asset_has_account(asset, account))
		return true;
	unknown_account(asset, account, text, sizeof(text));
	request_fail(request, SERVICE_USAGE, "%s", text);
	return false;
}

/* ── Patterns ────────────────────────────────────────────────────────────────────────────── */

bool pattern_is_name(const char *pattern)
{
	return pattern[0] != '/' && strchr(pattern, '*') == NULL;
}

static bool node_holds(const char *node, const char *below)
{
	size_t len = strlen(node);

	while (len > 0 && node[len - 1] == '/')
		len--;
	return strncmp(node, below, len) == 0 && (below[len] == '\0' || below[len] == '/');
}

bool asset_meant(const struct asset *asset, const char *pattern)
{
	if (pattern[0] == '/')
		return node_holds(pattern, asset->node);
	return text_glob(pattern, asset->name);
}

static bool meant_by_any(const struct asset *asset, const json_t *patterns, bool *used)
{
	bool meant = false;

	for (size_t i = 0; i < json_array_size(patterns); i++) {
		if (asset_meant(asset, json_string_value(json_array_get(patterns, i))))
			meant = used[i] = true;
	}
	return meant;
}

static bool patterns_are_text(struct request *request, const json_t *patterns)
{
	for (size_t i = 0; i < json_array_size(patterns); i++) {
		if (json_is_string(json_array_get(patterns, i)))
			continue;
		request_fail(request, SERVICE_USAGE, "\"assets\" is an array of texts");
		return false;
	}
	return true;
}

static bool all_used(struct request *request, const json_t *patterns, const bool *used)
{
	char text[WORDS_SIZE];

	for (size_t i = 0; i < json_array_size(patterns); i++) {
		if (used[i])
			continue;
		unknown_asset(
		    request, json_string_value(json_array_get(patterns, i)), text, sizeof(text));
		request_fail(request, SERVICE_USAGE, "%s", text);
		return false;
	}
	return true;
}

bool assets_meant(struct request *request, struct asset_list *list)
{
	const struct policy *policy = request->policy;
	const json_t *patterns = json_object_get(request->params, "assets");
	size_t pattern_count = json_array_size(patterns);
	bool *used;
	bool good;

	*list = (struct asset_list){.count = 0};
	if (!patterns_are_text(request, patterns))
		return false;
	used = xcalloc(pattern_count + 1, sizeof(*used));
	list->items = xcalloc(policy_asset_count(policy) + 1, sizeof(struct asset *));
	for (size_t i = 0; i < policy_asset_count(policy); i++) {
		const struct asset *asset = policy_asset(policy, i);

		if ((pattern_count == 0 || meant_by_any(asset, patterns, used)) &&
		    request_may(request, asset->node, NULL))
			list->items[list->count++] = asset;
	}
	good = all_used(request, patterns, used);
	if (good && list->count == 0 && pattern_count > 0) {
		request_deny(request, "these assets");
		good = false;
	}
	free(used);
	if (!good)
		asset_list_clear(list);
	return good;
}

void asset_list_clear(struct asset_list *list)
{
	free(list->items);
	*list = (struct asset_list){.count = 0};
}

/* ── Executions ──────────────────────────────────────────────────────────────────────────── */

enum service_end execution_meant(
    struct request *request, struct execution *execution, execution_fn shape)
{
	const char *id = param_need(request, "execution");
	struct vault_txn *txn = id == NULL ? NULL : request_read(request);
	enum err err;

	if (id == NULL)
		return SERVICE_USAGE;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = execution_find(txn, id, execution, request->error);
	if (err == ERR_OK && !request_may(request, NULL, execution->task)) {
		request_deny(request, "that execution");
		err = ERR_DENIED;
	}
	if (err == ERR_OK)
		request->result = shape(request, execution, txn);
	vault_read_end(txn);
	return err == ERR_OK ? SERVICE_OK : SERVICE_USAGE;
}
