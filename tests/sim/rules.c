/*
 * What assets have a will of their own about: passwords that are too young to be changed, or were
 * used before; and where the platform says that its answer is no end (answers_early), changes that
 * take effect later, at the next try, or on one replica before the other.
 */
#include "sim.h"

#include <string.h>

#define AGE_MS (20 * 60 * 1000) /* at most */

uint64_t sim_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

void rules_begin(struct sim *sim, struct sim_asset *asset)
{
	const char *name = asset->at->name;
	const struct platform *platform =
	    policy_platform_find(sim->ground->policy, asset->at->platform);

	asset->early = platform->answers_early;
	if (sim_event(sim, "passwords have a minimum age", name, 50))
		asset->age_ms = 1 + sim_amount(sim, AGE_MS);
	asset->remembers = sim_event(sim, "old passwords are refused", name, 50);
}

/* ── Refusals ── */

void rules_applied(struct sim *sim, struct sim_account *account)
{
	account->changed_ms = sim->clock.now_ms;
	account->used[account->used_next++ % SIM_OPENED] = sim_hash(account->live);
}

static bool was_used(const struct sim_account *account, const char *secret)
{
	uint64_t hash = sim_hash(secret);

	for (size_t i = 0; i < SIM_OPENED; i++)
		if (account->used[i] == hash)
			return true;
	return false;
}

bool rules_refuse(struct sim *sim, const struct sim_account *account, const char *secret)
{
	bool young = account->changed_ms != 0 &&
		     sim->clock.now_ms - account->changed_ms < account->on->age_ms;

	if (keys_is_line(secret))
		return false;
	if (young)
		sim_seen(sim, "a password too young to be changed");
	else if (account->on->remembers && was_used(account, secret))
		sim_seen(sim, "an old password refused");
	else
		return false;
	return true;
}

/* ── Later ── */

static uint32_t deadline_ms(const struct sim *sim)
{
	return (uint32_t)policy_settings(sim->ground->policy)->change_deadline_ms;
}

void rules_change(struct sim *sim, struct sim_account *account, const char *secret)
{
	bool early = account->on->early && !keys_is_line(secret);
	uint32_t most_ms = deadline_ms(sim) - 1;

	if (early && sim_event(sim, "the change takes effect later", account->name, 200)) {
		world_arrives_later(sim, account, secret, sim_amount(sim, most_ms), false);
	} else if (early &&
		   sim_event(sim, "the change takes effect at a try", account->name, 100)) {
		world_arrives_later(sim, account, secret, most_ms, true);
	} else if (early && sim_event(sim, "a replica lags", account->name, 200)) {
		memcpy(account->lagging, account->live, sizeof(account->lagging));
		world_apply(sim, account, secret);
		account->lags_until_ms = sim->clock.now_ms + 1 + sim_amount(sim, most_ms);
	} else {
		world_apply(sim, account, secret);
	}
}

const char *rules_opened_by(struct sim *sim, const struct sim_account *account)
{
	if (sim->clock.now_ms >= account->lags_until_ms ||
	    sim_choose(sim, "which replica is asked", account->name, 2) == 0)
		return account->live;
	sim_seen(sim, "a replica that lags asked");
	return account->lagging;
}
