/* Executions: what was run. */
#include "service/audit.h"

#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"

struct listing {
	const struct request *request;
	struct vault_txn *txn;
	json_t *array;
	struct page page;
	struct id last;
};

static bool listing_add(void *arg, const struct execution *execution)
{
	struct listing *listing = arg;

	bool listed = request_may(listing->request, NULL, execution->task);

	if (listed)
		json_array_append_new(listing->array,
		    shape_execution(execution, listing->txn, listing->request->service));
	listing->last = execution->id;
	return page_take(&listing->page, listed);
}

enum service_end execution_list(struct request *request)
{
	struct listing listing = {.request = request};
	char at[ID_TEXT_SIZE];
	struct id before;

	if (!page_read(request, UINT64_MAX, &listing.page))
		return SERVICE_USAGE;
	if (listing.page.after[0] != '\0' &&
	    !page_read_id(request, listing.page.after, &listing.last))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = listing.array = json_array();
	before = listing.last;
	execution_each(listing.txn, &before, listing_add, &listing);
	vault_read_end(listing.txn);
	page_end(request, &listing.page, id_text(&listing.last, at));
	return SERVICE_OK;
}

static json_t *shape_alone(
    struct request *request, const struct execution *execution, struct vault_txn *txn)
{
	return shape_execution(execution, txn, request->service);
}

enum service_end execution_show(struct request *request)
{
	struct execution execution;

	return execution_meant(request, &execution, shape_alone);
}

static enum service_end not_cancelled(struct request *request, enum service_end end)
{
	json_decref(request->result);
	request->result = NULL;
	return end;
}

/* Carried out by whichever engine has it: a command finds that one by its socket. */
enum service_end execution_cancel(struct request *request)
{
	struct rotation *rotation = request->service->rotation;
	const char *text = param_text(request, "execution");
	struct execution execution;
	enum service_end end = execution_meant(request, &execution, shape_alone);
	struct error none;

	if (end != SERVICE_OK)
		return end;
	if (rotation != NULL && rotation_runs(rotation, &execution.id)) {
		end = request_audit_now(request,
		    &(struct audit_event){
			.what = AUDIT_CANCEL, .task = execution.task, .execution = execution.id});
		if (end != SERVICE_OK)
			return not_cancelled(request, end);
	}
	if (rotation != NULL && rotation_cancel(rotation, &execution.id, &none) == ERR_OK) {
		json_object_set_new(request->result, "stopped", json_string("cancelled"));
		return SERVICE_OK;
	}
	return request_fail(request, not_cancelled(request, SERVICE_USAGE),
	    "execution %s is not running, so there is nothing to cancel: lockstep execution show "
	    "%s",
	    text, text);
}
