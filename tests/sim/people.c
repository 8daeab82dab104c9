/* People: who orders runs, also while another is at work, and who tells the vault a secret. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ── Orders ── */

/* By the policy in use, whichever the task is of; NULL = it is none of its tasks. */
static const struct selection *task_selection(const struct load *load, const struct task *task)
{
	for (size_t i = 0; i < policy_task_count(load->policy); i++)
		if (strcmp(policy_task(load->policy, i)->name, task->name) == 0)
			return &load->selections[i];
	return NULL;
}

size_t people_meant(struct sim *sim, const struct task *task, struct selected *items)
{
	const struct selection *all = task_selection(reload_now(sim), task);
	size_t count = 0;

	for (size_t i = 0; all != NULL && i < all->count; i++)
		if (world_account(sim, all->items[i].asset->name, all->items[i].account) != NULL)
			items[count++] = all->items[i];
	return count;
}

static void people_order(struct sim *sim, const struct rotation_order *order)
{
	static const char *const words[] = {"RUN", "REHEARSE", "VERIFY"};
	struct error error = {.text = ""};
	struct id id;

	sim_trace(sim, "%s %s %s", words[order->kind], order->task->name,
	    order->restore != 0 ? order->items[0].account : "");
	if (order->count > 0 && rotation_run(sim->rotation, order, &id, &error) != ERR_OK)
		core_failed(sim, "a run cannot be ordered", &error);
	core_settle(sim);
}

void people_order_task(struct sim *sim, const char *name, enum rotation_kind kind)
{
	const struct task *task = policy_task_find(reload_now(sim)->policy, name);
	struct selected items[SIM_ACCOUNTS];
	struct rotation_order order = {
	    .kind = kind, .task = task, .items = items, .trigger = "manual"};

	order.count = people_meant(sim, task, items);
	people_order(sim, &order);
}

/* The previous version of an account is set again. */
static void people_restore(struct sim *sim)
{
	enum secret_kind kind = sim_amount(sim, 4) == 0 ? SECRET_KEY : SECRET_PASSWORD;
	const struct sim_account *at =
	    &sim->accounts[sim_amount(sim, (uint32_t)sim->account_count)];
	const struct policy *policy = reload_now(sim)->policy;
	struct selected item = {.asset = policy_asset_find(policy, at->asset), .account = at->name};
	struct rotation_order order = {
	    .kind = ROTATION_CHANGE, .items = &item, .count = 1, .trigger = "restore"};
	struct vault_txn *txn = vault_read(sim->vault);
	struct account account = {.previous = 0};

	if (account_get(txn, at->asset, at->name, kind, &account) == ERR_OK)
		order.restore = account.previous;
	vault_read_end(txn);
	if (order.restore == 0 || item.asset == NULL || !asset_has_account(item.asset, at->name))
		return;
	order.task = policy_task_find(policy, kind == SECRET_KEY ? "keys" : "login");
	sim_seen(sim, "an earlier version ordered");
	people_order(sim, &order);
}

/* Someone else, or a schedule, asks for the same accounts. */
static void people_order_beside(struct sim *sim)
{
	static const char *const tasks[] = {"login", "ordered", "keys", "entries", "careful"};
	const char *task = tasks[sim_amount(sim, 5)];

	sim->looks = false; /* alone */
	switch (sim_amount(sim, 5)) {
	case 0: people_order_task(sim, task, ROTATION_REHEARSE); break;
	case 1: people_order_task(sim, task, ROTATION_VERIFY); break;
	case 2: people_restore(sim); break;
	default: people_order_task(sim, task, ROTATION_CHANGE); break;
	}
}

/* ── Policies ── */

/* What a schedule means, of the accounts that are there. */
enum err __real_policy_select(
    const struct policy *, const struct task *, struct selection *, struct error *);
enum err __wrap_policy_select(
    const struct policy *, const struct task *, struct selection *, struct error *);

enum err __wrap_policy_select(const struct policy *policy, const struct task *task,
    struct selection *selection, struct error *error)
{
	if (sim_running == NULL)
		return __real_policy_select(policy, task, selection, error);
	*selection = (struct selection){.items = calloc(SIM_ACCOUNTS, sizeof(struct selected))};
	selection->count = people_meant(sim_running, task, selection->items);
	return ERR_OK;
}

/* As a daemon does from time to time. */
static void people_settle(struct sim *sim)
{
	struct error error = {.text = ""};

	sim->looks = false; /* alone */
	if (rotation_settle(sim->rotation, &error) != ERR_OK)
		core_failed(sim, "doubts cannot have their turn", &error);
}

/* ── Looking ── */

static void people_told(void *arg, const struct look_result *result)
{
	struct sim *sim = arg;

	sim->looking--;
	if (sim->dead)
		return;
	sim_trace(sim, "LOOKED at %s: %s %s", result->asset->name, fault_name(result->wire.fault),
	    result->reason != NULL ? result->reason : "");
	sim_seen(sim, result->reason != NULL ? "a ping not tried" : "a ping answered");
}

static void people_ping(struct sim *sim)
{
	const struct sim_asset *asset = &sim->assets[sim_amount(sim, (uint32_t)sim->asset_count)];
	enum look what = sim_amount(sim, 3) == 0 ? LOOK_KEY : LOOK_PING;

	/* By the policy of when it was asked for, which need not be the newest. */
	sim->looking++;
	rotation_look(sim->rotation, asset->at, what, people_told, sim);
}

/* ── Stopping ── */

static bool take_first(void *arg, const struct execution *execution)
{
	*(struct id *)arg = execution->id;
	return false;
}

static void people_cancel(struct sim *sim)
{
	struct vault_txn *txn = vault_read(sim->vault);
	struct id id = {{0}};
	struct error error;

	execution_each_open(txn, take_first, &id);
	vault_read_end(txn);
	if (rotation_cancel(sim->rotation, &id, &error) != ERR_OK)
		return;
	sim_seen(sim, "a run cancelled");
	stops_cancel(sim, &id);
}

/* The engine is asked to end: it does when it has nothing in flight. */
static void people_drain(struct sim *sim)
{
	sim->drained = true;
	stops_drain(sim);
	rotation_drain(sim->rotation);
}

/* ── Telling ── */

struct telling {
	const struct sim_account *at;
	const char *text;
	bool doubt; /* its password was in doubt when it was told */
};

static enum err telling_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct telling *telling = arg;
	const struct sim_account *at = telling->at;
	struct secret *secret = secret_from(telling->text, strlen(telling->text));
	struct account account;
	enum err err =
	    account_tell(txn, at->asset, at->name, SECRET_PASSWORD, secret, NULL, &account, error);
	telling->doubt =
	    account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
	    account.pending != 0;
	secret_free(secret);
	return err;
}

void people_mend(struct sim *sim, struct sim_account *account)
{
	struct telling telling = {.at = account, .text = account->live};
	struct error error = {.text = ""};
	char secret[SIM_SECRET_SIZE];

	snprintf(secret, sizeof(secret), "told-%llu", (unsigned long long)++sim->told);
	sim_seen(sim, "someone has to tell");
	world_apply(sim, account, secret);
	account->fails.count = 0;
	account->mistold = false;
	if (vault_write(sim->vault, telling_apply, &telling, &error) != ERR_OK)
		sim_violation(sim, "what someone tells is not taken", "%s", error.text);
}

/* Of an account that may be at work: refused where, and only where, its password is in doubt. What
 * is told may be wrong. */
static void people_tell(struct sim *sim)
{
	struct sim_account *at = &sim->accounts[sim_amount(sim, (uint32_t)sim->account_count)];
	bool right = sim_amount(sim, 2) == 0;
	struct telling telling = {.at = at, .text = right ? at->live : "told-wrong"};
	struct error error = {.text = ""};
	enum err err = vault_write(sim->vault, telling_apply, &telling, &error);

	if (err == ERR_OK && !sim->dead)
		at->mistold = !right;
	else if (sim->dead) /* it may be kept, or may not */
		at->mistold = at->mistold || !right;
	if (sim->dead || sim->broke)
		return;
	sim_trace(sim, "  told %s %s %s: %s", at->asset, at->name, telling.text,
	    err == ERR_OK ? "taken" : error.text);
	if (err != ERR_OK && err != ERR_BUSY)
		core_failed(sim, "a secret cannot be told", &error);
	else if ((err == ERR_BUSY) != telling.doubt)
		sim_violation(
		    sim, "told beside a doubt, or not told for none", "%s %s", at->asset, at->name);
	else
		sim_seen(sim, err == ERR_OK ? "a secret told meanwhile" : "not told, for a doubt");
}

/* ── Meanwhile ── */

void people_meddle(struct sim *sim)
{
	if (!sim->drained && sim_event(sim, "someone else orders", "", 1))
		people_order_beside(sim);
	else if (sim_event(sim, "someone pings", "", 1))
		people_ping(sim);
	else if (sim_rarely(sim, "someone cancels", "", 500))
		people_cancel(sim);
	else if (!sim->drained && sim_rarely(sim, "the engine asked to end", "", 500))
		people_drain(sim);
	else if (sim_event(sim, "someone tells", "", 1))
		people_tell(sim);
	else if (sim_event(sim, "doubts have another turn", "", 1))
		people_settle(sim);
	else if (!sim->drained && sim_event(sim, "the policy loaded anew", "", 2))
		reload_meddle(sim);
	else if (sim->scheduler != NULL && sim_event(sim, "someone pauses", "", 3))
		when_pause(sim);
	if (!check_is_blind(sim) && sim->violation == NULL)
		masters_meddle(sim);
	if (!check_is_blind(sim) && sim->violation == NULL)
		copies_meddle(sim);
	if (!check_is_blind(sim) && sim->violation == NULL)
		lending_meddle(sim);
}
