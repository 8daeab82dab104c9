#include "service.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

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
    {"check", check_run, NEEDS_POLICY},
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
    {"run", run_task, NEEDS_POLICY},
    {"execution.list", execution_list, NEEDS_VAULT},
    {"execution.show", execution_show, NEEDS_VAULT},
    {"execution.log", execution_log, NEEDS_VAULT},
    {"record.list", record_list, NEEDS_VAULT},
    {"record.show", record_show, NEEDS_VAULT},
    {"record.retry", record_retry, NEEDS_VAULT},
    {"record.restore", record_restore, NEEDS_POLICY},
    {"secret.list", secret_list, NEEDS_VAULT},
    {"secret.set", secret_set, NEEDS_VAULT},
    {"secret.delete", secret_delete, NEEDS_VAULT},
    {"complete", complete_names, NEEDS_POLICY},
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
	service->dir = xstrdup(config->dir);
	service->purpose = xstrdup(config->purpose);
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

enum service_end service_call(struct service *service, const char *name, const json_t *params,
    json_t **result, struct error *error)
{
	struct request request = {.service = service, .params = params, .error = error};
	const struct method *method = method_find(name);
	enum service_end end;

	*result = NULL;
	if (method == NULL)
		return request_fail(&request, SERVICE_USAGE, "there is no method \"%s\"", name);
	end = engine_open(&request, method->needs);
	if (end == SERVICE_OK)
		end = method->handler(&request);
	*result = request.result; /* transferred */
	return end;
}

/* While wires are open the loop hears it, as it hears the terminal; else there is nothing to end.
 */
void service_interrupt(void)
{
	(void)raise(SIGTERM);
}
