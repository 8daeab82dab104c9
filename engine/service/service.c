#include "service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/engine.h"
#include "service/params.h"

/* Anyone who is let in. */
#define PERMIT_NONE PERMISSION_COUNT

/* What a method shows or changes: all there is, which takes a permission without limits, or what
 * its parameters name, which its handler asks request_may about. */
enum reach_of { REACH_WHOLE, REACH_PARTS };

/*
 * `needs` is what is open before the handler looks at its parameters; where these name something of
 * the policy, the handler opens the rest once they are good. `permission` is said here and nowhere
 * else: docs/security.md has the same table.
 */
static const struct method {
	const char *name;
	enum service_end (*handler)(struct request *);
	enum needs needs;
	enum permission permission;
	enum reach_of reach;
	bool audited; /* what it does leaves an entry in the audit log */
	/* Which it takes, as docs/api.md says too: texts, or flags (`?`) and arrays (`*`). NULL: it
	 * is asked by this program alone. */
	const char *params;
} methods[] = {
    {"check", check_run, NEEDS_FILES, PERMIT_VIEW, REACH_WHOLE, false, ""},
    {"asset.list", asset_list, NEEDS_POLICY, PERMIT_VIEW, REACH_PARTS, false,
	"assets* limit after"},
    {"asset.ping", asset_ping, NEEDS_POLICY, PERMIT_RUN, REACH_PARTS, false, "assets*"},
    {"asset.look", asset_look, NEEDS_POLICY, PERMIT_VIEW, REACH_PARTS, false, "asset"},
    {"asset.trust", asset_trust, NEEDS_POLICY, PERMIT_EDIT, REACH_PARTS, true, "asset fingerprint"},
    {"asset.rename", asset_rename_request, NEEDS_POLICY, PERMIT_EDIT, REACH_WHOLE, true,
	"asset to yes?"},
    {"account.list", account_list, NEEDS_POLICY, PERMIT_VIEW, REACH_PARTS, false,
	"assets* unmanaged? in_doubt? mismatch? orphaned? older out? revealed_to since limit "
	"after"},
    {"account.held", account_held, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, "limit after"},
    {"account.show", account_show, NEEDS_POLICY, PERMIT_VIEW, REACH_PARTS, false, "asset account"},
    {"account.history", account_history, NEEDS_POLICY, PERMIT_VIEW, REACH_PARTS, false,
	"asset account"},
    {"account.reveal", account_reveal, NEEDS_POLICY, PERMIT_REVEAL, REACH_PARTS, true,
	"asset account version kind reason code"},
    {"account.checkout", account_checkout, NEEDS_POLICY, PERMIT_REVEAL, REACH_PARTS, true,
	"asset account for kind reason code"},
    {"account.checkin", account_checkin, NEEDS_POLICY, PERMIT_NONE, REACH_PARTS, true,
	"asset account kind of forget?"},
    {"account.import", account_import, NEEDS_POLICY, PERMIT_EDIT, REACH_WHOLE, true,
	"source rows*"},
    {"account.add", account_add, NEEDS_POLICY, PERMIT_EDIT, REACH_PARTS, true,
	"asset account password key passphrase"},
    {"account.verify", account_verify, NEEDS_POLICY, PERMIT_RUN, REACH_PARTS, true,
	"assets* account"},
    {"account.restore", account_restore, NEEDS_POLICY, PERMIT_RUN, REACH_PARTS, true,
	"asset account version"},
    {"task.list", task_list, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, ""},
    {"task.show", task_show, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, "task"},
    {"task.next", task_next_request, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, "task count"},
    {"task.pause", task_pause, NEEDS_VAULT, PERMIT_RUN, REACH_PARTS, true, "task for why"},
    {"task.resume", task_resume, NEEDS_VAULT, PERMIT_RUN, REACH_PARTS, true, "task"},
    {"task.rename", task_rename_request, NEEDS_POLICY, PERMIT_EDIT, REACH_WHOLE, true, "task to"},
    {"task.file.create", task_file_create, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"task.file.copy", task_file_copy, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"task.file.read", task_file_read, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"task.file.write", task_file_write, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"task.file.delete", task_file_delete, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"task.file.rename", task_file_rename, NEEDS_DIRECTORY, PERMIT_EDIT, REACH_WHOLE, false, NULL},
    {"run", run_task, NEEDS_POLICY, PERMIT_RUN, REACH_PARTS, true,
	"task dry_run? revealed_to since"},
    {"overview", overview_show, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, "days"},
    {"execution.list", execution_list, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, "limit after"},
    {"execution.show", execution_show, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, "execution"},
    {"execution.log", execution_log, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false,
	"execution asset limit after"},
    {"execution.cancel", execution_cancel, NEEDS_VAULT, PERMIT_RUN, REACH_WHOLE, true, "execution"},
    {"execution.report", execution_report, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false,
	"execution"},
    {"record.list", record_list, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false,
	"execution status task asset account reason since problems? ignored? limit after"},
    {"record.show", record_show, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, "record"},
    {"record.ignore", record_ignore_request, NEEDS_VAULT, PERMIT_RUN, REACH_PARTS, true,
	"records* why execution status task asset account reason since problems? ignored?"},
    {"record.unignore", record_unignore_request, NEEDS_VAULT, PERMIT_RUN, REACH_PARTS, true,
	"records* execution status task asset account reason since problems? ignored?"},
    {"record.retry", record_retry, NEEDS_VAULT, PERMIT_RUN, REACH_PARTS, true,
	"records* execution status task asset account reason since problems? ignored?"},
    {"record.restore", record_restore, NEEDS_POLICY, PERMIT_RUN, REACH_PARTS, true, "record"},
    {"record.reveal", record_reveal, NEEDS_POLICY, PERMIT_REVEAL, REACH_PARTS, true,
	"record reason code"},
    {"audit.list", audit_list, NEEDS_VAULT, PERMIT_AUDIT, REACH_WHOLE, false,
	"since who what asset account task limit after"},
    {"audit.key", audit_key, NEEDS_VAULT, PERMIT_AUDIT, REACH_WHOLE, false, ""},
    {"audit.export", audit_export, NEEDS_VAULT, PERMIT_AUDIT, REACH_WHOLE, true,
	"since limit after"},
    {"audit.verify", audit_verify, NEEDS_VAULT, PERMIT_AUDIT, REACH_WHOLE, false, ""},
    {"vault.rekey", vault_rekey, NEEDS_VAULT, PERMIT_ADMIN, REACH_WHOLE, true,
	"passphrase resume?"},
    {"vault.backup", vault_backup, NEEDS_VAULT, PERMIT_ADMIN, REACH_WHOLE, true, "file made?"},
    {"vault.export", vault_export_request, NEEDS_VAULT, PERMIT_ADMIN, REACH_WHOLE, true,
	"recipient fingerprint made?"},
    {"approval.list", approval_list, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, false, "all?"},
    {"approval.grant", approval_grant, NEEDS_VAULT, PERMIT_APPROVE, REACH_PARTS, true,
	"approval for code"},
    {"approval.deny", approval_deny, NEEDS_VAULT, PERMIT_APPROVE, REACH_PARTS, true,
	"approval code"},
    {"secret.list", secret_list, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, ""},
    {"secret.set", secret_set, NEEDS_VAULT, PERMIT_EDIT, REACH_WHOLE, true, "name secret"},
    {"secret.delete", secret_delete, NEEDS_VAULT, PERMIT_EDIT, REACH_WHOLE, true, "name"},
    {"notice.list", notice_list, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, "limit after"},
    {"notice.retry", notice_retry, NEEDS_VAULT, PERMIT_EDIT, REACH_WHOLE, true, "notices* all?"},
    {"notice.drop", notice_drop, NEEDS_VAULT, PERMIT_EDIT, REACH_WHOLE, true, "notices* all?"},
    {"notice.test", notice_test, NEEDS_VAULT, PERMIT_EDIT, REACH_WHOLE, false, "to"},
    {"complete", complete_names, NEEDS_FILES, PERMIT_VIEW, REACH_WHOLE, false, "kind asset"},
    {"status", status_show, NEEDS_VAULT, PERMIT_VIEW, REACH_PARTS, false, ""},
    {"reload", reload_request, NEEDS_POLICY, PERMIT_EDIT, REACH_WHOLE, true, ""},
    {"diff", diff_request, NEEDS_POLICY, PERMIT_VIEW, REACH_WHOLE, false, ""},
    {"user.list", user_list, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, ""},
    {"user.show", user_show, NEEDS_VAULT, PERMIT_VIEW, REACH_WHOLE, false, "user"},
    {"user.enroll", user_enroll, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true, "user"},
    {"user.confirm", user_confirm, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true, "user code"},
    {"user.reset_mfa", user_reset_mfa, NEEDS_VAULT, PERMIT_ADMIN, REACH_WHOLE, true, "user code"},
    {"user.password", user_password, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true,
	"user password remove? code"},
    {"login", login_request, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true, "user password code"},
    {"logout", logout_request, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, false, ""},
    {"token.create", token_create, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true,
	"name user permissions* nodes* tasks* for code"},
    {"token.list", token_list, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, false, ""},
    {"token.revoke", token_revoke, NEEDS_VAULT, PERMIT_NONE, REACH_PARTS, true, "name"},
    {"whoami", whoami_show, NEEDS_POLICY, PERMIT_NONE, REACH_PARTS, false, ""},
    {"methods", methods_list, NEEDS_POLICY, PERMIT_NONE, REACH_PARTS, false, ""},
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

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
	LIST_INIT(&service->laters);
	LIST_INIT(&service->fresh);
	LIST_INIT(&service->sessions);
	TAILQ_INIT(&service->requests);
	TAILQ_INIT(&service->earlier);
	service->since_ms = clock_wall_ms(loop_clock(service->loop));
	service->dir = xstrdup(config->dir);
	service->purpose = xstrdup(config->purpose);
	service->elsewhere = config->server;
	service->uid = getuid();
	service->progress = config->progress;
	service->ask_passphrase = config->ask_passphrase;
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
	for (size_t i = 0; i < METHOD_COUNT; i++)
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
	person_clear(&request->person);
	free(request);
}

/* A method that forgot is a mistake of ours, and no reason to withhold what was done. */
static void look_for_entry(const struct request *request, enum service_end end)
{
	if (request->must_audit && !request->audited && (end == SERVICE_OK || end == SERVICE_SOME))
		log_event(LOG_LEVEL_ERROR, "not_audited", "method", request->method, NULL);
}

void request_end(struct request *request, enum service_end end)
{
	struct listener listener = request->listener;
	struct error error = request->own_error;
	json_t *result = json_incref(request->result);
	char *next = request->next;

	look_for_entry(request, end);
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

bool service_takes(const char *name, const char *param)
{
	const struct method *method = method_find(name);

	return method == NULL || method->params == NULL || params_have(method->params, param);
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

enum service_end methods_list(struct request *request)
{
	request->result = json_array();
	for (size_t i = 0; i < METHOD_COUNT; i++) {
		const struct method *method = &methods[i];
		bool none = method->permission == PERMIT_NONE;

		if (method->needs == NEEDS_DIRECTORY)
			continue; /* whoever may write the files */
		json_array_append_new(request->result,
		    json_pack("{s:s, s:o, s:b, s:o}", "method", method->name, "permission",
			none ? json_null() : json_string(permission_name(method->permission)),
			"whole", method->reach == REACH_WHOLE, "parameters",
			params_shape(method->params)));
	}
	return SERVICE_OK;
}

/* Before anything is opened that the person may not use. */
static enum service_end request_handle(
    struct request *request, const char *name, const struct caller *caller)
{
	const struct method *method = method_find(name);
	enum service_end end;
	const char *all;

	if (method == NULL)
		return request_fail(request, SERVICE_USAGE, "there is no method \"%s\"", name);
	request->method = method->name;
	request->must_audit = method->audited;
	request->permission = method->permission;
	/* What mends a policy that cannot be loaded is for whoever may write its files. */
	end = engine_open(request,
	    method->needs == NEEDS_DIRECTORY && caller->here ? NEEDS_DIRECTORY : NEEDS_POLICY);
	if (end != SERVICE_OK)
		return end;
	request_identify(request, caller);
	if (request->policy != NULL && !caller_is_known(caller, request->policy)) {
		error_set(request->error, ERR_DENIED,
		    "the policy does not declare user \"%s\" any more", request->person.name);
		return SERVICE_USAGE;
	}
	/* Nobody is let in yet: the one thing that they may do is say who they are. */
	if (caller->nobody && method->handler != login_request)
		return request_deny(request, NULL);
	all = method->reach == REACH_WHOLE ? "" : NULL;
	if (!request_may(request, all, all))
		return request_deny(request, NULL);
	if (method->params != NULL && !params_fit(request, method->params))
		return SERVICE_USAGE;
	end = engine_open(request, method->needs);
	return end == SERVICE_OK ? method->handler(request) : end;
}

struct request *request_begin(
    struct service *service, const char *method, json_t *params, const struct listener *listener)
{
	struct request *request = xcalloc(1, sizeof(*request));
	enum service_end end;

	request->service = service;
	params_to_text(params);
	request->params = params; /* transferred */
	request->listener = *listener;
	request->error = &request->own_error;
	TAILQ_INSERT_TAIL(&service->requests, request, entry);
	end = request_handle(request, method, &listener->caller);
	if (end == SERVICE_LATER)
		return request;
	end = request_note_denial(request, end);
	request_end(request, end);
	return NULL;
}
