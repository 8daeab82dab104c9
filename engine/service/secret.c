/* Secrets that the policy names: kept, listed with what uses them, and deleted. */
#include "service/audit.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/names.h"
#include "service/shape.h"
#include "service/uses.h"

/* ── What uses them ──────────────────────────────────────────────────────────────────────── */

/* {kind, name, field} for each place of the policy that asks for it. */
static json_t *shape_uses(const struct policy *policy, const char *name)
{
	json_t *uses = json_array();
	struct use use = {.at = 0};

	while (use_next(policy, &use))
		if (strcmp(use.secret, name) == 0)
			json_array_append_new(
			    uses, json_pack("{s:s, s:o, s:s}", "kind", use.kind, "name",
				      json_text(use.name), "field", use.field));
	return uses;
}

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_named(const struct policy *policy, const struct named_secret *named)
{
	return json_pack("{s:s, s:b, s:o, s:o, s:o}", "name", named->name, "set",
	    named->made_ms != 0, "made", json_time(named->made_ms), "changed",
	    json_time(named->changed_ms), "used_by", shape_uses(policy, named->name));
}

static bool list_named(void *arg, const struct named_secret *named)
{
	struct request *request = arg;

	json_array_append_new(request->result, shape_named(request->policy, named));
	return true;
}

static bool is_listed(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *named = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(named, "name")), name) == 0)
			return true;
	}
	return false;
}

/* What the policy asks for and the vault does not have stands at the end. */
static void list_missing(struct request *request)
{
	struct use use = {.at = 0};

	while (use_next(request->policy, &use)) {
		struct named_secret none = {.made_ms = 0};

		if (is_listed(request->result, use.secret))
			continue;
		snprintf(none.name, sizeof(none.name), "%s", use.secret);
		json_array_append_new(request->result, shape_named(request->policy, &none));
	}
}

enum service_end secret_list(struct request *request)
{
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	named_secret_each(txn, list_named, request);
	vault_read_end(txn);
	list_missing(request);
	return SERVICE_OK;
}

/* ── Setting and deleting ────────────────────────────────────────────────────────────────── */

struct change {
	const char *name;
	struct secret *secret;
	bool replaced;
};

static enum err change_set(struct vault_txn *txn, void *arg, struct error *error)
{
	struct change *change = arg;
	struct named_secret before;

	change->replaced = named_secret_facts(txn, change->name, &before) == ERR_OK;
	return named_secret_put(txn, change->name, change->secret, error);
}

static enum err change_delete(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct change *change = arg;

	return named_secret_delete(txn, change->name, error);
}

/* What the name or the value does not allow is the asker's mistake. */
static enum service_end change_write(
    struct request *request, vault_apply_fn apply, struct change *change, enum audit_what what)
{
	struct audit_event event = {.what = what, .object = change->name};

	switch (request_write(request, apply, change, &event)) {
	case ERR_OK: return SERVICE_OK;
	case ERR_INVALID:
	case ERR_NOT_FOUND: return SERVICE_USAGE;
	default: return SERVICE_NO_ENGINE;
	}
}

enum service_end secret_set(struct request *request)
{
	struct change change = {.name = param_need(request, "name")};
	const char *text = change.name == NULL ? NULL : param_need(request, "secret");
	enum service_end end;

	if (text == NULL)
		return SERVICE_USAGE;
	if (strlen(text) > SECRET_SIZE_MAX)
		return request_fail(request, SERVICE_USAGE,
		    "secret \"%s\": it is longer than %d bytes: give a shorter one; nothing was "
		    "changed",
		    change.name, SECRET_SIZE_MAX);
	if (strpbrk(text, "\r\n") != NULL)
		return request_fail(request, SERVICE_USAGE,
		    "secret \"%s\": it has a line's end in it, which no asset takes: give one "
		    "without; nothing was changed",
		    change.name);
	change.secret = secret_from(text, strlen(text));
	if (change.secret == NULL)
		return request_fail(
		    request, SERVICE_NO_ENGINE, "the memory for secrets is full: start again");
	end = change_write(request, change_set, &change, AUDIT_SECRET_SET);
	secret_free(change.secret);
	if (end == SERVICE_OK)
		request->result =
		    json_pack("{s:o, s:b, s:o}", "name", json_text(change.name), "replaced",
			change.replaced, "used_by", shape_uses(request->policy, change.name));
	return end;
}

static enum service_end still_used(struct request *request, const char *name, const json_t *uses)
{
	const char *others = json_array_size(uses) > 1 ? " and others" : "";
	struct use use = {.at = 0};
	char where[192], line[256] = "";

	while (use_next(request->policy, &use) && strcmp(use.secret, name) != 0)
		continue;
	use_text(&use, where, sizeof(where));
	if (use.task != NULL)
		snprintf(line, sizeof(line), " (%s:%zu)", use.task->file, use.task->line);
	return request_fail(request, SERVICE_USAGE,
	    "secret \"%s\" is used by %s%s%s: take it out there first; nothing was deleted", name,
	    where, line, others);
}

enum service_end secret_delete(struct request *request)
{
	struct change change = {.name = param_need(request, "name")};
	enum service_end end = SERVICE_USAGE;
	json_t *uses;

	if (change.name == NULL)
		return SERVICE_USAGE;
	uses = shape_uses(request->policy, change.name);
	if (json_array_size(uses) > 0)
		end = still_used(request, change.name, uses);
	else
		end = change_write(request, change_delete, &change, AUDIT_SECRET_DELETE);
	json_decref(uses);
	if (end == SERVICE_OK)
		request->result = json_pack("{s:o}", "name", json_text(change.name));
	return end;
}
