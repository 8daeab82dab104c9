/* Outcomes: what a turn came to is made durable, told, and decides what comes next for the life. */
#include "rotation/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "base/text.h"
#include "rotation/note.h"
#include "rotation/checkout.h"

#define RETRY_PAUSE_MS 1000

/* ── The durable step ── */

static enum err life_apply_probes(struct vault_txn *txn, struct life *life, struct error *error)
{
	const struct asset *asset = life->site->asset;
	struct lockout lockout = site_lockout(life->site);
	uint64_t now_ms = rotation_wall(life->site->rotation);
	enum err err = ERR_OK;

	if (life->returns > 0)
		err = probe_return(txn, asset->name, life_account(life), &lockout, life->returns);
	if (err == ERR_OK && life->write.book) {
		err = probe_book(
		    txn, asset->name, life_account(life), &lockout, 1, now_ms, &life->free_at_ms);
		if (err == ERR_FULL) /* not the disk's: keep_write would wait */
			err = ERR_LIMIT;
	}
	return err == ERR_OK ? ERR_OK : error_set(error, err, "attempts cannot be booked");
}

static enum err life_apply_version(struct vault_txn *txn, struct life *life, struct error *error)
{
	const struct life_write *write = &life->write;
	const char *asset = life->site->asset->name;
	const char *name = life_account(life);
	enum secret_kind kind = life_kind(life);
	struct account *account = &life->account;
	struct checkout checkout;
	enum err err = ERR_OK;

	if (write->pin)
		err = visit_pin(txn, life->site->visit, error);
	if (err == ERR_OK && write->prove_old)
		err = account_prove(txn, asset, name, kind, account->current, write->method, error);
	if (err == ERR_OK && write->mismatch)
		err = account_mismatch(txn, asset, name, kind, account->current, error);
	/* Since it was planned: who has a secret out keeps it. */
	if (err == ERR_OK && write->fresh != NULL &&
	    checkout_bars(txn, life_task(life), asset, name, &checkout))
		return error_set(error, ERR_BUSY, "someone has it checked out");
	if (err == ERR_OK && write->fresh != NULL)
		err = account_stage(
		    txn, asset, name, kind, write->fresh, &life->record.id, account, error);
	if (err == ERR_OK && write->promote)
		err = account_promote(txn, asset, name, kind, write->method, account, error);
	if (err == ERR_OK && write->retire)
		err = account_retire(txn, asset, name, kind, write->end, account, error);
	return err;
}

static void life_ended(struct life *);

static enum err life_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct life *life = arg;
	struct record *subject = life->subject;
	enum err err;

	if (life_rehearses(life))
		return ERR_OK;
	err = life_apply_probes(txn, life, error);
	if (err == ERR_OK)
		err = life_apply_version(txn, life, error);
	if (err != ERR_OK)
		return err;
	if (life->write.fresh != NULL) {
		subject->new_version = life->account.pending;
		subject->old_version = life->account.current;
	}
	err = record_put(txn, subject);
	if (err != ERR_OK)
		return error_set(error, err, "a record cannot be written");
	if (life->then != life_ended || subject != &life->doubted || life->account.pending != 0)
		return ERR_OK;
	return rotation_note(life->site->rotation, txn, ROTATION_SETTLED, NULL, subject, error);
}

static void life_written(void *arg, enum err result, const struct error *error)
{
	struct life *life = arg;
	bool booked = life->write.book;

	secret_free(life->write.fresh);
	memset(&life->write, 0, sizeof(life->write));
	life->budget_out = result == ERR_LIMIT;
	life->checked_out = result == ERR_BUSY;
	if (result != ERR_OK && result != ERR_LIMIT && result != ERR_BUSY) {
		rotation_break(life->site->rotation, error);
		return;
	}
	if (result == ERR_OK) {
		life->returns = 0;
		life->booked += booked ? 1 : 0;
		if (booked)
			life->booked_ms = rotation_now(life->site->rotation);
	}
	life->then(life);
}

void life_write(struct life *life, void (*then)(struct life *))
{
	life->then = then;
	keep_write(&life->keep, life->site->rotation, life_apply, life_written, life);
}

/* ── What comes next ── */

static void life_over(struct life *life)
{
	struct site *site = life->site;
	struct visit *visit = site->visit;
	bool visited = visit != NULL && visit->life == life;

	life_done(life);
	if (visited)
		visit_go_on(visit);
	else /* stopped before its turn, which others may have waited for */
		site_wake(site);
}

static void life_wait(struct life *life, uint64_t delay_ms)
{
	struct visit *visit = life->site->visit;

	life_queue(life, delay_ms);
	if (visit != NULL && visit->life == life)
		visit_go_on(visit);
}

/* Starts the life's own rotation, now that nothing is in doubt any more. */
static void life_go_fresh(struct life *life)
{
	struct site *site = life->site;

	life->doubt = false;
	life->doubt_tried = false; /* its own change may come to be in doubt too */
	life->subject = &life->record;
	if (life_is_stopped(life))
		life_end(life, STATUS_SKIPPED, life_stop_reason(life));
	else if (site->visit->over || life->held ||
		 life_is_privileged(life)) /* the others come first */
		life_wait(life, 0);
	else
		life_begin(life);
}

static void life_report(struct life *life)
{
	struct rotation *rotation = life->site->rotation;
	const struct record *subject = life->subject;
	bool own = subject == &life->record && life->run != NULL;

	if (own && !life->reported) {
		life->reported = true;
		rotation_tell(rotation, ROTATION_RECORD_ENDED, &life->run->execution, subject);
	} else if (life->account.pending == 0) {
		rotation_tell(rotation, ROTATION_SETTLED, NULL, subject);
	}
	if (own)
		run_note(life);
}

/* The doubt of an earlier record had its turn: on to the life's own record, if it has one. */
static void life_doubted_ended(struct life *life)
{
	if (life->run == NULL) {
		life_over(life);
	} else if (life->account.pending == 0) {
		life_go_fresh(life);
	} else {
		life->doubt = false;
		life->subject = &life->record;
		life_error(life, life->doubted.error_class, life->doubted.error_code,
		    life->doubted.error_message);
		life_end(life, STATUS_SKIPPED, "in_doubt");
	}
}

static void life_ended(struct life *life)
{
	struct rotation *rotation = life->site->rotation;
	const struct record *subject = life->subject;

	CRASH_POINT("core.ended");
	attempt_close(&life->attempt);
	life_report(life);
	if (subject == &life->doubted) {
		life_doubted_ended(life);
	} else if (subject->status == STATUS_UNVERIFIED && life->account.pending != 0 &&
		   strcmp(subject->reason, "not_asked") != 0 && !life->doubt_tried &&
		   !rotation->draining) {
		life->doubt = true;
		life_wait(life, life->site->settings->change_deadline_ms);
	} else {
		life_over(life);
	}
}

void life_end(struct life *life, enum status status, const char *reason)
{
	struct record *subject = life->subject;

	subject->status = status;
	subject->ended_ms = rotation_wall(life->site->rotation);
	snprintf(subject->reason, sizeof(subject->reason), "%s", reason);
	CRASH_POINT("core.ending");
	life_write(life, life_ended);
}

/* ── Ways to end ── */

void life_error(struct life *life, const char *class, const char *code, const char *text)
{
	struct record *subject = life->subject;

	snprintf(subject->error_class, sizeof(subject->error_class), "%s", class);
	snprintf(subject->error_code, sizeof(subject->error_code), "%s", code);
	if (text != subject->error_message)
		snprintf(subject->error_message, sizeof(subject->error_message), "%s", text);
}

void life_uncertain(struct life *life, const struct wire_result *result)
{
	const char *code = result->fault != FAULT_NONE ? fault_name(result->fault) : "no_verdict";

	life_error(life, "uncertain", code, result->text);
	life_end(life, STATUS_UNVERIFIED, code);
}

/* How far it had come: a later turn goes on from there. */
static const char *budget_word(const struct life *life)
{
	if (lifeline_half_tried(life))
		return HALF_TRIED;
	return settle_progress(life) != NULL ? settle_progress(life) : "probe_budget";
}

void life_no_budget(struct life *life)
{
	char when[32], text[256];

	attempt_close(&life->attempt);
	snprintf(text, sizeof(text),
	    "one more refused login could lock an account of this asset; the next attempt may be "
	    "made at %s",
	    text_rfc3339(when, life->free_at_ms));
	if (life->doubt || life->account.pending != 0 || life_verifies(life)) {
		life_error(life, life_verifies(life) ? "retry" : "uncertain", "probe_budget", text);
		life_end(life, STATUS_UNVERIFIED, budget_word(life));
	} else {
		life_error(life, "retry", "probe_budget", text);
		life_end(life, STATUS_FAILED, "");
	}
}

static void life_retry_written(struct life *life)
{
	uint64_t pause_ms = RETRY_PAUSE_MS << (life->record.attempts - 1);

	attempt_close(&life->attempt);
	if (life_is_stopped(life))
		life_end(life, STATUS_SKIPPED, life_stop_reason(life));
	else
		life_wait(life, pause_ms);
}

void life_retry_later(struct life *life)
{
	life->record.status = STATUS_PLANNED;
	life->record.staged_ms = life->record.sent_ms = 0;
	life->record.new_version = 0;
	life->record.proof = PROOF_NONE;
	attempt_close(&life->attempt);
	life_write(life, life_retry_written);
}
