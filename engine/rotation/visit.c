/*
 * A visit: one stay at an asset. Its lives go one after the other; the privileged session is opened
 * when the first of them needs it, and shared.
 */
#include "rotation/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"

#define HEAP_PAUSE_MS 100

/* ── Its life ── */

struct visit *visit_new(struct site *site)
{
	struct visit *visit = xcalloc(1, sizeof(*visit));
	struct vault_txn *txn = vault_read(site->rotation->config.vault);
	struct host_key keys[HOST_KEYS_MAX];

	visit->site = site;
	if (txn != NULL)
		visit->key_count = host_key_list(txn, site->asset->name, keys);
	vault_read_end(txn);
	if (visit->key_count > 0) {
		visit->keys = xcalloc(visit->key_count, sizeof(*keys));
		memcpy(visit->keys, keys, visit->key_count * sizeof(*keys));
	}
	return visit;
}

void visit_free(struct visit *visit)
{
	if (visit == NULL)
		return;
	timer_stop(&visit->next);
	timer_stop(&visit->again);
	keep_clear(&visit->keep);
	wire_session_free(visit->session);
	gate_leave(&visit->pass);
	free(visit->keys);
	free(visit->first_seen);
	free(visit);
}

void visit_target(const struct visit *visit, struct wire_target *target, struct wire_key *pins)
{
	const struct asset *asset = visit->site->asset;

	/* Never past a gateway: the same address elsewhere is another machine. */
	assert(asset->gateway == NULL || gate_session(&visit->pass) != NULL);
	for (size_t i = 0; i < visit->key_count; i++) {
		snprintf(pins[i].type, sizeof(pins[i].type), "%s", visit->keys[i].type);
		memcpy(pins[i].blob, visit->keys[i].blob, visit->keys[i].len);
		pins[i].len = visit->keys[i].len;
	}
	*target = (struct wire_target){
	    .asset = asset->name,
	    .address = visit->address[0] != '\0' ? visit->address : asset->address,
	    .port = asset->port,
	    .pins = pins,
	    .pin_count = visit->key_count,
	    .known_only = visit->site->settings->host_keys == HOST_KEYS_KNOWN,
	    .urgent = visit->session != NULL || visit->carries,
	    .via = gate_session(&visit->pass),
	};
}

/* ── The end ── */

static enum err visit_return_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct visit *visit = arg;
	const struct asset *asset = visit->site->asset;
	struct lockout lockout = site_lockout(visit->site);
	enum err err = ERR_OK;

	if (visit->booked > 0)
		err = probe_return(txn, asset->name, asset->admin, &lockout, visit->booked);
	if (err == ERR_OK && visit->booked_root > 0)
		err = probe_return(txn, asset->name, "root", &lockout, visit->booked_root);
	return err == ERR_OK ? ERR_OK : error_set(error, err, "an attempt cannot be given back");
}

static void visit_end(struct visit *visit)
{
	struct site *site = visit->site;
	struct rotation *rotation = site->rotation;

	visit_free(visit);
	site->visit = NULL;
	rotation->visits--;
	turns_leave(site);
	gate_release(site);
	gate_wake(site);
	site_wake(site);
	dispatch_soon(rotation);
}

static void visit_next(void *arg)
{
	struct visit *visit = arg;
	struct life *life = visit->over ? NULL : site_next(visit->site);

	if (life == NULL || life->ready_ms > rotation_now(visit->site->rotation) ||
	    !turns_moves(visit->site, life)) {
		visit_end(visit);
		return;
	}
	visit->life = life;
	life->working = true;
	gate_make_way(life);
	life_begin(life);
}

void visit_go_on(struct visit *visit)
{
	visit->life = NULL;
	visit->next.fn = visit_next;
	visit->next.arg = visit;
	timer_start(visit->site->rotation->config.clock, &visit->next, 0);
}

void visit_start(struct site *site)
{
	site->visit = visit_new(site);
	visit_go_on(site->visit);
}

/* ── Opening the privileged session ── */

static void visit_opened(struct visit *visit)
{
	visit->opening = false;
	gate_wake(visit->site);
	visit->ready(visit->arg);
}

static void visit_fail(struct visit *visit, const struct wire_result *result)
{
	visit->open = false;
	visit->failed = true;
	visit->result = *result;
	wire_session_free(visit->session);
	visit->session = NULL;
	visit_opened(visit);
}

static void visit_not_tried(struct visit *visit, const char *reason, const char *text)
{
	struct wire_result none = {.fault = FAULT_NONE};

	snprintf(none.text, sizeof(none.text), "%s", text);
	visit->reason = reason;
	visit_fail(visit, &none);
}

/* The privileged login was seen to work: its attempt is given back, and what opened it is proven;
 * but what is pending is proven by its own settling. */
static void visit_returned(void *arg, enum err result, const struct error *error)
{
	struct visit *visit = arg;

	if (result != ERR_OK) {
		rotation_break(visit->site->rotation, error);
		return;
	}
	visit->booked = visit->booked_root = 0;
	if (visit->open)
		visit_opened(visit);
	else
		visit_fail(visit, &visit->result);
}

static enum err visit_proven_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct visit *visit = arg;
	const struct asset *asset = visit->site->asset;
	enum err err = visit_return_apply(txn, visit, error);

	if (err == ERR_OK && visit->open && !visit->by_pending)
		err = account_prove(txn, asset->name, asset->admin, visit->admin.kind,
		    visit->admin.current, PROOF_LOGIN, error);
	return err;
}

/* su is asked after the login worked; where it did not say no, which of the two failed is open. */
static void visit_keep_failed(struct visit *visit, const struct wire_result *result)
{
	uint32_t failed = visit->open ? 0 : result->failed_attempts;
	bool by_login = result->fault == FAULT_AUTH;
	bool by_su = visit->site->asset->become == BECOME_SU &&
		     (result->fault == FAULT_BECOME_PASSWORD ||
			 result->fault == FAULT_BECOME_DENIED || result->fault == FAULT_EXPIRED);

	if (!by_su)
		visit->booked -= failed < visit->booked ? failed : visit->booked;
	if (!by_login)
		visit->booked_root -= failed < visit->booked_root ? failed : visit->booked_root;
}

static void visit_note_refusal(struct visit *visit);

static void visit_logged_in(void *arg, const struct wire_result *result)
{
	struct visit *visit = arg;

	CRASH_POINT("core.admin_answered");
	visit->result = *result;
	if (result->fault == FAULT_AUTH)
		visit_note_refusal(visit);
	visit->open = result->fault == FAULT_NONE;
	visit->targeted = result->targeted;
	visit_keep_failed(visit, result);
	if (visit->open || visit->booked > 0 || visit->booked_root > 0)
		keep_write(
		    &visit->keep, visit->site->rotation, visit_proven_apply, visit_returned, visit);
	else
		visit_fail(visit, result);
}

/* What the privileged account logs in and elevates with. */
struct visit_secrets {
	struct secret *login, *passphrase, *password;
};

static void visit_secrets_clear(struct visit_secrets *secrets)
{
	secret_free(secrets->login);
	secret_free(secrets->passphrase);
	secret_free(secrets->password);
}

static uint32_t visit_version(const struct visit *visit, const struct account *account)
{
	return visit->by_pending && account->pending != 0 ? account->pending : account->current;
}

static enum err visit_secrets_open(
    struct visit *visit, struct visit_secrets *secrets, struct error *error)
{
	struct vault_txn *txn = vault_read(visit->site->rotation->config.vault);
	uint32_t elevates = visit_version(visit, &visit->password);
	enum err err;

	if (txn == NULL)
		return error_set(error, ERR_IO, "a secret cannot be read");
	err = version_open(txn, &visit->admin, visit_version(visit, &visit->admin), &secrets->login,
	    &secrets->passphrase, error);
	if (err == ERR_OK && elevates != 0)
		err =
		    version_open(txn, &visit->password, elevates, &secrets->password, NULL, error);
	vault_read_end(txn);
	return err;
}

static void visit_note_refusal(struct visit *visit)
{
	struct visit_secrets secrets = {.login = NULL};
	struct error error;

	if (visit_secrets_open(visit, &secrets, &error) == ERR_OK)
		refusal_note(visit->site, visit->site->asset->admin, secrets.login);
	visit_secrets_clear(&secrets);
}

static enum wire_become visit_become(const struct asset *asset)
{
	switch (asset->become) {
	case BECOME_NONE: break;
	case BECOME_SUDO: return WIRE_BECOME_SUDO;
	case BECOME_SU: return WIRE_BECOME_SU;
	case BECOME_DOAS: return WIRE_BECOME_DOAS;
	}
	return WIRE_BECOME_NONE;
}

static void visit_login(void *arg)
{
	struct visit *visit = arg;
	struct rotation *rotation = visit->site->rotation;
	const struct asset *asset = visit->site->asset;
	struct visit_secrets secrets = {.login = NULL};
	struct error error;
	enum err err = visit_secrets_open(visit, &secrets, &error);

	if (err != ERR_OK) {
		visit_secrets_clear(&secrets);
		if (err != ERR_FULL) {
			rotation_break(rotation, &error);
			return;
		}
		visit->again.fn = visit_login;
		visit->again.arg = visit;
		timer_start(rotation->config.clock, &visit->again, HEAP_PAUSE_MS);
		return;
	}
	CRASH_POINT("core.admin_login");
	wire_submit(visit->session,
	    &(struct wire_job){
		.kind = visit->carries ? WIRE_LOGIN : WIRE_ADMIN,
		.timeout_ms = visit->site->settings->login_timeout_ms,
		.account = asset->admin,
		.secret = secrets.login,
		.secret_is_key = visit->admin.kind == SECRET_KEY,
		.passphrase = secrets.passphrase,
		.become = visit_become(asset),
		.become_secret = secrets.password,
	    },
	    visit_logged_in, visit);
	visit_secrets_clear(&secrets);
}

bool visit_admin(struct vault_txn *txn, const struct asset *asset, struct account *account)
{
	static const enum secret_kind order[] = {SECRET_KEY, SECRET_PASSWORD};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (account_get(txn, asset->name, asset->admin, order[i], account) == ERR_OK &&
		    account->current != 0)
			return true;
	}
	return false;
}

/* The password that it elevates with. */
static void visit_password(
    struct vault_txn *txn, const struct asset *asset, struct account *password)
{
	const char *name = asset->become == BECOME_SU ? "root" : asset->admin;

	if (account_get(txn, asset->name, name, SECRET_PASSWORD, password) != ERR_OK)
		*password = (struct account){.current = 0};
}

const char *visit_lack(struct vault_txn *txn, const struct asset *asset)
{
	struct account account;

	if (asset->admin == NULL)
		return "the asset has no admin";
	if (!visit_admin(txn, asset, &account))
		return "the vault has no secret of the asset's admin";
	visit_password(txn, asset, &account);
	if (asset->become == BECOME_SU && account.current == 0)
		return "become = \"su\" needs the password of root on the asset, "
		       "and the vault has none";
	return NULL;
}

static bool visit_find_admin(struct visit *visit, struct vault_txn *txn)
{
	const struct asset *asset = visit->site->asset;

	if (visit_lack(txn, asset) != NULL)
		return false;
	visit_password(txn, asset, &visit->password);
	return visit_admin(txn, asset, &visit->admin);
}

bool visit_see_key(struct visit *visit, const struct wire_result *result)
{
	struct host_key *key;

	free(visit->first_seen);
	visit->first_seen = NULL;
	if (!result->host_key_new || visit->key_count >= HOST_KEYS_MAX)
		return false;
	visit->first_seen = key = xcalloc(1, sizeof(*key));
	*key = (struct host_key){
	    .seen_ms = rotation_wall(visit->site->rotation),
	    .how = "first_use",
	    .len = result->host_key.len,
	};
	snprintf(key->type, sizeof(key->type), "%s", result->host_key.type);
	memcpy(key->blob, result->host_key.blob, result->host_key.len);
	return true;
}

enum err visit_pin(struct vault_txn *txn, const struct visit *visit, struct error *error)
{
	const char *asset = visit->site->asset->name;
	enum err err = ERR_OK;

	if (visit->first_seen != NULL)
		err = host_key_pin(txn, asset, visit->first_seen);
	return err == ERR_OK ? ERR_OK
			     : error_set(error, err, "the host key of %s cannot be pinned", asset);
}

void visit_pinned(struct visit *visit)
{
	if (visit->first_seen == NULL)
		return;
	visit->keys = xrealloc(visit->keys, (visit->key_count + 1) * sizeof(*visit->keys));
	visit->keys[visit->key_count++] = *visit->first_seen;
	free(visit->first_seen);
	visit->first_seen = NULL;
}

/*
 * Before the privileged password leaves: a first-seen host key is pinned and the attempts are
 * booked, in one commit. One attempt: where the login is refused, sudo is not asked. With su one
 * more, of root.
 */
static enum err visit_book_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct visit *visit = arg;
	const struct asset *asset = visit->site->asset;
	struct lockout lockout = site_lockout(visit->site);
	uint64_t now_ms = rotation_wall(visit->site->rotation);
	enum err err;

	err = visit_pin(txn, visit, error);
	if (err != ERR_OK)
		return err;
	if (!visit_find_admin(visit, txn))
		return error_set(
		    error, ERR_NOT_FOUND, "%s on %s has no secret", asset->admin, asset->name);
	visit->booked = 1;
	visit->booked_root = asset->become == BECOME_SU && !visit->carries ? 1 : 0;
	err = probe_book(
	    txn, asset->name, asset->admin, &lockout, visit->booked, now_ms, &visit->free_at_ms);
	if (err == ERR_OK && visit->booked_root > 0)
		err = probe_book(txn, asset->name, "root", &lockout, visit->booked_root, now_ms,
		    &visit->free_at_ms);
	if (err == ERR_FULL) /* not the disk's: keep_write would wait */
		err = error_set(error, ERR_LIMIT, "no attempt left");
	return err;
}

static void visit_booked(void *arg, enum err result, const struct error *error)
{
	struct visit *visit = arg;

	CRASH_POINT("core.host_key_pinned");
	if (result == ERR_OK) {
		visit_pinned(visit);
		visit_login(visit);
		return;
	}
	visit->booked = visit->booked_root = 0;
	if (result == ERR_LIMIT)
		visit_not_tried(visit, "probe_budget", "");
	else if (result == ERR_NOT_FOUND)
		visit_not_tried(visit, "no_admin", "");
	else
		rotation_break(visit->site->rotation, error);
}

static void visit_connected(void *arg, const struct wire_result *result)
{
	struct visit *visit = arg;
	struct rotation *rotation = visit->site->rotation;

	CRASH_POINT("core.connected");
	if (result->via_lost && !visit->reentered) {
		visit->reentered = true;
		visit_enter(visit);
		return;
	}
	if (result->fault != FAULT_NONE) {
		visit_fail(visit, result);
		return;
	}
	snprintf(visit->address, sizeof(visit->address), "%s", result->address);
	visit_see_key(visit, result);
	keep_write(&visit->keep, rotation, visit_book_apply, visit_booked, visit);
}

/* True when the asset's privileged account has a secret to log in with. */
static bool visit_has_admin(struct visit *visit)
{
	struct vault_txn *txn = vault_read(visit->site->rotation->config.vault);
	bool has = txn != NULL && visit_find_admin(visit, txn);

	vault_read_end(txn);
	return has;
}

void visit_reopen(struct visit *visit, bool by_pending)
{
	wire_session_free(visit->session);
	visit->session = NULL;
	visit->open = visit->failed = visit->targeted = false;
	visit->reason = NULL;
	visit->reentered = false;
	visit->by_pending = by_pending;
}

/* Other assets refused what it would log in with: it is not tried here. */
static bool visit_is_stopped(struct visit *visit)
{
	struct rotation *rotation = visit->site->rotation;
	struct visit_secrets secrets = {.login = NULL};
	struct error error;
	bool stopped;

	if (LIST_EMPTY(&rotation->refusals))
		return false;
	stopped = visit_secrets_open(visit, &secrets, &error) == ERR_OK &&
		  refusal_stops(rotation, visit->site->asset->admin, secrets.login);
	visit_secrets_clear(&secrets);
	return stopped;
}

static void visit_entered(void *arg, const struct wire_result *blocked)
{
	struct visit *visit = arg;
	struct rotation *rotation = visit->site->rotation;
	const struct settings *settings = visit->site->settings;
	struct wire_key pins[HOST_KEYS_MAX];
	struct wire_target target;

	if (blocked != NULL) {
		visit_fail(visit, blocked);
		return;
	}
	visit_target(visit, &target, pins);
	visit->session = wire_session_new(rotation->config.wires, &target);
	wire_submit(visit->session,
	    &(struct wire_job){
		.kind = WIRE_OPEN,
		.timeout_ms = settings->connect_timeout_ms + settings->login_timeout_ms,
	    },
	    visit_connected, visit);
}

/* Through the gateway, which is opened anew where its session turned out to be broken. */
void visit_enter(struct visit *visit)
{
	if (gate_goes_first(visit))
		return;
	visit->opening = true;
	wire_session_free(visit->session);
	visit->session = NULL;
	if (visit->reentered)
		gate_lost(&visit->pass);
	gate_enter(&visit->pass, visit->site, visit_entered, visit);
}

void visit_open(struct visit *visit, void (*ready)(void *arg), void *arg)
{
	visit->ready = ready;
	visit->arg = arg;
	if (lifeline_bars(visit)) {
		visit_not_tried(visit, "in_doubt",
		    "the secret of the account that it is entered with is in doubt");
		return;
	}
	if (visit->reason != NULL && strcmp(visit->reason, "in_doubt") == 0)
		visit_reopen(visit, false);
	if (visit->open || visit->failed) {
		visit_opened(visit);
		return;
	}
	if (!visit_has_admin(visit)) {
		visit_not_tried(visit, "no_admin", "");
		return;
	}
	if (visit_is_stopped(visit)) {
		visit_not_tried(visit, "admin_refused",
		    "other assets refused this secret of the privileged account: to try it on more "
		    "could lock it on all of them");
		return;
	}
	visit_enter(visit);
}
