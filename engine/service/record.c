/* Records: what came of each account in each execution. */
#include "service/engine.h"

#include "service/filter.h"
#include "service/names.h"
#include "service/shape.h"

#define LIMIT_ALL_EXECUTIONS 1000

struct listing {
	struct vault_txn *txn;
	json_t *array;
	uint64_t limit;
};

static bool listing_add(void *arg, const struct record *record)
{
	struct listing *listing = arg;

	json_array_append_new(listing->array, shape_record(record, listing->txn));
	return json_array_size(listing->array) < listing->limit;
}

enum service_end record_list(struct request *request)
{
	bool all = param_text(request, "execution") == NULL;
	struct listing listing = {.array = NULL};
	struct record_filter filter;
	enum service_end end;

	if (!param_count(request, "limit", all ? LIMIT_ALL_EXECUTIONS : UINT64_MAX, &listing.limit))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	end = filter_read(request, listing.txn, &filter);
	if (end == SERVICE_OK) {
		request->result = listing.array = json_array();
		filter_each(listing.txn, &filter, listing_add, &listing);
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
	if (err == ERR_OK)
		request->result = shape_record(&record, txn);
	vault_read_end(txn);
	return err == ERR_OK ? SERVICE_OK : SERVICE_USAGE;
}
