#include "wire/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/mem.h"
#include "wire/redact.h"
#include "wire/su.h"

/* What the steps found, in the words of struct wire_result; that is too large to be kept. */
struct findings {
	enum wire_finding finding;
	enum wire_verdict verdict;
	uint32_t failed_attempts;
	bool remembers, sent, ended, targeted, via_lost, slow_lane;
};

struct work {
	struct work_config config;
	struct place *place;
	const struct wire_target *target;
	const struct wire_job *job;
	unsigned phase;
	struct echo *echo;
	struct su *su;
	struct script *script;
	struct script_result seen; /* as of the script's last step */
	struct hash_job *hashing;
	bool hashed;
	struct findings found;
};

static void place_part(const struct place *place)
{
	if (place->link != NULL && place->parting != NULL)
		place->parting(place->arg);
}

void place_clear(struct place *place)
{
	place_part(place);
	/* Its last words leave together. */
	if (place->link != NULL)
		link_turn_begin(place->link, true);
	shell_free(place->shell);
	gateway_free(place->gateway);
	link_free(place->link);
	*place = (struct place){.parting = place->parting, .arg = place->arg};
}

struct work *work_new(const struct work_config *config, struct place *place,
    const struct wire_target *target, const struct wire_job *job)
{
	struct work *work = xcalloc(1, sizeof(*work));

	work->config = *config;
	work->place = place;
	work->target = target;
	work->job = job;
	return work;
}

void work_free(struct work *work)
{
	if (work == NULL)
		return;
	if (work->hashing != NULL)
		hash_job_cancel(work->hashing);
	script_free(work->script);
	secret_free(work->seen.hash);
	echo_free(work->echo);
	su_free(work->su);
	free(work);
}

/* ── OPEN, METHODS ───────────────────────────────────────────────────────────────────────── */

/* False where the gateway that it should go through is not there. */
static bool work_through(const struct work *work, struct gateway **gateway)
{
	if (work->config.gateway == NULL)
		return true;
	*gateway = work->config.gateway(work->config.arg);
	return *gateway != NULL && !gateway_broken(*gateway);
}

static enum err open_step(struct work *work, struct outcome *outcome)
{
	struct link_config config = {
	    .dns = work->config.dns,
	    .slow_lane = work->config.slow_lane,
	    .wake = work->config.wake,
	    .arg = work->config.arg,
	};
	enum err err;

	if (work->phase == 0) {
		place_clear(work->place);
		if (!work_through(work, &config.gateway)) {
			work->found.via_lost = true;
			return outcome_set(outcome, FAULT_LOST, "the gateway's session is closed");
		}
		work->place->link = link_new(&config, work->target);
		work->phase = 1;
	}
	err = link_open_step(work->place->link, outcome);
	work->found.slow_lane = link_wants_slow_lane(work->place->link);
	return err;
}

static void methods_lack(struct work *work, struct outcome *outcome)
{
	char offered[128];

	link_methods(work->place->link, offered, sizeof(offered));
	work->found.finding = FINDING_NO_PROOF;
	snprintf(outcome->text, sizeof(outcome->text),
	    "the asset lets nobody called %.64s in by %s, only by: %s", work->job->account,
	    work->job->secret_is_key ? "key" : "password", offered);
}

static enum err methods_step(struct work *work, struct outcome *outcome)
{
	enum err err = link_methods_step(work->place->link, work->job->account, outcome);

	if (err == ERR_OK && !link_takes(work->place->link, work->job->secret_is_key))
		methods_lack(work, outcome);
	work->found.remembers = link_remembers(work->place->link);
	return err;
}

/* ── ADMIN, PROVE, LOGIN ──────────────────────────────────────────────────────────────── */

/*
 * One login for each link: on one that is in already another secret would seem to work untried, and
 * what was refused must not count against the next.
 */
static enum err login_begin(struct work *work, struct outcome *outcome)
{
	if (work->place->login_made)
		return outcome_set(outcome, FAULT_LOST, "another login needs another session");
	work->place->login_made = true;
	work->phase = 1;
	return ERR_OK;
}

static enum err login_step(struct work *work, struct outcome *outcome)
{
	struct login login = {
	    .user = work->job->account,
	    .secret = work->job->secret,
	    .is_key = work->job->secret_is_key,
	    .passphrase = work->job->passphrase,
	};
	enum err err = link_login_step(work->place->link, &login, outcome);

	work->found.failed_attempts = link_failed_attempts(work->place->link);
	return err;
}

static enum err gateway_step(struct work *work, struct outcome *outcome)
{
	struct place *place = work->place;
	struct gateway_config config = {
	    .base = work->config.base,
	    .turns = work->config.turns,
	    .asset = work->target->asset,
	};
	enum err err = ERR_OK;

	if (work->phase == 0)
		err = login_begin(work, outcome);
	if (err == ERR_OK && work->phase == 1) {
		err = login_step(work, outcome);
		if (err == ERR_OK)
			work->phase = 2;
	}
	if (err == ERR_OK)
		err = gateway_ready_step(place->link, outcome);
	if (err == ERR_OK) {
		place_part(place);
		(void)link_turn_end(place->link);
		place->gateway = gateway_new(&config, place->link); /* transferred */
		place->link = NULL;
	}
	return err;
}

static enum err admin_step(struct work *work, struct outcome *outcome)
{
	struct place *place = work->place;
	struct shell_config config = {
	    .become = work->job->become,
	    .user = work->job->account,
	    .become_secret = work->job->become_secret,
	};
	enum err err;

	if (work->phase == 0) {
		err = login_begin(work, outcome);
		if (err != ERR_OK)
			return err;
	}
	if (work->phase == 1) {
		err = login_step(work, outcome);
		if (err != ERR_OK)
			return err;
		place->shell = shell_new(place->link, &config);
		work->phase = 2;
	}
	err = shell_open_step(place->shell, outcome);
	work->found.failed_attempts =
	    link_failed_attempts(place->link) + shell_failed_attempts(place->shell);
	work->found.targeted = shell_targeted(place->shell);
	return err;
}

static enum err prove_step(struct work *work, struct outcome *outcome)
{
	enum err err;

	if (work->phase == 0) {
		err = login_begin(work, outcome);
		if (err != ERR_OK)
			return err;
	}
	if (work->phase == 1) {
		err = login_step(work, outcome);
		if (err != ERR_OK && outcome->fault == FAULT_AUTH)
			work->found.verdict = VERDICT_MISMATCH;
		if (err != ERR_OK)
			return err;
		work->echo = echo_new(work->place->link);
		work->phase = 2;
	}
	err = echo_step(work->echo, outcome);
	if (err == ERR_OK)
		work->found.verdict = VERDICT_MATCH;
	return err;
}

/* ── SU ──────────────────────────────────────────────────────────────────────────────────── */

static enum err su_job_step(struct work *work, struct outcome *outcome)
{
	const struct wire_job *job = work->job;
	enum err err;

	if (work->place->shell == NULL)
		return outcome_set(outcome, FAULT_LOST, "the privileged session is not open");
	if (work->su == NULL)
		work->su = su_new(work->place->link, job->account, job->secret);
	err = su_step(work->su, &work->found.verdict, outcome);
	work->found.failed_attempts = su_failed_attempts(work->su);
	return err;
}

/* ── CHECK, CHANGE, HASH, PERSIST
 * ─────────────────────────────────────────────────────────────────── */

static struct script *work_script(struct work *work, enum script_call call)
{
	const struct wire_job *job = work->job;
	struct script_config config = {
	    .platform = job->platform,
	    .call = call,
	    .asset = work->target->asset,
	    .account = job->account,
	    .proof = job->proof,
	    .limit_ms = job->timeout_ms,
	    .new_secret = call == SCRIPT_CHANGE ? job->secret : NULL,
	    .old_secret = job->old,
	    .key = job->ssh_key,
	    .params = job->params,
	    .shell = work->place->shell,
	};

	return script_new(work->config.scripts, &config);
}

static enum err script_call_step(
    struct work *work, enum script_call call, bool *busy, struct outcome *outcome)
{
	if (work->place->shell == NULL)
		return outcome_set(outcome, FAULT_LOST, "the privileged session is not open");
	if (work->config.scripts == NULL)
		return outcome_set(outcome, FAULT_LIMIT,
		    "the platforms of policy %u are not kept any more", work->job->snapshot);
	if (work->script == NULL)
		work->script = work_script(work, call);
	return script_step(work->script, &work->seen, busy, outcome);
}

static enum err check_step(struct work *work, bool *busy, struct outcome *outcome)
{
	enum err err = script_call_step(work, SCRIPT_CHECK, busy, outcome);

	if (err == ERR_OK)
		work->found.finding = work->seen.finding;
	return err;
}

static enum err change_step(struct work *work, bool *busy, struct outcome *outcome)
{
	enum err err;

	/* What has not left this machine when we die must not leave it afterwards. */
	if (work->phase == 0) {
		CRASH_POINT("wire.change_received");
		link_hold(work->place->link, true);
	}
	work->phase = 1;
	err = script_call_step(
	    work, work->job->ssh_key != NULL ? SCRIPT_CHANGE_KEY : SCRIPT_CHANGE, busy, outcome);
	if (err != ERR_AGAIN)
		work->found.ended = work->seen.ended;
	work->found.sent = work->seen.sent;
	return err;
}

static enum err persist_step(struct work *work, bool *busy, struct outcome *outcome)
{
	enum err err = script_call_step(work, SCRIPT_PERSIST, busy, outcome);

	if (err != ERR_AGAIN)
		work->found.ended = work->seen.ended;
	return err;
}

static void hash_compared(void *arg, enum wire_verdict verdict)
{
	struct work *work = arg;

	work->hashing = NULL;
	work->hashed = true;
	work->found.verdict = verdict;
	work->config.wake(work->config.arg);
}

static enum err hash_begin(struct work *work, struct outcome *outcome)
{
	if (work->seen.hash == NULL) {
		snprintf(outcome->text, sizeof(outcome->text), "the asset shows no hash");
		return ERR_OK;
	}
	work->hashing = hasher_compare(
	    work->config.hasher, work->job->secret, work->seen.hash, hash_compared, work);
	if (work->hashing == NULL)
		return outcome_set(outcome, FAULT_LIMIT, "too many hashes are being compared");
	return ERR_AGAIN;
}

static enum err hash_step(struct work *work, bool *busy, struct outcome *outcome)
{
	enum err err;

	if (work->phase == 0) {
		err = script_call_step(work, SCRIPT_READ_HASH, busy, outcome);
		if (err != ERR_OK)
			return err;
		work->phase = 1;
		return hash_begin(work, outcome);
	}
	return work->hashed ? ERR_OK : ERR_AGAIN;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

enum err work_step(struct work *work, bool *busy, struct outcome *outcome)
{
	*outcome = (struct outcome){.fault = FAULT_NONE};
	*busy = false;
	if (work->job->kind != WIRE_OPEN && work->place->link == NULL)
		return outcome_set(outcome, FAULT_LOST, "the session is closed");
	switch (work->job->kind) {
	case WIRE_OPEN: return open_step(work, outcome);
	case WIRE_METHODS: return methods_step(work, outcome);
	case WIRE_ADMIN: return admin_step(work, outcome);
	case WIRE_CHECK: return check_step(work, busy, outcome);
	case WIRE_CHANGE: return change_step(work, busy, outcome);
	case WIRE_HASH: return hash_step(work, busy, outcome);
	case WIRE_PROVE: return prove_step(work, outcome);
	case WIRE_PERSIST: return persist_step(work, busy, outcome);
	case WIRE_SU: return su_job_step(work, outcome);
	case WIRE_LOGIN: return gateway_step(work, outcome);
	}
	return outcome_set(outcome, FAULT_LIMIT, "no such job");
}

/* Whether another job may follow: after a change that the asset refused, its shell waits for more.
 */
static bool place_is_sound(enum wire_job_kind kind, const struct wire_result *result)
{
	if (result->fault == FAULT_NONE)
		return !result->sent || result->ended;
	if (kind == WIRE_SU)
		return result->fault == FAULT_EXPIRED || result->fault == FAULT_NO_SHELL ||
		       result->fault == FAULT_BECOME_DENIED || result->fault == FAULT_OUTPUT ||
		       result->fault == FAULT_LIMIT;
	return result->fault == FAULT_REFUSED && result->ended;
}

static void work_crash_point(enum wire_job_kind kind)
{
	switch (kind) {
	case WIRE_OPEN: CRASH_POINT("wire.opened"); break;
	case WIRE_METHODS: CRASH_POINT("wire.methods_told"); break;
	case WIRE_ADMIN: CRASH_POINT("wire.admin_in"); break;
	case WIRE_CHECK: CRASH_POINT("wire.checked"); break;
	case WIRE_CHANGE: CRASH_POINT("wire.changed"); break;
	case WIRE_PROVE: CRASH_POINT("wire.proved"); break;
	case WIRE_PERSIST: CRASH_POINT("wire.persisted"); break;
	case WIRE_HASH:
	case WIRE_LOGIN:
	case WIRE_SU: break;
	}
}

/* What the asset sent back in a text: no secret of this job may stand in it. */
static void work_redact(const struct wire_job *job, char *text, size_t size)
{
	const struct secret *const secrets[] = {
	    job->secret, job->passphrase, job->old, job->become_secret};
	struct buf buf;

	buf_init(&buf, size - 1);
	if (text[0] == '\0' || !buf_add_text(&buf, text))
		return;
	redact(&buf, secrets, sizeof(secrets) / sizeof(secrets[0]));
	snprintf(text, size, "%s", buf_text(&buf));
	buf_clear(&buf);
}

/* What hangs most often says why: it asks something. */
static void work_add_said(const struct work *work, struct wire_result *result)
{
	char said[WIRE_TEXT_SIZE / 2];
	size_t len = strlen(result->text);

	if (result->fault == FAULT_TIMEOUT && work->job->kind == WIRE_ADMIN &&
	    work->place->shell != NULL &&
	    shell_said(work->place->shell, said, sizeof(said))[0] != '\0')
		snprintf(result->text + len, sizeof(result->text) - len,
		    "; the last that it said: \"%s\"", said);
}

void work_result(struct work *work, const struct outcome *outcome, struct wire_result *result)
{
	struct place *place = work->place;

	work_crash_point(work->job->kind);
	*result = (struct wire_result){
	    .fault = outcome->fault,
	    .finding = work->found.finding,
	    .remembers = work->found.remembers,
	    .sent = work->found.sent,
	    .ended = work->found.ended,
	    .targeted = work->found.targeted,
	    .verdict = work->found.verdict,
	    .failed_attempts = work->found.failed_attempts,
	    .via_lost = work->found.via_lost,
	    .slow_lane = work->found.slow_lane,
	};
	if (work->job->kind == WIRE_OPEN && outcome->fault == FAULT_NONE)
		link_peer(place->link, &result->host_key, &result->host_key_new, result->address);
	memcpy(result->text, outcome->text, sizeof(result->text));
	work_add_said(work, result);
	work_redact(work->job, result->text, sizeof(result->text));
	if (result->fault != FAULT_NONE && place->link != NULL && link_gateway_lost(place->link))
		result->via_lost = true;
	/* Before what they borrowed goes. */
	script_free(work->script);
	work->script = NULL;
	echo_free(work->echo);
	work->echo = NULL;
	su_free(work->su);
	work->su = NULL;
	if (!place_is_sound(work->job->kind, result))
		place_clear(place); /* with a reset, where a secret may be under way */
	else if (work->job->kind == WIRE_CHANGE && place->link != NULL)
		link_hold(place->link, false);
}
