/* Planning: from a task's selection to durable records and lives. */
#include "rotation/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/mem.h"
#include "rotation/checkout.h"

/* Records of one commit: bounded, so that planning a fleet does not hold the loop for long. */
#define PLAN_BATCH 1000

struct life *site_life_of(struct site *site, const char *account)
{
	struct life *life;

	TAILQ_FOREACH (life, &site->lives, entry) {
		if (strcmp(life_account(life), account) == 0)
			return life;
	}
	return NULL;
}

/* Why the account is left alone, known before anything is tried; NULL = it is not. */
static const char *plan_skip(const struct run *run, const struct selected *item,
    const struct life *other, struct vault_txn *txn)
{
	const struct rotation *rotation = run->rotation;
	const struct asset *asset = item->asset;
	struct checkout checkout;

	if (rotation->config.policy.secure_mode && asset_account_privileged(asset, item->account))
		return "secure_mode";
	if (other != NULL && (other->run != NULL || other->working))
		return "busy";
	if (checkout_bars(txn, run->task, asset->name, item->account, &checkout))
		return "checked_out";
	return visit_lack(txn, asset) == NULL ? NULL : "no_admin";
}

static void plan_record(
    struct record *record, const struct run *run, const struct selected *item, uint64_t now_ms)
{
	record->id = id_make(now_ms);
	record->execution = run->execution.id;
	record->kind = run->task->source == SOURCE_SSH_KEY ? SECRET_KEY : SECRET_PASSWORD;
	record->look = run->kind == ROTATION_VERIFY;
	record->status = STATUS_PLANNED;
	record->planned_ms = now_ms;
	snprintf(record->task, sizeof(record->task), "%s", run->task->name);
	snprintf(record->asset, sizeof(record->asset), "%s", item->asset->name);
	snprintf(record->account, sizeof(record->account), "%s", item->account);
}

static void record_skip(
    struct record *record, const char *reason, const struct life *other, uint64_t now_ms)
{
	char id[ID_TEXT_SIZE];

	record->status = STATUS_SKIPPED;
	record->ended_ms = now_ms;
	snprintf(record->reason, sizeof(record->reason), "%s", reason);
	if (strcmp(reason, "busy") == 0)
		snprintf(record->error_message, sizeof(record->error_message), "record %s has it",
		    id_text(&other->subject->id, id));
}

/* The life that settles a doubt of the account, which then goes on with the record; NULL = nothing
 * is in doubt. Verifying has a life for each secret of an account, and began with no doubt. */
static struct life *plan_doubt(
    struct run *run, struct vault_txn *txn, struct site *site, const struct record *record)
{
	struct life *life;
	struct account account;

	if (run->kind == ROTATION_VERIFY)
		return NULL;
	life = site_life_of(site, record->account);
	if (life == NULL &&
	    account_get_in_doubt(txn, record->asset, record->account, &account) == ERR_OK)
		life = life_new_doubt(run->rotation, txn, &account);
	return life;
}

static void plan_life(
    struct run *run, struct vault_txn *txn, const struct record *record, uint32_t rank)
{
	struct site *site = rotation_site(run->rotation, record->asset);
	struct life *doubt = plan_doubt(run, txn, site, record);
	struct life *life = doubt != NULL ? doubt : life_new(site);

	life->run = run;
	life->record = *record;
	life->rank = rank;
	life->held = run->held && rank >= run->canaries;
	run->open++;
	if (doubt == NULL)
		life_queue(life, 0);
}

struct plan {
	struct run *run;
	const struct rotation_order *order;
	struct record *records;
	size_t count; /* of records: verifying makes one for each secret of an account */
	size_t from, to;
	bool ended; /* all were skipped */
};

static enum err plan_audit(const struct plan *plan, struct vault_txn *txn, struct error *error)
{
	struct audit_event *audit = plan->order->audit;

	audit->what = AUDIT_RUN;
	audit->task = plan->run->execution.task;
	audit->object = plan->order->trigger;
	audit->execution = plan->run->execution.id;
	return audit_append(txn, audit, error);
}

static enum err plan_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct plan *plan = arg;
	enum err err = ERR_OK;

	if (plan->from == 0)
		err = execution_put(txn, &plan->run->execution);
	if (plan->from == 0 && err == ERR_OK && plan->order->state != NULL)
		err = task_state_put(txn, plan->order->state);
	if (plan->from == 0 && err == ERR_OK && plan->order->audit != NULL)
		err = plan_audit(plan, txn, error);
	for (size_t i = plan->from; err == ERR_OK && i < plan->to; i++)
		err = record_put(txn, &plan->records[i]);
	return err == ERR_OK ? ERR_OK : error_set(error, err, "the plan cannot be written");
}

/* What changes nothing settles nothing: that it is in doubt is all that can be said of it. */
static void plan_leave_doubt(struct record *record, struct vault_txn *txn, uint64_t now_ms)
{
	struct account account;

	if (record->status != STATUS_PLANNED ||
	    account_get_in_doubt(txn, record->asset, record->account, &account) != ERR_OK)
		return;
	record->status = STATUS_UNVERIFIED;
	record->ended_ms = now_ms;
	snprintf(record->reason, sizeof(record->reason), "in_doubt");
	snprintf(record->error_message, sizeof(record->error_message),
	    "an earlier change of it is in doubt: a run settles that first");
}

/* The next record; `reason` NULL or why nothing is done for it. */
static void plan_add(struct plan *plan, struct vault_txn *txn, const struct selected *item,
    const enum secret_kind *kind, const char *reason, const struct life *other)
{
	struct run *run = plan->run;
	uint64_t now_ms = rotation_wall(run->rotation);
	struct record *record = &plan->records[plan->count++];

	plan_record(record, run, item, now_ms);
	if (kind != NULL)
		record->kind = *kind;
	if (run->kind != ROTATION_CHANGE)
		plan_leave_doubt(record, txn, now_ms);
	if (reason != NULL && record->status == STATUS_PLANNED)
		record_skip(record, reason, other, now_ms);
	if (strcmp(record->reason, "checked_out") == 0)
		checkout_tell(txn, record);
	if (strcmp(record->reason, "no_admin") == 0)
		snprintf(record->error_message, sizeof(record->error_message), "%s",
		    visit_lack(txn, item->asset));
}

/* Of an account that is to be verified: each of its secrets that is held. */
static void plan_verify(
    struct plan *plan, struct vault_txn *txn, const struct selected *item, const struct life *other)
{
	const char *asset = item->asset->name;
	size_t before = plan->count;
	struct account account;

	for (int i = 0; i < SECRET_KIND_COUNT; i++) {
		enum secret_kind kind = (enum secret_kind)i;

		if (account_get(txn, asset, item->account, kind, &account) == ERR_OK &&
		    account.current != 0)
			plan_add(plan, txn, item, &kind, other != NULL ? "busy" : NULL, other);
	}
	if (plan->count == before)
		plan_add(plan, txn, item, NULL, "no_secret", other);
}

static enum err plan_decide(struct plan *plan, struct error *error)
{
	struct run *run = plan->run;
	struct rotation *rotation = run->rotation;
	struct vault_txn *txn = vault_read(rotation->config.vault);

	if (txn == NULL)
		return error_set(error, ERR_IO, "the vault cannot be read any more");

	for (size_t i = 0; i < plan->order->count; i++) {
		const struct selected *item = &plan->order->items[i];
		struct site *site = rotation_site(rotation, item->asset->name);
		const struct life *other = site_life_of(site, item->account);

		if (run->kind == ROTATION_VERIFY)
			plan_verify(plan, txn, item, other);
		else
			plan_add(plan, txn, item, NULL, plan_skip(run, item, other, txn), other);
	}
	vault_read_end(txn);
	return ERR_OK;
}

static enum err plan_write(struct plan *plan, struct error *error)
{
	struct vault *vault = plan->run->rotation->config.vault;
	size_t count = plan->count;
	enum err err = ERR_OK;

	plan->from = 0;
	do {
		plan->to = plan->from + PLAN_BATCH < count ? plan->from + PLAN_BATCH : count;
		err = vault_write(vault, plan_apply, plan, error);
		plan->from = plan->to;
	} while (err == ERR_OK && plan->from < count);
	return err;
}

static size_t plan_planned(const struct plan *plan)
{
	size_t planned = 0;

	for (size_t i = 0; i < plan->count; i++)
		planned += plan->records[i].status == STATUS_PLANNED;
	return planned;
}

static void plan_start(struct plan *plan, struct vault_txn *txn)
{
	struct run *run = plan->run;
	struct rotation *rotation = run->rotation;
	uint32_t *ranks = xcalloc(plan->count + 1, sizeof(*ranks));

	run_begin(run, plan_planned(plan));
	if (run->held)
		canary_ranks(rotation, run->task, plan->records, plan->count, ranks);
	for (size_t i = 0; i < plan->count; i++) {
		const struct record *record = &plan->records[i];

		if (record->status == STATUS_PLANNED)
			plan_life(run, txn, record, ranks[i]);
		else
			rotation_tell(rotation, ROTATION_RECORD_ENDED, &run->execution, record);
	}
	free(ranks);
}

static struct run *run_new(struct rotation *rotation, const struct rotation_order *order)
{
	struct run *run = xcalloc(1, sizeof(*run));
	struct execution *execution = &run->execution;

	run->rotation = rotation;
	run->kind = order->kind;
	run->restore = order->restore;
	run->task = order->task;
	run->policy = rotation->config.policy.policy;
	execution->started_ms = rotation_wall(rotation);
	execution->id = id_make(execution->started_ms);
	snprintf(execution->task, sizeof(execution->task), "%s", order->task->name);
	snprintf(execution->trigger, sizeof(execution->trigger), "%s", order->trigger);
	return run;
}

enum err plan_run(struct rotation *rotation, const struct rotation_order *order, struct run **out,
    struct error *error)
{
	struct run *run = run_new(rotation, order);
	struct plan plan = {.run = run, .order = order};
	struct vault_txn *txn;
	size_t most;
	enum err err;

	most = order->count * (run->kind == ROTATION_VERIFY ? SECRET_KIND_COUNT : 1);
	plan.records = xcalloc(most + 1, sizeof(*plan.records));
	if (order->state != NULL)
		order->state->execution = run->execution.id;
	err = plan_decide(&plan, error);
	if (err == ERR_OK && run->kind != ROTATION_REHEARSE)
		err = plan_write(&plan, error);
	if (err != ERR_OK) {
		free(run);
		goto out;
	}
	CRASH_POINT("core.planned");
	turns_open(run);
	txn = vault_read(rotation->config.vault);
	run->open = 1; /* held until all lives are there */
	plan_start(&plan, txn);
	vault_read_end(txn);
	run_ended_life(run);
	*out = run;
out:
	free(plan.records);
	return err;
}
