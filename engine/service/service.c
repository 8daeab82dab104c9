#include "service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "service/engine.h"

/*
 * `needs` is what is open before the handler looks at its parameters; where these name something of
 * the policy, the handler opens the rest once they are good.
 */
static const struct method {
	const char *name;
	enum service_end (*handler)(struct request *);
	enum needs needs;
} methods[] = {
    {"check", check_run, NEEDS_FILES},
    {"asset.list", asset_list, NEEDS_POLICY},
    {"asset.ping", asset_ping, NEEDS_POLICY},
    {"asset.look", asset_look, NEEDS_POLICY},
    {"asset.trust", asset_trust, NEEDS_POLICY},
    {"asset.rename", asset_rename_request, NEEDS_POLICY},
    {"account.list", account_list, NEEDS_POLICY},
    {"account.show", account_show, NEEDS_POLICY},
    {"account.history", account_history, NEEDS_POLICY},
    {"account.reveal", account_reveal, NEEDS_POLICY},
    {"account.import", account_import, NEEDS_POLICY},
    {"account.add", account_add, NEEDS_POLICY},
    {"account.verify", account_verify, NEEDS_POLICY},
    {"account.restore", account_restore, NEEDS_POLICY},
    {"task.list", task_list, NEEDS_VAULT},
    {"task.show", task_show, NEEDS_VAULT},
    {"task.next", task_next_request, NEEDS_VAULT},
    {"task.pause", task_pause, NEEDS_VAULT},
    {"task.resume", task_resume, NEEDS_VAULT},
    {"task.rename", task_rename_request, NEEDS_POLICY},
    {"task.file.create", task_file_create, NEEDS_DIRECTORY},
    {"task.file.copy", task_file_copy, NEEDS_DIRECTORY},
    {"task.file.read", task_file_read, NEEDS_DIRECTORY},
    {"task.file.write", task_file_write, NEEDS_DIRECTORY},
    {"task.file.delete", task_file_delete, NEEDS_DIRECTORY},
    {"task.file.rename", task_file_rename, NEEDS_DIRECTORY},
    {"run", run_task, NEEDS_POLICY},
    {"overview", overview_show, NEEDS_VAULT},
    {"execution.list", execution_list, NEEDS_VAULT},
    {"execution.show", execution_show, NEEDS_VAULT},
    {"execution.log", execution_log, NEEDS_VAULT},
    {"execution.cancel", execution_cancel, NEEDS_VAULT},
    {"execution.report", execution_report, NEEDS_VAULT},
    {"record.list", record_list, NEEDS_VAULT},
    {"record.show", record_show, NEEDS_VAULT},
    {"record.ignore", record_ignore_request, NEEDS_VAULT},
    {"record.unignore", record_unignore_request, NEEDS_VAULT},
    {"record.retry", record_retry, NEEDS_VAULT},
    {"record.restore", record_restore, NEEDS_POLICY},
    {"secret.list", secret_list, NEEDS_VAULT},
    {"secret.set", secret_set, NEEDS_VAULT},
    {"secret.delete", secret_delete, NEEDS_VAULT},
    {"complete", complete_names, NEEDS_FILES},
    {"status", status_show, NEEDS_VAULT},
    {"reload", reload_request, NEEDS_POLICY},
};

struct service *service_new(const struct service_config *config)
{
	struct service *service = xcalloc(1, sizeof(*service));

	process_harden();
	service->loop = loop_new();
	if (service->loop == NULL) {
		free(service);
		return NULL;
	}
	LIST_INIT(&service->watches);
	TAILQ_INIT(&service->requests);
	TAILQ_INIT(&service->earlier);
	service->since_ms = clock_wall_ms(loop_clock(service->loop));
	service->dir = xstrdup(config->dir);
	service->purpose = xstrdup(config->purpose);
	service->uid = getuid();
	service->progress = config->progress;
	service->arg = config->arg;
	return service;
}

void service_free(struct service *service)
{
	if (service == NULL)
		return;
	engine_close(service);
	loop_free(service->loop);
	free(service->purpose);
	free(service->dir);
	free(service);
}

static const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

/* ── Requests ────────────────────────────────────────────────────────────────────────────── */

static void request_free(struct request *request)
{
	TAILQ_REMOVE(&request->service->requests, request, entry);
	if (request->snapshot != NULL)
		request->snapshot->uses--;
	service_look(request->service);
	json_decref(request->result);
	json_decref((json_t *)(uintptr_t)request->params);
	free(request);
}

void request_end(struct request *request, enum service_end end)
{
	struct listener listener = request->listener;
	struct error error = request->own_error;
	json_t *result = json_incref(request->result);
	char *next = request->next;

	request_free(request);
	if (listener.done != NULL)
		listener.done(listener.arg, end, result, next, &error);
	else
		json_decref(result);
	free(next);
}

void request_forget(struct request *request)
{
	request->listener = (struct listener){.arg = NULL};
}

bool service_has_method(const char *name)
{
	const struct method *method = method_find(name);

	return method != NULL && method->needs != NEEDS_DIRECTORY;
}

bool service_is_of_files(const char *name)
{
	const struct method *method = method_find(name);

	return method != NULL && method->needs <= NEEDS_FILES;
}

bool service_is_shared(const struct service *service)
{
	const struct request *first = TAILQ_FIRST(&service->requests);

	return first != NULL && TAILQ_NEXT(first, entry) != NULL;
}

void requests_drop(struct service *service)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&service->requests)) != NULL) {
		if (request->drop != NULL)
			request->drop(request->drop_arg);
		free(request->next);
		request_free(request);
	}
}

static enum service_end request_handle(struct request *request, const char *name)
{
	const struct method *method = method_find(name);
	enum service_end end;

	if (method == NULL)
		return request_fail(request, SERVICE_USAGE, "there is no method \"%s\"", name);
	end = engine_open(request, method->needs);
	return end == SERVICE_OK ? method->handler(request) : end;
}

struct request *request_begin(
    struct service *service, const char *method, json_t *params, const struct listener *listener)
{
	struct request *request = xcalloc(1, sizeof(*request));
	enum service_end end;

	request->service = service;
	request->uid = listener->uid;
	request->params = params; /* transferred */
	request->listener = *listener;
	request->error = &request->own_error;
	TAILQ_INSERT_TAIL(&service->requests, request, entry);
	end = request_handle(request, method);
	if (end == SERVICE_LATER)
		return request;
	request_end(request, end);
	return NULL;
}
