/*
 * Verifying: is the secret that we hold still the account's? Nothing is set. A refused login is a
 * mismatch only where the hash that the asset keeps says so too: an account may be locked.
 */
#include "rotation/engine.h"

#include <string.h>

#include "base/crash.h"

bool life_verifies(const struct life *life)
{
	return life->run != NULL && life->run->kind == ROTATION_VERIFY;
}

/* ── What is said ── */

static const char *verify_word(enum fault fault)
{
	switch (fault) {
	case FAULT_RESOLVE:
	case FAULT_CONNECT:
	case FAULT_TIMEOUT:
	case FAULT_LOST:
	case FAULT_BANNER: return "unreachable";
	case FAULT_NO_METHOD: return "no_proof";
	default: return fault_name(fault);
	}
}

void verify_unknown(struct life *life, const struct wire_result *result)
{
	bool again = fault_class(result->fault) == FAULT_CLASS_RETRY;

	attempt_close(&life->attempt);
	life_error(life, again ? "retry" : "permanent", fault_name(result->fault), result->text);
	life_end(life, STATUS_UNVERIFIED, verify_word(result->fault));
}

static void verify_match(struct life *life)
{
	life->write.prove_old = true;
	life->write.method = life_proof(life);
	life->record.proof = life_proof(life);
	life->record.proved_ms = rotation_wall(life->site->rotation);
	life_error(life, "", "", "");
	life_end(life, STATUS_SUCCESS, "");
}

static void verify_mismatch(struct life *life)
{
	life->write.mismatch = true;
	life_error(life, "permanent", "mismatch",
	    "the secret that is kept does not open it: someone else changed it");
	life_end(life, STATUS_FAILED, "mismatch");
}

static void verify_refused(struct life *life, const char *text)
{
	life_error(life, "permanent", "login_refused", text);
	life_end(life, STATUS_UNVERIFIED, "login_refused");
}

static void verify_compared(struct life *life, const struct wire_result *result)
{
	if (result->verdict == VERDICT_MISMATCH)
		verify_mismatch(life);
	else if (result->verdict == VERDICT_MATCH)
		verify_refused(life, "the asset keeps this secret, and refuses the login with it");
	else
		verify_refused(life, "the login was refused, and no hash could be compared");
}

static void verify_tried(struct life *life, const struct wire_result *result)
{
	CRASH_POINT("core.verified");
	if (result->verdict == VERDICT_MATCH) {
		verify_match(life);
	} else if (result->verdict != VERDICT_MISMATCH) {
		verify_unknown(life, result);
	} else if (life_kind(life) == SECRET_KEY) {
		verify_refused(life,
		    "the asset refused the login with this key: its line may be gone, or logins "
		    "be forbidden for a time");
	} else if (life->checked && life_method(life) == WIRE_PROOF_HASH) {
		verify_mismatch(life);
	} else if (life->checked) {
		proofs_only(life, WIRE_PROOF_HASH);
		attempt_try(life, life->account.current, verify_compared);
	} else {
		verify_refused(life,
		    "the login was refused; no privileged account could say whether it is locked");
	}
}

/* ── How ── */

void verify_try(struct life *life)
{
	attempt_try(life, life->account.current, verify_tried);
}

/* Without the privileged session a login is all that can be tried. */
static void verify_alone(struct life *life)
{
	life->checked = false;
	proofs_only(life, WIRE_PROOF_LOGIN);
	verify_try(life);
}

void verify_not_visited(struct life *life)
{
	const struct visit *visit = life->site->visit;

	if (visit->reason == NULL) {
		life_fault(life, &visit->result);
	} else if (strcmp(visit->reason, "no_admin") == 0) {
		verify_alone(life);
	} else if (strcmp(visit->reason, "probe_budget") == 0) {
		life_no_budget(life);
	} else {
		life_error(life, "", "", visit->result.text);
		life_end(life, STATUS_UNVERIFIED, visit->reason);
	}
}

static bool verify_read(struct life *life)
{
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	struct version version = {.proof = PROOF_NONE};
	enum err err = ERR_IO;

	if (txn != NULL)
		err = account_get(txn, life->site->asset->name, life_account(life), life_kind(life),
		    &life->account);
	if (err == ERR_OK)
		err = version_get(txn, &life->account, life->account.current, &version);
	vault_read_end(txn);
	life->record.proof = version.proof;
	life->record.old_version = life->account.current;
	return err == ERR_OK;
}

void verify_begin(struct life *life)
{
	if (!verify_read(life)) {
		rotation_break(life->site->rotation,
		    &(struct error){.code = ERR_IO, .text = "an account cannot be read"});
		return;
	}
	life->checked = true;
	proofs_of_doubt(life); /* first as it was last seen to work */
	life->record.proof = PROOF_NONE;
	if (life_is_privileged(life))
		verify_alone(life);
	else
		life_visit(life);
}
