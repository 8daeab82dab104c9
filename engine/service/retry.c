/* Trying again: the accounts of records that did not succeed, as the policy says now. */
#include "service/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/filter.h"
#include "service/names.h"

struct retry {
	struct request *request;
	struct vault_txn *txn;
	const struct task *task;
	struct selection selection; /* of the task now */
	bool *wanted;		    /* of each that is selected */
	bool picked;		    /* by a filter: what cannot be retried is left out */
	bool failed;
	size_t unselected; /* left out */
};

static bool retry_task(struct retry *retry, const struct record *record)
{
	struct request *request = retry->request;

	if (record->task[0] == '\0') {
		request_fail(request, SERVICE_USAGE,
		    "that record is of a verify, which sets nothing: lockstep account verify %s %s",
		    record->asset, record->account);
		return false;
	}
	if (retry->task != NULL && strcmp(retry->task->name, record->task) != 0) {
		request_fail(request, SERVICE_USAGE,
		    "these records are of two tasks, \"%s\" and \"%s\": retry one task's at a "
		    "time%s",
		    retry->task->name, record->task, retry->picked ? ", with --task" : "");
		return false;
	}
	if (retry->task != NULL)
		return true;
	retry->task = need_active_task(request, record->task);
	if (retry->task == NULL || policy_select(request->policy, retry->task, &retry->selection,
				       request->error) != ERR_OK)
		return false;
	retry->wanted = xcalloc(retry->selection.count + 1, sizeof(*retry->wanted));
	return true;
}

static int selected_order(const void *key, const void *item)
{
	const struct record *record = key;
	const struct selected *selected = item;
	int order = strcmp(record->asset, selected->asset->name);

	return order != 0 ? order : strcmp(record->account, selected->account);
}

/* False when the task does not select it any more. */
static bool retry_want(struct retry *retry, const struct record *record)
{
	const struct selected *items = retry->selection.items, *found = NULL;

	if (retry->selection.count > 0)
		found =
		    bsearch(record, items, retry->selection.count, sizeof(*items), selected_order);
	if (found != NULL)
		retry->wanted[found - items] = true;
	return found != NULL;
}

static bool retry_add(struct retry *retry, const struct record *record)
{
	if (!retry_task(retry, record))
		return false;
	if (retry_want(retry, record))
		return true;
	retry->unselected++;
	if (!retry->picked)
		request_fail(retry->request, SERVICE_USAGE,
		    "task \"%s\" (%s:%zu) does not select account \"%s\" on asset \"%s\" any more: "
		    "mend it there, or run a task that does",
		    record->task, retry->task->file, retry->task->line, record->account,
		    record->asset);
	return retry->picked;
}

/* ── By ids ──────────────────────────────────────────────────────────────────────────────── */

/* Records of a verify are of no task. */
static bool is_verify(const struct record *record)
{
	return record->task[0] == '\0';
}

static bool retry_id(struct retry *retry, const char *id)
{
	struct request *request = retry->request;
	struct record record;

	if (record_find(retry->txn, id, &record, request->error) != ERR_OK)
		return false;
	if (!request_sees_record(request, &record)) {
		request_deny(request, "that record");
		return false;
	}
	if (is_verify(&record)) {
		request_fail(request, SERVICE_USAGE,
		    "record %s is of a verify, which sets nothing: lockstep account verify %s %s",
		    id, record.asset, record.account);
		return false;
	}
	if (record.status == STATUS_SUCCESS) {
		request_fail(
		    request, SERVICE_USAGE, "record %s succeeded: there is nothing to retry", id);
		return false;
	}
	return retry_add(retry, &record);
}

static bool retry_ids(struct retry *retry, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		if (id == NULL || !retry_id(retry, id))
			return false;
	}
	return true;
}

/* ── By a filter ─────────────────────────────────────────────────────────────────────────── */

/* Another execution changed it since, and saw that work. */
static bool was_changed_since(struct retry *retry, const struct record *record)
{
	struct account account;

	return account_get(retry->txn, record->asset, record->account, record->kind, &account) ==
		   ERR_OK &&
	       account_state(&account) == ACCOUNT_CURRENT && account.changed_ms > record->ended_ms;
}

static bool retry_pick(void *arg, const struct record *record)
{
	struct retry *retry = arg;

	if (record->status == STATUS_SUCCESS || is_verify(record) ||
	    was_changed_since(retry, record))
		return true;
	retry->failed = !retry_add(retry, record);
	return !retry->failed;
}

static void tell_unselected(struct retry *retry)
{
	char text[256];

	if (retry->unselected == 0)
		return;
	snprintf(text, sizeof(text),
	    "%zu account%s left out: task \"%s\" does not select %s any more", retry->unselected,
	    retry->unselected == 1 ? " is" : "s are", retry->task->name,
	    retry->unselected == 1 ? "it" : "them");
	request_tell(retry->request, json_pack("{s:s, s:s}", "event", "warning", "text", text));
}

static bool retry_filtered(struct retry *retry)
{
	struct record_filter filter;

	if (filter_read(retry->request, retry->txn, &filter) != SERVICE_OK)
		return false;
	retry->picked = true;
	filter_each(retry->txn, &filter, retry_pick, retry);
	if (!retry->failed)
		tell_unselected(retry);
	return !retry->failed;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum service_end retry_run(struct retry *retry)
{
	struct selected *items = xcalloc(retry->selection.count + 1, sizeof(*items));
	enum service_end end;
	size_t count = 0;

	for (size_t i = 0; i < retry->selection.count; i++)
		if (retry->wanted[i])
			items[count++] = retry->selection.items[i];
	if (count > 0)
		end = run_order(retry->request, &(struct rotation_order){
						    .kind = run_kind(retry->task),
						    .task = retry->task,
						    .items = items,
						    .count = count,
						    .trigger = "retry",
						});
	else
		end = request_fail(retry->request, SERVICE_USAGE,
		    "there is nothing to retry: no record that is meant is of an account that "
		    "still needs it (lockstep record list shows them)");
	free(items);
	return end;
}

enum service_end record_retry(struct request *request)
{
	const json_t *ids = json_object_get(request->params, "records");
	bool by_id = json_array_size(ids) > 0;
	bool by_filter = filter_is_given(request) || param_text(request, "execution") != NULL;
	struct retry retry = {.request = request};
	enum service_end end = SERVICE_USAGE;
	bool good;

	if (by_id && by_filter)
		return request_fail(
		    request, SERVICE_USAGE, "which records? Give either their ids or a filter");
	if (!by_id && !by_filter)
		return request_fail(request, SERVICE_USAGE,
		    "which records? Give their ids, or a filter such as --execution ID --status "
		    "failed");
	retry.txn = request_read(request);
	if (retry.txn == NULL)
		return SERVICE_NO_ENGINE;
	good = by_id ? retry_ids(&retry, ids) : retry_filtered(&retry);
	vault_read_end(retry.txn);
	if (good)
		end = retry_run(&retry);
	selection_clear(&retry.selection);
	free(retry.wanted);
	return end;
}
