/*
 * A rehearsal: a life that ends where a change would begin, and says what its record would be. All
 * that is asked of an asset without a new secret was asked by then.
 */
#include "rotation/engine.h"

bool life_rehearses(const struct life *life)
{
	return life->run != NULL && life->run->kind == ROTATION_REHEARSE;
}

/* Whether a login could be booked for the proof; none is. */
static bool rehearse_has_budget(const struct life *life)
{
	const struct asset *asset = life->site->asset;
	struct lockout lockout = site_lockout(life->site);
	struct rotation *rotation = life->site->rotation;
	struct vault_txn *txn = vault_read(rotation->config.vault);
	uint32_t booked = 0;

	if (txn != NULL)
		booked = probe_count(
		    txn, asset->name, life_account(life), &lockout, rotation_wall(rotation));
	vault_read_end(txn);
	return booked < lockout.limit - 1;
}

void rehearse_end(struct life *life)
{
	attempt_close(&life->attempt);
	secret_free(life->write.fresh);
	life->write.fresh = NULL;
	if (!life_asks_proof(life)) {
		life_end(life, STATUS_UNVERIFIED, "not_asked");
	} else if (life_method(life) != WIRE_PROOF_HASH && !rehearse_has_budget(life)) {
		life_error(life, "retry", "probe_budget",
		    "one more refused login could lock the account; none is left in this window");
		life_end(life, STATUS_FAILED, "");
	} else {
		life->record.proof = life_proof(life);
		life_end(life, STATUS_SUCCESS, "");
	}
}
