#include "service/audit.h"

#include <stdio.h>
#include <syslog.h>

#include "base/log.h"
#include "service/scope.h"

/* ── Who ─────────────────────────────────────────────────────────────────────────────────── */

void request_who(struct request *request, struct audit_who *who)
{
	const struct person *person = &request->person;

	*who = (struct audit_who){
	    .origin = person->engine ? AUDIT_ENGINE
		      : person->here ? AUDIT_COMMAND
		      : person->tls  ? AUDIT_TLS
				     : AUDIT_SOCKET,
	    .has_uid = !person->tls,
	    .uid = person->uid,
	    .user = person->name[0] != '\0' ? person->name : NULL,
	    .address = person->tls ? person->address : NULL,
	    .token = person->scope != NULL ? person->scope->token.name : NULL,
	};
}

/* ── Appending ───────────────────────────────────────────────────────────────────────────── */

enum err request_audit(
    struct request *request, struct vault_txn *txn, struct audit_event *event, struct error *error)
{
	request_who(request, &event->who);
	request->audited = true;
	return audit_append(txn, event, error);
}

struct writing {
	struct request *request;
	vault_apply_fn apply; /* NULL: only the entry */
	void *arg;
	struct audit_event *event;
};

static enum err writing_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct writing *writing = arg;
	enum err err = ERR_OK;

	if (writing->apply != NULL)
		err = writing->apply(txn, writing->arg, error);
	return err == ERR_OK ? request_audit(writing->request, txn, writing->event, error) : err;
}

enum err request_write(
    struct request *request, vault_apply_fn apply, void *arg, struct audit_event *event)
{
	struct writing writing = {request, apply, arg, event};

	return vault_write(request->service->vault, writing_apply, &writing, request->error);
}

enum service_end request_audit_now(struct request *request, struct audit_event *event)
{
	if (request_write(request, NULL, NULL, event) == ERR_OK)
		return SERVICE_OK;
	error_prefix(request->error, "what is not in the audit log is not done: ");
	return SERVICE_NO_ENGINE;
}

/* ── As it happens ───────────────────────────────────────────────────────────────────────── */

static void tell_syslog(void *arg, const char *line)
{
	(void)arg;
	syslog(LOG_AUTHPRIV | LOG_NOTICE, "audit %s", line);
}

void audit_follow(struct service *service)
{
	bool wanted = policy_settings(service->snapshot->policy)->audit_syslog;

	vault_audit_tell(service->vault, wanted ? tell_syslog : NULL, NULL);
}
