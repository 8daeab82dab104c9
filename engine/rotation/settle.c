/*
 * Settling a doubt: after its deadline, try the pending version; if it does not open, send the same
 * again and see. Never a new secret beside one in doubt, never a verdict from the old secret alone.
 */
#include "rotation/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/crash.h"

/*
 * Up to this lockout limit an attempt is too dear to be made before the pending version is sent
 * again. But where an answer is no end it must be: else it may open by an earlier send while the
 * one that was just made is still under way.
 */
#define LOCKOUT_TIGHT 3

/* ── Verdicts ── */

void settle_permanent(struct life *life)
{
	struct record *subject = life->subject;

	life->write.promote = true;
	life->write.method = life_proof(life);
	subject->proof = life_proof(life);
	subject->proved_ms = rotation_wall(life->site->rotation);
	life_error(life, "", "", "");
	life_end(life, STATUS_SUCCESS, "");
}

void settle_success(struct life *life)
{
	if (life_persists(life))
		life_persist(life);
	else
		settle_permanent(life);
}

/* Proven not the account's: the old one still is. */
static void settle_not_live(struct life *life)
{
	life->write.retire = true;
	life->write.end = VERSION_NOT_LIVE;
	life->write.prove_old = true;
	life->write.method = life_proof(life);
	if (!life->refused)
		life_error(life, "permanent", "not_applied",
		    "the asset accepted the change and did not apply it; the old secret still "
		    "works");
	life_end(life, STATUS_FAILED, "");
}

/* Every send has ended, pending does not open, and the old one was not seen to work. */
static void settle_no_verdict(struct life *life)
{
	life->write.retire = true;
	life->write.end = VERSION_NO_VERDICT;
	life_error(life, "uncertain", "mismatch",
	    "neither the new nor the old secret opens the account: someone else changed it; "
	    "both are kept, and the next rotation sets a fresh one");
	life_end(life, STATUS_UNVERIFIED,
	    life->refused ? "refused_neither_opens" : "accepted_does_not_open");
}

/* The old key works, which says nothing of the new one: its line stands beside it, and the asset
 * may come to take it. */
static void settle_line_left(struct life *life)
{
	life->write.retire = true;
	life->write.end = VERSION_NO_VERDICT;
	life_error(life, "uncertain", "mismatch",
	    "the new key was added and does not open the account (does the asset take keys of its "
	    "type?); its line was left, the old key still works");
	life_end(life, STATUS_UNVERIFIED, "accepted_does_not_open");
}

/* The old one was put back, its end was seen, and so was that it works. */
void settle_put_back(struct life *life)
{
	life->write.retire = true;
	life->write.end = VERSION_NOT_LIVE;
	life->write.prove_old = true;
	life->write.method = life_proof(life);
	life_error(life, "permanent", "put_back",
	    "the asset accepted the new secret, which then did not open the account; the old one "
	    "was put back and works");
	life_end(life, STATUS_FAILED, "");
}

/* No send can be under way any more, and neither of the account's secrets is let in. */
void settle_neither(struct life *life)
{
	life->write.retire = true;
	life->write.end = VERSION_NO_VERDICT;
	life_error(life, "uncertain", "mismatch",
	    life->account.current != 0
		? "neither the new nor the old secret opens the account that this asset is "
		  "entered with; both are kept"
		: "the new secret does not open the account that this asset is entered with, and "
		  "no old one is known; it is kept");
	life_end(life, STATUS_UNVERIFIED, "neither_opens");
}

/* Refused, and no old secret is known: the new one was seen closed, which is all that can be seen.
 */
static void settle_old_unknown(struct life *life)
{
	if (!life->refused) {
		settle_no_verdict(life);
		return;
	}
	life->write.retire = true;
	life->write.end = VERSION_NOT_LIVE;
	life_end(life, STATUS_FAILED, "old_unknown");
}

/* ── After an end was seen ── */

static void settle_old_tried(struct life *life, const struct wire_result *result)
{
	if (result->verdict == VERDICT_MATCH && life_kind(life) == SECRET_KEY && !life->refused)
		settle_line_left(life);
	else if (result->verdict == VERDICT_MATCH)
		settle_not_live(life);
	else if (result->verdict == VERDICT_MISMATCH)
		settle_no_verdict(life);
	else if (proofs_otherwise(life, result))
		attempt_try(life, life->account.current, settle_old_tried);
	else
		life_uncertain(life, result);
}

static void settle_try_old(struct life *life)
{
	if (life->account.current == 0)
		settle_old_unknown(life);
	else
		attempt_try(life, life->account.current, settle_old_tried);
}

static void settle_new_closed(struct life *life)
{
	life->new_closed = true;
	if (lifeline_holds(life))
		lifeline_put_back(life);
	else
		settle_try_old(life);
}

/* Where changes take effect late, so does the end of what they replace: an earlier secret that is
 * set again may work without having been set. */
static bool opens_by_old_habit(const struct life *life)
{
	return life->answered_early && life->run != NULL && life->run->restore != 0 &&
	       life->subject == &life->record;
}

/* The asset answers before a change is in effect: it is seen when that must have come. */
static void settle_not_yet(struct life *life)
{
	life_error(life, "uncertain", "no_verdict",
	    "the asset answers before a change is in effect: whether it works is seen later");
	life_end(life, STATUS_UNVERIFIED, settle_progress(life));
}

static void settle_new_tried(struct life *life, const struct wire_result *result)
{
	if (result->verdict == VERDICT_MATCH && !opens_by_old_habit(life))
		settle_success(life);
	else if (result->verdict == VERDICT_MATCH)
		settle_not_yet(life);
	else if (proofs_otherwise(life, result))
		settle_changed(life);
	else if (result->verdict != VERDICT_MISMATCH)
		life_uncertain(life, result);
	else if (!life->end_seen)
		settle_not_yet(life);
	else
		settle_new_closed(life);
}

void settle_changed(struct life *life)
{
	attempt_try(life, life->account.pending, settle_new_tried);
}

/* ── How far a turn came ── */

/* Where a turn stood: the new secret does not open; or was not tried since its end was seen; or
 * was answered early, which is no end. */
enum stand { STAND_CLOSED, STAND_UNTRIED, STAND_EARLY };

/*
 * Where nothing was sent since, a later turn goes on there: with one attempt a window each has its
 * own. And where an answer is no end, the change was answered in one turn, and is seen in another,
 * when its deadline has passed. What was accepted and not tried since begins anew: it may open.
 */
static const struct progress {
	const char *word; /* the record's reason */
	bool refused;	  /* else accepted */
	enum stand stand;
} progresses[] = {
    {"accepted_new_closed", false, STAND_CLOSED},
    {"refused_new_closed", true, STAND_CLOSED},
    {"refused_untried", true, STAND_UNTRIED},
    {"accepted_early", false, STAND_EARLY},
    {"refused_early", true, STAND_EARLY},
};
#define PROGRESSES (sizeof(progresses) / sizeof(progresses[0]))

static bool stands(const struct life *life, enum stand stand)
{
	switch (stand) {
	case STAND_CLOSED: return life->new_closed;
	case STAND_UNTRIED: return life->end_seen && !life->new_closed;
	default: return life->answered_early;
	}
}

const char *settle_progress(const struct life *life)
{
	for (size_t i = 0; i < PROGRESSES; i++)
		if (progresses[i].refused == life->refused && stands(life, progresses[i].stand))
			return progresses[i].word;
	return NULL;
}

static void settle_resume(struct life *life)
{
	const struct record *subject = life->subject;

	for (size_t i = 0; i < PROGRESSES; i++) {
		if (strcmp(subject->reason, progresses[i].word) != 0)
			continue;
		life->refused = progresses[i].refused;
		life->new_closed = life->pending_tried = progresses[i].stand == STAND_CLOSED;
		life->answered_early = progresses[i].stand == STAND_EARLY;
		life->end_seen = !life->answered_early;
	}
	if (life->refused)
		life_error(life, "permanent", fault_name(FAULT_REFUSED), "the asset refused it");
}

/* What was sent once only is sent again before it is given up. */
void settle_pending_closed(struct life *life)
{
	life->pending_tried = true;
	life->new_closed = life->end_seen = life->answered_early && life->subject->sends > 1;
}

/* ── After a doubt ── */

static void settle_try(struct life *);

static void settle_pending_tried(struct life *life, const struct wire_result *result)
{
	CRASH_POINT("core.settle_tried");
	if (result->verdict == VERDICT_MATCH) {
		settle_success(life);
	} else if (result->verdict == VERDICT_MISMATCH) {
		settle_pending_closed(life);
		life_visit(life);
	} else if (proofs_otherwise(life, result)) {
		settle_try(life);
	} else {
		life_uncertain(life, result);
	}
}

static void settle_try(struct life *life)
{
	/* Three attempts do not fit below a limit of three: send the same again first, then see. */
	life->pending_tried = life_method(life) != WIRE_PROOF_HASH &&
			      life->site->asset->lockout_limit <= LOCKOUT_TIGHT &&
			      !platform_answers_early(life);
	/* What makes it permanent goes through a session that is older than the proof. */
	if (life_method(life) == WIRE_PROOF_LOGIN && !life->pending_tried && !life_persists(life))
		attempt_try(life, life->account.pending, settle_pending_tried);
	else
		life_visit(life);
}

void settle_begin(struct life *life)
{
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	enum err err = ERR_IO;

	life->doubt_tried = true;
	if (txn != NULL)
		err = account_get(txn, life->site->asset->name, life_account(life), life_kind(life),
		    &life->account);
	vault_read_end(txn);
	if (err != ERR_OK) {
		rotation_break(life->site->rotation,
		    &(struct error){.code = err, .text = "an account in doubt cannot be read"});
		return;
	}
	settle_resume(life);
	if (life->end_seen)
		life_visit(life);
	else if (life_is_privileged(life))
		lifeline_settle(life);
	else
		settle_try(life);
}

void settle_with_visit(struct life *life)
{
	if (life->new_closed) {
		settle_try_old(life);
		return;
	}
	if (life->end_seen) {
		settle_changed(life);
		return;
	}
	if (!life->pending_tried) {
		attempt_try(life, life->account.pending, settle_pending_tried);
		return;
	}
	if (lifeline_missing(life) != NULL) {
		life_end(life, STATUS_UNVERIFIED, lifeline_missing(life));
		return;
	}
	life->sent_again = true;
	/* The same again, and durably so: from here on its end is not seen until it is. */
	snprintf(life->subject->reason, sizeof(life->subject->reason), "resent");
	life_write(life, life_check);
}
