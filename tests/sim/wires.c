/* Simulated wires: every job is answered after a while, truly, falsely or not at all. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_session {
	struct wire_session session; /* first */
	LIST_ENTRY(sim_session) entry;
	struct sim *sim;
	char asset[ASSET_NAME_SIZE];
	bool broken;
	bool carries;		 /* logged in as a gateway */
	bool through;		 /* by a gateway: */
	struct sim_session *via; /* NULL: it is gone */
	/* the job in work */
	struct timer timer;
	enum wire_job_kind kind;
	char account[ACCOUNT_NAME_SIZE];
	char secret[SIM_SECRET_SIZE];
	char become[SIM_SECRET_SIZE];
	enum wire_become becoming;
	enum wire_proof proof;
	bool targeted;
	bool puts_back;
	wire_done_fn done;
	void *arg;
};

static void copy_secret(char *out, const struct secret *secret)
{
	out[0] = '\0';
	if (secret != NULL)
		snprintf(out, SIM_SECRET_SIZE, "%s", secret_data(secret));
}

/* What the job is about: a password, the line of a key to be added, or of one to log in with. */
static void copy_job_secret(char *out, const struct wire_job *job)
{
	if (job->ssh_key != NULL && job->ssh_key->line != NULL)
		snprintf(out, SIM_SECRET_SIZE, "%.*s", SIM_SECRET_SIZE - 1, job->ssh_key->line);
	else if (job->secret_is_key && job->secret != NULL)
		keys_line_of(job->secret, out);
	else
		copy_secret(out, job->secret);
}

/* ── What each job comes to ── */

static void job_lost(struct sim_session *session, struct wire_result *result)
{
	result->fault = sim_chance(session->sim, 20) ? FAULT_WIRE : FAULT_LOST;
	snprintf(result->text, sizeof(result->text), "the link broke");
	session->broken = true;
}

/* The gateway that it goes through broke, or that one's. */
static bool gateway_is_gone(const struct sim_session *session)
{
	while (session->through) {
		if (session->via == NULL || session->via->broken)
			return true;
		session = session->via;
	}
	return false;
}

/* What is under way is cut, and may have arrived. */
static void job_gateway_lost(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	result->fault = FAULT_LOST;
	result->via_lost = true;
	session->broken = true;
	session->sim->stats->gateways_lost++;
	if (session->kind != WIRE_CHANGE)
		return;
	result->sent = true;
	world_apply_later(session->sim, account, session->secret);
}

static void job_open(struct sim_session *session, struct wire_result *result)
{
	(void)session;
	snprintf(result->host_key.type, sizeof(result->host_key.type), "ssh-ed25519");
	result->host_key.len =
	    (size_t)snprintf((char *)result->host_key.blob, 64, "key of %s", session->asset);
	result->host_key_new = true;
	snprintf(result->address, sizeof(result->address), "192.0.2.1");
}

static void job_admin(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	struct sim_account *asked = session->becoming == WIRE_BECOME_SUDO ? account : NULL;

	if (session->becoming == WIRE_BECOME_SU)
		asked = world_account(session->sim, session->asset, "root");
	result->targeted = session->targeted = strcmp(session->asset, "targeted") == 0;
	if (!world_login(session->sim, account, session->secret))
		result->fault = FAULT_AUTH;
	else if (asked != NULL && !world_login(session->sim, asked, session->become))
		result->fault = FAULT_BECOME_PASSWORD;
	result->failed_attempts = result->fault != FAULT_NONE;
}

/* Neither `db` may log in, nor root where another becomes it. */
static bool login_is_barred(const struct sim_session *session)
{
	const struct asset *asset = policy_asset_find(session->sim->policy, session->asset);

	return strcmp(session->account, "db") == 0 ||
	       (asset->become == BECOME_SU && strcmp(session->account, "root") == 0);
}

static void job_methods(const struct sim_session *session, struct wire_result *result)
{
	if (login_is_barred(session))
		result->finding = FINDING_NO_PROOF;
}

static void job_check(struct sim_session *session, struct wire_result *result)
{
	if (session->proof == WIRE_PROOF_LOGIN && login_is_barred(session) &&
	    sim_chance(session->sim, 50))
		result->finding = FINDING_NO_PROOF; /* else METHODS says it */
	else if (!session->sim->calm && sim_chance(session->sim, 4))
		result->finding = FINDING_LOCKED;
}

static void job_change(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	struct sim *sim = session->sim;
	uint32_t dice = sim->calm ? 99 : sim_below(sim, 100);

	result->sent = true;
	result->ended = true;
	if (session->puts_back && dice % 2 == 0)
		dice = 0; /* what is rare by itself */
	if (dice < 12) {  /* sent, and no end seen */
		job_lost(session, result);
		result->ended = false;
		world_apply_later(sim, account, session->secret);
	} else if (dice < 20) { /* refused */
		result->fault = FAULT_REFUSED;
		sim->stats->refused++;
	} else if (dice < 24) { /* says that it refuses, and applies */
		result->fault = FAULT_REFUSED;
		world_apply(sim, account, session->secret);
	} else if (dice < 27) { /* accepts, and does not apply */
	} else if (dice < (world_is_privileged(sim, account->asset, account->name) ? 40 : 31)) {
		/* accepts, and applies something else */
		if (!keys_is_line(session->secret))
			world_apply(sim, account, "cut");
	} else if (dice < 42) { /* never left */
		result->sent = result->ended = false;
		job_lost(session, result);
	} else {
		world_apply(sim, account, session->secret);
	}
}

static void job_persist(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	struct sim *sim = session->sim;
	uint32_t dice = sim->calm ? 99 : sim_below(sim, 100);

	result->ended = dice >= 10;
	if (dice < 10)
		job_lost(session, result);
	else if (dice < 20)
		result->fault = FAULT_REFUSED;
	if (dice >= 20 || dice % 2 == 0)
		keys_persist(sim, account, session->secret);
}

static void job_prove_key(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	if (keys_open(account, session->secret)) {
		result->verdict = VERDICT_MATCH;
		snprintf(account->seen, sizeof(account->seen), "%s", session->secret);
	} else {
		result->verdict = VERDICT_MISMATCH;
		result->fault = FAULT_AUTH;
	}
}

static void job_prove(
    struct sim_session *session, struct sim_account *account, struct wire_result *result)
{
	if (keys_is_line(session->secret)) {
		job_prove_key(session, account, result);
		return;
	}
	if (session->kind == WIRE_PROVE && login_is_barred(session)) {
		result->fault = FAULT_NO_METHOD;
	} else if (world_login(session->sim, account, session->secret)) {
		result->verdict = VERDICT_MATCH;
	} else {
		result->verdict = VERDICT_MISMATCH;
		result->fault = FAULT_AUTH;
		result->failed_attempts = 1;
	}
}

/* The asset judged the login, and the wire died before it could say how. */
static void job_judged_unheard(struct sim_session *session, struct wire_result *result)
{
	*result = (struct wire_result){.fault = FAULT_WIRE, .failed_attempts = 1, .wire = 1};
	session->broken = true;
}

static void job_run(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;
	struct sim_account *account = world_account(sim, session->asset, session->account);

	if (session->through && session->via != NULL && !sim->calm && sim_chance(sim, 2))
		session->via->broken = true;
	if (!session->broken && gateway_is_gone(session)) {
		job_gateway_lost(session, account, result);
		return;
	}
	if (session->broken || (session->kind != WIRE_CHANGE && !sim->calm && sim_chance(sim, 4))) {
		job_lost(session, result);
		return;
	}
	switch (session->kind) {
	case WIRE_OPEN: job_open(session, result); break;
	case WIRE_METHODS: job_methods(session, result); break;
	case WIRE_ADMIN:
	case WIRE_LOGIN:
		job_admin(session, account, result);
		session->carries = session->kind == WIRE_LOGIN && result->fault == FAULT_NONE;
		break;
	case WIRE_CHECK: job_check(session, result); break;
	case WIRE_CHANGE: job_change(session, account, result); break;
	case WIRE_HASH:
		sim->stats->hash++;
		result->verdict =
		    strcmp(account->live, session->secret) == 0 ? VERDICT_MATCH : VERDICT_MISMATCH;
		break;
	case WIRE_PROVE:
	case WIRE_SU: job_prove(session, account, result); break;
	case WIRE_PERSIST: job_persist(session, account, result); break;
	}
	if (!sim->calm && (session->kind == WIRE_PROVE || session->kind == WIRE_ADMIN) &&
	    sim_chance(sim, 5))
		job_judged_unheard(session, result);
}

static const char *kind_name(enum wire_job_kind kind)
{
	static const char *const names[] = {"open", "methods", "admin", "check", "change", "hash",
	    "prove", "persist", "su", "login"};

	return names[kind];
}

static void job_answer(void *arg)
{
	struct sim_session *session = arg;
	struct wire_result result = {.fault = FAULT_NONE, .wire = 1};

	job_run(session, &result);
	sim_trace(session->sim, "  %s %s %s %s: fault=%s sent=%d ended=%d verdict=%d",
	    kind_name(session->kind), session->asset, session->account, session->secret,
	    fault_name(result.fault), result.sent, result.ended, result.verdict);
	session->done(session->arg, &result);
}

/* ── The door ── */

/* The way that the policy says, through a session that is logged in, and never past it. */
static void check_way(struct sim *sim, struct sim_session *session, const struct wire_session *via)
{
	const char *gateway = policy_asset_find(sim->policy, session->asset)->gateway;
	struct sim_session *other = NULL;

	if (via != NULL)
		LIST_FOREACH (other, &sim->sessions, entry)
			if (&other->session == via)
				break;
	if ((gateway == NULL) != (via == NULL) ||
	    (via != NULL &&
		(other == NULL || !other->carries || strcmp(other->asset, gateway) != 0)))
		sim_violation(sim, "not by the asset's gateway", "%s", session->asset);
	session->through = via != NULL;
	session->via = other;
}

static struct wire_session *sim_session_new(struct wires *wires, const struct wire_target *target)
{
	struct sim *sim = (struct sim *)((char *)wires - offsetof(struct sim, wires));
	struct sim_session *session = calloc(1, sizeof(*session));

	session->session.wires = wires;
	session->sim = sim;
	snprintf(session->asset, sizeof(session->asset), "%s", target->asset);
	check_way(sim, session, target->via);
	LIST_INSERT_HEAD(&sim->sessions, session, entry);
	return &session->session;
}

static bool version_is(
    struct vault_txn *txn, const struct account *account, uint32_t version, const char *wanted)
{
	struct secret *secret = NULL;
	struct error error;
	bool is = version != 0 &&
		  version_open(txn, account, version, &secret, NULL, &error) == ERR_OK &&
		  strcmp(secret_data(secret), wanted) == 0;

	secret_free(secret);
	return is;
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

	if (account_get(txn, session->asset, session->account, SECRET_KEY, &account) == ERR_OK &&
	    account.pending != 0 &&
	    version_open(txn, &account, account.pending, &secret, NULL, &error) == ERR_OK)
		keys_line_of(secret, key);
	secret_free(secret);
	vault_read_end(txn);
	if (key[0] == '\0' || strncmp(session->secret, key, strlen(key)) != 0 ||
	    strstr(session->secret, id_text(&account.id, mark)) == NULL)
		sim_violation(
		    sim, "a key is sent before durable", "%s %s", session->asset, session->account);
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
	bool good = account_get(txn, session->asset, session->account, SECRET_PASSWORD, &account) ==
			ERR_OK &&
		    account.pending != 0;

	session->puts_back = good && !version_is(txn, &account, account.pending, session->secret);
	if (session->puts_back) {
		good = version_is(txn, &account, account.current, session->secret) &&
		       record_get(txn, &account.pending_record, &record) == ERR_OK &&
		       strcmp(record.reason, "put_back") == 0;
		session->sim->stats->put_back++;
	}
	if (!good)
		sim_violation(
		    session->sim, "sent before durable", "%s %s", session->asset, session->account);
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
	const struct asset *asset = policy_asset_find(sim->policy, session->asset);
	struct vault_txn *txn = vault_read(sim->vault);
	struct others others = {.sim = sim, .asset = session->asset};
	const struct id first = {{0}};
	struct account account;
	struct record record;

	if (!world_is_privileged(sim, session->asset, session->account)) {
		if (account_get_in_doubt(txn, asset->name, asset->admin, &account) == ERR_OK ||
		    (asset->become == BECOME_SU &&
			account_get_in_doubt(txn, asset->name, "root", &account) == ERR_OK))
			sim_violation(sim, "sent while the way in is in doubt", "%s %s",
			    session->asset, session->account);
	} else if (asset->become == BECOME_SU &&
		   account_get_in_doubt(txn, asset->name,
		       strcmp(session->account, "root") == 0 ? asset->admin : "root",
		       &account) == ERR_OK) {
		sim_violation(sim, "two ways in are in doubt", "%s", session->asset);
	} else if (session->targeted) {
		sim_violation(
		    sim, "changed without a lifeline", "%s %s", session->asset, session->account);
	} else if (account_get_in_doubt(txn, asset->name, session->account, &account) == ERR_OK &&
		   record_get(txn, &account.pending_record, &record) == ERR_OK &&
		   record.status == STATUS_STAGED) {
		record_each(txn, &record.execution, &first, others_open, &others);
		if (others.found)
			sim_violation(sim, "a privileged account is not the last", "%s %s",
			    session->asset, session->account);
		sim->stats->privileged++;
	}
	vault_read_end(txn);
}

static void sim_submit(
    struct wire_session *wire, const struct wire_job *job, wire_done_fn done, void *arg)
{
	struct sim_session *session = (struct sim_session *)wire;
	struct sim *sim = session->sim;

	session->kind = job->kind;
	session->account[0] = '\0';
	if (job->account != NULL)
		snprintf(session->account, sizeof(session->account), "%s", job->account);
	copy_job_secret(session->secret, job);
	copy_secret(session->become, job->become_secret);
	session->becoming = job->become;
	session->proof = job->proof;
	session->done = done;
	session->arg = arg;
	session->timer.fn = job_answer;
	session->timer.arg = session;
	if (job->kind == WIRE_CHANGE) {
		struct sim_account *account = world_account(sim, session->asset, session->account);

		if (sim->looks)
			sim_violation(sim, "sent by what only looks", "%s %s", session->asset,
			    session->account);
		if (keys_is_line(session->secret))
			check_durable_key(session);
		else
			check_durable(session);
		check_order(session);
		if (!keys_is_line(session->secret) &&
		    strcmp(account->believed, session->secret) != 0)
			account->believed[0] = '\0'; /* a new send: the old word is not the last */
	}
	if (job->kind == WIRE_PERSIST)
		keys_persisting(
		    sim, world_account(sim, session->asset, session->account), session->secret);
	timer_start(&sim->clock.clock, &session->timer, 1 + sim_below(sim, 20));
}

static void sim_session_free(struct wire_session *wire)
{
	struct sim_session *session = (struct sim_session *)wire;

	struct sim_session *other;

	timer_stop(&session->timer);
	LIST_REMOVE(session, entry);
	LIST_FOREACH (other, &session->sim->sessions, entry)
		if (other->via == session)
			other->via = NULL;
	free(session);
}

static const struct wires_ops sim_wires_ops = {
    .session_new = sim_session_new,
    .submit = sim_submit,
    .session_free = sim_session_free,
};

void sim_wires_init(struct sim *sim)
{
	sim->wires.ops = &sim_wires_ops;
	LIST_INIT(&sim->sessions);
}

static bool is_in_hand(const struct sim_session *session, enum wire_job_kind kind)
{
	return session->timer.impl != NULL && session->kind == kind;
}

void sim_wires_crash(struct sim *sim)
{
	struct sim_session *session;

	LIST_FOREACH (session, &sim->sessions, entry) {
		struct sim_account *account = world_account(sim, session->asset, session->account);

		if (is_in_hand(session, WIRE_CHANGE) && !sim_chance(sim, 30))
			world_apply_later(sim, account, session->secret);
		else if (is_in_hand(session, WIRE_PERSIST) && sim_chance(sim, 50))
			keys_persist(sim, account, session->secret);
	}
}
