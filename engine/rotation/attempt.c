/*
 * Proof: is this version the account's secret? By a login on a session of its own, by su from the
 * privileged session, or by the hash that the asset keeps, read through that session.
 */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/crash.h"

#define HEAP_PAUSE_MS 100

void attempt_close(struct attempt *attempt)
{
	wire_session_free(attempt->session);
	attempt->session = NULL;
	attempt->open = false;
}

/* ── Secrets for jobs ── */

static void life_look_again(void *arg)
{
	struct life *life = arg;

	life->look_again(life);
}

void life_look_later(
    struct life *life, enum err err, const struct error *error, void (*look_again)(struct life *))
{
	struct rotation *rotation = life->site->rotation;

	if (err != ERR_FULL) {
		rotation_break(rotation, error);
		return;
	}
	life->look_again = look_again;
	life->again.fn = life_look_again;
	life->again.arg = life;
	timer_start(rotation->config.clock, &life->again, HEAP_PAUSE_MS);
}

bool life_secret_pair(struct life *life, uint32_t version, struct secret **secret,
    struct secret **passphrase, void (*look_again)(struct life *))
{
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	struct error error = {.code = ERR_IO};
	enum err err = ERR_IO;

	*secret = NULL;
	if (passphrase != NULL)
		*passphrase = NULL;
	if (txn != NULL)
		err = version_open(txn, &life->account, version, secret, passphrase, &error);
	vault_read_end(txn);
	if (err != ERR_OK)
		life_look_later(life, err, &error, look_again);
	return err == ERR_OK;
}

bool life_secret(
    struct life *life, uint32_t version, struct secret **secret, void (*look_again)(struct life *))
{
	return life_secret_pair(life, version, secret, NULL, look_again);
}

/* ── The session of a login proof ── */

static void attempt_told_methods(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	if (result->fault != FAULT_NONE || result->remembers)
		attempt_close(&life->attempt);
	life->attempt.next(life, result);
}

static void attempt_ask_methods(void *arg, const struct wire_result *result)
{
	struct life *life = arg;
	struct attempt *attempt = &life->attempt;

	attempt->open = result->fault == FAULT_NONE;
	if (!attempt->open) {
		attempt_told_methods(life, result);
		return;
	}
	wire_submit(attempt->session,
	    &(struct wire_job){
		.kind = WIRE_METHODS,
		.timeout_ms = life->site->settings->login_timeout_ms,
		.account = life_account(life),
		.secret_is_key = life_kind(life) == SECRET_KEY,
	    },
	    attempt_told_methods, life);
}

static void attempt_enter(struct life *);

/* Without a visit before it, an attempt may be the first to see the host key. */
static void attempt_pinned(struct life *life)
{
	static const struct wire_result fine = {.fault = FAULT_NONE};

	visit_pinned(life->site->visit);
	life->attempt.connected(life, &fine);
}

static void attempt_opened(void *arg, const struct wire_result *result)
{
	struct life *life = arg;
	struct attempt *attempt = &life->attempt;

	if (result->via_lost && !attempt->reentered) {
		attempt->reentered = true;
		attempt_close(attempt);
		gate_lost(&life->site->visit->pass);
		attempt_enter(life);
		return;
	}
	if (result->fault == FAULT_NONE && visit_see_key(life->site->visit, result)) {
		life->write.pin = true;
		life_write(life, attempt_pinned);
		return;
	}
	attempt->connected(life, result);
}

static void attempt_entered(void *arg, const struct wire_result *blocked)
{
	struct life *life = arg;
	struct rotation *rotation = life->site->rotation;
	const struct settings *settings = life->site->settings;
	struct wire_key pins[HOST_KEYS_MAX];
	struct wire_target target;

	if (blocked != NULL) {
		life->attempt.connected(life, blocked);
		return;
	}
	visit_target(life->site->visit, &target, pins);
	life->attempt.session = wire_session_new(rotation->config.wires, &target);
	wire_submit(life->attempt.session,
	    &(struct wire_job){
		.kind = WIRE_OPEN,
		.timeout_ms = settings->connect_timeout_ms + settings->login_timeout_ms,
	    },
	    attempt_opened, life);
}

static void attempt_enter(struct life *life)
{
	struct visit *visit = life->site->visit;

	gate_enter(&visit->pass, visit->site, attempt_entered, life);
}

static void attempt_connect(struct life *life, wire_done_fn connected)
{
	life->attempt.connected = connected;
	life->attempt.reentered = false;
	attempt_enter(life);
}

void attempt_prepare(struct life *life, void (*next)(struct life *, const struct wire_result *))
{
	life->attempt.next = next;
	attempt_connect(life, attempt_ask_methods);
}

/* ── Counting ── */

#define SLACK_PARTS 10

struct lockout site_lockout(const struct site *site)
{
	const struct asset *asset = site->asset;
	uint64_t window_ms = asset->lockout_window_ms;

	return (struct lockout){
	    .limit = asset->lockout_limit,
	    .window_ms = window_ms + window_ms / SLACK_PARTS,
	    .by_source = asset->lockout_by_source,
	};
}

static bool attempt_is_late(const struct life *life)
{
	uint64_t slack_ms = life->site->asset->lockout_window_ms / SLACK_PARTS;

	return life->booked > 0 &&
	       rotation_now(life->site->rotation) - life->booked_ms > slack_ms / 2;
}

static void attempt_was_booked(struct life *);

/* Given back and booked anew, in one commit. */
static void attempt_book_anew(struct life *life)
{
	life->booked--;
	life->returns++;
	life->write.book = true;
	life_write(life, attempt_was_booked);
}

/* ── Trying ── */

static void attempt_make(struct life *);
static void attempt_login(struct life *);

/* An attempt that was not counted by the asset is given back; one that was stays booked. */
static void attempt_account_for(struct life *life, const struct wire_result *result)
{
	if (life->booked == 0)
		return;
	life->booked--;
	if (result->verdict == VERDICT_MATCH || result->failed_attempts == 0)
		life->returns++;
}

static void attempt_answered(void *arg, const struct wire_result *result)
{
	struct life *life = arg;
	struct attempt *attempt = &life->attempt;
	bool untouched = result->verdict == VERDICT_UNKNOWN && result->failed_attempts == 0 &&
			 (result->fault == FAULT_LOST || result->fault == FAULT_WIRE);

	CRASH_POINT("core.attempt_answered");
	attempt_close(attempt);
	if (untouched && !attempt->second) { /* the connection had idled too long: once more */
		attempt->second = true;
		attempt_login(life);
		return;
	}
	attempt_account_for(life, result);
	attempt->next(life, result);
}

static void attempt_connected(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	life->attempt.open = result->fault == FAULT_NONE;
	if (life->attempt.open)
		attempt_make(life);
	else
		attempt_answered(life, result);
}

static void attempt_make(struct life *life)
{
	struct secret *secret, *passphrase;

	if (attempt_is_late(life)) {
		attempt_book_anew(life);
		return;
	}
	if (!life_secret_pair(life, life->attempt.version, &secret, &passphrase, attempt_make))
		return;
	CRASH_POINT("core.attempt_login");
	wire_submit(life->attempt.session,
	    &(struct wire_job){
		.kind = WIRE_PROVE,
		.timeout_ms = life->site->settings->login_timeout_ms,
		.account = life_account(life),
		.secret = secret,
		.secret_is_key = life_kind(life) == SECRET_KEY,
		.passphrase = passphrase,
	    },
	    attempt_answered, life);
	secret_free(secret);
	secret_free(passphrase);
}

static void attempt_login(struct life *life)
{
	if (life->attempt.open)
		attempt_make(life);
	else
		attempt_connect(life, attempt_connected);
}

/* ── Through the privileged session ── */

static void attempt_became(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.attempt_answered");
	if (result->verdict == VERDICT_UNKNOWN && result->fault != FAULT_NONE)
		life->site->visit->over = true;
	attempt_account_for(life, result);
	life->attempt.next(life, result);
}

static void attempt_su(struct life *life)
{
	struct secret *secret;

	if (attempt_is_late(life)) {
		attempt_book_anew(life);
		return;
	}
	if (!life_secret(life, life->attempt.version, &secret, attempt_su))
		return;
	CRASH_POINT("core.attempt_su");
	wire_submit(life->site->visit->session,
	    &(struct wire_job){
		.kind = WIRE_SU,
		.timeout_ms = life->site->settings->login_timeout_ms,
		.account = life_account(life),
		.secret = secret,
	    },
	    attempt_became, life);
	secret_free(secret);
}

static void attempt_hashed(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.attempt_answered");
	if (result->fault != FAULT_NONE)
		life->site->visit->over = true;
	life->attempt.next(life, result);
}

static void attempt_hash(struct life *life)
{
	struct secret *secret;

	if (!life_secret(life, life->attempt.version, &secret, attempt_hash))
		return;
	wire_submit(life->site->visit->session,
	    &(struct wire_job){
		.kind = WIRE_HASH,
		.timeout_ms = life->site->settings->login_timeout_ms,
		.snapshot = life->site->snapshot,
		.platform = life->site->asset->platform,
		.account = life_account(life),
		.secret = secret,
	    },
	    attempt_hashed, life);
	secret_free(secret);
}

/* ── By the method in use ── */

static void attempt_booked(struct life *life)
{
	if (life_method(life) == WIRE_PROOF_SU)
		attempt_su(life);
	else
		attempt_login(life);
}

static void attempt_was_booked(struct life *life)
{
	if (life->budget_out)
		life_no_budget(life);
	else
		attempt_booked(life);
}

void attempt_try(
    struct life *life, uint32_t version, void (*next)(struct life *, const struct wire_result *))
{
	life->attempt.version = version;
	life->attempt.second = false;
	life->attempt.next = next;
	if (life_method(life) == WIRE_PROOF_HASH) {
		attempt_hash(life);
	} else if (life->booked > 0) {
		attempt_booked(life);
	} else {
		life->write.book = true;
		life_write(life, attempt_was_booked);
	}
}
