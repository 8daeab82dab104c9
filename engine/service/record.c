/* Records: what came of each account in each execution, and trying some again. */
#include "service/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/names.h"
#include "service/shape.h"

#define LIMIT_ALL_EXECUTIONS 1000

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct vault_txn *txn;
	json_t *array;
	uint64_t limit;
	const char *status; /* NULL = any */
	bool problems;	    /* only what keeps a run's exit status from being 0 */
};

static bool listing_full(const struct listing *listing)
{
	return json_array_size(listing->array) >= listing->limit;
}

static bool listing_add(void *arg, const struct record *record)
{
	struct listing *listing = arg;
	bool wanted = (listing->status == NULL ||
			  strcmp(status_name(record->status), listing->status) == 0) &&
		      !(listing->problems && record_is_fine(record));

	if (wanted)
		json_array_append_new(listing->array, shape_record(record));
	return !listing_full(listing);
}

static bool listing_add_execution(void *arg, const struct execution *execution)
{
	struct listing *listing = arg;
	const struct id first = {{0}};

	record_each(listing->txn, &execution->id, &first, listing_add, listing);
	return !listing_full(listing);
}

static bool status_is_known(struct request *request, const char *status)
{
	for (int i = 0; status != NULL && i < STATUS_COUNT; i++)
		if (strcmp(status_name(i), status) == 0)
			return true;
	if (status == NULL)
		return true;
	request_fail(request, SERVICE_USAGE,
	    "there is no status \"%.32s\": it is success, failed, unverified, skipped, planned or "
	    "staged",
	    status);
	return false;
}

static enum service_end list_records(struct request *request, struct listing *listing)
{
	const char *id = param_text(request, "execution");
	const struct id newest = {{0}};
	struct execution execution;

	if (id == NULL) {
		request->result = listing->array = json_array();
		execution_each(listing->txn, &newest, listing_add_execution, listing);
		return SERVICE_OK;
	}
	if (execution_find(listing->txn, id, &execution, request->error) != ERR_OK)
		return SERVICE_USAGE;
	request->result = listing->array = json_array();
	(void)listing_add_execution(listing, &execution);
	return SERVICE_OK;
}

enum service_end record_list(struct request *request)
{
	bool all = param_text(request, "execution") == NULL;
	struct listing listing = {
	    .status = param_text(request, "status"),
	    .problems = param_flag(request, "problems"),
	};
	enum service_end end;

	if (!status_is_known(request, listing.status) ||
	    !param_count(request, "limit", all ? LIMIT_ALL_EXECUTIONS : UINT64_MAX, &listing.limit))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	end = list_records(request, &listing);
	vault_read_end(listing.txn);
	return end;
}

enum service_end record_show(struct request *request)
{
	const char *id = param_need(request, "record");
	struct vault_txn *txn = id == NULL ? NULL : request_read(request);
	struct record record;
	enum err err;

	if (id == NULL)
		return SERVICE_USAGE;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = record_find(txn, id, &record, request->error);
	vault_read_end(txn);
	if (err != ERR_OK)
		return SERVICE_USAGE;
	request->result = shape_record(&record);
	return SERVICE_OK;
}

/* ── Trying again ────────────────────────────────────────────────────────────────────────── */

struct retry {
	struct request *request;
	const struct task *task;
	struct selection selection; /* of the task now */
	struct selected *items;
	size_t count;
};

static bool retry_has(const struct retry *retry, const struct selected *item)
{
	for (size_t i = 0; i < retry->count; i++)
		if (retry->items[i].asset == item->asset &&
		    strcmp(retry->items[i].account, item->account) == 0)
			return true;
	return false;
}

static bool retry_task(struct retry *retry, const struct record *record)
{
	struct request *request = retry->request;

	if (retry->task != NULL && strcmp(retry->task->name, record->task) != 0) {
		request_fail(request, SERVICE_USAGE,
		    "these records are of two tasks, \"%s\" and \"%s\": retry one task's at a time",
		    retry->task->name, record->task);
		return false;
	}
	if (retry->task != NULL)
		return true;
	retry->task = need_task(request, record->task);
	return retry->task != NULL && policy_select(request->service->policy, retry->task,
					  &retry->selection, request->error) == ERR_OK;
}

static bool retry_account(struct retry *retry, const struct record *record)
{
	for (size_t i = 0; i < retry->selection.count; i++) {
		const struct selected *item = &retry->selection.items[i];

		if (strcmp(item->asset->name, record->asset) != 0 ||
		    strcmp(item->account, record->account) != 0)
			continue;
		if (!retry_has(retry, item))
			retry->items[retry->count++] = *item;
		return true;
	}
	request_fail(retry->request, SERVICE_USAGE,
	    "task \"%s\" does not select account \"%s\" on asset \"%s\" any more", record->task,
	    record->account, record->asset);
	return false;
}

static bool retry_add(struct retry *retry, struct vault_txn *txn, const char *id)
{
	struct request *request = retry->request;
	struct record record;

	if (record_find(txn, id, &record, request->error) != ERR_OK)
		return false;
	if (record.status == STATUS_SUCCESS) {
		request_fail(
		    request, SERVICE_USAGE, "record %s succeeded: there is nothing to retry", id);
		return false;
	}
	return retry_task(retry, &record) && retry_account(retry, &record);
}

static bool retry_collect(struct retry *retry, struct vault_txn *txn, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		if (id == NULL || !retry_add(retry, txn, id))
			return false;
	}
	return true;
}

enum service_end record_retry(struct request *request)
{
	const json_t *ids = json_object_get(request->params, "records");
	struct retry retry = {.request = request};
	struct vault_txn *txn;
	enum service_end end = SERVICE_USAGE;
	bool good;

	if (json_array_size(ids) == 0)
		return request_fail(request, SERVICE_USAGE, "which records? Give their ids");
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	retry.items = xcalloc(json_array_size(ids), sizeof(*retry.items));
	good = retry_collect(&retry, txn, ids);
	vault_read_end(txn);
	if (good)
		end = run_order(request, &(struct rotation_order){
					     .task = retry.task,
					     .items = retry.items,
					     .count = retry.count,
					     .trigger = "retry",
					 });
	selection_clear(&retry.selection);
	free(retry.items);
	return end;
}
