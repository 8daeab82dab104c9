/* Executions: what was run. */
#include "service/engine.h"

#include "service/names.h"
#include "service/shape.h"

struct listing {
	struct vault_txn *txn;
	json_t *array;
	uint64_t limit;
};

static bool listing_add(void *arg, const struct execution *execution)
{
	struct listing *listing = arg;

	json_array_append_new(listing->array, shape_execution(execution, listing->txn));
	return json_array_size(listing->array) < listing->limit;
}

enum service_end execution_list(struct request *request)
{
	struct listing listing = {.array = NULL};
	const struct id newest = {{0}};

	if (!param_count(request, "limit", UINT64_MAX, &listing.limit))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = listing.array = json_array();
	execution_each(listing.txn, &newest, listing_add, &listing);
	vault_read_end(listing.txn);
	return SERVICE_OK;
}

enum service_end execution_show(struct request *request)
{
	const char *id = param_need(request, "execution");
	struct vault_txn *txn = id == NULL ? NULL : request_read(request);
	struct execution execution;
	enum err err;

	if (id == NULL)
		return SERVICE_USAGE;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = execution_find(txn, id, &execution, request->error);
	if (err == ERR_OK)
		request->result = shape_execution(&execution, txn);
	vault_read_end(txn);
	return err == ERR_OK ? SERVICE_OK : SERVICE_USAGE;
}
