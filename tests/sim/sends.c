/* What must hold whenever a wire is given something. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

/* The way that the policy says, through a session that is logged in, and never past it. */
void sends_check_way(struct sim_session *session, const struct wire_session *via)
{
	struct sim *sim = session->sim;
	struct sim_session *other = NULL;

	if (via != NULL)
		LIST_FOREACH (other, &sim->sessions, entry)
			if (&other->session == via)
				break;
	if ((via != NULL && (other == NULL || !other->carries)) ||
	    !reload_goes_by(sim, session->asset, via != NULL ? other->asset : NULL))
		sim_violation(sim, "not by the asset's gateway", "%s", session->asset);
	session->through = via != NULL;
	session->via = other;
}

static bool version_is(
    struct vault_txn *txn, const struct account *account, uint32_t version, const char *wanted)
{
	char text[SIM_SECRET_SIZE] = "";
	struct secret *secret = NULL;
	struct error error;

	if (version != 0 && version_open(txn, account, version, &secret, NULL, &error) == ERR_OK) {
		if (account->kind == SECRET_KEY)
			keys_line_of(secret, text);
		else
			snprintf(text, sizeof(text), "%s", secret_data(secret));
	}
	secret_free(secret);
	return text[0] != '\0' && strcmp(text, wanted) == 0;
}

/* Of a key the line that a wire is told to add is the committed pending version's, with its mark.
 */
static void check_durable_key(struct sim_session *session)
{
	struct sim *sim = session->sim;
	struct vault_txn *txn = vault_read(sim->vault);
	char key[SIM_SECRET_SIZE] = "", mark[ID_TEXT_SIZE];
	struct secret *secret = NULL;
	struct account account;
	struct error error;

	if (account_get(txn, session->asset, session->name, SECRET_KEY, &account) == ERR_OK &&
	    account.pending != 0 &&
	    version_open(txn, &account, account.pending, &secret, NULL, &error) == ERR_OK)
		keys_line_of(secret, key);
	secret_free(secret);
	vault_read_end(txn);
	if (key[0] == '\0' || strncmp(session->secret, key, strlen(key)) != 0 ||
	    strstr(session->secret, id_text(&account.id, mark)) == NULL)
		sim_violation(
		    sim, "a key is sent before durable", "%s %s", session->asset, session->name);
}

/*
 * Durable before sent: what a wire is told to set is the committed pending version; or the current
 * one, where it is durably said that this is put back.
 */
static void check_durable(struct sim_session *session)
{
	struct vault_txn *txn = vault_read(session->sim->vault);
	struct account account;
	struct record record;
	bool good =
	    account_get(txn, session->asset, session->name, SECRET_PASSWORD, &account) == ERR_OK &&
	    account.pending != 0;

	session->puts_back = good && !version_is(txn, &account, account.pending, session->secret);
	if (session->puts_back) {
		good = version_is(txn, &account, account.current, session->secret) &&
		       record_get(txn, &account.pending_record, &record) == ERR_OK &&
		       strcmp(record.reason, "put_back") == 0;
		sim_seen(session->sim, "an old secret put back");
	}
	if (!good)
		sim_violation(
		    session->sim, "sent before durable", "%s %s", session->asset, session->name);
	vault_read_end(txn);
}

struct others {
	const struct sim *sim;
	const char *asset;
	bool found;
};

static bool others_open(void *arg, const struct record *record)
{
	struct others *others = arg;

	others->found = strcmp(record->asset, others->asset) == 0 &&
			!world_is_privileged(others->sim, record->asset, record->account) &&
			(record->status == STATUS_PLANNED || record->status == STATUS_STAGED);
	return !others->found;
}

/* The accounts that an asset is entered with come last, and with a lifeline; and while one of them
 * is in doubt nothing else is sent there. */
static void check_order(struct sim_session *session)
{
	struct sim *sim = session->sim;
	const struct asset *asset = policy_asset_find(sim->ground->policy, session->asset);
	struct vault_txn *txn = vault_read(sim->vault);
	struct others others = {.sim = sim, .asset = session->asset};
	const struct id first = {{0}};
	struct account account;
	struct record record;

	if (!world_is_privileged(sim, session->asset, session->name)) {
		if (account_get_in_doubt(txn, asset->name, asset->admin, &account) == ERR_OK ||
		    (asset->become == BECOME_SU &&
			account_get_in_doubt(txn, asset->name, "root", &account) == ERR_OK))
			sim_violation(sim, "sent while the way in is in doubt", "%s %s",
			    session->asset, session->name);
	} else if (asset->become == BECOME_SU &&
		   account_get_in_doubt(txn, asset->name,
		       strcmp(session->name, "root") == 0 ? asset->admin : "root",
		       &account) == ERR_OK) {
		sim_violation(sim, "two ways in are in doubt", "%s", session->asset);
	} else if (session->targeted) {
		sim_violation(
		    sim, "changed without a lifeline", "%s %s", session->asset, session->name);
	} else if (account_get_in_doubt(txn, asset->name, session->name, &account) == ERR_OK &&
		   record_get(txn, &account.pending_record, &record) == ERR_OK &&
		   record.status == STATUS_STAGED) {
		record_each(txn, &record.execution, &first, others_open, &others);
		if (others.found)
			sim_violation(sim, "a privileged account is not the last", "%s %s",
			    session->asset, session->name);
		sim_seen(sim, "a privileged account changed");
	}
	vault_read_end(txn);
}

/* One at a time. */
static void check_one(const struct sim_session *session)
{
	const struct sim_session *other;

	LIST_FOREACH (other, &session->sim->sessions, entry)
		if (other != session && other->busy && other->kind == WIRE_CHANGE &&
		    other->account == session->account)
			sim_violation(session->sim, "two changes of an account at once", "%s %s",
			    session->asset, session->name);
}

/* What was said to have failed may be ordered again, as an earlier version. */
static void forget_failed(struct sim *sim, const char *secret)
{
	for (size_t i = 0; i < sim->failed_count; i++)
		if (strcmp(sim->failed[i], secret) == 0)
			sim->failed[i][0] = '\0';
}

/*
 * The committed secret, or what is pending where that is being settled: read now, not at the plan.
 * Where someone tells another in the very commit that books the login, it goes on with the one
 * before.
 */
static bool is_secret_now(
    struct vault_txn *txn, const char *asset, const char *name, const char *secret)
{
	enum secret_kind kind = keys_is_line(secret) ? SECRET_KEY : SECRET_PASSWORD;
	struct account account;
	struct version current;

	if (account_get(txn, asset, name, kind, &account) != ERR_OK)
		return false;
	return version_is(txn, &account, account.current, secret) ||
	       version_is(txn, &account, account.pending, secret) ||
	       (version_get(txn, &account, account.current, &current) == ERR_OK &&
		   current.proof == PROOF_TOLD &&
		   version_is(txn, &account, account.previous, secret));
}

/* How an asset is entered. */
static void check_entry(struct sim_session *session)
{
	struct vault_txn *txn = vault_read(session->sim->vault);
	const char *asset = session->asset;
	const char *root = session->becoming == WIRE_BECOME_SU ? "root" : session->name;
	struct account account;

	if (!is_secret_now(txn, asset, session->name, session->secret) ||
	    (session->become[0] != '\0' && !is_secret_now(txn, asset, root, session->become)))
		sim_violation(session->sim, "entered with what is not current", "%s %s", asset,
		    session->name);
	if (session->kind == WIRE_LOGIN &&
	    account_get_in_doubt(txn, asset, session->name, &account) == ERR_OK)
		sim_violation(session->sim, "a gateway entered while its account is in doubt",
		    "%s %s", asset, session->name);
	vault_read_end(txn);
}

/* What a gateway is entered with stays as it is while others are inside. */
static void check_nobody_inside(struct sim_session *session)
{
	const struct sim_session *other;

	LIST_FOREACH (other, &session->sim->sessions, entry)
		if (session->account->privileged && other->via != NULL && !session_is_cut(other) &&
		    other->busy && strcmp(other->via->asset, session->asset) == 0)
			sim_violation(session->sim,
			    "a gateway's account changed while it is in use", "%s %s: %s %s",
			    session->asset, session->name, session_kind_name(other->kind),
			    other->asset);
}

/* ── All of it ── */

static void sends_check_change(struct sim_session *session)
{
	struct sim *sim = session->sim;
	struct sim_account *account = session->account;

	if (sim->looks)
		sim_violation(
		    sim, "sent by what only looks", "%s %s", session->asset, session->name);
	if (keys_is_line(session->secret))
		check_durable_key(session);
	else
		check_durable(session);
	check_order(session);
	check_one(session);
	check_nobody_inside(session);
	forget_failed(sim, session->secret);
	if (!keys_is_line(session->secret) && strcmp(account->believed, session->secret) != 0)
		account->believed[0] = '\0'; /* a new send: the old word is not the last */
}

void sends_check(struct sim_session *session)
{
	if (session->kind == WIRE_CHANGE)
		sends_check_change(session);
	if (session->kind == WIRE_ADMIN || session->kind == WIRE_LOGIN ||
	    session->kind == WIRE_PROVE)
		seen_check_host_key(session);
	if (session->kind == WIRE_ADMIN || session->kind == WIRE_LOGIN)
		check_entry(session);
	if (session->kind == WIRE_PERSIST)
		keys_persisting(session);
}
