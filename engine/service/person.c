#include "service/person.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "service/audit.h"
#include "service/scope.h"

static const struct user *user_of(const struct caller *caller, const struct policy *policy)
{
	return caller->tls ? policy_user_find(policy, caller->user)
			   : policy_user_of_uid(policy, caller->uid);
}

bool caller_is_known(const struct caller *caller, const struct policy *policy)
{
	return caller->here || caller->owner || caller->nobody || user_of(caller, policy) != NULL;
}

bool caller_may(
    const struct caller *caller, const struct policy *policy, enum permission permission)
{
	const struct user *user = user_of(caller, policy);

	return caller->here || caller->owner ||
	       (user != NULL && user_may(user, permission, "", "") &&
		   scope_may(caller->scope, permission, "", ""));
}

/* ── Who it is ───────────────────────────────────────────────────────────────────────────── */

static void name_of_uid(uid_t uid, char out[USER_NAME_SIZE])
{
	const struct passwd *entry = getpwuid(uid);

	if (entry != NULL)
		snprintf(out, USER_NAME_SIZE, "%s", entry->pw_name);
	else
		snprintf(out, USER_NAME_SIZE, "uid %lu", (unsigned long)uid);
}

void request_identify(struct request *request, const struct caller *caller)
{
	struct person *person = &request->person;

	*person = (struct person){
	    .uid = caller->uid,
	    .here = caller->here,
	    .engine = caller->engine,
	    .owner = caller->owner || caller->here,
	    .tls = caller->tls,
	    .certificate = caller->certificate,
	    .scope = scope_hold(caller->scope),
	};
	memcpy(person->address, caller->address, sizeof(person->address));
	memcpy(person->session, caller->session, sizeof(person->session));
	snprintf(person->origin, sizeof(person->origin), "%s",
	    caller->here  ? "here"
	    : caller->tls ? "tls"
			  : "socket");
	if (request->policy != NULL)
		person->user = user_of(caller, request->policy);
	if (person->user != NULL)
		snprintf(person->name, sizeof(person->name), "%s", person->user->name);
	else if (caller->tls)
		snprintf(person->name, sizeof(person->name), "%s", caller->user);
	else
		name_of_uid(caller->uid, person->name);
}

void person_clear(struct person *person)
{
	scope_drop(person->scope);
	person->scope = NULL;
}

/* ── What they may do ────────────────────────────────────────────────────────────────────── */

bool person_may(
    const struct person *person, enum permission permission, const char *node, const char *task)
{
	if (person->owner)
		return true;
	return person->user != NULL && user_may(person->user, permission, node, task) &&
	       scope_may(person->scope, permission, node, task);
}

bool request_may(const struct request *request, const char *node, const char *task)
{
	return request->permission == PERMISSION_COUNT ||
	       person_may(&request->person, request->permission, node, task);
}

const char *request_node_of(const struct request *request, const char *name)
{
	const struct asset *asset = policy_asset_find(request->policy, name);

	return asset == NULL ? "" : asset->node;
}

bool request_sees_asset(const struct request *request, const char *asset)
{
	return request->person.owner || request_may(request, request_node_of(request, asset), NULL);
}

bool request_sees_record(const struct request *request, const struct record *record)
{
	return request->person.owner ||
	       request_may(request, request_node_of(request, record->asset), record->task);
}

/* ── Saying so ───────────────────────────────────────────────────────────────────────────── */

static void roles_text(const struct user *user, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; user != NULL && i < user->role_count && used < size; i++)
		used += (size_t)snprintf(
		    out + used, size - used, "%s%s", i == 0 ? "" : ", ", user->roles[i]->name);
}

/* Not where it is found out: something of the vault may be read just then. */
enum service_end request_note_denial(struct request *request, enum service_end end)
{
	struct audit_event event = {
	    .what = AUDIT_PERMISSION,
	    .outcome = AUDIT_REFUSED,
	    .object = request->method,
	    .detail = request->denied,
	};

	if (request->denied[0] == '\0' || request->service->vault == NULL)
		return end;
	return request_audit_now(request, &event) == SERVICE_OK ? end : SERVICE_NO_ENGINE;
}

bool request_is_in_person(struct request *request, const char *what)
{
	const struct scope *scope = request->person.scope;

	if (scope == NULL && !request->person.certificate)
		return true;
	snprintf(request->denied, sizeof(request->denied), "%s, by a %s", what,
	    scope != NULL ? "token" : "certificate");
	error_set(request->error, ERR_DENIED,
	    "this is not done by a %s: %s is for user \"%s\" in person, at the engine's socket or "
	    "by a login",
	    scope != NULL ? "token" : "certificate", what, request->person.name);
	return false;
}

/* What their token keeps from them, and not their roles. */
static enum service_end deny_by_scope(struct request *request, const char *what)
{
	const char *permission = permission_name(request->permission);
	const struct scope *scope = request->person.scope;

	error_set(request->error, ERR_DENIED,
	    "token \"%s\" of user \"%s\" may not \"%s\" %s%s: %s; lockstep token create makes one "
	    "that may",
	    scope->token.name, request->person.name, permission, what != NULL ? what : "by ",
	    what != NULL ? "" : request->method,
	    scope_may(scope, request->permission, NULL, NULL)
		? "the nodes or tasks that it is limited to do not hold all of it"
		: "it was made for less");
	return SERVICE_USAGE;
}

enum service_end request_deny(struct request *request, const char *what)
{
	const struct person *person = &request->person;
	const char *permission = permission_name(request->permission);
	bool some = person->user != NULL && user_may(person->user, request->permission, NULL, NULL);
	char roles[128];

	roles_text(person->user, roles, sizeof(roles));
	log_event(LOG_LEVEL_WARN, "denied", "user", person->name, "from", person->origin, "method",
	    request->method, "permission", permission, "what", what, NULL);
	snprintf(request->denied, sizeof(request->denied), "takes \"%s\"%s%s", permission,
	    what != NULL ? ", of " : "", what != NULL ? what : "");
	if (person->scope != NULL && person->user != NULL &&
	    user_may(person->user, request->permission, "", ""))
		return deny_by_scope(request, what);
	error_set(request->error, ERR_DENIED,
	    "user \"%s\" (%s) may not \"%s\" %s%s: %s; whoever edits the policy can change that%s",
	    person->name, roles[0] == '\0' ? "no role" : roles, permission,
	    what != NULL ? what : "by ", what != NULL ? "" : request->method,
	    some ? "the nodes or tasks that their roles are limited to do not hold all of it"
		 : "none of their roles permits it",
	    some ? "" : ", by user { role = } or role { }");
	return SERVICE_USAGE;
}
