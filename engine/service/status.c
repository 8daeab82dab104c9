/* What runs, and loading the policy anew: of the engine that holds the vault. */
#include "service/engine.h"

#include <unistd.h>

#include "base/json.h"
#include "service/listen.h"
#include "service/reload.h"
#include "service/shape.h"
#include "vault/notice.h"

#define EXECUTIONS_MAX 100

struct open_executions {
	const struct request *request;
	struct vault_txn *txn;
	json_t *array;
};

static bool add_execution(void *arg, const struct execution *execution)
{
	struct open_executions *open = arg;

	if (request_may(open->request, NULL, execution->task))
		json_array_append_new(
		    open->array, shape_execution(execution, open->txn, open->request->service));
	return json_array_size(open->array) < EXECUTIONS_MAX;
}

static bool count_one(void *arg, const struct account *account)
{
	(void)account;
	++*(json_int_t *)arg;
	return true;
}

static json_t *shape_notices(struct vault_txn *txn)
{
	struct notice_counts counts;
	json_int_t waiting, given_up;

	notice_count(txn, &counts);
	waiting = (json_int_t)counts.waiting;
	given_up = (json_int_t)counts.given_up;
	return json_pack("{s:I, s:I}", "waiting", waiting, "given_up", given_up);
}

static json_t *shape_kept(const struct request *request, struct vault_txn *txn)
{
	struct open_executions open = {.request = request, .txn = txn, .array = json_array()};
	json_int_t doubts = 0;

	execution_each_open(txn, add_execution, &open);
	account_each_in_doubt(txn, count_one, &doubts);
	return json_pack("{s:b, s:o, s:I, s:o}", "running", 0, "executions", open.array, "doubts",
	    doubts, "notices", shape_notices(txn));
}

static json_t *shape_policy(const struct service *service)
{
	const struct snapshot *snapshot = service->snapshot;
	json_int_t assets = (json_int_t)policy_asset_count(snapshot->policy);
	json_int_t tasks = (json_int_t)policy_task_count(snapshot->policy);

	return json_pack("{s:o, s:o, s:I, s:I}", "dir", json_text(service->dir), "loaded",
	    json_time(snapshot->loaded_ms), "assets", assets, "tasks", tasks);
}

static void add_engine(json_t *json, const struct service *service)
{
	json_int_t pid = getpid(), in_flight = rotation_in_flight(service->rotation);
	bool sandbox = policy_settings(service->snapshot->policy)->sandbox;
	json_t *engine = json_pack("{s:b, s:I, s:o, s:o, s:s, s:o, s:o, s:b, s:b, s:b, s:I}",
	    "running", 1, "pid", pid, "since", json_time(service->since_ms), "purpose",
	    json_text(service->purpose), "version", PACKAGE_VERSION, "policy",
	    shape_policy(service), "reload", reloads_last(service->reloads), "secure_mode",
	    service->secure_mode, "sandbox", sandbox, "stopping", service->interrupted, "in_flight",
	    in_flight);

	json_object_set_new(engine, "listen", json_text(listening_at(service->listening)));
	json_object_update(json, engine);
	json_decref(engine);
}

/* Whoever asks itself is told that nobody runs: its own engine is there for the question alone. */
enum service_end status_show(struct request *request)
{
	const struct service *service = request->service;
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = shape_kept(request, txn);
	vault_read_end(txn);
	if (service->server == NULL)
		return SERVICE_SOME;
	add_engine(request->result, service);
	return SERVICE_OK;
}

/* Loads the policy beside the loop: to take it, or to see what would change. */
static enum service_end load_again(struct request *request, bool take)
{
	struct service *service = request->service;

	if (service->reloads != NULL && !service->interrupted)
		return reloads_ask(service->reloads, request, take);
	if (service->server == NULL)
		return request_fail(request, SERVICE_USAGE,
		    "no lockstepd runs with this vault, so there is nothing to %s: a command "
		    "reads the policy when it starts (lockstep check)",
		    take ? "reload" : "compare with");
	return request_fail(request, SERVICE_USAGE, "\"%s\" (process %ld) has the vault: %s",
	    service->purpose, (long)getpid(),
	    service->interrupted ? "it ends, and loads nothing more; try again then"
				 : "it keeps its policy to its end; try again then");
}

enum service_end reload_request(struct request *request)
{
	return load_again(request, true);
}

enum service_end diff_request(struct request *request)
{
	return load_again(request, false);
}
