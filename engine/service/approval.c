#include "service/approval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/audit.h"
#include "service/courier.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/notices.h"
#include "service/reveal.h"
#include "service/scope.h"

#define GRANT_DEFAULT_MS 3600000
#define GRANT_MAX_MS	 86400000
#define NAMES_SIZE	 256
#define TOLD_MAX	 100

/* ── Who may answer ──────────────────────────────────────────────────────────────────────── */

static bool user_may_answer(
    const struct request *request, const struct user *user, const char *who, const char *asset)
{
	return strcmp(user->name, who) != 0 &&
	       user_may(user, PERMIT_APPROVE, request_node_of(request, asset), NULL);
}

/* Whoever may approve now, as a list of names. */
static json_t *approvers(const struct request *request, const struct approval *approval)
{
	json_t *names = json_array();

	for (size_t i = 0; i < policy_user_count(request->policy); i++) {
		const struct user *user = policy_user(request->policy, i);

		if (user_may_answer(request, user, approval->who, approval->asset))
			json_array_append_new(names, json_text(user->name));
	}
	return names;
}

/* Beside the vault's owner, who always may. */
static void names_text(const json_t *names, char *out, size_t size)
{
	size_t used = 0, count = json_array_size(names);

	snprintf(out, size, "the vault's owner");
	for (size_t i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    i == 0	     ? ""
		    : i + 1 == count ? " or "
				     : ", ",
		    json_string_value(json_array_get(names, i)));
}

/* Whoever let them, and may not do so any more, has let nobody. */
static bool answer_holds(const struct request *request, const struct approval *approval)
{
	const struct user *user = policy_user_find(request->policy, approval->by);

	return approval->by_owner ||
	       (user != NULL && user_may_answer(request, user, approval->who, approval->asset));
}

/* ── Telling ─────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_approval(
    const struct request *request, struct vault_txn *txn, const struct approval *approval)
{
	enum approval_state state = approval_state(txn, approval);
	size_t length = approval_id_length(txn, &approval->id);
	json_int_t version = approval->version;
	char id[ID_TEXT_SIZE];

	id_text(&approval->id, id);
	return json_pack("{s:s, s:s%, s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
	    "id", id, "short", id, length, "asset", json_text(approval->asset), "account",
	    json_text(approval->name), "kind", secret_kind_name(approval->kind), "version", version,
	    "who", json_text(approval->who), "why",
	    approval->why[0] == '\0' ? json_null() : json_text(approval->why), "asked",
	    json_time(approval->asked_ms), "state", approval_state_name(state), "by",
	    approval->by[0] == '\0' ? json_null() : json_text(approval->by), "until",
	    approval->granted ? json_time(approval_until_ms(txn, approval)) : json_null(), "used",
	    json_time(approval->used_ms), "approvers", approvers(request, approval));
}

const char *approval_text(const struct approving *approving, char *out, size_t size)
{
	char id[ID_TEXT_SIZE];

	out[0] = '\0';
	if (approving->needed)
		snprintf(out, size, "approved by %s (%s)", approving->approval.by,
		    id_text(&approving->approval.id, id));
	return out;
}

/* ── Asking ──────────────────────────────────────────────────────────────────────────────── */

bool approval_is_needed(const struct request *request, const char *asset)
{
	const struct person *person = &request->person;

	return !person->owner && person->user != NULL &&
	       user_needs_approval(person->user, request_node_of(request, asset));
}

struct asking {
	struct request *request;
	const struct account *account;
	uint32_t version;
	const struct approval *void_one; /* granted by whom it holds no more; or NULL */
	struct approval approval;
};

/* Whoever may answer hears of it by mail, where the policy has their address. */
static enum err asking_tell(const struct asking *asking, struct vault_txn *txn, struct error *error)
{
	const struct request *request = asking->request;
	const struct approval *approval = &asking->approval;
	size_t users = policy_user_count(request->policy), count = 0;
	const char **addresses = xcalloc(users + 1, sizeof(*addresses));
	char text[MESSAGE_SIZE], id[ID_TEXT_SIZE];
	enum err err;

	for (size_t i = 0; i < users && count < TOLD_MAX; i++) {
		const struct user *user = policy_user(request->policy, i);

		if (user->mail != NULL &&
		    user_may_answer(request, user, approval->who, approval->asset))
			addresses[count++] = user->mail;
	}
	snprintf(text, sizeof(text),
	    "%s asks to see version %u of account \"%s\" on asset \"%s\"%s%s; whoever may lets "
	    "them by: lockstep approval grant %s",
	    approval->who, approval->version, approval->name, approval->asset,
	    approval->why[0] != '\0' ? ": " : "", approval->why, id_text(&approval->id, id));
	err = notices_asked(request->service, txn, text, addresses, count, error);
	free(addresses);
	return err;
}

static enum err asking_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct asking *asking = arg;
	enum err err = ERR_OK;

	if (asking->void_one != NULL)
		err = approval_void(txn, &asking->void_one->id, error);
	if (err == ERR_OK)
		err = approval_ask(txn, asking->account, asking->version,
		    asking->request->person.name, param_text(asking->request, "reason"),
		    &asking->approval, error);
	return err == ERR_OK ? asking_tell(asking, txn, error) : err;
}

static enum service_end asking_write(struct asking *asking)
{
	struct request *request = asking->request;
	const struct account *account = asking->account;
	enum err err = request_write(request, asking_apply, asking,
	    &(struct audit_event){
		.what = AUDIT_APPROVE,
		.asset = account->asset,
		.account = account->name,
		.version = asking->version,
		.object = "asked",
		.detail = param_text(request, "reason"),
	    });

	courier_look(request->service->courier);
	if (err == ERR_OK)
		return SERVICE_OK;
	return err == ERR_LIMIT ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

/* It waits for someone: who that may be. */
static enum service_end asked(struct request *request, const struct approval *approval, bool is_new)
{
	struct vault_txn *txn = request_read(request);
	char who[NAMES_SIZE];
	json_t *shape;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	shape = shape_approval(request, txn, approval);
	vault_read_end(txn);
	names_text(json_object_get(shape, "approvers"), who, sizeof(who));
	error_set(request->error, ERR_DENIED,
	    "to see a secret of asset \"%s\" takes the approval of another, %s: %s may give it by "
	    "lockstep approval grant %s, and then it can be seen once",
	    approval->asset, is_new ? "which is asked for by this" : "which waits for an answer",
	    who, json_string_value(json_object_get(shape, "short")));
	json_object_set_new(shape, "needs", json_string("approval"));
	request->result = shape;
	return SERVICE_USAGE;
}

enum service_end approval_pass(struct request *request, const struct account *account,
    uint32_t version, struct approving *approving)
{
	struct asking asking = {.request = request, .account = account, .version = version};
	struct approval *approval = &approving->approval;
	struct vault_txn *txn;
	enum service_end end;
	bool granted;
	enum err err;

	*approving = (struct approving){.needed = approval_is_needed(request, account->asset)};
	if (!approving->needed)
		return SERVICE_OK;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = approval_for(txn, &account->id, version, request->person.name, approval);
	granted = err == ERR_OK && approval_state(txn, approval) == APPROVAL_GRANTED;
	vault_read_end(txn);
	if (granted && answer_holds(request, approval))
		return SERVICE_OK;
	if (err == ERR_OK && !granted)
		return asked(request, approval, false);
	asking.void_one = granted ? approval : NULL;
	end = asking_write(&asking);
	return end == SERVICE_OK ? asked(request, &asking.approval, true) : end;
}

enum err approval_spend(
    struct vault_txn *txn, const struct approving *approving, struct error *error)
{
	return approving->needed ? approval_use(txn, &approving->approval.id, error) : ERR_OK;
}

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct request *request;
	struct vault_txn *txn;
	bool all; /* also what was answered, and used */
};

/* One's own, and what one may answer. */
static bool is_seen(const struct request *request, const struct approval *approval)
{
	const struct person *person = &request->person;
	const char *node = request_node_of(request, approval->asset);

	if (strcmp(person->name, approval->who) == 0)
		return scope_may(person->scope, PERMIT_VIEW, node, NULL);
	return person_may(person, PERMIT_APPROVE, node, NULL);
}

static bool list_one(void *arg, const struct approval *approval)
{
	struct listing *listing = arg;
	enum approval_state state = approval_state(listing->txn, approval);
	bool open = state == APPROVAL_PENDING || state == APPROVAL_GRANTED;

	if ((open || listing->all) && is_seen(listing->request, approval))
		json_array_append_new(listing->request->result,
		    shape_approval(listing->request, listing->txn, approval));
	return true;
}

enum service_end approval_list(struct request *request)
{
	struct listing listing = {.request = request, .all = param_flag(request, "all")};

	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	approval_each(listing.txn, list_one, &listing);
	vault_read_end(listing.txn);
	return SERVICE_OK;
}

/* ── Answering ───────────────────────────────────────────────────────────────────────────── */

struct answering {
	struct request *request;
	struct approval approval;
	uint64_t length_ms; /* 0 = no */
};

static bool length_read(struct answering *answering)
{
	const char *text = param_text(answering->request, "for");
	unsigned long long length_ms = GRANT_DEFAULT_MS;

	if (text != NULL && (!text_duration_ms(text, strlen(text), &length_ms) ||
				length_ms < 1000 || length_ms > GRANT_MAX_MS)) {
		request_fail(answering->request, SERVICE_USAGE,
		    "--for: \"%.64s\" is no span of time from a second to a day: give a whole "
		    "number and s, m or h, such as 1h",
		    text);
		return false;
	}
	answering->length_ms = length_ms;
	return true;
}

static enum service_end answering_find(struct answering *answering)
{
	struct request *request = answering->request;
	const struct approval *approval = &answering->approval;
	bool here = request_is_in_person(request, "to answer what someone asks for");
	const char *id = here ? param_need(request, "approval") : NULL;
	struct vault_txn *txn = id == NULL ? NULL : request_read(request);
	enum service_end end = SERVICE_OK;

	if (txn == NULL)
		return id == NULL ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	if (approval_find(txn, id, &answering->approval, request->error) != ERR_OK)
		end = SERVICE_USAGE;
	else if (!request_sees_asset(request, approval->asset))
		end = request_deny(request, "that approval");
	else if (strcmp(approval->who, request->person.name) == 0)
		end = request_fail(request, SERVICE_USAGE,
		    "that is asked for by %s, and nobody answers what they asked for themselves: "
		    "another who may has to",
		    approval->who);
	else if (approval_state(txn, approval) != APPROVAL_PENDING)
		end = request_fail(request, SERVICE_USAGE,
		    "that approval is %s: each is answered once, and used once",
		    approval_state_name(approval_state(txn, approval)));
	vault_read_end(txn);
	return end;
}

static enum err answering_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct answering *answering = arg;
	const struct person *person = &answering->request->person;

	return approval_answer(txn, &answering->approval.id, person->name, person->owner,
	    answering->length_ms, &answering->approval, error);
}

static enum service_end answering_write(struct answering *answering)
{
	struct request *request = answering->request;
	const struct approval *approval = &answering->approval;
	char detail[WHO_SIZE + WHY_SIZE + 64];
	enum err err;

	snprintf(detail, sizeof(detail), "to %s%s%s", approval->who,
	    approval->why[0] != '\0' ? ": " : "", approval->why);
	err = request_write(request, answering_apply, answering,
	    &(struct audit_event){
		.what = AUDIT_APPROVE,
		.asset = approval->asset,
		.account = approval->name,
		.version = approval->version,
		.object = answering->length_ms > 0 ? "granted" : "denied",
		.detail = detail,
	    });
	if (err == ERR_OK)
		return SERVICE_OK;
	return err == ERR_REFUSED ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

static enum service_end answering_run(struct answering *answering)
{
	struct request *request = answering->request;
	struct vault_txn *txn;
	enum service_end end = answering_find(answering);

	if (end == SERVICE_OK)
		end = mfa_pass(request);
	if (end == SERVICE_OK)
		end = answering_write(answering);
	if (end != SERVICE_OK)
		return end;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = shape_approval(request, txn, &answering->approval);
	vault_read_end(txn);
	return SERVICE_OK;
}

enum service_end approval_grant(struct request *request)
{
	struct answering answering = {.request = request};

	return length_read(&answering) ? answering_run(&answering) : SERVICE_USAGE;
}

enum service_end approval_deny(struct request *request)
{
	struct answering answering = {.request = request};

	return answering_run(&answering);
}
