/* API tokens: made and revoked by people, never by another token. */
#include "vault/token.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "service/audit.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/people.h"
#include "service/scope.h"

#define DAY_MS	   (24ULL * 60 * 60 * 1000)
#define FOR_MS	   (30 * DAY_MS)
#define FOR_MAX_MS (3650 * DAY_MS)
#define FOR_MIN_MS 1000ULL

static uint64_t now_ms(const struct request *request)
{
	return clock_wall_ms(loop_clock(request->service->loop));
}

/* ── As JSON ─────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_texts(const char *texts, size_t size, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_text(texts + i * size));
	return array;
}

static json_t *shape_token(const struct request *request, const struct token *token)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "name", json_text(token->name),
	    "user", json_text(token->user), "permissions",
	    shape_texts(token->permissions[0], WORD_SIZE, token->permission_count), "nodes",
	    shape_texts(token->nodes[0], TASK_NAME_SIZE, token->node_count), "tasks",
	    shape_texts(token->tasks[0], TASK_NAME_SIZE, token->task_count), "made",
	    json_time(token->made_ms), "until", json_time(token->until_ms), "expired",
	    now_ms(request) >= token->until_ms);
}

/* ── Whose ───────────────────────────────────────────────────────────────────────────────── */

/* Their own, or with the permission admin anybody's. */
static bool may_manage(struct request *request, const char *user)
{
	const struct user *own = request->person.user;

	request->permission = PERMIT_ADMIN;
	return (own != NULL && strcmp(own->name, user) == 0) || request_may(request, "", "");
}

static const struct user *need_owner(struct request *request)
{
	const char *name = param_text(request, "user");
	const struct user *user = request->person.user;

	if (name == NULL && user == NULL) {
		request_fail(request, SERVICE_USAGE,
		    "a token acts for a user whom the policy declares, and it declares none for "
		    "you: name one with --user");
		return NULL;
	}
	if (name != NULL)
		user = need_user(request, name);
	if (user == NULL || may_manage(request, user->name))
		return user;
	request_deny(request, "another's token");
	return NULL;
}

/* ── What it is for ──────────────────────────────────────────────────────────────────────── */

/* What is given and is none would limit nothing. */
static bool is_list(struct request *request, const char *key)
{
	const json_t *list = json_object_get(request->params, key);

	if (list == NULL || json_array_size(list) > 0)
		return true;
	request_fail(request, SERVICE_USAGE,
	    "the parameter \"%s\" is no array with something in it: give one, or leave it out",
	    key);
	return false;
}

static bool take_permissions(struct request *request, struct token *token)
{
	const json_t *words = json_object_get(request->params, "permissions"), *word;
	size_t i;

	if (!is_list(request, "permissions"))
		return false;
	if (words == NULL)
		snprintf(token->permissions[token->permission_count++], WORD_SIZE, "%s",
		    permission_name(PERMIT_VIEW));
	json_array_foreach(words, i, word)
	{
		const char *text = json_string_value(word);
		const char *nearest = text == NULL ? NULL : permission_nearest(text);

		if (text == NULL || permission_named(text) == PERMISSION_COUNT ||
		    i >= TOKEN_WORDS_MAX) {
			request_fail(request, SERVICE_USAGE,
			    "\"%.32s\" is no permission%s%s%s; lockstep-policy(5) has them",
			    text == NULL ? "" : text, nearest == NULL ? "" : "; did you mean \"",
			    nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?");
			return false;
		}
		snprintf(token->permissions[token->permission_count++], WORD_SIZE, "%s", text);
	}
	if (token->permission_count > 0)
		return true;
	request_fail(request, SERVICE_USAGE, "a token that permits nothing is good for nothing");
	return false;
}

static bool take_limits(
    struct request *request, const char *key, char out[][TASK_NAME_SIZE], size_t *count)
{
	const json_t *limits = json_object_get(request->params, key), *limit;
	bool nodes = strcmp(key, "nodes") == 0;
	size_t i;

	if (!is_list(request, key))
		return false;
	json_array_foreach(limits, i, limit)
	{
		const char *text = json_string_value(limit);

		if (i >= TOKEN_LIMITS_MAX) {
			request_fail(request, SERVICE_USAGE,
			    "a token is limited to at most %d %s: a role in the policy can have "
			    "more",
			    TOKEN_LIMITS_MAX, key);
			return false;
		}
		if (text == NULL || text[0] == '\0' || strlen(text) >= TASK_NAME_SIZE ||
		    (nodes && text[0] != '/')) {
			request_fail(request, SERVICE_USAGE,
			    nodes ? "\"%.128s\" is no node: give one such as /prod/web"
				  : "\"%.128s\" is no name of tasks: give one such as prod-*",
			    text == NULL ? "" : text);
			return false;
		}
		snprintf(out[(*count)++], TASK_NAME_SIZE, "%s", text);
	}
	return true;
}

static bool take_time(struct request *request, struct token *token)
{
	const char *text = param_text(request, "for");
	unsigned long long lasts_ms = FOR_MS;

	if (text != NULL && (!text_duration_ms(text, strlen(text), &lasts_ms) ||
				lasts_ms < FOR_MIN_MS || lasts_ms > FOR_MAX_MS)) {
		request_fail(request, SERVICE_USAGE,
		    "--for: \"%.32s\" is no time that a token may be good for: give one from "
		    "\"1s\" to \"3650d\"",
		    text);
		return false;
	}
	token->made_ms = now_ms(request);
	token->until_ms = token->made_ms + lasts_ms;
	return true;
}

static bool take_name(struct request *request, struct token *token)
{
	const char *name = param_need(request, "name");

	if (name == NULL)
		return false;
	snprintf(token->name, sizeof(token->name), "%s", name);
	if (strlen(name) < sizeof(token->name) && token_name_is_good(name))
		return true;
	request_fail(request, SERVICE_USAGE,
	    "\"%.64s\" cannot be a token's name: give 1 to %d letters, digits and \"._-\", the "
	    "first "
	    "a letter or a digit",
	    name, TOKEN_NAME_SIZE - 1);
	return false;
}

/* ── create ──────────────────────────────────────────────────────────────────────────────── */

struct creating {
	struct token token;
	char text[TOKEN_TEXT_SIZE];
	enum err err;
};

static enum err create_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct creating *creating = arg;
	const char *name = creating->token.name;

	creating->err = token_put(txn, &creating->token, creating->text);
	switch (creating->err) {
	case ERR_OK: return ERR_OK;
	case ERR_EXISTS:
		return error_set(error, ERR_EXISTS,
		    "there is a token \"%s\" already: take another name, or lockstep token revoke "
		    "%s",
		    name, name);
	case ERR_FULL:
		return error_set(error, ERR_LIMIT,
		    "there are %d tokens, and no room for more: lockstep token list tells which "
		    "expired; lockstep token revoke NAME takes one away",
		    TOKENS_MAX);
	default: return error_set(error, creating->err, "token \"%s\" cannot be kept", name);
	}
}

/* What it is good for, for whoever reads the audit log. */
static void detail_of(const struct token *token, char out[WHY_SIZE])
{
	char until[32];
	size_t used = (size_t)snprintf(out, WHY_SIZE, "for user %s, until %s:", token->user,
	    text_rfc3339(until, token->until_ms));

	for (size_t i = 0; i < token->permission_count && used < WHY_SIZE; i++)
		used += (size_t)snprintf(out + used, WHY_SIZE - used, " %s", token->permissions[i]);
	for (size_t i = 0; i < token->node_count && used < WHY_SIZE; i++)
		used += (size_t)snprintf(out + used, WHY_SIZE - used, " %s", token->nodes[i]);
	for (size_t i = 0; i < token->task_count && used < WHY_SIZE; i++)
		used += (size_t)snprintf(out + used, WHY_SIZE - used, " task %s", token->tasks[i]);
}

static enum service_end create(struct request *request, struct creating *creating)
{
	char detail[WHY_SIZE];
	struct audit_event event = {
	    .what = AUDIT_TOKEN, .object = creating->token.name, .detail = detail};

	detail_of(&creating->token, detail);
	token_make(creating->text);
	if (request_write(request, create_apply, creating, &event) != ERR_OK)
		return creating->err == ERR_EXISTS || creating->err == ERR_FULL ? SERVICE_USAGE
										: SERVICE_NO_ENGINE;
	request->result = shape_token(request, &creating->token);
	json_object_set_new(request->result, "token", json_string(creating->text));
	return SERVICE_OK;
}

enum service_end token_create(struct request *request)
{
	struct creating creating = {.err = ERR_OK};
	struct token *token = &creating.token;
	const struct user *user;
	enum service_end end;

	if (!request_is_in_person(request, "a token"))
		return SERVICE_USAGE;
	user = need_owner(request);
	if (user == NULL || !take_name(request, token) || !take_permissions(request, token) ||
	    !take_limits(request, "nodes", token->nodes, &token->node_count) ||
	    !take_limits(request, "tasks", token->tasks, &token->task_count) ||
	    !take_time(request, token))
		return SERVICE_USAGE;
	snprintf(token->user, sizeof(token->user), "%s", user->name);
	end = mfa_pass(request);
	if (end == SERVICE_OK)
		end = create(request, &creating);
	explicit_bzero(creating.text, sizeof(creating.text));
	return end;
}

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static bool list_one(void *arg, const struct token *token)
{
	struct request *request = arg;

	if (may_manage(request, token->user))
		json_array_append_new(request->result, shape_token(request, token));
	return true;
}

enum service_end token_list(struct request *request)
{
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	token_each(txn, list_one, request);
	vault_read_end(txn);
	return SERVICE_OK;
}

/* ── revoke ──────────────────────────────────────────────────────────────────────────────── */

static enum err revoke_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct token *token = arg;
	enum err err = token_drop(txn, token);

	return err == ERR_OK
		   ? err
		   : error_set(error, err, "token \"%s\" cannot be taken away", token->name);
}

/* A token that leaked can take itself away, and none besides. */
static bool may_revoke(struct request *request, const struct token *token)
{
	const struct scope *scope = request->person.scope;

	if (scope != NULL && strcmp(scope->token.name, token->name) != 0)
		return request_is_in_person(request, "another token");
	if (may_manage(request, token->user))
		return true;
	request_deny(request, "another's token");
	return false;
}

static enum service_end token_meant(struct request *request, struct token *token)
{
	const char *name = param_need(request, "name");
	struct vault_txn *txn = name == NULL ? NULL : request_read(request);
	enum err err;

	if (txn == NULL)
		return name == NULL ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	err = token_find(txn, name, token);
	vault_read_end(txn);
	return err == ERR_OK
		   ? SERVICE_OK
		   : request_fail(request, SERVICE_USAGE,
			 "there is no token \"%.64s\": lockstep token list tells which there are",
			 name);
}

enum service_end token_revoke(struct request *request)
{
	char detail[WHY_SIZE];
	struct token token;
	struct audit_event event = {.what = AUDIT_TOKEN, .detail = detail};
	enum service_end end = token_meant(request, &token);

	if (end != SERVICE_OK)
		return end;
	if (!may_revoke(request, &token))
		return SERVICE_USAGE;
	event.object = token.name;
	snprintf(detail, sizeof(detail), "revoked, of user %s", token.user);
	if (request_write(request, revoke_apply, &token, &event) != ERR_OK)
		return SERVICE_NO_ENGINE;
	request->result = shape_token(request, &token);
	return SERVICE_OK;
}
