/* Renaming an asset: what is kept of it follows the name that the inventory gives it now. */
#include "service/audit.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/names.h"

struct request_rename {
	const char *from, *to;
	struct renamed renamed;
};

static enum err rename_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct request_rename *rename = arg;

	return asset_rename(txn, rename->from, rename->to, &rename->renamed, error);
}

/* The inventory is renamed first: it says which name is right. */
static bool names_are_good(struct request *request, const struct request_rename *rename)
{
	const struct policy *policy = request->policy;
	const struct asset *old = policy_asset_find(policy, rename->from);
	const char *near;

	if (strcmp(rename->from, rename->to) == 0) {
		request_fail(request, SERVICE_USAGE,
		    "asset \"%.128s\": the old name and the new one are the same: give lockstep "
		    "asset rename OLD NEW; nothing was moved",
		    rename->to);
		return false;
	}
	if (policy_asset_find(policy, rename->to) == NULL) {
		near = policy_asset_nearest(policy, rename->to);
		request_fail(request, SERVICE_USAGE,
		    "the inventory has no asset \"%.128s\"%s%s%s: rename \"%.128s\" there first, "
		    "or give "
		    "the name that it has there; nothing was moved",
		    rename->to, near != NULL ? ", but \"" : "", near != NULL ? near : "",
		    near != NULL ? "\"" : "", rename->from);
		return false;
	}
	if (old != NULL && !param_flag(request, "yes")) {
		request_fail(request, SERVICE_USAGE,
		    "asset \"%s\" is still in the policy (%s:%u): take it out, or give --yes if "
		    "another machine has its name now; nothing was moved",
		    rename->from, old->file, old->line);
		return false;
	}
	return true;
}

static enum service_end rename_end(enum err err)
{
	switch (err) {
	case ERR_OK: return SERVICE_OK;
	case ERR_INVALID:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_BUSY:
	case ERR_REFUSED: return SERVICE_USAGE;
	default: return SERVICE_NO_ENGINE;
	}
}

enum service_end asset_rename_request(struct request *request)
{
	struct request_rename rename = {.from = param_need(request, "asset")};
	json_int_t accounts, host_keys;
	enum service_end end;

	rename.to = rename.from == NULL ? NULL : param_need(request, "to");
	if (rename.to == NULL || !names_are_good(request, &rename))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	if (end != SERVICE_OK)
		return end;
	end = rename_end(request_write(request, rename_apply, &rename,
	    &(struct audit_event){
		.what = AUDIT_RENAME, .asset = rename.from, .object = rename.to}));
	if (end != SERVICE_OK)
		return end;
	accounts = rename.renamed.accounts;
	host_keys = rename.renamed.host_keys;
	request->result = json_pack("{s:o, s:o, s:I, s:I}", "asset", json_text(rename.from), "to",
	    json_text(rename.to), "secrets", accounts, "host_keys", host_keys);
	return SERVICE_OK;
}
