/*
 * The vault is copied while the engine is at work, as `vault backup` does, and the copy is put back
 * later. What was made since is lost with it: of that nothing is promised but that the engine
 * notices it, and takes nothing that it cannot know for true.
 */
#include "sim.h"

#include <string.h>

#include "base/file.h"
#include "vault/copy.h"
#include "vault/generation.h"

#define LOCKOUT_PAUSE_MS                                                                           \
	(20 * 60 * 1000) /* so long it takes: attempts of then are forgotten too                   \
			  */

/* The file beside the vault is written at once: by a core that is dead, it is not. */
enum err __real_file_write(
    const char *path, const void *bytes, size_t len, mode_t mode, int replace, struct error *error);
enum err __wrap_file_write(
    const char *path, const void *bytes, size_t len, mode_t mode, int replace, struct error *error);

enum err __wrap_file_write(
    const char *path, const void *bytes, size_t len, mode_t mode, int replace, struct error *error)
{
	if (sim_running != NULL && sim_running->dead)
		return ERR_OK;
	return __real_file_write(path, bytes, len, mode, replace, error);
}

/* ── Making one ── */

static void copies_make(struct sim *sim)
{
	struct copies *copies = &sim->copies;
	struct error error = {.text = ""};
	enum err err;

	copies->there = false; /* it has no name until the vault is newer than it */
	disk_copy(sim->ground->disk);
	copies->used = true;
	err = sim_bug == BUG_COPY_UNNOTICED ? ERR_OK : vault_outdate_copies(sim->vault, &error);
	if (err != ERR_OK)
		core_failed(sim, "a copy cannot be told of", &error);
	if (err != ERR_OK || sim->dead || sim->broke)
		return;
	copies->there = true;
	copies->named = sim->masters.named;
	sim_seen(sim, "a copy made");
}

void copies_meddle(struct sim *sim)
{
	if (sim_rarely(sim, "the vault copied", "", 2000))
		copies_make(sim);
}

/* ── Putting it back ── */

void copies_put_back(struct sim *sim)
{
	if (!sim->copies.there || !sim_event(sim, "a copy put back", "", 400))
		return;
	sim->copies.putting = true;
	core_kill(sim, "a copy is put back");
	core_settle(sim);
}

void copies_arrive(struct sim *sim)
{
	struct copies *copies = &sim->copies;

	if (!copies->putting)
		return;
	copies->putting = false;
	copies->put = true;
	sim_seen(sim, "a copy put back");
	sim_clock_run_until(&sim->clock, sim->clock.now_ms + LOCKOUT_PAUSE_MS);
	disk_put_back(sim->ground->disk);
	sim->masters.named = sim->masters.made = copies->named;
}

/* What the vault was told since is lost; what it says of it need not be so. */
static void account_lost(struct sim *sim, struct vault_txn *txn, struct sim_account *at)
{
	struct account account;
	bool kept = check_is_kept(txn, at);

	at->kept_as = 0;
	at->dirty = at->dirty || !kept;
	at->mistold = at->mistold || !check_opens_with_current(txn, at);
	keys_lose(txn, at);
	if (account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
	    account.current != 0 && !check_opens_with_current(txn, at) &&
	    !account_is_stale(txn, &account))
		sim_violation(sim, "a copy put back is trusted", "%s %s", at->asset, at->name);
}

void copies_look(struct sim *sim)
{
	struct vault_txn *txn;

	if (!sim->copies.put)
		return;
	sim->copies.put = false;
	sim->failed_count = 0; /* what failed since may be in doubt again */
	sim->lending = (struct lending){.next = 0};
	txn = vault_read(sim->vault);
	for (size_t i = 0; i < sim->account_count; i++)
		account_lost(sim, txn, &sim->accounts[i]);
	vault_read_end(txn);
}

void copies_settled(struct sim *sim)
{
	struct error error = {.text = ""};

	if (vault_restore_settled(sim->vault, &error) != ERR_OK)
		core_failed(sim, "what was put back is not settled", &error);
	core_settle(sim);
}

void copies_end(struct sim *sim)
{
	struct error error = {.text = ""};

	if (sim->copies.used && generation_write(sim->ground->dir, 0, &error) != ERR_OK)
		sim_die("%s", error.text);
}
