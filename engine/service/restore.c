/* Setting an earlier version's secret again: a rotation like any other, with a secret that is kept.
 */
#include "service/run.h"

#include <string.h>

#include "service/names.h"

struct restore {
	struct request *request;
	const char *asset, *account;
	uint32_t version;
	enum secret_kind kind;
	const struct task *task;
	struct selected item;
};

/* ── Which version ───────────────────────────────────────────────────────────────────────── */

static bool restore_has(struct restore *restore, struct vault_txn *txn, enum secret_kind kind)
{
	struct account account;
	struct version version;

	if (account_get(txn, restore->asset, restore->account, kind, &account) != ERR_OK ||
	    version_get(txn, &account, restore->version, &version) != ERR_OK)
		return false;
	restore->kind = kind;
	if (account.current != restore->version && account.pending != restore->version)
		return true;
	request_fail(restore->request, SERVICE_USAGE,
	    "version %u of account \"%s\" on asset \"%s\" is its %s one: there is nothing to "
	    "restore",
	    restore->version, restore->account, restore->asset,
	    account.current == restore->version ? "current" : "pending");
	return false;
}

static bool restore_find(struct restore *restore)
{
	struct request *request = restore->request;
	struct vault_txn *txn = request_read(request);
	bool found;

	if (txn == NULL)
		return false;
	request->error->text[0] = '\0';
	found = restore_has(restore, txn, SECRET_PASSWORD) || restore_has(restore, txn, SECRET_KEY);
	vault_read_end(txn);
	if (!found && request->error->text[0] == '\0')
		request_fail(request, SERVICE_USAGE,
		    "account \"%s\" on asset \"%s\" has no version %u: lockstep account show %s %s "
		    "tells which are kept",
		    restore->account, restore->asset, restore->version, restore->asset,
		    restore->account);
	return found;
}

/* ── By which task ───────────────────────────────────────────────────────────────────────── */

/* The first that sets this account's secret: it says how that is seen to work. */
static bool restore_find_task(struct restore *restore)
{
	restore->task = policy_task_for(restore->request->policy, restore->asset, restore->account,
	    restore->kind == SECRET_KEY, false, &restore->item);
	if (restore->task == NULL)
		request_fail(restore->request, SERVICE_USAGE,
		    "no active task rotates account \"%s\" on asset \"%s\", and one must say how "
		    "the "
		    "secret is seen to work: make one that selects it, or take active = false out",
		    restore->account, restore->asset);
	return restore->task != NULL;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum service_end restore_run(struct restore *restore)
{
	if (!restore_find(restore) || !restore_find_task(restore))
		return SERVICE_USAGE;
	return run_order(restore->request, &(struct rotation_order){
					       .task = restore->task,
					       .items = &restore->item,
					       .count = 1,
					       .restore = restore->version,
					       .trigger = "restore",
					   });
}

enum service_end account_restore(struct request *request)
{
	struct restore restore = {
	    .request = request,
	    .asset = param_need(request, "asset"),
	    .account = param_text(request, "account"),
	};
	uint64_t version;
	enum service_end end;

	if (restore.asset == NULL || !param_count(request, "version", 0, &version))
		return SERVICE_USAGE;
	if (restore.account == NULL || version == 0 || version > UINT32_MAX)
		return request_fail(request, SERVICE_USAGE,
		    "which version is to be set again? --version N says it, and lockstep account "
		    "show %s %s tells which are kept",
		    restore.asset, restore.account != NULL ? restore.account : "ACCOUNT");
	restore.version = (uint32_t)version;
	end = engine_open(request, NEEDS_VAULT);
	return end == SERVICE_OK ? restore_run(&restore) : end;
}

/* What the account had before that record changed it. */
enum service_end record_restore(struct request *request)
{
	const char *id = param_need(request, "record");
	struct restore restore = {.request = request};
	struct vault_txn *txn;
	struct record record;
	enum service_end end;
	enum err err;

	if (id == NULL)
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = record_find(txn, id, &record, request->error);
	vault_read_end(txn);
	if (err != ERR_OK)
		return SERVICE_USAGE;
	if (record.old_version == 0)
		return request_fail(request, SERVICE_USAGE,

		    "record %s knows no secret from before: there is nothing to restore; lockstep "
		    "account history %s %s tells what was",
		    id, record.asset, record.account);
	restore.asset = record.asset;
	restore.account = record.account;
	restore.version = record.old_version;
	return restore_run(&restore);
}
