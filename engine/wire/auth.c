#define _GNU_SOURCE /* memmem */
#include "wire/session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/ssh_key.h"
#include "base/text.h"
#include "wire/hint.h"

void auth_clear(struct auth *auth)
{
	free(auth->user);
	free(auth->methods);
	*auth = (struct auth){.phase = AUTH_LIST};
}

static bool auth_offers(const struct auth *auth, const char *method)
{
	const char *methods = auth->methods != NULL ? auth->methods : "";

	return names_have((struct names){methods, strlen(methods)}, method);
}

bool link_takes(const struct link *link, bool key)
{
	if (key)
		return auth_offers(&link->auth, "publickey");
	return auth_offers(&link->auth, "password") ||
	       auth_offers(&link->auth, "keyboard-interactive");
}

bool link_remembers(const struct link *link)
{
	const struct greeting *greeting = &link->stream.greeting;

	return memmem(greeting->first, greeting->first_len, "OpenSSH", strlen("OpenSSH")) == NULL;
}

void link_methods(const struct link *link, char *out, size_t size)
{
	const char *methods = link->auth.methods != NULL ? link->auth.methods : "";

	text_escape(out, size, methods, strlen(methods));
}

uint32_t link_failed_attempts(const struct link *link)
{
	return link->auth.failed;
}

/* Asks with an attempt by "none", which is no attempt to an asset. ERR_OK with NULL: let in. */
static enum err link_ask_methods(struct link *link, char **methods, struct outcome *outcome)
{
	const char *user = link->auth.user;
	char *list;

	*methods = NULL;
	link_enter(link);
	list = libssh2_userauth_list(link->session, user, (unsigned)strlen(user));
	link_leave(link);
	if (list != NULL) {
		*methods = xstrdup(list);
		return ERR_OK;
	}
	if (libssh2_userauth_authenticated(link->session))
		return ERR_OK;
	if (libssh2_session_last_errno(link->session) == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	return link_fail(link, outcome, FAULT_NO_METHOD, "asking for ways to log in");
}

enum err link_methods_step(struct link *link, const char *user, struct outcome *outcome)
{
	struct auth *auth = &link->auth;
	enum err err;

	if (auth->user == NULL || strcmp(auth->user, user) != 0) {
		auth_clear(auth);
		auth->user = xstrdup(user);
	}
	if (auth->methods != NULL)
		return ERR_OK;
	err = link_ask_methods(link, &auth->methods, outcome);
	if (err == ERR_OK && auth->methods == NULL) {
		auth->methods = xstrdup("");
		auth->open = true;
	}
	return err;
}

/* ── Conversation ────────────────────────────────────────────────────────────────────────── */

static void auth_keep_prompt(struct auth *auth, const char *text, size_t len)
{
	text_escape(auth->prompt, sizeof(auth->prompt), text, len);
}

/* What the asset wants with a prompt after the secret was given. */
static enum auth_stop auth_why(const struct auth *auth, const char *text, size_t len)
{
	char shown[AUTH_PROMPT_SIZE];

	if (hint_change(text, len))
		return AUTH_STOP_CHANGE;
	text_escape(shown, sizeof(shown), text, len);
	return strcmp(shown, auth->prompt) == 0 ? AUTH_STOP_AGAIN : AUTH_STOP_MORE;
}

static void auth_stop(struct link *link, enum auth_stop why, const char *text, size_t len)
{
	link->auth.stop = why;
	auth_keep_prompt(&link->auth, text, len);
	/* The answer that libssh2 makes of an empty one must not leave. */
	link->stream.mute = true;
}

static void auth_answer(struct link *link, LIBSSH2_USERAUTH_KBDINT_RESPONSE *response)
{
	const struct secret *secret = link->auth.login->secret;
	size_t len = secret_len(secret);

	response->text = blocks_alloc(&link->blocks, len > 0 ? len : 1);
	if (response->text == NULL) {
		link->stream.mute = true;
		return;
	}
	memcpy(response->text, secret_data(secret), len);
	response->length = (unsigned)len;
	link->auth.answered = true;
	link->auth.failed++;
}

static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(auth_prompts)
{
	struct link *link = *abstract;
	struct auth *auth = &link->auth;

	(void)name;
	(void)name_len;
	for (int i = 0; i < num_prompts && auth->stop == AUTH_GO_ON; i++) {
		const char *text = (const char *)prompts[i].text;
		size_t len = prompts[i].length;
		bool first = !auth->answered && !prompts[i].echo;

		if (first && (num_prompts == 1 || !hint_change(text, len))) {
			auth_keep_prompt(auth, text, len);
			auth_answer(link, &responses[i]);
		} else if (hint_change(instruction, (size_t)instruction_len)) {
			auth_stop(link, AUTH_STOP_CHANGE, text, len);
		} else {
			auth_stop(link, auth_why(auth, text, len), text, len);
		}
	}
}

static LIBSSH2_PASSWD_CHANGEREQ_FUNC(auth_change_request)
{
	struct link *link = *abstract;

	(void)session;
	(void)newpw_len;
	/* Without a callback libssh2 calls it a refusal; without a new one it says "expired". */
	*newpw = NULL;
	link->auth.stop = AUTH_STOP_CHANGE;
}

/* ── Logging in ──────────────────────────────────────────────────────────────────────────── */

static int auth_try_key(struct link *link, const struct login *login)
{
	/* libssh2 follows a NULL passphrase. */
	const char *passphrase = login->passphrase != NULL ? secret_data(login->passphrase) : "";

	return libssh2_userauth_publickey_frommemory(link->session, login->user,
	    strlen(login->user), NULL, 0, secret_data(login->secret), secret_len(login->secret),
	    passphrase);
}

static int auth_try(struct link *link, const struct login *login)
{
	unsigned user_len = (unsigned)strlen(login->user);
	int rc;

	link_enter(link);
	if (link->auth.method == AUTH_KEY)
		rc = auth_try_key(link, login);
	else if (link->auth.method == AUTH_PASSWORD)
		rc = libssh2_userauth_password_ex(link->session, login->user, user_len,
		    secret_data(login->secret), (unsigned)secret_len(login->secret),
		    auth_change_request);
	else
		rc = libssh2_userauth_keyboard_interactive_ex(
		    link->session, login->user, user_len, auth_prompts);
	link_leave(link);
	return rc;
}

static enum err auth_choose(struct auth *auth, const struct login *login, struct outcome *outcome)
{
	const char *wanted = login->is_key ? "key" : "password";

	if (auth->open)
		return outcome_set(outcome, FAULT_NO_METHOD,
		    "the asset lets %s in without a %s: nothing can be proven", login->user,
		    wanted);
	if (login->is_key && auth_offers(auth, "publickey"))
		auth->method = AUTH_KEY;
	else if (!login->is_key && auth_offers(auth, "password"))
		auth->method = AUTH_PASSWORD;
	else if (!login->is_key && auth_offers(auth, "keyboard-interactive"))
		auth->method = AUTH_PROMPTS;
	else {
		char shown[128];

		text_escape(shown, sizeof(shown), auth->methods, strlen(auth->methods));
		return outcome_set(outcome, FAULT_NO_METHOD,
		    "the asset takes no %s from %s, only: %s", wanted, login->user, shown);
	}
	auth->phase = AUTH_TRY;
	/* Counted until it is seen to work: a link that breaks now tells nothing. */
	if (auth->method == AUTH_PASSWORD)
		auth->failed++;
	return ERR_OK;
}

/* The SSH library signs with RSA keys by SHA-1 alone. */
static bool auth_by_old_rsa(const struct auth *auth)
{
	char line[SSH_KEY_LINE_SIZE];
	struct error error;

	return LIBSSH2_VERSION_NUM < 0x010b00 && auth->method == AUTH_KEY &&
	       ssh_key_public(auth->login->secret, auth->login->passphrase, line, &error) ==
		   ERR_OK &&
	       strncmp(line, "ssh-rsa ", 8) == 0;
}

static enum err auth_refused(const struct auth *auth, struct outcome *outcome)
{
	return outcome_set(outcome, FAULT_AUTH, "the asset refused the %s of %s%s",
	    auth->method == AUTH_KEY ? "key" : "password", auth->user,
	    auth_by_old_rsa(auth) ? " (it is an RSA key, which this build can use by SHA-1 alone, "
				    "and OpenSSH since 8.8 does not take: use Ed25519 or ECDSA)"
				  : "");
}

static enum err auth_stopped(struct auth *auth, struct outcome *outcome)
{
	if (auth->stop == AUTH_STOP_CHANGE) {
		auth->failed = 0;
		return outcome_set(outcome, FAULT_EXPIRED,
		    "the asset wants the password of %s changed at login", auth->user);
	}
	if (auth->stop == AUTH_STOP_AGAIN)
		return auth_refused(auth, outcome);
	return outcome_set(outcome, FAULT_NO_METHOD,
	    "the asset asks %s for more than a password: \"%s\"", auth->user, auth->prompt);
}

static enum err auth_key_failed(struct link *link, int rc, struct outcome *outcome)
{
	if (rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return auth_refused(&link->auth, outcome);
	return link_fail(link, outcome, FAULT_KEY, "the private key cannot be used");
}

/* libssh2 gives a link that broke the code of a refusal. */
static bool auth_no_answer(struct link *link)
{
	char *message = NULL;

	libssh2_session_last_error(link->session, &message, NULL, 0);
	return message != NULL && strncmp(message, "Waiting", 7) == 0;
}

static enum err auth_failed(struct link *link, int rc, struct outcome *outcome)
{
	struct auth *auth = &link->auth;

	if (auth->stop != AUTH_GO_ON)
		return auth_stopped(auth, outcome);
	/* A last attempt is refused by this instead. */
	if (auth->failed > 0 && hint_refused(link->farewell, strlen(link->farewell)))
		return auth_refused(auth, outcome);
	if (stream_broken(&link->stream) || link->stream.over || auth_no_answer(link))
		return link_fail(link, outcome, FAULT_LOST, "logging in");
	if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED) {
		auth->phase = AUTH_REFUSED;
		return ERR_OK;
	}
	if (auth->method == AUTH_KEY)
		return auth_key_failed(link, rc, outcome);
	return link_fail(link, outcome, FAULT_LOST, "logging in");
}

static enum err auth_try_step(struct link *link, const struct login *login, struct outcome *outcome)
{
	int rc = auth_try(link, login);

	/* A muted link waits for an answer to what never left. */
	if (rc == LIBSSH2_ERROR_EAGAIN && !link->stream.mute)
		return ERR_AGAIN;
	if (rc != 0)
		return auth_failed(link, rc, outcome);
	link->auth.failed = 0;
	if (link->auth.method == AUTH_PROMPTS && !link->auth.answered)
		return outcome_set(outcome, FAULT_NO_METHOD,
		    "the asset lets %s in without asking for the password: nothing can be proven",
		    login->user);
	stream_trust(&link->stream);
	return ERR_OK;
}

static const char *auth_method_name(enum auth_method method)
{
	static const char *const names[] = {
	    [AUTH_KEY] = "publickey",
	    [AUTH_PASSWORD] = "password",
	    [AUTH_PROMPTS] = "keyboard-interactive",
	};

	return names[method];
}

/*
 * A secret that was right but is not enough is answered like a wrong one; only the list of what may
 * go on differs then.
 */
static enum err auth_refused_step(struct link *link, struct outcome *outcome)
{
	struct auth *auth = &link->auth;
	struct outcome ignored;
	char *before = auth->methods;
	bool more;
	enum err err;

	err = link_ask_methods(link, &auth->methods, &ignored);
	if (err == ERR_AGAIN) {
		auth->methods = before;
		return err;
	}
	more = err == ERR_OK && auth->methods != NULL && strcmp(before, auth->methods) != 0 &&
	       !auth_offers(auth, auth_method_name(auth->method));
	free(before);
	if (!more)
		return auth_refused(auth, outcome);
	auth->failed = 0;
	return outcome_set(outcome, FAULT_NO_METHOD,
	    "the asset took the secret of %s and asks for more: %.128s", auth->user, auth->methods);
}

static enum err login_go_on(struct link *link, const struct login *login, struct outcome *outcome)
{
	struct auth *auth = &link->auth;
	enum err err = ERR_OK;

	if (auth->phase == AUTH_LIST || strcmp(auth->user, login->user) != 0) {
		err = link_methods_step(link, login->user, outcome);
		if (err == ERR_OK)
			err = auth_choose(auth, login, outcome);
	}
	auth->login = login;
	if (err == ERR_OK && auth->phase == AUTH_TRY) {
		err = auth_try_step(link, login, outcome);
		if (err == ERR_OK && auth->phase == AUTH_TRY)
			return ERR_OK;
	}
	if (err == ERR_OK && auth->phase == AUTH_REFUSED)
		err = auth_refused_step(link, outcome);
	return err;
}

enum err link_login_step(struct link *link, const struct login *login, struct outcome *outcome)
{
	enum err err = login_go_on(link, login, outcome);

	link->auth.login = NULL;
	return err;
}
