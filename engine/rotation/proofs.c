/*
 * The order of proofs: by which method a life sees a new secret work. A task's methods are tried in
 * its order until the asset says that one is possible; the one chosen is kept with the record, and
 * a doubt is settled by it again, by another only where it is possible no more.
 */
#include "rotation/engine.h"

#include <stdio.h>
#include <string.h>

static const enum wire_proof all[] = {WIRE_PROOF_LOGIN, WIRE_PROOF_SU, WIRE_PROOF_HASH};

/* ── As policy, wires and vault name it ── */

static enum wire_proof proof_asked(enum verify verify)
{
	switch (verify) {
	case VERIFY_LOGIN: return WIRE_PROOF_LOGIN;
	case VERIFY_SU: return WIRE_PROOF_SU;
	case VERIFY_HASH: return WIRE_PROOF_HASH;
	case VERIFY_NONE: break;
	}
	return WIRE_PROOF_NONE;
}

static enum wire_proof proof_kept(enum proof proof)
{
	switch (proof) {
	case PROOF_LOGIN: return WIRE_PROOF_LOGIN;
	case PROOF_SU: return WIRE_PROOF_SU;
	case PROOF_HASH: return WIRE_PROOF_HASH;
	case PROOF_TOLD:
	case PROOF_NONE: break;
	}
	return WIRE_PROOF_NONE;
}

enum proof life_proof(const struct life *life)
{
	switch (life_method(life)) {
	case WIRE_PROOF_SU: return PROOF_SU;
	case WIRE_PROOF_HASH: return PROOF_HASH;
	case WIRE_PROOF_LOGIN:
	case WIRE_PROOF_NONE: break;
	}
	return PROOF_LOGIN;
}

static const char *method_name(enum wire_proof proof)
{
	switch (proof) {
	case WIRE_PROOF_LOGIN: return "login";
	case WIRE_PROOF_SU: return "su";
	case WIRE_PROOF_HASH: return "hash";
	case WIRE_PROOF_NONE: break;
	}
	return "";
}

/* ── The list ── */

/* Each once. A key opens by login alone. */
static void proofs_add(struct life *life, enum wire_proof proof)
{
	struct proofs *proofs = &life->proofs;

	if (proof == WIRE_PROOF_NONE ||
	    (life_kind(life) == SECRET_KEY && proof != WIRE_PROOF_LOGIN))
		return;
	for (size_t i = 0; i < proofs->count; i++)
		if (proofs->list[i] == proof)
			return;
	proofs->list[proofs->count++] = proof;
}

static void proofs_add_task(struct life *life, const struct task *task)
{
	for (size_t i = 0; task != NULL && i < task->verify_count; i++)
		proofs_add(life, proof_asked(task->verify[i]));
	if (task != NULL && task->verify_count > 0 && life_kind(life) == SECRET_KEY)
		proofs_add(life, WIRE_PROOF_LOGIN);
}

static bool task_asks(const struct task *task, enum verify verify)
{
	for (size_t i = 0; i < task->verify_count; i++)
		if (task->verify[i] == verify)
			return true;
	return false;
}

/* Where an asset is entered by su, that its root can be proven by su was just seen. */
static bool life_is_entered_by_su(const struct life *life)
{
	return life->site->asset->become == BECOME_SU && strcmp(life_account(life), "root") == 0;
}

void proofs_of_task(struct life *life)
{
	const struct task *task = life_task(life);

	life->proofs = (struct proofs){.count = 0};
	if (life_is_entered_by_su(life) && task_asks(task, VERIFY_SU))
		proofs_add(life, WIRE_PROOF_SU);
	proofs_add_task(life, task);
	life->proofs.asked = life->proofs.count;
}

void proofs_of_doubt(struct life *life)
{
	const struct policy *policy = life->site->policy;
	const struct task *task = life_task(life);

	life->proofs = (struct proofs){.count = 0};
	if (life_is_entered_by_su(life))
		proofs_add(life, WIRE_PROOF_SU);
	proofs_add(life, proof_kept(life->subject->proof));
	proofs_add_task(life, task != NULL ? task : policy_task_find(policy, life->subject->task));
	life->proofs.asked = life->proofs.count;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		proofs_add(life, all[i]);
}

void proofs_only(struct life *life, enum wire_proof proof)
{
	life->proofs = (struct proofs){.list = {proof}, .count = 1};
}

bool life_asks_proof(const struct life *life)
{
	return life->proofs.count > 0;
}

enum wire_proof life_method(const struct life *life)
{
	const struct proofs *proofs = &life->proofs;

	return proofs->at < proofs->count ? proofs->list[proofs->at] : WIRE_PROOF_LOGIN;
}

bool proofs_next(struct life *life, const char *why)
{
	struct proofs *proofs = &life->proofs;
	size_t used = strlen(proofs->why);

	if (proofs->count > 1)
		snprintf(proofs->why + used, sizeof(proofs->why) - used, "%s%s: %s",
		    used > 0 ? "; " : "", method_name(life_method(life)), why);
	else
		snprintf(proofs->why, sizeof(proofs->why), "%s", why);
	if (proofs->at + 1 >= proofs->count)
		return false;
	proofs->at++;
	return true;
}

bool proofs_otherwise(struct life *life, const struct wire_result *result)
{
	bool asked = life->proofs.at + 1 < life->proofs.asked;

	if (result->verdict != VERDICT_UNKNOWN)
		return false;
	if (result->fault == FAULT_NO_METHOD)
		return proofs_next(life, result->text);
	return asked && (result->fault == FAULT_NO_SHELL || result->fault == FAULT_EXPIRED) &&
	       proofs_next(life, result->text);
}
