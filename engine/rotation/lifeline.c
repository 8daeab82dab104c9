/*
 * The accounts that a visit itself needs: the asset's privileged account, and root where it becomes
 * root by su. They come last, while the visit's elevated shell is their lifeline; in doubt they
 * come first, and what we get in with may be either of their secrets.
 */
#include "rotation/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/crash.h"

enum turn lifeline_turn(const struct asset *asset, const char *account)
{
	if (asset->admin != NULL && strcmp(account, asset->admin) == 0)
		return TURN_ADMIN;
	return asset->become == BECOME_SU && strcmp(account, "root") == 0 ? TURN_ROOT : TURN_OTHERS;
}

static enum turn turn_of(const struct life *life)
{
	return lifeline_turn(life->site->asset, life_account(life));
}

static bool life_is_admin(const struct life *life)
{
	return turn_of(life) == TURN_ADMIN;
}

bool life_is_privileged(const struct life *life)
{
	return turn_of(life) != TURN_OTHERS;
}

/* ── Whose turn it is ── */

static enum turn life_turn(const struct life *life)
{
	return life->doubt && life_is_privileged(life) ? TURN_DOUBT : turn_of(life);
}

struct life *site_next(const struct site *site)
{
	enum turn turn = TURN_ROOT;
	struct life *life, *next = NULL;

	TAILQ_FOREACH (life, &site->lives, entry)
		if (life_turn(life) < turn)
			turn = life_turn(life);
	TAILQ_FOREACH (life, &site->lives, entry)
		if (!life->working && (!life->held || life->doubt) && life_turn(life) == turn &&
		    !gate_bars(life) && (next == NULL || life->ready_ms < next->ready_ms))
			next = life;
	return next;
}

/* ── Before a change ── */

/* Why it is left alone; NULL = it may be changed. */
const char *lifeline_missing(const struct life *life)
{
	if (!life_is_privileged(life))
		return NULL;
	if (life->site->visit->targeted)
		return "no_lifeline";
	return life->doubt || life_asks_proof(life) ? NULL : "no_proof";
}

/* ── Putting back ── */

bool lifeline_holds(const struct life *life)
{
	const struct visit *visit = life->site->visit;

	return life_is_privileged(life) && life_kind(life) == SECRET_PASSWORD && !life->refused &&
	       life->end_seen && life->account.current != 0 && visit->open && !visit->over &&
	       !visit->targeted;
}

static void put_back_tried(struct life *life, const struct wire_result *result)
{
	if (result->verdict == VERDICT_MATCH) {
		settle_put_back(life);
		return;
	}
	life_error(life, "uncertain", "put_back",
	    "the new secret did not open the account; the old one was put back and was not seen to "
	    "work");
	life_end(life, STATUS_UNVERIFIED, "put_back");
}

static void put_back_answered(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.put_back_answered");
	if (!result->ended)
		life->site->visit->over = true;
	if (result->sent && result->ended)
		attempt_try(life, life->account.current, put_back_tried);
	else
		life_uncertain(life, result);
}

static void put_back_send(struct life *life)
{
	struct secret *old, *fresh;

	if (!life_secret(life, life->account.current, &old, put_back_send))
		return;
	if (!life_secret(life, life->account.pending, &fresh, put_back_send)) {
		secret_free(old);
		return;
	}
	CRASH_POINT("core.putting_back");
	life_submit_change(life, (struct wire_job){.secret = old, .old = fresh}, put_back_answered);
	CRASH_POINT("core.put_back_sent");
	secret_free(old);
	secret_free(fresh);
}

void lifeline_put_back(struct life *life)
{
	/* Durably: from here on either of the two may be the account's, until an end is seen. */
	snprintf(life->subject->reason, sizeof(life->subject->reason), "put_back");
	life->new_closed = false;
	life_write(life, put_back_send);
}

/* ── A doubt: which of its secrets opens the way in? ── */

bool lifeline_bars(const struct visit *visit)
{
	const struct asset *asset = visit->site->asset;
	const struct life *life = visit->life;
	struct account account;
	struct vault_txn *txn;
	bool doubt;

	if (asset->admin == NULL || (life != NULL && life->doubt && life_is_privileged(life)))
		return false;
	txn = vault_read(visit->site->rotation->config.vault);
	if (txn == NULL)
		return false;
	doubt = account_get_in_doubt(txn, asset->name, asset->admin, &account) == ERR_OK ||
		(asset->become == BECOME_SU &&
		    account_get_in_doubt(txn, asset->name, "root", &account) == ERR_OK);
	vault_read_end(txn);
	return doubt;
}

/* The visit was refused, and it was this account's secret that was. */
static bool refused_ours(const struct life *life)
{
	const struct visit *visit = life->site->visit;
	bool by_su = life->site->asset->become == BECOME_SU;

	if (!visit->failed || visit->reason != NULL)
		return false;
	if (visit->result.fault == FAULT_AUTH)
		return life_is_admin(life) && visit->admin.kind == life_kind(life);
	return visit->result.fault == FAULT_BECOME_PASSWORD && life_kind(life) == SECRET_PASSWORD &&
	       by_su != life_is_admin(life);
}

static void way_in_tried(struct life *life, const struct wire_result *result)
{
	CRASH_POINT("core.settle_tried");
	if (result->verdict == VERDICT_MATCH) {
		settle_success(life);
	} else if (result->verdict == VERDICT_MISMATCH) {
		settle_pending_closed(life);
		life_visit(life);
	} else if (proofs_otherwise(life, result)) {
		lifeline_settle(life);
	} else {
		life_uncertain(life, result);
	}
}

/* The way in was tried with the pending secret. */
static void way_in_opened(void *arg)
{
	struct life *life = arg;
	struct visit *visit = life->site->visit;

	if (refused_ours(life)) {
		settle_pending_closed(life);
		visit_reopen(visit, false);
		life_visit(life);
	} else if (visit->failed) {
		life_not_visited(life);
	} else {
		attempt_try(life, life->account.pending, way_in_tried);
	}
}

/* A login with this very secret is how the asset is entered. */
static bool enters_by_login(const struct life *life)
{
	const struct asset *asset = life->site->asset;
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	struct account account;
	bool is = txn != NULL && life_is_admin(life) && visit_admin(txn, asset, &account) &&
		  account.kind == life_kind(life);

	vault_read_end(txn);
	return is;
}

bool lifeline_half_tried(const struct life *life)
{
	return life->doubt && life->pending_tried && !life->sent_again && !life->new_closed &&
	       life_is_privileged(life);
}

void lifeline_settle(struct life *life)
{
	struct visit *visit = life->site->visit;

	if (strcmp(life->subject->reason, HALF_TRIED) == 0) {
		life->pending_tried = true;
		life_visit(life);
		return;
	}
	if (life_method(life) == WIRE_PROOF_LOGIN && enters_by_login(life)) {
		attempt_try(life, life->account.pending, way_in_tried);
		return;
	}
	visit_reopen(visit, true);
	visit_open(visit, way_in_opened, life);
}

bool lifeline_cut(const struct life *life)
{
	return life->doubt && life->pending_tried && !life->site->visit->by_pending &&
	       life_is_privileged(life) && refused_ours(life);
}
