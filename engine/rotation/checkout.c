/*
 * Check-outs that are over: each is rotated by the task that sets the account's secret, and again,
 * with growing pauses, until a rotation was seen to work. What is over is in the vault, so that no
 * engine forgets one.
 */
#include "rotation/checkout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define LOOK_MS	     60000
#define BUSY_MS	     10000 /* something else is at it */
#define PAUSE_MIN_MS 60000
#define PAUSE_MAX_MS 3600000
#define TRIES_MOST   16 /* past which the pause grows no more */

/* ── Left alone ── */

static enum secret_kind kind_set_by(const struct task *task)
{
	return task->source == SOURCE_SSH_KEY ? SECRET_KEY : SECRET_PASSWORD;
}

bool checkout_bars(struct vault_txn *txn, const struct task *task, const char *asset,
    const char *account, struct checkout *checkout)
{
	struct account row;

	return !task->rotate_checked_out && checkout_any(txn) &&
	       account_get(txn, asset, account, kind_set_by(task), &row) == ERR_OK &&
	       account_is_out(txn, &row, NULL, false, checkout);
}

void checkout_tell(struct vault_txn *txn, struct record *record)
{
	struct checkout checkout;
	struct account row;
	char until[32];

	if (account_get(txn, record->asset, record->account, record->kind, &row) == ERR_OK &&
	    account_is_out(txn, &row, NULL, false, &checkout))
		snprintf(record->error_message, sizeof(record->error_message),
		    "%s has it checked out until %s", checkout.who,
		    text_rfc3339(until, checkout_until_ms(txn, &checkout)));
}

/* What there is, as it was when the look began. */
struct waiting {
	struct rotation *rotation;
	struct vault_txn *txn;
	struct checkout *items;
	size_t count, room;
	uint64_t wait_ms;
};

static void wait_at_most(struct waiting *waiting, uint64_t ms)
{
	if (ms < waiting->wait_ms)
		waiting->wait_ms = ms;
}

/* ── Which ── */

static bool note_checkout(void *arg, const struct checkout *checkout)
{
	struct waiting *waiting = arg;
	uint64_t until_ms, now_ms = rotation_wall(waiting->rotation);

	if (checkout_is_out(waiting->txn, checkout)) {
		until_ms = checkout_until_ms(waiting->txn, checkout);
		wait_at_most(waiting, until_ms > now_ms ? until_ms - now_ms : 0);
		return true;
	}
	if (waiting->count == waiting->room) {
		waiting->room = waiting->room * 2 + 16;
		waiting->items = xrealloc(waiting->items, waiting->room * sizeof(*waiting->items));
	}
	waiting->items[waiting->count++] = *checkout;
	return true;
}

static bool waiting_read(struct waiting *waiting)
{
	waiting->txn = vault_read(waiting->rotation->config.vault);
	if (waiting->txn == NULL)
		return false;
	checkout_each(waiting->txn, note_checkout, waiting);
	vault_read_end(waiting->txn);
	return true;
}

/* ── Over ── */

struct ending {
	const struct checkout *checkout;
	bool left;
};

static enum err ending_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct ending *ending = arg;
	const struct checkout *checkout = ending->checkout;
	char detail[WHO_SIZE + 32];
	struct audit_event event = {
	    .what = AUDIT_CHECKIN,
	    .who = {.origin = AUDIT_ENGINE},
	    .asset = checkout->asset,
	    .account = checkout->name,
	    .object = secret_kind_name(checkout->kind),
	    .version = checkout->version,
	    .detail = detail,
	};
	enum err err = checkout_end(txn, checkout, &ending->left);

	if (err != ERR_OK)
		return error_set(error, err, "a check-out cannot be ended");
	snprintf(detail, sizeof(detail), "the time of %s is over", checkout->who);
	return audit_append(txn, &event, error);
}

/* False: nothing of it is left to do. */
static bool checkout_over(struct rotation *rotation, const struct checkout *checkout)
{
	struct ending ending = {.checkout = checkout};
	struct error error;
	enum err err;

	if (checkout->ended_ms != 0)
		return true;
	err = vault_write(rotation->config.vault, ending_apply, &ending, &error);
	if (err != ERR_OK && err != ERR_FULL)
		rotation_break(rotation, &error);
	CRASH_POINT("core.checkout_over");
	return err == ERR_OK && ending.left;
}

/* ── Rotating ── */

struct trying {
	const struct checkout *checkout;
	struct id execution;
	uint64_t again_ms;
};

static enum err trying_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct trying *trying = arg;
	enum err err = checkout_tried(txn, trying->checkout, &trying->execution, trying->again_ms);

	return err == ERR_OK ? err : error_set(error, err, "a check-out cannot be kept");
}

static uint64_t pause_of(const struct checkout *checkout)
{
	uint32_t tries = checkout->tries < TRIES_MOST ? checkout->tries : TRIES_MOST;
	uint64_t pause_ms = (uint64_t)PAUSE_MIN_MS << tries;

	return pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
}

static enum err checkout_run(struct rotation *rotation, const struct checkout *checkout,
    struct id *execution, struct error *error)
{
	struct selected item;
	const struct task *task = policy_task_for(rotation->config.policy.policy, checkout->asset,
	    checkout->name, checkout->kind == SECRET_KEY, true, &item);

	if (task == NULL)
		return error_set(error, ERR_NOT_FOUND, "no active task makes a new secret for it");
	return rotation_run(rotation,
	    &(struct rotation_order){
		.kind = ROTATION_CHANGE,
		.task = task,
		.items = &item,
		.count = 1,
		.trigger = "checkin",
		.audit =
		    &(struct audit_event){
			.who = {.origin = AUDIT_ENGINE},
			.asset = checkout->asset,
			.account = checkout->name,
		    },
	    },
	    execution, error);
}

/* Its end, if it is tried now, takes it out of the vault. */
static void checkout_rotate(struct rotation *rotation, const struct checkout *checkout)
{
	struct trying trying = {.checkout = checkout, .execution = checkout->execution};
	struct error error;
	enum err err = checkout_run(rotation, checkout, &trying.execution, &error);

	if (err == ERR_IO || err == ERR_CORRUPT) {
		rotation_break(rotation, &error);
		return;
	}
	if (err != ERR_OK)
		log_event(LOG_LEVEL_WARN, "checkin_not_rotated", "asset", checkout->asset,
		    "account", checkout->name, "who", checkout->who, "error", error.text, NULL);
	CRASH_POINT("core.checkin_begun");
	trying.again_ms = rotation_wall(rotation) + pause_of(checkout);
	err = vault_write(rotation->config.vault, trying_apply, &trying, &error);
	if (err != ERR_OK && err != ERR_FULL)
		rotation_break(rotation, &error);
}

/* Others have it out still, or a rotation of it is under way or in doubt. */
static bool has_to_wait(struct rotation *rotation, const struct checkout *checkout)
{
	struct site *site = rotation_site(rotation, checkout->asset);
	struct vault_txn *txn = vault_read(rotation->config.vault);
	struct checkout other;
	struct account account;
	bool waits = txn == NULL;

	if (txn != NULL &&
	    account_get(txn, checkout->asset, checkout->name, checkout->kind, &account) == ERR_OK)
		waits =
		    account_is_out(txn, &account, NULL, false, &other) ||
		    account_get_in_doubt(txn, checkout->asset, checkout->name, &account) == ERR_OK;
	vault_read_end(txn);
	return waits || (site != NULL && site_life_of(site, checkout->name) != NULL);
}

static void checkout_look(struct waiting *waiting, const struct checkout *checkout)
{
	struct rotation *rotation = waiting->rotation;
	uint64_t now_ms = rotation_wall(rotation);

	if (!checkout_over(rotation, checkout))
		return;
	if (has_to_wait(rotation, checkout))
		wait_at_most(waiting, BUSY_MS);
	else if (checkout->again_ms > now_ms && checkout->again_ms <= now_ms + PAUSE_MAX_MS)
		wait_at_most(waiting, checkout->again_ms - now_ms);
	else
		checkout_rotate(rotation, checkout);
}

uint64_t checkouts_look(struct rotation *rotation)
{
	struct waiting waiting = {.rotation = rotation, .wait_ms = LOOK_MS};

	if (!waiting_read(&waiting))
		return BUSY_MS;
	for (size_t i = 0; i < waiting.count && !rotation->broken; i++)
		checkout_look(&waiting, &waiting.items[i]);
	free(waiting.items);
	return waiting.wait_ms;
}
