/* Recovery: what an engine that was killed left is told by the truth of its records, and its doubts
 * are queued. */
#include "rotation/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rotation/note.h"

struct recovery {
	struct rotation *rotation;
	struct vault_txn *txn;
	struct id *ids; /* of what is being walked; changed after the walk */
	size_t count, room;
};

static void recovery_add(struct recovery *recovery, const struct id *id)
{
	if (recovery->count == recovery->room) {
		recovery->room = recovery->room * 2 + 16;
		recovery->ids = xrealloc(recovery->ids, recovery->room * sizeof(*recovery->ids));
	}
	recovery->ids[recovery->count++] = *id;
}

/* ── Records ── */

static bool recovery_add_record(void *arg, const struct record *record)
{
	if (record->status == STATUS_PLANNED || record->status == STATUS_STAGED)
		recovery_add(arg, &record->id);
	return true;
}

static enum err recover_record(struct vault_txn *txn, const struct id *id, uint64_t now_ms)
{
	struct record record;
	enum err err = record_get(txn, id, &record);

	if (err != ERR_OK)
		return err;
	record.ended_ms = now_ms;
	if (record.status == STATUS_PLANNED) {
		record.status = STATUS_SKIPPED;
		snprintf(record.reason, sizeof(record.reason), "stopped");
		snprintf(record.error_message, sizeof(record.error_message),
		    "the engine was killed before anything was sent");
	} else {
		record.status = STATUS_UNVERIFIED;
		snprintf(record.reason, sizeof(record.reason), "interrupted");
		snprintf(record.error_class, sizeof(record.error_class), "uncertain");
		snprintf(record.error_code, sizeof(record.error_code), "interrupted");
		snprintf(record.error_message, sizeof(record.error_message),
		    "the engine was killed while the new secret may have been on its way");
	}
	return record_put(txn, &record);
}

static enum err recover_records(struct recovery *recovery, const struct id *execution)
{
	struct recovery records = {.rotation = recovery->rotation};
	uint64_t now_ms = rotation_wall(recovery->rotation);
	const struct id first = {{0}};
	enum err err = ERR_OK;

	record_each(recovery->txn, execution, &first, recovery_add_record, &records);
	for (size_t i = 0; err == ERR_OK && i < records.count; i++)
		err = recover_record(recovery->txn, &records.ids[i], now_ms);
	free(records.ids);
	return err;
}

/* ── Executions ── */

static bool recovery_add_execution(void *arg, const struct execution *execution)
{
	recovery_add(arg, &execution->id);
	return true;
}

static enum err recover_execution(
    struct recovery *recovery, const struct id *id, struct error *error)
{
	struct execution execution;
	enum err err = recover_records(recovery, id);

	if (err == ERR_OK)
		err = execution_get(recovery->txn, id, &execution);
	if (err != ERR_OK)
		return err;
	execution.interrupted = true;
	execution.ended_ms = rotation_wall(recovery->rotation);
	err = execution_put(recovery->txn, &execution);
	return err == ERR_OK ? rotation_note(recovery->rotation, recovery->txn, ROTATION_ENDED,
				   &execution, NULL, error)
			     : err;
}

static enum err recover_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct recovery *recovery = arg;
	enum err err = ERR_OK;

	recovery->txn = txn;
	recovery->count = 0;
	execution_each_open(txn, recovery_add_execution, recovery);
	for (size_t i = 0; err == ERR_OK && i < recovery->count; i++)
		err = recover_execution(recovery, &recovery->ids[i], error);
	return err == ERR_OK ? ERR_OK
			     : error_set(error, err, "an interrupted execution cannot be ended");
}

/* ── Doubts ── */

/* Where the end of the send was seen and no proof was asked for, nothing is under way. */
static uint64_t doubt_delay_ms(const struct site *site, const struct record *record)
{
	const struct platform *platform = policy_platform_find(site->policy, site->asset->platform);
	bool ended = strcmp(record->reason, "not_asked") == 0 && platform != NULL &&
		     !platform->answers_early;

	return ended ? 0 : site->settings->change_deadline_ms;
}

struct life *life_new_doubt(
    struct rotation *rotation, struct vault_txn *txn, const struct account *account)
{
	struct site *site = rotation_site(rotation, account->asset);
	struct record record;
	struct life *life;

	if (site == NULL || record_get(txn, &account->pending_record, &record) != ERR_OK)
		return NULL;
	life = life_new(site);
	life->doubt = true;
	life->account = *account;
	life->doubted = record;
	life->doubted.kind = account->kind;
	life->subject = &life->doubted;
	life_queue(life, doubt_delay_ms(site, &record));
	return life;
}

static bool settle_doubt(void *arg, const struct account *account)
{
	struct recovery *recovery = arg;
	struct rotation *rotation = recovery->rotation;
	struct site *site = rotation_site(rotation, account->asset);

	/* NULL: it left the inventory. It is kept, and `account list` finds it. */
	if (site != NULL && site_life_of(site, account->name) == NULL)
		(void)life_new_doubt(rotation, recovery->txn, account);
	return true;
}

enum err rotation_settle(struct rotation *rotation, struct error *error)
{
	struct recovery recovery = {.rotation = rotation};

	if (rotation->draining)
		return ERR_OK;
	recovery.txn = vault_read(rotation->config.vault);
	if (recovery.txn == NULL)
		return error_set(error, ERR_IO, "the vault cannot be read any more");
	account_each_in_doubt(recovery.txn, settle_doubt, &recovery);
	vault_read_end(recovery.txn);
	return ERR_OK;
}

enum err rotation_recover(struct rotation *rotation, struct error *error)
{
	struct recovery recovery = {.rotation = rotation};
	enum err err = vault_write(rotation->config.vault, recover_apply, &recovery, error);

	free(recovery.ids);
	return err == ERR_OK ? rotation_settle(rotation, error) : err;
}
