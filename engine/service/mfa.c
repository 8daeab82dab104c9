#include "service/mfa.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/audit.h"
#include "service/names.h"

/* A code that was right a while ago. */
struct fresh {
	LIST_ENTRY(fresh) entry;
	char user[WHO_SIZE];
	char session[SESSION_SIZE];
	uint64_t at_ms; /* monotonic */
};

#define FRESH_MAX 1024

/* ── What holds ──────────────────────────────────────────────────────────────────────────── */

static uint64_t mono_ms(const struct service *service)
{
	return clock_mono_ms(loop_clock(service->loop));
}

void mfa_forget_session(struct service *service, const char *user, const char *session)
{
	struct fresh *fresh = LIST_FIRST(&service->fresh), *next;

	for (; fresh != NULL; fresh = next) {
		next = LIST_NEXT(fresh, entry);
		if (strcmp(fresh->user, user) != 0 || strcmp(fresh->session, session) != 0)
			continue;
		LIST_REMOVE(fresh, entry);
		free(fresh);
	}
}

void mfa_forget(struct service *service, const char *user)
{
	struct fresh *fresh = LIST_FIRST(&service->fresh), *next;

	for (; fresh != NULL; fresh = next) {
		next = LIST_NEXT(fresh, entry);
		if (user != NULL && strcmp(fresh->user, user) != 0)
			continue;
		LIST_REMOVE(fresh, entry);
		free(fresh);
	}
}

/* Takes away what is too old, and counts what stays. */
static size_t fresh_sweep(struct service *service, uint64_t ttl_ms)
{
	struct fresh *fresh = LIST_FIRST(&service->fresh), *next;
	size_t count = 0;

	for (; fresh != NULL; fresh = next, count++) {
		next = LIST_NEXT(fresh, entry);
		if (mono_ms(service) - fresh->at_ms < ttl_ms)
			continue;
		LIST_REMOVE(fresh, entry);
		free(fresh);
		count--;
	}
	return count;
}

static bool is_fresh(const struct request *request)
{
	const struct person *person = &request->person;
	const struct fresh *fresh;

	(void)fresh_sweep(request->service, policy_settings(request->policy)->mfa_ttl_ms);
	if (person->session[0] == '\0')
		return false;
	LIST_FOREACH (fresh, &request->service->fresh, entry)
		if (strcmp(fresh->user, person->name) == 0 &&
		    strcmp(fresh->session, person->session) == 0)
			return true;
	return false;
}

void mfa_remember(const struct request *request)
{
	struct service *service = request->service;
	const struct person *person = &request->person;
	uint64_t ttl_ms = policy_settings(request->policy)->mfa_ttl_ms;
	struct fresh *fresh;

	if (person->session[0] == '\0' || fresh_sweep(service, ttl_ms) >= FRESH_MAX)
		return;
	fresh = xcalloc(1, sizeof(*fresh));
	fresh->at_ms = mono_ms(service);
	snprintf(fresh->user, sizeof(fresh->user), "%s", person->name);
	snprintf(fresh->session, sizeof(fresh->session), "%s", person->session);
	LIST_INSERT_HEAD(&service->fresh, fresh, entry);
}

/* ── Judging ─────────────────────────────────────────────────────────────────────────────── */

struct judging {
	struct request *request;
	const char *user, *code;
	uint64_t now_ms;
	struct code_verdict verdict;
};

static enum err judging_audit(struct judging *judging, struct vault_txn *txn, struct error *error)
{
	static const char *const words[] = {
	    [CODE_RIGHT] = "right",
	    [CODE_RECOVERY] = "a recovery code",
	    [CODE_WRONG] = "wrong",
	    [CODE_USED] = "used before",
	    [CODE_CLOCK] = "of another time",
	    [CODE_LOCKED] = "not looked at",
	};
	enum code_word word = judging->verdict.word;
	struct audit_event event = {
	    .what = AUDIT_CODE,
	    .outcome = word == CODE_RIGHT || word == CODE_RECOVERY ? AUDIT_DONE : AUDIT_REFUSED,
	    .object = judging->user,
	    .detail = words[word],
	};

	return request_audit(judging->request, txn, &event, error);
}

/* What the code was is on disk with the commit, and nobody hears of it before. */
static enum err judging_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct judging *judging = arg;
	struct credentials credentials;
	struct secret *secret;
	enum err err = credentials_get(txn, judging->user, &credentials);

	if (err != ERR_OK)
		return error_set(
		    error, err, "the second factor of user \"%s\" cannot be read", judging->user);
	err = credentials_get_secret(txn, judging->user, &secret, error);
	if (err != ERR_OK)
		return err;
	judging->verdict = code_judge(&credentials, secret, judging->code, judging->now_ms);
	secret_free(secret);
	if (judging->verdict.word == CODE_LOCKED)
		return error_set(error, ERR_REFUSED, "nothing is looked at now");
	err = credentials_put(txn, &credentials);
	if (err != ERR_OK)
		return error_set(
		    error, err, "the second factor of user \"%s\" cannot be kept", judging->user);
	return judging_audit(judging, txn, error);
}

static enum service_end refuse(struct request *request, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static enum service_end refuse(struct request *request, const char *fmt, ...)
{
	char text[ERROR_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(request->error, ERR_DENIED, "%s", text);
	return SERVICE_USAGE;
}

static void wait_text(uint64_t wait_ms, char *out, size_t size)
{
	out[0] = '\0';
	if (wait_ms > 0)
		snprintf(out, size, "; the next one is looked at in %llu s",
		    (unsigned long long)(wait_ms + 999) / 1000);
}

static enum service_end refuse_clock(struct request *request, int64_t off_ms, const char *wait)
{
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	uint64_t minutes = (uint64_t)(off_ms < 0 ? -off_ms : off_ms) / 60000;
	char now[32];

	return refuse(request,
	    "that code is right at another time: the clock of this machine (%s) and that of the "
	    "phone differ by about %llu min, and the phone's is %s: set the one that is wrong%s",
	    text_rfc3339(now, now_ms), (unsigned long long)(minutes == 0 ? 1 : minutes),
	    off_ms < 0 ? "behind" : "ahead", wait);
}

enum service_end mfa_say(
    struct request *request, const char *user, const struct code_verdict *verdict)
{
	char wait[64];

	wait_text(verdict->wait_ms, wait, sizeof(wait));
	switch (verdict->word) {
	case CODE_RIGHT:
	case CODE_RECOVERY: return SERVICE_OK;
	case CODE_USED:
		return refuse(request,
		    "the code was used already, and each counts once: wait for the next one, at "
		    "most 30 s");
	case CODE_CLOCK: return refuse_clock(request, verdict->off_ms, wait);
	case CODE_LOCKED:
		return refuse(request,
		    "user \"%s\" gave too many wrong codes%s; where the factor is lost, an admin "
		    "takes it away: lockstep user reset-mfa %s",
		    user, wait, user);
	case CODE_WRONG: break;
	}
	return refuse(request,
	    "that code is not right%s; where it was typed as it was shown, give the one after it "
	    "too: the clocks may differ",
	    wait);
}

static enum service_end judge(struct request *request, const char *code)
{
	struct judging judging = {
	    .request = request,
	    .user = request->person.name,
	    .code = code,
	    .now_ms = clock_wall_ms(loop_clock(request->service->loop)),
	};
	enum service_end end;

	if (vault_write(request->service->vault, judging_apply, &judging, request->error) !=
		ERR_OK &&
	    judging.verdict.word != CODE_LOCKED)
		return SERVICE_NO_ENGINE;
	end = mfa_say(request, judging.user, &judging.verdict);
	if (end == SERVICE_OK)
		mfa_remember(request);
	return end;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static enum service_end read_credentials(struct request *request, struct credentials *credentials)
{
	struct vault_txn *txn = request_read(request);
	enum err err;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = credentials_get(txn, request->person.name, credentials);
	vault_read_end(txn);
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		return SERVICE_OK;
	return request_fail(request, SERVICE_NO_ENGINE,
	    "the second factor of user \"%s\" cannot be read: lockstep vault check",
	    request->person.name);
}

static enum service_end ask(struct request *request)
{
	enum service_end end = refuse(
	    request, "user \"%s\": this takes a code of your second factor", request->person.name);

	request->result = json_pack("{s:s}", "needs", "code");
	return end;
}

enum service_end mfa_pass(struct request *request)
{
	const char *code = param_text(request, "code"), *user = request->person.name;
	struct credentials credentials;
	enum service_end end;

	/* The vault's owner, whom the policy does not declare: they can read the vault. */
	if (request->person.user == NULL && request->person.owner)
		return SERVICE_OK;
	end = read_credentials(request, &credentials);
	if (end != SERVICE_OK)
		return end;
	if (credentials.enrolled_ms != 0 && code != NULL)
		return judge(request, code);
	if (credentials.enrolled_ms != 0)
		return is_fresh(request) ? SERVICE_OK : ask(request);
	if (policy_settings(request->policy)->mfa_enrolled_only)
		return SERVICE_OK;
	return refuse(request,
	    "user \"%s\" has no second factor, and this takes a code of one: lockstep user enroll "
	    "%s",
	    user, user);
}
