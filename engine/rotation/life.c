/*
 * The life of a record: check, stage (stage.c), send (change.c), see (settle.c). Nothing is staged
 * before the account was checked, nothing leaves before it is durable, nothing is believed before
 * it was seen.
 */
#include "rotation/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/crash.h"

const char *life_account(const struct life *life)
{
	return life->run != NULL ? life->record.account : life->doubted.account;
}

enum secret_kind life_kind(const struct life *life)
{
	return life->subject->kind;
}

const struct task *life_task(const struct life *life)
{
	return life->run != NULL ? life->run->task : NULL;
}

const char *life_params(const struct life *life)
{
	const struct policy *policy = life->site->policy;
	const struct task *task = life_task(life);

	if (task == NULL || life->subject != &life->record)
		task = policy_task_find(policy, life->subject->task);
	return task != NULL ? task->params : NULL;
}

bool platform_answers_early(const struct life *life)
{
	const struct platform *platform =
	    policy_platform_find(life->site->policy, life->site->asset->platform);

	return platform == NULL || platform->answers_early;
}

/* ── Its turn ── */

void life_begin(struct life *life)
{
	life->subject->attempts++;
	life->refused = false;
	life->end_seen = life->new_closed = false;
	life->answered_early = false;
	life->pending_tried = life->sent_again = false;
	if (life->doubt) {
		proofs_of_doubt(life);
		settle_begin(life);
	} else if (life_verifies(life)) {
		verify_begin(life);
	} else {
		proofs_of_task(life);
		life_visit(life);
	}
}

static void life_left_alone(struct life *life, const char *reason, const char *text)
{
	life_error(life, "", "", text);
	life_end(life, life->doubt ? STATUS_UNVERIFIED : STATUS_SKIPPED, reason);
}

void life_not_visited(struct life *life)
{
	const struct visit *visit = life->site->visit;

	life->free_at_ms = visit->free_at_ms;
	if (life_verifies(life)) {
		verify_not_visited(life);
		return;
	}
	if (lifeline_cut(life)) {
		settle_neither(life);
		return;
	}
	if (visit->reason == NULL)
		life_fault(life, &visit->result);
	else if (strcmp(visit->reason, "probe_budget") == 0)
		life_no_budget(life);
	else
		life_left_alone(life, visit->reason, visit->result.text);
}

static void life_visited(void *arg)
{
	struct life *life = arg;
	const struct visit *visit = life->site->visit;

	if (visit->failed)
		life_not_visited(life);
	else if (life->doubt)
		settle_with_visit(life);
	else if (!life_verifies(life) && lifeline_missing(life) != NULL)
		life_left_alone(life, lifeline_missing(life), "");
	else
		life_check(life);
}

void life_visit(struct life *life)
{
	visit_open(life->site->visit, life_visited, life);
}

/* ── Checking ── */

static void life_found(struct life *life, const struct wire_result *result)
{
	bool asked = life->doubt || life_verifies(life);

	life_error(life, life->doubt ? "uncertain" : "",
	    life->doubt ? finding_name(result->finding) : "", result->text);
	life_end(life, asked ? STATUS_UNVERIFIED : STATUS_SKIPPED, finding_name(result->finding));
}

static void life_go_on(struct life *life)
{
	if (life_verifies(life))
		verify_try(life);
	else
		life_stage(life);
}

/* The proof that was asked about is not possible: perhaps the next one is. */
static void life_no_proof(struct life *life, const struct wire_result *result)
{
	struct wire_result none = {.finding = FINDING_NO_PROOF};

	attempt_close(&life->attempt);
	if (proofs_next(life, result->text)) {
		life_check(life);
		return;
	}
	snprintf(none.text, sizeof(none.text), "%s", life->proofs.why);
	life_found(life, &none);
}

/* A server looks an account up once for each connection: one that is yet to be made ready needs
 * another. */
static void life_prepared_well(struct life *life)
{
	if (life_params(life) != NULL)
		attempt_close(&life->attempt);
	life_go_on(life);
}

static void life_prepared(struct life *life, const struct wire_result *result)
{
	if (result->fault != FAULT_NONE)
		life_fault(life, result);
	else if (result->finding != FINDING_OK)
		life_no_proof(life, result);
	else
		life_prepared_well(life);
}

static void life_checked(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.checked");
	if (result->fault != FAULT_NONE) {
		life->site->visit->over = true;
		life_fault(life, result);
	} else if (result->finding == FINDING_NO_PROOF) {
		life_no_proof(life, result);
	} else if (result->finding != FINDING_OK) {
		life_found(life, result);
	} else if (life->doubt) {
		life_change(life);
	} else if (life_asks_proof(life) && life_method(life) == WIRE_PROOF_LOGIN) {
		attempt_prepare(life, life_prepared);
	} else {
		life_go_on(life);
	}
}

void life_check(struct life *life)
{
	bool is_key = life_kind(life) == SECRET_KEY;
	struct life_key key;
	bool asks = life_asks_proof(life);

	if (is_key)
		life_key_open(life, &key);
	wire_submit(life->site->visit->session,
	    &(struct wire_job){
		.kind = WIRE_CHECK,
		.timeout_ms = life->site->settings->login_timeout_ms,
		.snapshot = life->site->snapshot,
		.platform = life->site->asset->platform,
		.account = life_account(life),
		.proof = asks ? life_method(life) : WIRE_PROOF_NONE,
		.ssh_key = is_key ? &key.wire : NULL,
		.params = life_params(life),
	    },
	    life_checked, life);
}

/* ── Faults before anything was sent ── */

static bool life_may_retry(const struct life *life, enum fault fault)
{
	return fault_class(fault) == FAULT_CLASS_RETRY && !life_is_stopped(life) &&
	       life->record.attempts <= life_task(life)->limits.retries;
}

void life_fault(struct life *life, const struct wire_result *result)
{
	bool retry = fault_class(result->fault) == FAULT_CLASS_RETRY;

	if (life->doubt) {
		life_uncertain(life, result);
		return;
	}
	life_error(life, retry ? "retry" : "permanent", fault_name(result->fault), result->text);
	if (life_may_retry(life, result->fault))
		life_retry_later(life);
	else if (life_verifies(life))
		verify_unknown(life, result);
	else
		life_end(life, STATUS_FAILED, "");
}
