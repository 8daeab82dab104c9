/*
 * Another policy while the engine is at work: what is begun ends by the one that it began with, an
 * asset that is visited is seen as before until that ends, and what nothing uses any more is let
 * go, and never used again.
 */
#include "sim.h"

#include <string.h>

const struct load *reload_now(const struct sim *sim)
{
	return &sim->ground->loads[sim->reloads.at];
}

static void take(struct sim *sim, size_t index)
{
	sim->reloads.at = index;
	sim->reloads.loads[index].used = true;
	sim->reloads.loads[index].number = ++sim->reloads.last_number;
}

void reload_begin(struct sim *sim)
{
	for (size_t i = 0; i < LOADS_MAX; i++)
		sim->reloads.loads[i].used = false;
	take(sim, sim->reloads.at);
}

void reload_first(struct sim *sim)
{
	sim->reloads.at = 0;
}

/* Those that nothing uses any more are let go. */
static void sweep(struct sim *sim)
{
	for (size_t i = 0; i < LOADS_MAX; i++)
		if (i != sim->reloads.at && sim->reloads.loads[i].used)
			sim->reloads.loads[i].used =
			    rotation_uses(sim->rotation, sim->ground->loads[i].policy);
}

void reload_meddle(struct sim *sim)
{
	size_t index = sim_amount(sim, LOADS_MAX);
	const struct policy *policy;

	sweep(sim);
	if (sim->reloads.loads[index].used) /* it would be the same one: a load is ever new */
		return;
	take(sim, index);
	policy = reload_now(sim)->policy;
	sim_trace(sim, "LOADED policy %zu", index);
	sim_seen(sim, rotation_idle(sim->rotation) ? "a policy loaded" : "a policy loaded at work");
	rotation_reload(sim->rotation, &(struct rotation_policy){.policy = policy,
					   .snapshot = sim->reloads.loads[index].number});
	if (sim->scheduler != NULL)
		scheduler_reload(sim->scheduler);
	when_begin(sim, true);
}

/* ── What must hold ── */

bool reload_goes_by(const struct sim *sim, const char *asset, const char *gateway)
{
	for (size_t i = 0; i < LOADS_MAX; i++) {
		const struct asset *at = policy_asset_find(sim->ground->loads[i].policy, asset);

		if (!sim->reloads.loads[i].used || at == NULL)
			continue;
		if (gateway == NULL ? at->gateway == NULL
				    : at->gateway != NULL && strcmp(at->gateway, gateway) == 0)
			return true;
	}
	return false;
}

void reload_check_job(struct sim_session *session, uint32_t snapshot)
{
	struct sim *sim = session->sim;
	const struct sim_session *other;
	bool used = false;

	if (snapshot == 0) /* it needs none */
		return;
	session->snapshot = snapshot;
	for (size_t i = 0; i < LOADS_MAX; i++)
		used = used ||
		       (sim->reloads.loads[i].used && sim->reloads.loads[i].number == snapshot);
	if (!used)
		sim_violation(
		    sim, "a policy used that was let go", "%s %s", session->asset, session->name);
	LIST_FOREACH (other, &sim->sessions, entry)
		if (other->snapshot != 0 && other->snapshot != snapshot &&
		    strcmp(other->asset, session->asset) == 0)
			sim_violation(
			    sim, "an asset seen by two policies in one visit", "%s", other->asset);
}

void reload_check_idle(struct sim *sim)
{
	/* A site that has left may stand in line yet, with nothing to do: its turn is due now. */
	if (sim_clock_next_ms(&sim->clock) <= sim->clock.now_ms)
		return;
	sweep(sim);
	for (size_t i = 0; i < LOADS_MAX; i++)
		if (i != sim->reloads.at && sim->reloads.loads[i].used)
			sim_violation(sim, "an earlier policy is never let go", "%zu", i);
}
