/* Ignoring records: someone looked at what failed, and said why it is no concern any more. */
#include "service/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/filter.h"
#include "service/names.h"

#define BATCH_MOST 500 /* records a commit */

struct ignoring {
	struct request *request;
	const char *why; /* NULL: no more ignored */
	char who[WHO_SIZE];
	char object[WHY_SIZE]; /* for the audit log */
	struct id *ids;
	size_t count, room;
	size_t done;
};

static bool record_is_meant(const struct ignoring *ignoring, const struct record *record)
{
	if (ignoring->why == NULL)
		return record->ignored_ms != 0;
	return record->status == STATUS_FAILED || record->status == STATUS_UNVERIFIED;
}

static void ignoring_add(struct ignoring *ignoring, const struct record *record)
{
	if (ignoring->count == ignoring->room) {
		ignoring->room = ignoring->room * 2 + 64;
		ignoring->ids = xrealloc(ignoring->ids, ignoring->room * sizeof(*ignoring->ids));
	}
	ignoring->ids[ignoring->count++] = record->id;
}

/* ── Which ───────────────────────────────────────────────────────────────────────────────── */

static bool pick_id(struct ignoring *ignoring, struct vault_txn *txn, const char *id)
{
	struct request *request = ignoring->request;
	struct record record;

	if (record_find(txn, id, &record, request->error) != ERR_OK)
		return false;
	if (!request_sees_record(request, &record)) {
		request_deny(request, "that record");
		return false;
	}
	if (record_is_meant(ignoring, &record)) {
		ignoring_add(ignoring, &record);
		return true;
	}
	request_fail(request, SERVICE_USAGE,
	    ignoring->why == NULL ? "record %s is not ignored, so there is nothing to take back"
				  : "record %s neither failed nor is in doubt, so there is nothing "
				    "to ignore",
	    id);
	return false;
}

static bool pick_ids(struct ignoring *ignoring, struct vault_txn *txn, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		if (id == NULL || !pick_id(ignoring, txn, id))
			return false;
	}
	return true;
}

static bool pick_record(void *arg, const struct record *record)
{
	struct ignoring *ignoring = arg;

	if (record_is_meant(ignoring, record) && (ignoring->why == NULL || record->ignored_ms == 0))
		ignoring_add(ignoring, record);
	return true;
}

static bool pick_filtered(struct ignoring *ignoring, struct vault_txn *txn)
{
	struct record_filter filter;

	if (filter_read(ignoring->request, txn, &filter) != SERVICE_OK)
		return false;
	filter.ignored = true;
	filter_each(txn, &filter, pick_record, ignoring);
	if (ignoring->count > 0)
		return true;
	request_fail(ignoring->request, SERVICE_USAGE,
	    "no record that is meant %s: lockstep record list shows them",
	    ignoring->why == NULL ? "is ignored" : "failed or is in doubt, and is not ignored yet");
	return false;
}

static bool pick(struct ignoring *ignoring)
{
	struct request *request = ignoring->request;
	const json_t *ids = json_object_get(request->params, "records");
	bool by_id = json_array_size(ids) > 0, good;
	bool by_filter = filter_is_given(request) || param_text(request, "execution") != NULL;
	struct vault_txn *txn;

	if (by_id == by_filter) {
		request_fail(request, SERVICE_USAGE,
		    by_id ? "which records: give either their ids or a filter"
			  : "which records: give their ids, or a filter such as --execution ID");
		return false;
	}
	txn = request_read(request);
	if (txn == NULL)
		return false;
	good = by_id ? pick_ids(ignoring, txn, ids) : pick_filtered(ignoring, txn);
	vault_read_end(txn);
	return good;
}

/* ── Keeping it ──────────────────────────────────────────────────────────────────────────── */

static enum err ignore_one(
    const struct ignoring *ignoring, struct vault_txn *txn, const struct id *id)
{
	struct record record;
	enum err err = record_get(txn, id, &record);

	/* It may have been settled meanwhile, or be gone. */
	if (err != ERR_OK || !record_is_meant(ignoring, &record))
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	return record_ignore(txn, id, ignoring->who, ignoring->why);
}

static enum err ignore_batch(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct ignoring *ignoring = arg;
	size_t end = ignoring->done + BATCH_MOST;
	enum err err = ERR_OK;

	for (size_t i = ignoring->done; err == ERR_OK && i < ignoring->count && i < end; i++)
		err = ignore_one(ignoring, txn, &ignoring->ids[i]);
	return err == ERR_OK ? err : error_set(error, err, "a record cannot be kept");
}

/* The record, or how many there are of which execution and filter. */
static const char *ignoring_object(struct ignoring *ignoring)
{
	const char *execution = param_text(ignoring->request, "execution");
	char id[ID_TEXT_SIZE];

	if (ignoring->count == 1)
		snprintf(ignoring->object, sizeof(ignoring->object), "record %s",
		    id_text(&ignoring->ids[0], id));
	else
		snprintf(ignoring->object, sizeof(ignoring->object), "%zu records%s%.64s",
		    ignoring->count, execution != NULL ? " of execution " : "",
		    execution != NULL ? execution : "");
	return ignoring->object;
}

static enum service_end ignore_all(struct ignoring *ignoring)
{
	struct request *request = ignoring->request;
	struct audit_event event = {
	    .what = ignoring->why != NULL ? AUDIT_IGNORE : AUDIT_UNIGNORE,
	    .object = ignoring_object(ignoring),
	    .detail = ignoring->why,
	};

	for (; ignoring->done < ignoring->count; ignoring->done += BATCH_MOST)
		if (request_write(request, ignore_batch, ignoring, &event) != ERR_OK)
			return SERVICE_NO_ENGINE;
	request->result = json_pack("{s:I, s:o, s:o}", "records", (json_int_t)ignoring->count,
	    "why", ignoring->why == NULL ? json_null() : json_text(ignoring->why), "by",
	    json_text(ignoring->who));
	return SERVICE_OK;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum service_end ignoring_run(struct ignoring *ignoring)
{
	enum service_end end = SERVICE_USAGE;

	snprintf(ignoring->who, sizeof(ignoring->who), "%s", ignoring->request->person.name);
	if (pick(ignoring))
		end = ignore_all(ignoring);
	free(ignoring->ids);
	return end;
}

enum service_end record_ignore_request(struct request *request)
{
	struct ignoring ignoring = {.request = request, .why = param_text(request, "why")};

	if (ignoring.why == NULL || ignoring.why[0] == '\0')
		return request_fail(request, SERVICE_USAGE,
		    "why: give the reason with --why, for whoever finds the record later");
	if (strlen(ignoring.why) >= WHY_SIZE)
		return request_fail(request, SERVICE_USAGE,
		    "--why: give a shorter reason, of at most %d bytes", WHY_SIZE - 1);
	return ignoring_run(&ignoring);
}

enum service_end record_unignore_request(struct request *request)
{
	struct ignoring ignoring = {.request = request};

	return ignoring_run(&ignoring);
}
