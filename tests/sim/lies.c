/*
 * A wire that was taken over: it lies about what it is asked, and misuses the sessions that it has.
 * So nothing that is said of the assets to which it has a session need be true, and nothing of them
 * is promised, until it is gone and something is seen anew. All others are as they ever are:
 * through the engine it reaches no other account.
 */
#include "sim.h"

/* Of the asset's accounts the engine is told what is not so. */
static void asset_is_lied_about(struct sim *sim, const struct sim_asset *asset)
{
	struct sim_late *late;

	for (size_t i = 0; i < sim->account_count; i++) {
		struct sim_account *account = &sim->accounts[i];

		if (account->on == asset)
			account->dirty = account->keys_dirty = account->lied = true;
	}
	LIST_FOREACH (late, &sim->lates, entry)
		late->lied = late->lied || late->account->on == asset;
}

/* With an elevated session all accounts of the asset are its own. */
static void misuse(struct sim_session *session)
{
	struct sim *sim = session->sim;
	struct sim_account *account = &sim->accounts[sim_amount(sim, (uint32_t)sim->account_count)];

	if (account->on != world_asset(sim, session->asset))
		return;
	sim_seen(sim, "an account set by a wire");
	world_apply(sim, account, "by-a-wire");
}

static void verdict_turn(struct wire_result *result)
{
	if (result->verdict == VERDICT_MATCH) {
		result->verdict = VERDICT_MISMATCH;
		result->fault = FAULT_AUTH;
	} else {
		result->verdict = VERDICT_MATCH;
		result->fault = FAULT_NONE;
	}
	result->failed_attempts = 0;
}

static void answer_turn(const struct sim_session *session, struct wire_result *result)
{
	switch (session->kind) {
	case WIRE_HASH:
	case WIRE_PROVE:
	case WIRE_SU: verdict_turn(result); break;
	case WIRE_CHANGE:
	case WIRE_PERSIST:
		result->fault = result->fault == FAULT_NONE ? FAULT_REFUSED : FAULT_NONE;
		result->sent = result->ended = true;
		break;
	case WIRE_CHECK: result->finding = FINDING_EXPIRED; break;
	case WIRE_METHODS: result->finding = FINDING_NO_PROOF; break;
	case WIRE_ADMIN:
	case WIRE_LOGIN: result->failed_attempts = 0; break;
	case WIRE_OPEN: break; /* the door sees that, and ends it */
	}
}

void lies_answer(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;

	if (!session->process->lies)
		return;
	asset_is_lied_about(sim, world_asset(sim, session->asset));
	if (sim_event(sim, "a wire misuses a session", session->asset, 100))
		misuse(session);
	if (sim_event(sim, "a wire lies", session->asset, 400)) {
		answer_turn(session, result);
		session->broken = session->broken || result->fault == FAULT_AUTH;
	}
}
