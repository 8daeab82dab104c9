/* What the engine says, and whether it is true. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

static void keep_failed(struct sim *sim, const struct record *record, const struct secret *secret)
{
	char *failed;

	if (sim->failed_count == SIM_FAILED)
		return;
	failed = sim->failed[sim->failed_count++];
	if (record->kind == SECRET_KEY)
		keys_line_of(secret, failed);
	else
		snprintf(failed, SIM_SECRET_SIZE, "%s", secret_data(secret));
}

static void believe_password(struct sim *sim, struct sim_account *at, const struct secret *secret)
{
	if (strcmp(at->live, secret_data(secret)) == 0)
		at->dirty = at->mistold = at->lied =
		    false; /* what is believed since then is true */
	if (!at->dirty && strcmp(at->live, secret_data(secret)) != 0)
		sim_violation(sim, "success, but it does not open", "%s %s", at->asset, at->name);
	snprintf(at->believed, sizeof(at->believed), "%s", secret_data(secret));
}

static void believe(struct sim *sim, const struct record *record)
{
	struct sim_account *at = world_account(sim, record->asset, record->account);
	struct vault_txn *txn = vault_read(sim->vault);
	struct secret *secret = NULL;
	struct account account;
	struct error error;

	if (account_get(txn, record->asset, record->account, record->kind, &account) != ERR_OK ||
	    version_open(txn, &account, record->new_version, &secret, NULL, &error) != ERR_OK)
		sim_violation(sim, "a record's new version is not kept", "%s %s", record->asset,
		    record->account);
	else if (record->status == STATUS_FAILED)
		keep_failed(sim, record, secret);
	else if (record->kind == SECRET_KEY)
		keys_believe(sim, at, secret);
	else
		believe_password(sim, at, secret);
	at->lines_good = false;
	secret_free(secret);
	vault_read_end(txn);
}

static void seen_if(struct sim *sim, bool is, const char *what)
{
	if (is)
		sim_seen(sim, what);
}

static void cover_record(struct sim *sim, const struct record *record, bool settled)
{
	bool success = record->status == STATUS_SUCCESS, failed = record->status == STATUS_FAILED;
	const char *reason = record->reason;
	char name[56];

	snprintf(name, sizeof(name), "%s %s",
	    settled ? "settled:" : "ended:", status_name(record->status));
	cover_add(sim->cover, COVER_STATE, name, MOMENT_PASSED);
	seen_if(sim, record->sends > 1, "sent again");
	seen_if(sim, record->attempts > 1 && success, "a success after another try");
	seen_if(sim, strcmp(reason, "not_asked") == 0, "no proof asked for");
	seen_if(sim, strcmp(reason, "old_unknown") == 0, "the old secret not known to work");
	seen_if(sim, strcmp(reason, "not_persisted") == 0, "not persisted");
	seen_if(sim, strcmp(reason, "neither_opens") == 0, "neither opens");
	seen_if(sim, strcmp(record->error_code, "put_back") == 0 && !failed, "a put-back lost");
	seen_if(sim, strcmp(reason, "no_lifeline") == 0, "no lifeline");
	seen_if(sim, strcmp(record->account, "db") == 0 && success, "by the next proof");
}

/* What was tried is the current one no more: someone told another meanwhile. */
static bool told_since(struct vault_txn *txn, const struct record *record)
{
	struct account account;

	return record->new_version == 0 &&
	       account_get(txn, record->asset, record->account, record->kind, &account) == ERR_OK &&
	       account.current != record->old_version;
}

/* What is verified is a mismatch only where it is. */
static void check_mismatch(struct sim *sim, const struct record *record)
{
	const struct sim_account *at = world_account(sim, record->asset, record->account);
	struct vault_txn *txn = vault_read(sim->vault);

	if (at->lied)
		sim_seen(sim, "a mismatch that a wire speaks of");
	else if (at->changed_ms == sim->clock.now_ms)
		sim_seen(sim, "a mismatch of what was changed since");
	else if (told_since(txn, record))
		sim_seen(sim, "a mismatch of what was told anew");
	else if (record->kind == SECRET_KEY ? keys_open_with_current(txn, at)
					    : check_opens_with_current(txn, at))
		sim_violation(sim, "a mismatch, and it opens", "%s %s", at->asset, at->name);
	vault_read_end(txn);
	sim_seen(sim, "a mismatch found");
}

static void said_broken(struct sim *sim, const struct error *error)
{
	if (disk_broke(sim->ground->disk))
		sim->broke = true;
	else
		sim_violation(sim, "the engine broke", "%s", error->text);
}

void said(void *arg, const struct rotation_event *event)
{
	struct sim *sim = arg;
	const struct record *record = event->record;
	bool settled = event->kind == ROTATION_SETTLED;

	if (sim->dead)
		return;
	if (event->kind == ROTATION_BROKEN)
		said_broken(sim, event->error);
	seen_if(sim, event->kind == ROTATION_CANARY, "canaries let the rest go on");
	seen_if(sim, event->kind == ROTATION_STOPPED, "a run stopped");
	if (event->kind == ROTATION_PAUSED)
		sim_seen(sim, "paused for want of room");
	if (event->kind != ROTATION_RECORD_ENDED && !settled)
		return;
	if (strcmp(record->reason, "mismatch") == 0)
		check_mismatch(sim, record);
	sim_trace(sim, "%s %s %s: %s %s", settled ? "SETTLED" : "ENDED", record->asset,
	    record->account, status_name(record->status), record->reason);
	cover_record(sim, record, settled);
	if (record->new_version != 0 &&
	    (record->status == STATUS_SUCCESS || record->status == STATUS_FAILED))
		believe(sim, record);
}
