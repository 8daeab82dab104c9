/* Simulated wires: every job is answered after a while, truly, falsely or not at all. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	else if (job->secret_is_key && job->secret != NULL && job->passphrase == NULL &&
		 keys_is_sealed(job->secret))
		snprintf(out, SIM_SECRET_SIZE, KEYS_SEALED);
	else if (job->secret_is_key && job->secret != NULL)
		keys_line_of(job->secret, out);
	else
		copy_secret(out, job->secret);
}

/* ── What each job comes to ── */

static void job_lost(struct sim_session *session, struct wire_result *result)
{
	result->fault = FAULT_LOST;
	snprintf(result->text, sizeof(result->text), "the link broke");
	session->broken = true;
}

bool session_is_cut(const struct sim_session *session)
{
	while (session->through) {
		if (session->via == NULL || session->via->broken)
			return true;
		session = session->via;
	}
	return false;
}

/* What is under way is cut, and may have arrived. */
static void job_gateway_lost(struct sim_session *session, struct wire_result *result)
{
	result->fault = FAULT_LOST;
	result->via_lost = true;
	session->broken = true;
	sim_seen(session->sim, "a gateway lost");
	if (session->kind != WIRE_CHANGE)
		return;
	result->sent = true;
	world_apply_later(session->sim, session->account, session->secret);
}

static void job_open(struct sim_session *session, struct wire_result *result)
{
	const struct sim_asset *asset = world_asset(session->sim, session->asset);

	world_host_key(asset, session->host_key);
	if (session->pinned[0] != '\0' && strcmp(session->pinned, session->host_key) != 0) {
		result->fault = FAULT_HOST_KEY;
		session->broken = true;
		sim_seen(session->sim, "another host key than the pinned one");
		return;
	}
	snprintf(result->host_key.type, sizeof(result->host_key.type), "ssh-ed25519");
	result->host_key.len = strlen(session->host_key);
	memcpy(result->host_key.blob, session->host_key, result->host_key.len);
	result->host_key_new = session->pinned[0] == '\0';
	snprintf(result->address, sizeof(result->address), "192.0.2.1");
}

/* Whose password is asked for; NULL = nobody's. */
static struct sim_account *admin_asked(struct sim_session *session)
{
	struct sim *sim = session->sim;

	if (session->becoming == WIRE_BECOME_SU)
		return world_account(sim, session->asset, "root");
	if (session->becoming != WIRE_BECOME_SUDO)
		return NULL;
	if (!ground_is_keyed(session->account->at, session->name))
		return session->account;
	if (!sim->asks && sim_event(sim, "sudo is told to ask", session->asset, 60))
		sim->asks = true;
	return sim->asks ? session->account : NULL;
}

static void admin_become(struct sim_session *session, struct wire_result *result)
{
	struct sim_account *asked = admin_asked(session);

	if (asked == NULL)
		return;
	if (session->become[0] == '\0') {
		result->fault = FAULT_BECOME_PASSWORD; /* none is given, and none is refused */
	} else if (!world_login(session->sim, asked, session->become)) {
		result->fault = FAULT_BECOME_PASSWORD;
		result->failed_attempts = 1;
	}
}

static void job_admin(struct sim_session *session, struct wire_result *result)
{
	struct sim_account *account = session->account;

	result->targeted = session->targeted = strcmp(session->asset, "targeted") == 0;
	if (keys_is_line(session->secret)) {
		if (keys_open(account, session->secret))
			seen_opened(account, session->secret);
		else
			result->fault = FAULT_AUTH;
	} else if (!world_login(session->sim, account, session->secret)) {
		result->fault = FAULT_AUTH;
		result->failed_attempts = 1;
	}
	if (result->fault == FAULT_NONE)
		admin_become(session, result);
	session->opened_moment = ++session->sim->moments;
	/* By the key itself: once more it was seen to work. */
	if (result->fault == FAULT_NONE && strcmp(account->seen, session->secret) == 0)
		account->seen_moment = session->opened_moment;
}

/* Neither `db` may log in, nor root where another becomes it. */
static bool login_is_barred(const struct sim_session *session)
{
	return strcmp(session->name, "db") == 0 ||
	       (session->account->at->become == BECOME_SU && strcmp(session->name, "root") == 0);
}

static void job_methods(const struct sim_session *session, struct wire_result *result)
{
	if (login_is_barred(session))
		result->finding = FINDING_NO_PROOF;
}

static void job_check(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;

	if (session->proof == WIRE_PROOF_LOGIN && login_is_barred(session) &&
	    sim_choose(sim, "who says that a login is barred", session->asset, 2) == 0)
		result->finding = FINDING_NO_PROOF; /* else METHODS says it */
	else if (sim_event(sim, "found locked", session->name, 30))
		result->finding = FINDING_LOCKED;
}

static void job_change_cut(struct sim_session *session, struct wire_result *result)
{
	job_lost(session, result);
	result->ended = false;
	world_apply_later(session->sim, session->account, session->secret);
}

/* Only what was cut of a privileged account is put back; and that mostly is what it was. */
static uint32_t cut_permille(const struct sim_session *session)
{
	if (session->puts_back)
		return 20;
	return session->account->privileged ? 300 : 40;
}

/* What the asset does with it, where it is told whole; false: it is not applied, or not whole. */
static bool change_is_applied(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;
	const char *name = session->name;
	bool again = session->account->sent == sim_hash(session->secret);

	session->account->sent = sim_hash(session->secret);
	if (rules_refuse(sim, session->account, session->secret)) {
		result->fault = FAULT_REFUSED;
		return false;
	}
	if (sim_event(sim, "the change refused", name, again ? 250 : 80)) {
		result->fault = FAULT_REFUSED;
		sim_seen(sim, "a change refused");
		return false;
	}
	if (sim_event(sim, "the change refused, and applied", name, 40))
		result->fault = FAULT_REFUSED;
	else if (sim_event(sim, "the change accepted, and not applied", name, 30))
		return false;
	else if (sim_event(sim, "the change accepted, and cut", name, cut_permille(session))) {
		if (!keys_is_line(session->secret))
			world_apply(sim, session->account, "cut");
		return false;
	}
	return true;
}

static void job_change(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;
	uint32_t lost = session->puts_back ? 350 : 120; /* what is rare by itself */

	result->sent = true;
	result->ended = true;
	if (sim_event(sim, "the link lost after the send", session->name, lost)) {
		job_change_cut(session, result);
	} else if (sim_event(sim, "the link lost before the send", session->name, 60)) {
		result->sent = result->ended = false;
		job_lost(session, result);
	} else if (change_is_applied(session, result)) {
		rules_change(sim, session->account, session->secret);
	}
}

static void job_persist(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;
	bool lost = sim_event(sim, "the link lost while persisting", session->name, 100);
	bool refused = !lost && sim_event(sim, "persisting refused", session->name, 100);

	result->ended = !lost;
	if (lost)
		job_lost(session, result);
	else if (refused)
		result->fault = FAULT_REFUSED;
	if ((!lost && !refused) || sim_amount(sim, 2) == 0)
		keys_persist(sim, session->account, session->secret);
}

static void job_prove_key(struct sim_session *session, struct wire_result *result)
{
	struct sim_account *account = session->account;

	if (strcmp(session->secret, KEYS_SEALED) == 0) {
		result->fault = FAULT_KEY;
		return;
	}
	if (keys_open(account, session->secret)) {
		result->verdict = VERDICT_MATCH;
		snprintf(account->seen, sizeof(account->seen), "%s", session->secret);
		account->seen_moment = ++session->sim->moments;
		seen_opened(account, session->secret);
	} else {
		result->verdict = VERDICT_MISMATCH;
		result->fault = FAULT_AUTH;
	}
}

static void job_prove(struct sim_session *session, struct wire_result *result)
{
	struct sim_account *account = session->account;

	if (keys_is_line(session->secret)) {
		job_prove_key(session, result);
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

void job_do(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;

	switch (session->kind) {
	case WIRE_OPEN: job_open(session, result); break;
	case WIRE_METHODS: job_methods(session, result); break;
	case WIRE_ADMIN:
	case WIRE_LOGIN:
		job_admin(session, result);
		session->carries = session->kind == WIRE_LOGIN && result->fault == FAULT_NONE;
		break;
	case WIRE_CHECK: job_check(session, result); break;
	case WIRE_CHANGE: job_change(session, result); break;
	case WIRE_HASH:
		sim_seen(sim, "a proof by hash");
		result->verdict = strcmp(session->account->live, session->secret) == 0
				      ? VERDICT_MATCH
				      : VERDICT_MISMATCH;
		if (result->verdict == VERDICT_MATCH)
			seen_opened(session->account, session->secret);
		break;
	case WIRE_PROVE:
	case WIRE_SU: job_prove(session, result); break;
	case WIRE_PERSIST: job_persist(session, result); break;
	}
}

static void job_run(struct sim_session *session, struct wire_result *result)
{
	struct sim *sim = session->sim;

	if (session->through && session->via != NULL &&
	    sim_event(sim, "the gateway's link lost", session->via->asset, 20))
		session->via->broken = true;
	if (!session->broken && session_is_cut(session)) {
		job_gateway_lost(session, result);
		return;
	}
	if (session->kind == WIRE_OPEN && !session->broken && process_divert(session)) {
		process_answer_dead(session, result);
		return;
	}
	if (session->broken ||
	    (session->kind != WIRE_CHANGE && sim_event(sim, "the link lost", session->asset, 30))) {
		job_lost(session, result);
		return;
	}
	job_do(session, result);
}

const char *session_kind_name(enum wire_job_kind kind)
{
	static const char *const names[] = {"open", "methods", "admin", "check", "change", "hash",
	    "prove", "persist", "su", "login"};

	return names[kind];
}

/* A point of the core's way, at each kind of job. */
static const char *const given[] = {"given: open", "given: methods", "given: admin", "given: check",
    "given: change", "given: hash", "given: prove", "given: persist", "given: su", "given: login"};
static const char *const unheard[] = {"unheard: open", "unheard: methods", "unheard: admin",
    "unheard: check", "unheard: change", "unheard: hash", "unheard: prove", "unheard: persist",
    "unheard: su", "unheard: login"};

static void job_answer(void *arg)
{
	struct sim_session *session = arg;
	struct sim *sim = session->sim;
	struct wire_result result = {.fault = FAULT_NONE, .wire = session->wire};

	if (session->orphan)
		process_answer_dead(session, &result);
	else if (process_meddle(session))
		return;
	else
		job_run(session, &result);
	if (!session->orphan)
		lies_answer(session, &result);
	session->busy = false;
	sim_trace(sim, "  %s %s %s %s: fault=%s sent=%d ended=%d verdict=%d",
	    session_kind_name(session->kind), session->asset, session->name, session->secret,
	    fault_name(result.fault), result.sent, result.ended, result.verdict);
	core_point(sim, unheard[session->kind]);
	session->done(session->arg, &result);
}

/* ── The door ── */

static struct wire_session *sim_session_new(struct wires *wires, const struct wire_target *target)
{
	struct sim *sim = (struct sim *)((char *)wires - offsetof(struct sim, wires));
	struct sim_session *session = calloc(1, sizeof(*session));

	session->session.wires = wires;
	session->sim = sim;
	snprintf(session->asset, sizeof(session->asset), "%s", target->asset);
	if (target->pin_count > 0)
		memcpy(session->pinned, target->pins[0].blob, target->pins[0].len);
	sends_check_way(session, target->via);
	process_place(session);
	LIST_INSERT_HEAD(&sim->sessions, session, entry);
	return &session->session;
}

static void session_take(struct sim_session *session, const struct wire_job *job)
{
	session->kind = job->kind;
	session->name[0] = '\0';
	if (job->account != NULL)
		snprintf(session->name, sizeof(session->name), "%s", job->account);
	session->account = world_account(session->sim, session->asset, session->name);
	copy_job_secret(session->secret, job);
	copy_secret(session->become, job->become_secret);
	session->becoming = job->become;
	bug_take(session);
	session->proof = job->proof;
	session->busy = true;
	session->handed = !session->orphan;
	session->until_ms = session->sim->clock.now_ms + job->timeout_ms;
}

/* Now and then an asset is slow, and answers just in time; or it does not answer at all. */
static uint64_t job_takes_ms(struct sim_session *session, const struct wire_job *job)
{
	struct sim *sim = session->sim;

	if (job->kind == WIRE_OPEN &&
	    sim->clock.now_ms < world_asset(sim, session->asset)->silent_ms) {
		session->broken = true;
		return job->timeout_ms;
	}
	if (sim_event(sim, "an asset is slow", session->asset, 10))
		return 1 + sim_amount(sim, (uint32_t)job->timeout_ms - 1);
	return 1 + sim_choose(sim, "how long a job takes", session->asset, 20);
}

static void sim_submit(
    struct wire_session *wire, const struct wire_job *job, wire_done_fn done, void *arg)
{
	struct sim_session *session = (struct sim_session *)wire;
	struct sim *sim = session->sim;

	if (sim->dead)
		return;
	session_take(session, job);
	session->done = done;
	session->arg = arg;
	session->timer.fn = job_answer;
	session->timer.arg = session;
	reload_check_job(session, job->snapshot);
	sends_check(session);
	process_start_job(session, job_takes_ms(session, job));
	core_point(sim, given[session->kind]);
}

/* A gateway's session goes only when no session that it carries is of use any more. */
static void session_leave(struct sim_session *gateway, struct sim_session *inside)
{
	if (!gateway->broken && !session_is_cut(gateway) && !inside->broken)
		sim_violation(gateway->sim, "a gateway left with someone inside", "%s: %s",
		    gateway->asset, inside->asset);
	inside->via = NULL;
}

static void sim_session_free(struct wire_session *wire)
{
	struct sim_session *session = (struct sim_session *)wire;
	struct sim_session *other;

	timer_stop(&session->timer);
	LIST_REMOVE(session, entry);
	LIST_FOREACH (other, &session->sim->sessions, entry)
		if (other->via == session)
			session_leave(session, other);
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
	processes_begin(sim);
}
