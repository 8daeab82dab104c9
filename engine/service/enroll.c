/* Second factors of people: made, confirmed by a first code, and taken away. */

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/random.h"
#include "service/audit.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/people.h"
#include "service/session.h"
#include "service/totp.h"

struct enrolling {
	struct request *request;
	const char *user, *code;
	const struct secret *secret; /* NULL: there is none any more */
	uint64_t now_ms;
	struct code_verdict verdict;
	char recovery[RECOVERY_MAX][RECOVERY_TEXT_SIZE];
	bool there; /* it has counted before */
};

static uint64_t now_ms(const struct request *request)
{
	return clock_wall_ms(loop_clock(request->service->loop));
}

static enum err enrolling_audit(struct enrolling *enrolling, struct vault_txn *txn,
    enum audit_outcome outcome, const char *detail, struct error *error)
{
	struct audit_event event = {
	    .what = AUDIT_USER, .outcome = outcome, .object = enrolling->user, .detail = detail};

	return request_audit(enrolling->request, txn, &event, error);
}

/* ── enroll ──────────────────────────────────────────────────────────────────────────────── */

/* It does not count until a first code was right. */
static enum err enroll_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct enrolling *enrolling = arg;
	struct credentials credentials;
	enum err err = credentials_get(txn, enrolling->user, &credentials);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be read", enrolling->user);
	enrolling->there = credentials.enrolled_ms != 0;
	if (enrolling->there)
		return error_set(error, ERR_EXISTS,
		    "user \"%s\" has a second factor already: where it is lost, an admin takes it "
		    "away: lockstep user reset-mfa %s",
		    enrolling->user, enrolling->user);
	credentials.made_ms = enrolling->now_ms;
	credentials.used_step = 0;
	err = credentials_put(txn, &credentials);
	if (err != ERR_OK)
		return error_set(
		    error, err, "the second factor of user \"%s\" cannot be kept", enrolling->user);
	err = credentials_put_secret(txn, enrolling->user, enrolling->secret, error);
	if (err != ERR_OK)
		return err;
	return enrolling_audit(enrolling, txn, AUDIT_DONE, "a second factor was made", error);
}

static enum service_end enroll(struct request *request, const char *user, struct secret *secret)
{
	struct enrolling enrolling = {
	    .request = request, .user = user, .secret = secret, .now_ms = now_ms(request)};
	char *uri;

	random_bytes(secret_bytes(secret), TOTP_SECRET_BYTES);
	if (vault_write(request->service->vault, enroll_apply, &enrolling, request->error) !=
	    ERR_OK)
		return enrolling.there ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	uri = totp_uri(secret, user);
	if (uri == NULL)
		return request_fail(request, SERVICE_NO_ENGINE, "there is no memory for that");
	request->result = json_pack("{s:s, s:s}", "user", user, "uri", uri);
	mem_free(uri);
	return SERVICE_OK;
}

enum service_end user_enroll(struct request *request)
{
	const struct user *user = need_whose(request, "a second factor", "another's second factor");
	struct secret *secret = user == NULL ? NULL : secret_new(TOTP_SECRET_BYTES);
	enum service_end end;

	if (user == NULL)
		return SERVICE_USAGE;
	if (secret == NULL)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "there is no locked memory for a secret: try again in a moment");
	end = enroll(request, user->name, secret);
	secret_free(secret);
	return end;
}

/* ── confirm ─────────────────────────────────────────────────────────────────────────────── */

static enum err confirm_code(struct vault_txn *txn, struct enrolling *enrolling,
    struct credentials *credentials, struct error *error)
{
	struct secret *secret;
	enum err err = credentials_get_secret(txn, enrolling->user, &secret, error);

	if (err != ERR_OK)
		return err;
	enrolling->verdict = code_judge(credentials, secret, enrolling->code, enrolling->now_ms);
	secret_free(secret);
	if (enrolling->verdict.word == CODE_RIGHT) {
		credentials->enrolled_ms = enrolling->now_ms;
		recovery_make(credentials, enrolling->recovery);
	}
	return ERR_OK;
}

static enum err confirm_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct enrolling *enrolling = arg;
	struct credentials credentials;
	enum err err = credentials_get(txn, enrolling->user, &credentials);
	bool right;

	if (err == ERR_OK && credentials.made_ms != 0 && credentials.enrolled_ms == 0)
		err = confirm_code(txn, enrolling, &credentials, error);
	else if (err == ERR_OK || err == ERR_NOT_FOUND)
		return error_set(error, ERR_REFUSED,
		    "user \"%s\" has no second factor that waits for its first code: lockstep user "
		    "enroll %s",
		    enrolling->user, enrolling->user);
	if (err == ERR_OK)
		err = credentials_put(txn, &credentials);
	if (err != ERR_OK)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be written", enrolling->user);
	right = enrolling->verdict.word == CODE_RIGHT;
	return enrolling_audit(enrolling, txn, right ? AUDIT_DONE : AUDIT_REFUSED,
	    right ? "the second factor counts" : "its first code is not right", error);
}

static json_t *shape_recovery(struct enrolling *enrolling)
{
	json_t *array = json_array();

	for (size_t i = 0; i < RECOVERY_MAX; i++)
		json_array_append_new(array, json_string(enrolling->recovery[i]));
	explicit_bzero(enrolling->recovery, sizeof(enrolling->recovery));
	return array;
}

enum service_end user_confirm(struct request *request)
{
	const struct user *user = need_whose(request, "a second factor", "another's second factor");
	struct enrolling enrolling = {.request = request, .now_ms = now_ms(request)};
	enum err err;

	enrolling.code = user == NULL ? NULL : param_need(request, "code");
	if (enrolling.code == NULL)
		return SERVICE_USAGE;
	enrolling.user = user->name;
	err = vault_write(request->service->vault, confirm_apply, &enrolling, request->error);
	if (err != ERR_OK)
		return err == ERR_REFUSED ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	if (enrolling.verdict.word != CODE_RIGHT)
		return mfa_say(request, user->name, &enrolling.verdict);
	/* Whoever came in without it comes in anew. */
	mfa_forget(request->service, user->name);
	sessions_forget(request->service, user->name);
	request->result =
	    json_pack("{s:s, s:o}", "user", user->name, "recovery", shape_recovery(&enrolling));
	return SERVICE_OK;
}

/* ── reset ───────────────────────────────────────────────────────────────────────────────── */

static enum err reset_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct enrolling *enrolling = arg;
	struct credentials credentials, empty;
	enum err err = credentials_get(txn, enrolling->user, &credentials);

	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	enrolling->there = credentials.made_ms != 0;
	empty = (struct credentials){.password_ms = credentials.password_ms,
	    .login_failures = credentials.login_failures,
	    .login_locked_ms = credentials.login_locked_ms};
	memcpy(empty.user, credentials.user, sizeof(empty.user));
	if (err == ERR_OK)
		err = credentials_put(txn, &empty);
	if (err != ERR_OK)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be changed", enrolling->user);
	err = credentials_put_secret(txn, enrolling->user, NULL, error);
	if (err != ERR_OK)
		return err;
	return enrolling_audit(
	    enrolling, txn, AUDIT_DONE, "the second factor was taken away", error);
}

/* Of whoever was enrolled once, also where the policy has them no more. */
enum service_end user_reset_mfa(struct request *request)
{
	struct enrolling enrolling = {.request = request, .user = param_need(request, "user")};
	enum service_end end = enrolling.user == NULL ? SERVICE_USAGE : mfa_pass(request);

	if (end != SERVICE_OK)
		return end;
	if (strlen(enrolling.user) >= WHO_SIZE)
		return request_fail(request, SERVICE_USAGE, "that is no user's name");
	if (vault_write(request->service->vault, reset_apply, &enrolling, request->error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	if (!enrolling.there)
		return request_fail(request, SERVICE_USAGE,
		    "user \"%s\" has no second factor: there is nothing to take away",
		    enrolling.user);
	mfa_forget(request->service, enrolling.user);
	sessions_forget(request->service, enrolling.user);
	request->result = json_pack("{s:o}", "user", json_text(enrolling.user));
	return SERVICE_OK;
}
