/* Checking out and in: a secret for a time, and its rotation when that is over. */
#include "service/checkout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/approval.h"
#include "service/audit.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/reveal.h"
#include "service/run.h"
#include "service/scope.h"
#include "service/shape.h"
#include "vault/seen.h"

#define LENGTH_DEFAULT_MS 3600000
#define LENGTH_MIN_MS	  1000
#define OWN_TURN_MS	  15000 /* before the scheduler tries again what a check-in tried */

/* ── Telling ─────────────────────────────────────────────────────────────────────────────── */

json_t *shape_checkout(struct vault_txn *txn, const struct checkout *checkout)
{
	bool out = checkout_is_out(txn, checkout);
	json_int_t version = checkout->version, tries = checkout->tries;

	return json_pack("{s:o, s:o, s:s, s:I, s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o}", "asset",
	    json_text(checkout->asset), "account", json_text(checkout->name), "kind",
	    secret_kind_name(checkout->kind), "version", version, "who", json_text(checkout->who),
	    "state", out ? "out" : "over", "since", json_time(checkout->since_ms), "until",
	    json_time(checkout_until_ms(txn, checkout)), "why",
	    checkout->why[0] == '\0' ? json_null() : json_text(checkout->why), "tries", tries,
	    "execution",
	    id_is_none(&checkout->execution) ? json_null() : json_id(&checkout->execution), "again",
	    out || checkout->again_ms == 0 ? json_null() : json_time(checkout->again_ms));
}

struct shaping {
	struct vault_txn *txn;
	json_t *array;
};

static bool shape_one(void *arg, const struct checkout *checkout)
{
	struct shaping *shaping = arg;

	json_array_append_new(shaping->array, shape_checkout(shaping->txn, checkout));
	return true;
}

json_t *shape_checkouts(struct vault_txn *txn, const struct account *account)
{
	struct shaping shaping = {.txn = txn, .array = json_array()};

	if (account->last != 0)
		checkout_each_of(txn, account, shape_one, &shaping);
	return shaping.array;
}

/* ── Out: for how long, and of which task ────────────────────────────────────────────────── */

struct checking_out {
	struct reveal reveal;
	struct version version;
	const struct task *task; /* that rotates it */
	uint64_t length_ms;
	uint64_t until_ms;
	struct approving approving;
};

static bool length_read(struct checking_out *out)
{
	struct request *request = out->reveal.request;
	const char *text = param_text(request, "for");
	uint64_t longest_ms = policy_settings(request->policy)->checkout_longest_ms;
	unsigned long long length_ms = LENGTH_DEFAULT_MS;

	if (text == NULL && longest_ms < LENGTH_DEFAULT_MS)
		length_ms = longest_ms;
	if (text != NULL &&
	    (!text_duration_ms(text, strlen(text), &length_ms) || length_ms < LENGTH_MIN_MS)) {
		request_fail(request, SERVICE_USAGE,
		    "--for: \"%.64s\" is no span of time of a second or more: give a whole number "
		    "and s, m, h or d, such as 2h",
		    text);
		return false;
	}
	out->length_ms = length_ms;
	if (length_ms <= longest_ms)
		return true;
	request_fail(request, SERVICE_USAGE,
	    "--for: \"%.64s\" is longer than anybody may have a secret out: at most %llu minutes "
	    "(settings.checkout.longest)",
	    text, (unsigned long long)(longest_ms / 60000));
	return false;
}

/* What nobody rotates afterwards is not handed out. */
static bool task_find(struct checking_out *out)
{
	struct request *request = out->reveal.request;
	const struct account *account = &out->reveal.account;
	const struct asset *asset = policy_asset_find(request->policy, account->asset);
	struct selected item;

	out->task = policy_task_for(request->policy, account->asset, account->name,
	    account->kind == SECRET_KEY, true, &item);
	if (out->task == NULL) {
		request_fail(request, SERVICE_USAGE,
		    "no active task makes a new %s for account \"%s\" on asset \"%s\", so nothing "
		    "would rotate it afterwards: make one that selects it, or lockstep account "
		    "reveal",
		    secret_kind_name(account->kind), account->name, account->asset);
		return false;
	}
	if (!request->service->secure_mode || !asset_account_privileged(asset, account->name))
		return true;
	request_fail(request, SERVICE_USAGE,
	    "account \"%s\" on asset \"%s\" is a privileged one, which secure mode leaves alone, "
	    "so "
	    "nothing would rotate it afterwards: settings { secure_mode = false }, or lockstep "
	    "account reveal",
	    account->name, account->asset);
	return false;
}

static bool state_is_good(struct checking_out *out)
{
	const struct account *account = &out->reveal.account;
	enum account_state state = account_state(account);

	if (state == ACCOUNT_CURRENT)
		return true;
	request_fail(out->reveal.request, SERVICE_USAGE,
	    "account \"%s\" on asset \"%s\" is %s: no secret is known to open it; %s",
	    account->name, account->asset,
	    state == ACCOUNT_IN_DOUBT	? "in doubt"
	    : state == ACCOUNT_MISMATCH ? "a mismatch"
					: "unmanaged",
	    state == ACCOUNT_IN_DOUBT ? "the next run settles it, and then it can be checked out"
				      : "a rotation sets one: lockstep run TASK");
	return false;
}

static enum service_end out_find(struct checking_out *out)
{
	struct reveal *reveal = &out->reveal;
	struct account_rows rows;
	bool declared;
	enum service_end end = account_find(reveal->request, &reveal->txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	end = SERVICE_USAGE;
	if (reveal_kind(reveal->request, &rows)) {
		reveal->account = *reveal_row(&rows);
		if (state_is_good(out) && task_find(out) &&
		    reveal_bars(reveal->request, reveal->txn, &reveal->account,
			reveal->request->error) == ERR_OK)
			end = SERVICE_OK;
	}
	if (end == SERVICE_OK && version_get(reveal->txn, &reveal->account, reveal->account.current,
				     &out->version) != ERR_OK)
		end = request_fail(reveal->request, SERVICE_NO_ENGINE,
		    "its current version cannot be read: put back a backup");
	vault_read_end(reveal->txn);
	return end;
}

/* ── Out: in one commit ──────────────────────────────────────────────────────────────────── */

static enum err already_out(
    struct vault_txn *txn, const struct checkout *there, struct error *error)
{
	char until[32];

	if (checkout_is_out(txn, there))
		return error_set(error, ERR_EXISTS,
		    "%s has account \"%s\" on asset \"%s\" checked out already, until %s: lockstep "
		    "account reveal shows it again, lockstep account checkin %s %s gives it back",
		    there->who, there->name, there->asset,
		    text_rfc3339(until, checkout_until_ms(txn, there)), there->asset, there->name);
	return error_set(error, ERR_EXISTS,
	    "%s has had account \"%s\" on asset \"%s\" checked out, and it is not rotated yet: "
	    "lockstep account list --out tells why",
	    there->who, there->name, there->asset);
}

static enum err out_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct checking_out *out = arg;
	const struct request *request = out->reveal.request;
	const struct account *was = &out->reveal.account;
	const char *who = request->person.name, *why = param_text(request, "reason");
	struct checkout there;
	struct account account;
	enum err err = account_get(txn, was->asset, was->name, was->kind, &account);

	/* What was staged meanwhile, or told, is not what was looked at. */
	if (err == ERR_OK && account.current != was->current)
		err = ERR_REFUSED;
	if (err != ERR_OK)
		return error_set(error, ERR_REFUSED,
		    "account \"%s\" on asset \"%s\" was changed just now: try again", was->name,
		    was->asset);
	if (reveal_bars(request, txn, &account, error) != ERR_OK ||
	    approval_spend(txn, &out->approving, error) != ERR_OK)
		return ERR_REFUSED;
	err = checkout_begin(txn, &account, who, why, out->length_ms, &there, error);
	if (err == ERR_EXISTS)
		return already_out(txn, &there, error);
	if (err == ERR_OK)
		err = seen_put(txn, &account.id, account.current, who);
	if (err == ERR_OK)
		err = checkout_get(txn, &account, who, &there);
	if (err == ERR_OK)
		out->until_ms = checkout_until_ms(txn, &there);
	return err;
}

static enum service_end out_write(struct checking_out *out)
{
	struct request *request = out->reveal.request;
	const struct account *account = &out->reveal.account;
	const char *reason = param_text(request, "reason");
	char detail[2 * WHY_SIZE + 128], approved[WHO_SIZE + ID_TEXT_SIZE + 32];
	enum err err;

	approval_text(&out->approving, approved, sizeof(approved));
	snprintf(detail, sizeof(detail), "for %llu s%s%s%s%s",
	    (unsigned long long)(out->length_ms / 1000), approved[0] != '\0' ? ", " : "", approved,
	    reason != NULL ? ": " : "", reason != NULL ? reason : "");
	CRASH_POINT("core.checking_out");
	err = request_write(request, out_apply, out,
	    &(struct audit_event){.what = AUDIT_CHECKOUT,
		.asset = account->asset,
		.account = account->name,
		.object = secret_kind_name(account->kind),
		.version = account->current,
		.detail = detail});
	CRASH_POINT("core.checked_out");
	if (err == ERR_OK)
		return SERVICE_OK;
	return err == ERR_EXISTS || err == ERR_REFUSED ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

enum service_end account_checkout(struct request *request)
{
	struct checking_out out = {.reveal = {.request = request}};
	enum service_end end;

	if (!length_read(&out))
		return SERVICE_USAGE;
	end = out_find(&out);
	if (end != SERVICE_OK)
		return end;
	if (!reveal_reason(request, out.reveal.account.asset))
		return SERVICE_USAGE;
	end = approval_pass(request, &out.reveal.account, out.version.number, &out.approving);
	if (end == SERVICE_OK)
		end = mfa_pass(request);
	if (end == SERVICE_OK)
		end = out_write(&out);
	if (end == SERVICE_OK)
		end = reveal_again(&out.reveal, &out.version, &request->result);
	if (end != SERVICE_OK)
		return end;
	json_object_set_new(request->result, "until", json_time(out.until_ms));
	json_object_set_new(request->result, "task", json_text(out.task->name));
	if (request->service->scheduler != NULL)
		scheduler_look(request->service->scheduler);
	return SERVICE_OK;
}

/* ── In ──────────────────────────────────────────────────────────────────────────────────── */

struct checking_in {
	struct request *request;
	struct account account;
	struct checkout checkout;
	struct checkout other; /* someone else's of the same */
	bool forgets;	       /* nothing is to be rotated, whatever was shown */
	bool left;	       /* it is to be rotated */
	bool waits;	       /* until `other` is over */
};

struct in_search {
	struct vault_txn *txn;
	const struct account_rows *rows;
	const char *who;
};

/* Of a password and a key, that which they have out. */
static bool in_find_row(struct checking_in *in, const struct in_search *search)
{
	for (size_t i = 0; i < search->rows->count; i++) {
		in->account = search->rows->items[i];
		if (in->account.last != 0 &&
		    checkout_get(search->txn, &in->account, search->who, &in->checkout) == ERR_OK)
			return true;
	}
	return false;
}

static bool may_hear(const struct request *request, const char *asset)
{
	const struct person *person = &request->person;
	const char *node = request_node_of(request, asset);

	return person_may(person, PERMIT_VIEW, node, NULL) ||
	       person_may(person, PERMIT_REVEAL, node, NULL) ||
	       person_may(person, PERMIT_ADMIN, node, NULL);
}

static bool has_it_out(
    struct checking_in *in, struct vault_txn *txn, const char *asset, const char *name)
{
	const struct person *person = &in->request->person;
	struct account_rows rows;
	struct in_search search = {.txn = txn, .rows = &rows, .who = person->name};

	account_rows_read(&rows, txn, asset, name);
	return in_find_row(in, &search) &&
	       scope_may(person->scope, PERMIT_REVEAL, request_node_of(in->request, asset), NULL);
}

/* The method takes no permission, and what there is out of their reach it does not tell: the same
 * answer for all of it, and for what there is not. */
static enum service_end in_hear(struct checking_in *in)
{
	struct request *request = in->request;
	const char *name = param_need(request, "account");
	const char *asset = name == NULL ? NULL : param_need(request, "asset");
	enum service_end end = asset == NULL ? SERVICE_USAGE : SERVICE_OK;
	struct vault_txn *txn;
	bool own;

	if (end != SERVICE_OK || may_hear(request, asset))
		return end;
	end = engine_open(request, NEEDS_VAULT);
	txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	own = has_it_out(in, txn, asset, name);
	vault_read_end(txn);
	if (own)
		return SERVICE_OK;
	request->permission = PERMIT_VIEW;
	return request_deny(request, "that account");
}

static bool may_check_in(struct request *request, const char *who, const char *asset)
{
	const struct person *person = &request->person;
	const char *node = request_node_of(request, asset);

	if (param_flag(request, "forget"))
		return person_may(person, PERMIT_ADMIN, node, NULL);
	/* Their own also where they may see no secret any more; but not by any token. */
	if (strcmp(who, person->name) == 0)
		return scope_may(person->scope, PERMIT_REVEAL, node, NULL);
	return person_may(person, PERMIT_ADMIN, node, NULL);
}

static enum service_end in_find(struct checking_in *in)
{
	struct request *request = in->request;
	const char *who = param_text(request, "of");
	struct in_search search = {.who = who != NULL ? who : request->person.name};
	struct account_rows rows;
	bool declared;
	enum service_end end = account_find(request, &search.txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	search.rows = &rows;
	if (!may_check_in(request, search.who, rows.items[0].asset)) {
		bool own = strcmp(search.who, request->person.name) == 0;

		request->permission = own && !in->forgets ? PERMIT_REVEAL : PERMIT_ADMIN;
		end = request_deny(request, "what is checked out");
	} else if (!reveal_kind(request, &rows)) {
		end = SERVICE_USAGE;
	} else if (!in_find_row(in, &search)) {
		end = request_fail(request, SERVICE_USAGE,
		    "%.63s has not checked out account \"%s\" on asset \"%s\": lockstep account "
		    "list --out tells who has",
		    search.who, rows.items[0].name, rows.items[0].asset);
	}
	vault_read_end(search.txn);
	return end;
}

static enum err in_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct checking_in *in = arg;
	uint64_t own_ms = clock_wall_ms(loop_clock(in->request->service->loop)) + OWN_TURN_MS;
	enum err err = in->forgets ? checkout_forget(txn, &in->checkout)
				   : checkout_end(txn, &in->checkout, &in->left);

	in->waits =
	    err == ERR_OK && in->left && account_is_out(txn, &in->account, NULL, false, &in->other);
	if (err == ERR_OK && in->left && !in->waits)
		err = checkout_tried(txn, &in->checkout, NULL, own_ms);
	return err == ERR_OK ? err : error_set(error, err, "a check-out cannot be ended");
}

static enum service_end in_write(struct checking_in *in)
{
	const struct checkout *checkout = &in->checkout;
	char detail[WHO_SIZE + 32];
	enum err err;

	snprintf(detail, sizeof(detail), "of %s%s", checkout->who,
	    in->forgets ? ", forgotten: not rotated" : "");
	CRASH_POINT("core.checking_in");
	err = request_write(in->request, in_apply, in,
	    &(struct audit_event){.what = AUDIT_CHECKIN,
		.asset = checkout->asset,
		.account = checkout->name,
		.object = secret_kind_name(checkout->kind),
		.version = checkout->version,
		.detail = detail});
	CRASH_POINT("core.checked_in");
	return err == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
}

/* What is left to do needs no rotation, or not yet. */
static enum service_end in_told(const struct checking_in *in)
{
	in->request->result = json_pack("{s:o, s:o, s:o, s:b, s:b, s:o}", "asset",
	    json_text(in->checkout.asset), "account", json_text(in->checkout.name), "who",
	    json_text(in->checkout.who), "rotated", !in->left && !in->forgets, "forgotten",
	    in->forgets, "waits_for", in->waits ? json_text(in->other.who) : json_null());
	return SERVICE_OK;
}

enum service_end account_checkin(struct request *request)
{
	struct checking_in in = {.request = request, .forgets = param_flag(request, "forget")};
	struct selected item;
	const struct task *task;
	enum service_end end = in_hear(&in);

	if (end == SERVICE_OK)
		end = in_find(&in);
	if (end == SERVICE_OK)
		end = in_write(&in);
	if (end != SERVICE_OK)
		return end;
	if (!in.left || in.waits)
		return in_told(&in);
	task = policy_task_for(request->policy, in.checkout.asset, in.checkout.name,
	    in.checkout.kind == SECRET_KEY, true, &item);
	if (task == NULL)
		return request_fail(request, SERVICE_USAGE,
		    "it is checked in, and no active task makes a new %s for account \"%s\" on "
		    "asset \"%s\": lockstepd rotates it when one selects it; whoever has \"admin\" "
		    "may "
		    "--forget it",
		    secret_kind_name(in.checkout.kind), in.checkout.name, in.checkout.asset);
	return run_order(request, &(struct rotation_order){
				      .kind = ROTATION_CHANGE,
				      .task = task,
				      .items = &item,
				      .count = 1,
				      .trigger = "checkin",
				  });
}

/* ── What waits ──────────────────────────────────────────────────────────────────────────── */

struct counting {
	struct vault_txn *txn;
	struct checkout_counts *counts;
	json_t *over;
};

static bool count_one(void *arg, const struct checkout *checkout)
{
	struct counting *counting = arg;
	bool out = checkout_is_out(counting->txn, checkout);

	counting->counts->out += out;
	counting->counts->over += !out;
	if (!out && counting->over != NULL && json_array_size(counting->over) < CHECKOUTS_SHOWN)
		json_array_append_new(counting->over, shape_checkout(counting->txn, checkout));
	return true;
}

void checkouts_count(struct vault_txn *txn, struct checkout_counts *counts, json_t *over)
{
	struct counting counting = {.txn = txn, .counts = counts, .over = over};

	*counts = (struct checkout_counts){.out = 0};
	checkout_each(txn, count_one, &counting);
}

void checkouts_warn(struct request *request)
{
	struct vault_txn *txn = request_read(request);
	struct checkout_counts counts;
	char text[256];

	if (txn == NULL)
		return;
	checkouts_count(txn, &counts, NULL);
	vault_read_end(txn);
	if (counts.over == 0)
		return;
	snprintf(text, sizeof(text),
	    "%zu secret%s that %s checked out %s still to be rotated: lockstepd does, or lockstep "
	    "account checkin (lockstep account list --out)",
	    counts.over, counts.over == 1 ? "" : "s", counts.over == 1 ? "was" : "were",
	    counts.over == 1 ? "is" : "are");
	request_tell(request, json_pack("{s:s, s:s}", "event", "warning", "text", text));
}
