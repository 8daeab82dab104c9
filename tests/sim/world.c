/* Assets and their accounts: what is true, whatever the engine believes. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ── Reporting ── */

void sim_violation(struct sim *sim, const char *what, const char *fmt, ...)
{
	va_list args;

	if (sim->violation != NULL || sim->dead)
		return;
	sim->violation = what;
	va_start(args, fmt);
	vsnprintf(sim->detail, sizeof(sim->detail), fmt, args);
	va_end(args);
	sim_trace(sim, "VIOLATION %s: %s", what, sim->detail);
}

void sim_seen(struct sim *sim, const char *what)
{
	cover_add(sim->cover, COVER_SEEN, what, MOMENT_PASSED);
}

void sim_die(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "sim: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(2);
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (!sim->trace)
		return;
	printf("%8llu ms  ", (unsigned long long)sim->clock.now_ms);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

/* ── Accounts ── */

struct sim_asset *world_asset(struct sim *sim, const char *name)
{
	for (size_t i = 0; i < sim->asset_count; i++)
		if (strcmp(sim->assets[i].at->name, name) == 0)
			return &sim->assets[i];
	return NULL;
}

static void account_init(struct sim *sim, struct sim_asset *on, const char *name, const char *line)
{
	struct sim_account *account = &sim->accounts[sim->account_count++];
	const struct asset *asset = on->at;

	snprintf(account->asset, sizeof(account->asset), "%s", asset->name);
	snprintf(account->name, sizeof(account->name), "%s", name);
	account->at = asset;
	account->on = on;
	account->privileged = world_is_privileged(sim, asset->name, name);
	ground_secret(asset->name, name, account->live);
	keys_begin(account, line);
}

/* An asset, and the gateways before it. */
static void world_add(struct sim *sim, const char *name)
{
	const struct policy *policy = sim->ground->policy;
	const struct asset *asset = policy_asset_find(policy, name);
	struct sim_asset *on;
	size_t index = 0;

	if (world_asset(sim, name) != NULL)
		return;
	while (policy_asset(policy, index) != asset)
		index++;
	if (asset->gateway != NULL)
		world_add(sim, asset->gateway);
	on = &sim->assets[sim->asset_count++];
	on->at = asset;
	rules_begin(sim, on);
	for (size_t i = 0; i < asset->account_count; i++)
		if (world_is_privileged(sim, name, asset->accounts[i]) ||
		    sim_choose(sim, "whether it is there", asset->accounts[i], 3) > 0)
			account_init(sim, on, asset->accounts[i], sim->ground->lines[index][i]);
}

void world_init(struct sim *sim, const char *asset)
{
	const struct policy *policy = sim->ground->policy;
	uint32_t assets = (uint32_t)policy_asset_count(policy);
	static const uint32_t counts[] = {1, 1, 1, 1, 1, 2, 2, 3};
	uint32_t count = counts[sim_choose(sim, "how many assets", "", 8)];

	LIST_INIT(&sim->lates);
	if (asset != NULL)
		world_add(sim, asset);
	for (uint32_t i = 0; asset == NULL && i < count; i++)
		world_add(sim, policy_asset(policy, sim_choose(sim, "an asset", "", assets))->name);
	for (size_t i = 0; i < sim->asset_count; i++)
		world_take_image(sim, &sim->assets[i]);
}

static void late_free(struct sim_late *late)
{
	timer_stop(&late->timer);
	LIST_REMOVE(late, entry);
	free(late);
}

void world_drop_lates(struct sim *sim, const struct sim_asset *asset)
{
	struct sim_late *late = LIST_FIRST(&sim->lates);

	while (late != NULL) {
		struct sim_late *next = LIST_NEXT(late, entry);

		if (asset == NULL || late->account->on == asset)
			late_free(late);
		late = next;
	}
}

void world_clear(struct sim *sim)
{
	world_drop_lates(sim, NULL);
}

struct sim_account *world_account(struct sim *sim, const char *asset, const char *name)
{
	for (size_t i = 0; i < sim->account_count; i++)
		if (strcmp(sim->accounts[i].name, name) == 0 &&
		    strcmp(sim->accounts[i].asset, asset) == 0)
			return &sim->accounts[i];
	return NULL;
}

bool world_is_privileged(const struct sim *sim, const char *asset, const char *name)
{
	const struct asset *at = policy_asset_find(sim->ground->policy, asset);

	return strcmp(at->admin, name) == 0 ||
	       (at->become == BECOME_SU && strcmp(name, "root") == 0);
}

void world_host_key(const struct sim_asset *asset, char out[SIM_HOST_KEY])
{
	snprintf(out, SIM_HOST_KEY, "key %u of %s", asset->host_key, asset->at->name);
}

void world_take_image(struct sim *sim, const struct sim_asset *asset)
{
	for (size_t i = 0; i < sim->account_count; i++) {
		struct sim_account *account = &sim->accounts[i];

		if (account->on != asset)
			continue;
		snprintf(account->image, sizeof(account->image), "%s", account->live);
		account->image_used_next = account->used_next;
		memcpy(account->image_used, account->used, sizeof(account->used));
		keys_take_image(account);
	}
}

void world_apply(struct sim *sim, struct sim_account *account, const char *secret)
{
	if (keys_is_line(secret)) {
		sim_trace(sim, "    %s %s has %s too", account->asset, account->name, secret);
		keys_add(account, secret);
		return;
	}
	sim_trace(sim, "    %s %s is now %s", account->asset, account->name, secret);
	if (strcmp(account->live, secret) == 0)
		return;
	snprintf(account->live, sizeof(account->live), "%s", secret);
	rules_applied(sim, account);
	account->kept_as = 0;
	if (strcmp(account->believed, secret) != 0)
		account->believed[0] = '\0';
}

/* A verdict, whatever it was, says that nothing is under way any more. */
static bool late_is_expected(const struct sim_late *late)
{
	struct vault_txn *txn = vault_read(late->sim->vault);
	struct account account;
	bool expected = account_get_in_doubt(
			    txn, late->account->asset, late->account->name, &account) == ERR_OK;

	vault_read_end(txn);
	return expected;
}

static void late_check(const struct sim_late *late)
{
	const struct sim_account *account = late->account;
	struct sim *sim = late->sim;

	if (!keys_is_line(late->secret) && account->believed[0] != '\0' &&
	    strcmp(account->believed, late->secret) != 0)
		sim_violation(sim, "a send arrives after its account was believed settled", "%s %s",
		    account->asset, account->name);
	if (!check_is_blind(sim) && !late_is_expected(late))
		sim_violation(sim, "a send arrives after its account was settled", "%s %s",
		    account->asset, account->name);
}

static void late_arrives(void *arg)
{
	struct sim_late *late = arg;
	struct sim_account *account = late->account;
	struct sim *sim = late->sim;

	sim_seen(sim, "a send arrives late");
	sim_trace(sim, "    LATE for %s %s", account->asset, account->name);
	if (late->lied)
		account->dirty = account->keys_dirty = true;
	else
		late_check(late);
	if (!rules_refuse(sim, account, late->secret))
		world_apply(sim, account, late->secret);
	late_free(late);
}

static struct sim_late *late_start(struct sim *sim, struct sim_account *account, const char *secret,
    void (*fn)(void *arg), uint64_t delay_ms)
{
	struct sim_late *late = calloc(1, sizeof(*late));

	late->sim = sim;
	late->account = account;
	snprintf(late->secret, sizeof(late->secret), "%s", secret);
	late->timer.fn = fn;
	late->timer.arg = late;
	LIST_INSERT_HEAD(&sim->lates, late, entry);
	timer_start(&sim->clock.clock, &late->timer, delay_ms);
	return late;
}

void world_arrives_later(struct sim *sim, struct sim_account *account, const char *secret,
    uint64_t delay_ms, bool at_try)
{
	late_start(sim, account, secret, late_arrives, delay_ms)->at_try = at_try;
}

/* What waited for a login is in effect after it. */
static void lates_tried(struct sim *sim, const struct sim_account *account)
{
	struct sim_late *late;

	LIST_FOREACH (late, &sim->lates, entry)
		if (late->at_try && late->account == account)
			timer_start(&sim->clock.clock, &late->timer, 0);
}

void world_apply_later(struct sim *sim, struct sim_account *account, const char *secret)
{
	uint32_t deadline_ms = (uint32_t)policy_settings(sim->ground->policy)->change_deadline_ms;

	switch (sim_choose(sim, "what becomes of a cut send", account->name, 4)) {
	case 0: /* never */ return;
	case 1:
		if (!rules_refuse(sim, account, secret))
			world_apply(sim, account, secret);
		return;
	case 2: /* a cut line: the asset has what nobody knows, until the same is sent again */
		if (!keys_is_line(secret)) /* of a key it is a line that opens nothing */
			world_apply(sim, account, "cut");
		return;
	default:
		late_start(sim, account, secret, late_arrives,
		    sim_choose(sim, "how late a send arrives", account->name, deadline_ms - 1));
	}
}

static void late_leaves(void *arg)
{
	struct sim_late *late = arg;

	world_apply_later(late->sim, late->account, late->secret);
	late_free(late);
}

void world_apply_after(
    struct sim *sim, struct sim_account *account, const char *secret, uint64_t most_ms)
{
	if (most_ms == 0)
		world_apply_later(sim, account, secret);
	else
		late_start(sim, account, secret, late_leaves,
		    sim_choose(sim, "when an orphan sends", account->name, (uint32_t)most_ms));
}

/* ── Logins ── */

static void world_count_refusal(struct sim *sim, struct sim_account *account)
{
	const struct asset *at = account->at;
	struct refusals *fails = at->lockout_by_source ? &account->on->fails : &account->fails;
	uint64_t now_ms = sim->clock.now_ms;
	size_t kept = 0;

	for (size_t i = 0; i < fails->count; i++)
		if (now_ms - fails->at_ms[i] < at->lockout_window_ms)
			fails->at_ms[kept++] = fails->at_ms[i];
	fails->count = kept;
	if (fails->count < 8)
		fails->at_ms[fails->count++] = now_ms;
	if (fails->count >= at->lockout_limit && !account->lied)
		sim_violation(
		    sim, "locked out by our own logins", "%s %s", account->asset, account->name);
}

bool world_login(struct sim *sim, struct sim_account *account, const char *secret)
{
	bool opens = strcmp(rules_opened_by(sim, account), secret) == 0;

	if (opens) {
		account->fails.count = 0; /* but who counts by source forgets nothing */
		seen_opened(account, secret);
	} else {
		world_count_refusal(sim, account);
	}
	lates_tried(sim, account);
	return opens;
}
