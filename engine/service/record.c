/* Records: what came of each account in each execution. */
#include "service/engine.h"

#include <stdio.h>
#include <string.h>

#include "service/filter.h"
#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"

#define LIMIT_ALL_EXECUTIONS 1000

struct listing {
	struct vault_txn *txn;
	const struct record_filter *filter;
	json_t *array;
	struct page page;
	struct record_place place;
};

static bool listing_add(void *arg, const struct id *execution, const struct record *record)
{
	struct listing *listing = arg;
	bool listed = record != NULL && filter_takes(listing->filter, record);

	listing->place = (struct record_place){.execution = *execution};
	if (record != NULL)
		listing->place.record = record->id;
	if (listed)
		json_array_append_new(listing->array, shape_record(record, listing->txn));
	return page_take(&listing->page, listed);
}

/* "EXECUTION RECORD"; without a record where all of the execution's were looked at. */
static bool place_read(struct request *request, struct listing *listing)
{
	const char *after = listing->page.after;
	const char *space = strchr(after, ' ');
	char execution[ID_TEXT_SIZE];

	if (after[0] == '\0')
		return true;
	snprintf(execution, sizeof(execution), "%.*s", ID_TEXT_SIZE - 1, after);
	execution[strcspn(execution, " ")] = '\0';
	return page_read_id(request, execution, &listing->place.execution) &&
	       (space == NULL || page_read_id(request, space + 1, &listing->place.record));
}

static void place_end(struct request *request, const struct listing *listing)
{
	char at[2 * ID_TEXT_SIZE], id[ID_TEXT_SIZE];

	snprintf(at, sizeof(at), "%s", id_text(&listing->place.execution, id));
	if (!id_is_none(&listing->place.record))
		snprintf(at + strlen(at), sizeof(at) - strlen(at), " %s",
		    id_text(&listing->place.record, id));
	page_end(request, &listing->page, at);
}

enum service_end record_list(struct request *request)
{
	bool all = param_text(request, "execution") == NULL;
	struct listing listing = {.array = NULL};
	struct record_filter filter;
	struct record_place from;
	enum service_end end;

	if (!page_read(request, all ? LIMIT_ALL_EXECUTIONS : UINT64_MAX, &listing.page) ||
	    !place_read(request, &listing))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	end = filter_read(request, listing.txn, &filter);
	if (end == SERVICE_OK) {
		request->result = listing.array = json_array();
		listing.filter = &filter;
		from = listing.place;
		filter_walk(listing.txn, &filter, &from, listing_add, &listing);
		place_end(request, &listing);
	}
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
	if (err == ERR_OK && !request_sees_record(request, &record)) {
		request_deny(request, "that record");
		err = ERR_DENIED;
	}
	if (err == ERR_OK)
		request->result = shape_record(&record, txn);
	vault_read_end(txn);
	return err == ERR_OK ? SERVICE_OK : SERVICE_USAGE;
}
