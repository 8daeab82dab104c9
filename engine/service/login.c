/* People who come in over TLS by a password and a code of their second factor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/hashing.h"
#include "service/mfa.h"
#include "service/names.h"
#include "service/people.h"
#include "service/session.h"
#include "service/totp.h"

/* Whoever is not let in hears so after as long, or a whole number of times as long where the
 * machine is slow, whatever was wrong: nobody is told by the time it takes which users there are,
 * who has a password, or which half of the proof was right. */
#define REFUSED_MS 1000

#define PASSWORD_LEAST 12 /* bytes */
#define PASSWORD_MOST  256
#define CODE_MOST      64

struct login {
	struct request *request;
	struct hashing_job *job;
	char user[WHO_SIZE]; /* as it was given */
	char code[CODE_MOST];
	char kept[PASSWORD_HASH_SIZE]; /* the hash that it is compared with */
	bool is_declared;	       /* it is a user's name */
	bool is_user;		       /* who has a password, and may be tried now */
	bool matched;
	bool code_counted; /* it was judged, and right */
	const char *wrong; /* for the log and the audit log; NULL = nothing */
	uint64_t now_ms;   /* wall */
	uint64_t begun_ms; /* monotonic */
	struct timer later;
};

static struct clock *clock_of(const struct request *request)
{
	return loop_clock(request->service->loop);
}

static void login_free(struct login *login)
{
	timer_stop(&login->later);
	hashing_cancel(login->job);
	explicit_bzero(login, sizeof(*login));
	free(login);
}

static void login_drop(void *arg)
{
	login_free(arg);
}

/* ── Not let in ──────────────────────────────────────────────────────────────────────────── */

static void on_refuse(void *arg)
{
	struct login *login = arg;
	struct request *request = login->request;

	login_free(login);
	error_set(request->error, ERR_DENIED,
	    "nobody is let in by that: the user, the password or the code is not right, or too "
	    "many "
	    "wrong ones were given, and nothing is looked at for at most an hour: try lockstep "
	    "login again then");
	request_end(request, SERVICE_USAGE);
}

static void refuse_later(struct login *login)
{
	struct clock *clock = clock_of(login->request);
	uint64_t lasted_ms = clock_mono_ms(clock) - login->begun_ms;

	const char *user = login->is_declared ? login->user : NULL;

	/* What is no user's name may be a password in the wrong place. */
	log_event(LOG_LEVEL_WARN, "login_refused", "user", user, "address",
	    login->request->person.address, "why", login->wrong, NULL);
	login->later = (struct timer){.fn = on_refuse, .arg = login};
	timer_start(clock, &login->later, REFUSED_MS - lasted_ms % REFUSED_MS);
}

/* ── Judging ─────────────────────────────────────────────────────────────────────────────── */

/* The code after a right password; `*wrong` says what was wrong. */
static enum err judge_code(struct vault_txn *txn, struct login *login,
    struct credentials *credentials, struct error *error)
{
	struct code_verdict verdict;
	struct secret *secret;
	enum err err;

	if (credentials->enrolled_ms == 0) {
		if (!policy_settings(login->request->policy)->mfa_enrolled_only)
			login->wrong = "no second factor";
		return ERR_OK;
	}
	err = credentials_get_secret(txn, login->user, &secret, error);
	if (err != ERR_OK)
		return err;
	verdict = code_judge(credentials, secret, login->code, login->now_ms);
	secret_free(secret);
	login->code_counted = verdict.word == CODE_RIGHT || verdict.word == CODE_RECOVERY;
	if (!login->code_counted)
		login->wrong = verdict.word == CODE_LOCKED ? "code not looked at" : "wrong code";
	return ERR_OK;
}

/* The hash that was compared with may have been replaced meanwhile. */
static enum err judge_password(struct vault_txn *txn, struct login *login,
    const struct credentials *credentials, struct error *error)
{
	struct secret *hash;
	enum err err;

	login->wrong = "wrong password";
	if (!login->matched || credentials->password_ms == 0)
		return ERR_OK;
	err = credentials_get_password(txn, login->user, &hash, error);
	if (err != ERR_OK)
		return err;
	if (hashing_same(secret_data(hash), login->kept))
		login->wrong = NULL;
	secret_free(hash);
	return ERR_OK;
}

static enum err login_audit(struct login *login, struct vault_txn *txn, struct error *error)
{
	struct audit_event event = {
	    .what = AUDIT_LOGIN,
	    .outcome = login->wrong == NULL ? AUDIT_DONE : AUDIT_REFUSED,
	    .object = login->user,
	    .detail = login->wrong,
	};

	return request_audit(login->request, txn, &event, error);
}

/* What is not looked at changes nothing: nobody fills the audit log by trying on. */
static enum err login_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct login *login = arg;
	struct credentials credentials;
	enum err err = credentials_get(txn, login->user, &credentials);

	if (err != ERR_OK)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be read", login->user);
	if (credentials.login_locked_ms > login->now_ms) {
		login->wrong = "not looked at";
		return error_set(error, ERR_REFUSED, "nothing is looked at now");
	}
	err = judge_password(txn, login, &credentials, error);
	if (err == ERR_OK && login->wrong == NULL)
		err = judge_code(txn, login, &credentials, error);
	if (err != ERR_OK)
		return err;
	credentials_count_login(&credentials, login->wrong == NULL, login->now_ms);
	err = credentials_put(txn, &credentials);
	if (err != ERR_OK)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be written", login->user);
	return login_audit(login, txn, error);
}

static void let_in(struct login *login)
{
	struct request *request = login->request;
	struct service *service = request->service;
	struct person *person = &request->person;
	char text[SESSION_TEXT_SIZE];

	person->user = policy_user_find(request->policy, login->user);
	session_begin(service, login->user, text, person->session);
	if (login->code_counted)
		mfa_remember(request);
	request->result = json_pack("{s:s, s:s, s:o}", "user", login->user, "token", text, "until",
	    json_time(login->now_ms + SESSION_LASTS_MS));
	explicit_bzero(text, sizeof(text));
	login_free(login);
	request_end(request, SERVICE_OK);
}

static void on_hash(void *arg, const char *hash)
{
	struct login *login = arg;
	struct request *request = login->request;
	enum err err;

	login->job = NULL;
	login->matched = login->is_user && hash != NULL && hashing_same(hash, login->kept);
	if (!login->is_user) {
		refuse_later(login);
		return;
	}
	snprintf(request->person.name, sizeof(request->person.name), "%s", login->user);
	err = vault_write(request->service->vault, login_apply, login, request->error);
	if (err == ERR_OK && login->wrong == NULL) {
		let_in(login);
	} else {
		if (err != ERR_OK && err != ERR_REFUSED)
			login->wrong = "it could not be kept";
		refuse_later(login);
	}
}

/* ── login ───────────────────────────────────────────────────────────────────────────────── */

static bool find_hash(struct vault_txn *txn, struct login *login)
{
	struct credentials credentials;
	struct secret *hash;
	enum err err = credentials_get(txn, login->user, &credentials);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return false;
	if (credentials.login_locked_ms > login->now_ms)
		login->wrong = "not looked at";
	else if (credentials.password_ms == 0)
		login->wrong = "no password";
	login->is_user = login->wrong == NULL;
	if (!login->is_user)
		return hashing_setting(login->kept);
	if (credentials_get_password(txn, login->user, &hash, login->request->error) != ERR_OK)
		return false;
	snprintf(login->kept, sizeof(login->kept), "%s", secret_data(hash));
	secret_free(hash);
	return true;
}

/* Whom it is worth to look at; of others the same work is done. */
static bool find_user(struct login *login)
{
	struct request *request = login->request;
	struct vault_txn *txn;
	bool found;

	login->is_declared = policy_user_find(request->policy, login->user) != NULL;
	if (!login->is_declared) {
		login->wrong = "no such user";
		return hashing_setting(login->kept);
	}
	txn = request_read(request);
	found = txn != NULL && find_hash(txn, login);
	if (txn != NULL)
		vault_read_end(txn);
	return found;
}

static enum service_end login_begin(struct login *login, const char *password)
{
	struct request *request = login->request;
	struct secret *secret;

	if (!find_user(login))
		return request_fail(request, SERVICE_NO_ENGINE,
		    "nobody can be let in now: the vault cannot be read");
	secret = secret_from(password, strlen(password));
	if (secret != NULL)
		login->job = hashing_start(request->service, secret, login->kept, on_hash, login);
	secret_free(secret);
	if (login->job == NULL)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "too many try to log in at once: try again in a moment");
	request->drop = login_drop;
	request->drop_arg = login;
	return SERVICE_LATER;
}

static bool is_short(const char *text, size_t size)
{
	return text != NULL && strlen(text) < size;
}

enum service_end login_request(struct request *request)
{
	const char *user = param_need(request, "user"), *code = param_text(request, "code");
	const char *password = user == NULL ? NULL : param_need(request, "password");
	struct login *login;
	enum service_end end;

	if (password == NULL)
		return SERVICE_USAGE;
	if (!request->person.tls)
		return request_fail(request, SERVICE_USAGE,
		    "to log in is for TLS: here the kernel says who you are (lockstep whoami)");
	if (!is_short(user, WHO_SIZE) || !is_short(password, PASSWORD_MOST + 1) ||
	    (code != NULL && !is_short(code, CODE_MOST)))
		return request_fail(request, SERVICE_USAGE,
		    "the user, the password or the code is longer than any is");
	login = xcalloc(1, sizeof(*login));
	login->request = request;
	login->now_ms = clock_wall_ms(clock_of(request));
	login->begun_ms = clock_mono_ms(clock_of(request));
	snprintf(login->user, sizeof(login->user), "%s", user);
	snprintf(login->code, sizeof(login->code), "%s", code == NULL ? "" : code);
	end = login_begin(login, password);
	if (end != SERVICE_LATER)
		login_free(login);
	return end;
}

enum service_end logout_request(struct request *request)
{
	const struct person *person = &request->person;
	bool ended = person->tls && session_end(request->service, person->session);

	if (!ended)
		return request_fail(request, SERVICE_USAGE,
		    "there is no login to end: only what lockstep login printed is one");
	mfa_forget_session(request->service, person->name, person->session);
	request->result = json_pack("{s:s}", "user", person->name);
	return SERVICE_OK;
}

/* ── password ────────────────────────────────────────────────────────────────────────────── */

struct setting {
	struct request *request;
	struct hashing_job *job;
	char user[WHO_SIZE];
	struct secret *hash; /* NULL = it is taken away */
	bool there;	     /* there was one before */
};

static void setting_free(void *arg)
{
	struct setting *setting = arg;

	hashing_cancel(setting->job);
	secret_free(setting->hash);
	explicit_bzero(setting, sizeof(*setting));
	free(setting);
}

static enum err setting_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct setting *setting = arg;
	bool away = setting->hash == NULL;
	struct credentials credentials;
	struct audit_event event = {.what = AUDIT_USER,
	    .object = setting->user,
	    .detail = away ? "the password was taken away" : "a password was set"};
	enum err err = credentials_get(txn, setting->user, &credentials);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return error_set(
		    error, err, "what is kept of user \"%s\" cannot be read", setting->user);
	setting->there = credentials.password_ms != 0;
	if (away && !setting->there)
		return error_set(error, ERR_NOT_FOUND,
		    "user \"%s\" has no password: there is nothing to take away", setting->user);
	credentials.password_ms = away ? 0 : clock_wall_ms(clock_of(setting->request));
	credentials.login_failures = 0;
	credentials.login_locked_ms = 0;
	err = credentials_put(txn, &credentials);
	if (err != ERR_OK)
		return error_set(
		    error, err, "the password of user \"%s\" cannot be kept", setting->user);
	err = credentials_put_password(txn, setting->user, setting->hash, error);
	if (err != ERR_OK)
		return err;
	return request_audit(setting->request, txn, &event, error);
}

/* Who was in by the password before is out. */
static enum service_end setting_keep(struct setting *setting)
{
	struct request *request = setting->request;
	enum err err = vault_write(request->service->vault, setting_apply, setting, request->error);

	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	sessions_forget(request->service, setting->user);
	request->result = json_pack("{s:s, s:b, s:b}", "user", setting->user, "password",
	    setting->hash != NULL, "replaced", setting->there);
	return SERVICE_OK;
}

static void on_new_hash(void *arg, const char *hash)
{
	struct setting *setting = arg;
	struct request *request = setting->request;
	enum service_end end;

	setting->job = NULL;
	if (hash != NULL)
		setting->hash = secret_from(hash, strlen(hash));
	end = setting->hash != NULL
		  ? setting_keep(setting)
		  : request_fail(request, SERVICE_NO_ENGINE,
			"the password was not hashed, for want of memory or a thread: try "
			"again when the machine has room");
	setting_free(setting);
	request_end(request, end);
}

static enum service_end setting_begin(struct setting *setting, const char *password)
{
	struct request *request = setting->request;
	struct secret *secret = secret_from(password, strlen(password));
	char how[PASSWORD_HASH_SIZE];

	if (secret != NULL && hashing_setting(how))
		setting->job = hashing_start(request->service, secret, how, on_new_hash, setting);
	secret_free(secret);
	if (setting->job == NULL)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "the password cannot be hashed now: too many wait, or there is no memory; try "
		    "again in a moment");
	request->drop = setting_free;
	request->drop_arg = setting;
	return SERVICE_LATER;
}

static bool password_is_good(struct request *request, const char *password)
{
	size_t len = strlen(password);

	if (len >= PASSWORD_LEAST && len <= PASSWORD_MOST)
		return true;
	request_fail(request, SERVICE_USAGE,
	    "the password has %zu bytes: give one of %d to %d, which someone on the network may "
	    "try "
	    "to guess",
	    len, PASSWORD_LEAST, PASSWORD_MOST);
	return false;
}

enum service_end user_password(struct request *request)
{
	bool away = param_flag(request, "remove");
	const struct user *user = need_whose(request, "a password", "another's password");
	const char *password = NULL;
	struct setting *setting;
	enum service_end end;

	if (user == NULL)
		return SERVICE_USAGE;
	if (!away)
		password = param_need(request, "password");
	if (!away && (password == NULL || !password_is_good(request, password)))
		return SERVICE_USAGE;
	end = mfa_pass(request);
	if (end != SERVICE_OK)
		return end;
	setting = xcalloc(1, sizeof(*setting));
	setting->request = request;
	snprintf(setting->user, sizeof(setting->user), "%s", user->name);
	end = away ? setting_keep(setting) : setting_begin(setting, password);
	if (end != SERVICE_LATER)
		setting_free(setting);
	return end;
}
