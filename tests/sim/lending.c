/*
 * Someone checks a secret out, and knows it until they give it back or its time is over: until then
 * nothing new is staged for the account, whoever asks.
 */
#include "sim.h"

#include <string.h>

#include "vault/checkout.h"
#include "vault/seen.h"

#define LENT_LONGEST_MS (10 * 60 * 1000)
#define WHO		"someone"

static bool is_out(const struct sim *sim, const struct lent *lent)
{
	return lent->at != NULL && sim->clock.now_ms < lent->mono_ms &&
	       sim_wall_ms(sim) < lent->wall_ms;
}

/* ── Out ── */

struct lending_out {
	const struct sim_account *at;
	enum secret_kind kind;
	uint64_t length_ms;
};

static enum err out_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct lending_out *out = arg;
	struct checkout there;
	struct account account;
	enum err err = account_get(txn, out->at->asset, out->at->name, out->kind, &account);

	if (err == ERR_OK)
		err = checkout_begin(txn, &account, WHO, "", out->length_ms, &there, error);
	return err == ERR_OK ? seen_put(txn, &account.id, account.current, WHO) : err;
}

static void lending_take(struct sim *sim)
{
	struct lending_out out = {
	    .at = &sim->accounts[sim_amount(sim, (uint32_t)sim->account_count)],
	    .kind = sim_amount(sim, 4) == 0 ? SECRET_KEY : SECRET_PASSWORD,
	    .length_ms = 1 + sim_amount(sim, LENT_LONGEST_MS),
	};
	struct error error = {.text = ""};
	/* As the vault counts it: not from when the disk has it. */
	uint64_t mono_ms = sim->clock.now_ms, wall_ms = sim_wall_ms(sim);
	enum err err = vault_write(sim->vault, out_apply, &out, &error);

	if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_REFUSED && err != ERR_EXISTS)
		core_failed(sim, "a secret cannot be checked out", &error);
	if (err != ERR_OK || sim->dead || sim->broke)
		return;
	sim_seen(sim, "checked out");
	sim_trace(sim, "  checked out: %s %s", out.at->asset, out.at->name);
	sim->lending.list[sim->lending.next++ % LENT_MAX] = (struct lent){
	    .at = out.at,
	    .kind = out.kind,
	    .mono_ms = mono_ms + out.length_ms,
	    .wall_ms = wall_ms + out.length_ms,
	};
}

/* ── Back ── */

static enum err back_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct lent *lent = arg;
	struct checkout checkout;
	struct account account;
	bool left;
	enum err err = account_get(txn, lent->at->asset, lent->at->name, lent->kind, &account);

	(void)error;
	if (err == ERR_OK)
		err = checkout_get(txn, &account, WHO, &checkout);
	return err == ERR_OK ? checkout_end(txn, &checkout, &left) : err;
}

static void lending_give(struct sim *sim, struct lent *lent)
{
	struct error error = {.text = ""};
	enum err err = vault_write(sim->vault, back_apply, lent, &error);

	lent->at = NULL; /* whether it was kept or not: nothing is promised of it any more */
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		core_failed(sim, "a secret cannot be given back", &error);
	else if (!sim->dead)
		sim_seen(sim, "given back");
}

void lending_meddle(struct sim *sim)
{
	struct lent *lent = &sim->lending.list[0];

	for (size_t i = 1; !is_out(sim, lent) && i < LENT_MAX; i++)
		lent = &sim->lending.list[i];
	if (sim_event(sim, "someone checks out", "", 2))
		lending_take(sim);
	else if (is_out(sim, lent) && sim_event(sim, "someone gives back", "", 10))
		lending_give(sim, lent);
}

/* ── What must hold ── */

bool __real_checkout_bars(struct vault_txn *, const struct task *, const char *asset,
    const char *account, struct checkout *);
bool __wrap_checkout_bars(struct vault_txn *, const struct task *, const char *asset,
    const char *account, struct checkout *);

/* What someone has out is left alone: here it is not. */
bool __wrap_checkout_bars(struct vault_txn *txn, const struct task *task, const char *asset,
    const char *account, struct checkout *checkout)
{
	return __real_checkout_bars(txn, task, asset, account, checkout) &&
	       sim_bug != BUG_CHECKED_OUT;
}

void lending_staged(struct sim *sim, const struct record *record)
{
	for (size_t i = 0; i < LENT_MAX; i++) {
		const struct lent *lent = &sim->lending.list[i];

		if (is_out(sim, lent) && lent->kind == record->kind &&
		    strcmp(lent->at->asset, record->asset) == 0 &&
		    strcmp(lent->at->name, record->account) == 0)
			sim_violation(sim, "changed while someone has it out", "%s %s",
			    record->asset, record->account);
	}
}
