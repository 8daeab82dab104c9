/* What others do to assets, disk and clock while the engine is at work. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#define FULL_MS	   (60 * 1000)
#define SILENT_MS  (6 * 60 * 1000)
#define FORWARD_MS (24 * 60 * 60 * 1000)
#define BACK_MS	   (20 * 60 * 1000)

static struct sim_account *any_account(struct sim *sim)
{
	return &sim->accounts[sim_amount(sim, (uint32_t)sim->account_count)];
}

static struct sim_asset *any_asset(struct sim *sim)
{
	return &sim->assets[sim_amount(sim, (uint32_t)sim->asset_count)];
}

/* ── An account ── */

void meddle_by_hand(struct sim *sim, bool privileged)
{
	struct sim_account *account = any_account(sim);

	for (size_t i = 0; account->privileged != privileged && i < sim->account_count; i++)
		account =
		    &sim->accounts[(account - sim->accounts + 1) % (ptrdiff_t)sim->account_count];
	if (account->privileged != privileged)
		return;
	sim_seen(sim, privileged ? "a way in changed by hand" : "an account changed by hand");
	account->dirty = true;
	world_apply(sim, account, "by-hand");
}

/* ── An asset ── */

static void sessions_cut(struct sim *sim, const char *asset)
{
	struct sim_session *session;

	LIST_FOREACH (session, &sim->sessions, entry)
		if (strcmp(session->asset, asset) == 0)
			session->broken = true;
}

/* All of it is as it was then, and what was on its way to it is gone. */
static void meddle_restore_image(struct sim *sim, struct sim_asset *asset)
{
	sim_seen(sim, "an asset restored from an image");
	for (size_t i = 0; i < sim->account_count; i++) {
		struct sim_account *account = &sim->accounts[i];

		if (account->on != asset)
			continue;
		account->dirty = account->keys_dirty = true;
		world_apply(sim, account, account->image);
		account->used_next = account->image_used_next;
		memcpy(account->used, account->image_used, sizeof(account->used));
		keys_restore_image(account);
	}
	world_drop_lates(sim, asset);
	sessions_cut(sim, asset->at->name);
}

static void meddle_asset(struct sim *sim)
{
	if (sim_rarely(sim, "an image taken", "", 500))
		world_take_image(sim, any_asset(sim));
	if (sim_rarely(sim, "an image restored", "", 400))
		meddle_restore_image(sim, any_asset(sim));
	if (sim_event(sim, "an asset falls silent", "", 2))
		any_asset(sim)->silent_ms = sim->clock.now_ms + 1 + sim_amount(sim, SILENT_MS);
	if (sim_rarely(sim, "the host key changed", "", 300))
		any_asset(sim)->host_key++;
	for (size_t i = 0; i < sim->asset_count; i++) {
		struct sim_asset *asset = &sim->assets[i];

		if (asset->host_key > 0 &&
		    sim_event(sim, "the host key changed back", asset->at->name, 10))
			asset->host_key = 0;
	}
}

/* ── The machine ── */

static void meddle_machine(struct sim *sim)
{
	if (sim_event(sim, "the disk full", "", 1))
		disk_fill(sim->ground->disk, sim->clock.now_ms + 1 + sim_amount(sim, FULL_MS));
	if (sim_rarely(sim, "the clock set forward", "", 300))
		when_set_clock(sim, sim_amount(sim, FORWARD_MS));
	if (sim_rarely(sim, "the clock set back", "", 300))
		when_set_clock(sim, -(int64_t)sim_amount(sim, BACK_MS));
}

/* ── What is kept ── */

struct removing {
	struct removal now, next;
};

static enum err remove_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct removing *removing = arg;
	enum err err;

	removing->next = removing->now;
	err = vault_remove_old(txn, &removing->next);
	return err == ERR_OK ? err : error_set(error, err, "old records cannot be taken away");
}

/* As if all that has ended were old: what may be needed stays all the same. */
static void meddle_records(struct sim *sim)
{
	struct removing removing = {.next = {.before_ms = UINT64_MAX}};
	struct error error = {.text = ""};
	enum err err;

	sim_seen(sim, "old records taken away");
	do {
		removing.now = removing.next;
		err = vault_write(sim->vault, remove_apply, &removing, &error);
	} while (err == ERR_OK && !sim->dead && !sim->broke && removing.next.more);
	if (err != ERR_OK && !sim->dead && !sim->broke)
		core_failed(sim, "old records cannot be taken away", &error);
}

void meddle(struct sim *sim)
{
	core_point(sim, "between steps");
	if (sim->dead)
		return;
	if (sim_event(sim, "changed by hand", "", 1))
		meddle_by_hand(sim, false);
	if (sim_rarely(sim, "the way in changed by hand", "", 500))
		meddle_by_hand(sim, true);
	meddle_asset(sim);
	meddle_machine(sim);
	if (sim_rarely(sim, "old records taken away", "", 2000))
		meddle_records(sim);
	if (!check_is_blind(sim))
		people_meddle(sim);
}

/* ── In the end ── */

static enum err agree_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct sim_asset *asset = arg;
	enum err err = host_key_forget(txn, asset->at->name);

	return err == ERR_OK ? ERR_OK : error_set(error, err, "a host key cannot be forgotten");
}

static bool key_is_pinned(struct sim *sim, const struct sim_asset *asset)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct host_key pins[HOST_KEYS_MAX];
	char text[SIM_HOST_KEY];
	size_t count = host_key_list(txn, asset->at->name, pins);

	vault_read_end(txn);
	world_host_key(asset, text);
	return count == 0 ||
	       (pins[0].len == strlen(text) && memcmp(pins[0].blob, text, pins[0].len) == 0);
}

/* What only people can mend: a host key that changed is changed back, or agreed to. */
void meddle_end(struct sim *sim)
{
	struct error error;

	for (size_t i = 0; i < sim->asset_count; i++) {
		struct sim_asset *asset = &sim->assets[i];

		if (sim_choose(sim, "whether a host key is changed back", asset->at->name, 2) == 0)
			asset->host_key = 0;
		if (!key_is_pinned(sim, asset) &&
		    vault_write(sim->vault, agree_apply, asset, &error) != ERR_OK)
			sim_violation(sim, "a host key is not agreed to", "%s", error.text);
	}
}
