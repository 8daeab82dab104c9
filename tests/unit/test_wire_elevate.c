/*
 * Every way to privileges, on a real sshd with sudo, su and doas; and commands on a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/su.h"
#include "wire_link_help.h"

#define SUDO WIRE_BECOME_SUDO
#define SU   WIRE_BECOME_SU
#define DOAS WIRE_BECOME_DOAS

static void begin(
    struct session *session, enum wire_become become, const char *user, const char *password)
{
	expect_login(session, asset.key_port, user, asset.key, true);
	if (session_become(session, become, user, password) != ERR_OK)
		fail_msg(
		    "%s: %s: %s", user, fault_name(session->outcome.fault), session->outcome.text);
	assert_int_equal(shell_failed_attempts(session->shell), 0);
}

static void expect_said(
    struct session *session, const char *const *list, bool plain, const char *out, const char *err)
{
	struct command command;

	words(&command, list);
	command.plain = plain;
	if (session_run(session, &command) != ERR_OK)
		fail_msg("%s", session->outcome.text);
	assert_true(command.ended);
	assert_string_equal(buf_text(&command.out), out);
	assert_string_equal(buf_text(&command.err), err);
	command_clear(&command);
}

static const char *const id[] = {"id", "-u", NULL};

static void expect_root(enum wire_become become, const char *user, const char *password)
{
	struct session session;

	begin(&session, become, user, password);
	assert_false(shell_targeted(session.shell));
	expect_said(&session, id, false, "0\n", "");
	session_end(&session);
}

static void expect_no_root(enum wire_become become, const char *user, const char *password,
    enum fault fault, unsigned failed, const char *text)
{
	struct session session;

	expect_login(&session, asset.key_port, user, asset.key, true);
	assert_int_not_equal(session_become(&session, become, user, password), ERR_OK);
	expect_fault(&session, fault);
	if (strstr(session.outcome.text, text) == NULL)
		fail_msg("not \"%s\": %s", text, session.outcome.text);
	assert_int_equal(shell_failed_attempts(session.shell), failed);
	session_end(&session);
}

static void becomes_root_by_sudo(void **state)
{
	(void)state;
	NEED_ASSET();
	expect_root(SUDO, "term", ASSET_PASSWORD);
	expect_root(SUDO, "ptys", ASSET_PASSWORD);
	expect_no_root(SUDO, "term", "wrong", FAULT_BECOME_PASSWORD, 1, "refused the password");
	expect_no_root(SUDO, "term", NULL, FAULT_BECOME_PASSWORD, 0, "password is required");
	expect_no_root(SUDO, "other", ASSET_PASSWORD, FAULT_BECOME_DENIED, 0, "password of root");
}

static void becomes_root_by_su(void **state)
{
	(void)state;
	NEED_ASSET();
	expect_root(SU, "plain", ROOT_PASSWORD);
	expect_no_root(SU, "plain", ASSET_PASSWORD, FAULT_BECOME_PASSWORD, 1, "su: ");
	expect_no_root(SU, "plain", NULL, FAULT_BECOME_PASSWORD, 0, "none is known");
	/* Its login asks for a new password, and would wait. */
	expect_no_root(SU, "old", ROOT_PASSWORD, FAULT_EXPIRED, 0, "login: ");
}

static void becomes_root_by_doas(void **state)
{
	(void)state;
	NEED_ASSET();
	if (access("/usr/bin/doas", X_OK) != 0)
		skip();
	expect_root(DOAS, "admin", ASSET_PASSWORD);
	expect_root(DOAS, "free", ASSET_PASSWORD);
	expect_root(DOAS, "free", NULL);
	expect_no_root(DOAS, "admin", "wrong", FAULT_BECOME_PASSWORD, 1, "doas: ");
	expect_no_root(DOAS, "admin", NULL, FAULT_BECOME_PASSWORD, 0, "doas: ");
	expect_no_root(DOAS, "plain", ASSET_PASSWORD, FAULT_BECOME_DENIED, 0, "doas: ");
}

/* Only single commands are allowed. */
static void elevates_each_command(void **state)
{
	static const struct {
		const char *user, *password;
	} cases[] = {{"some", ASSET_PASSWORD}, {"few", ASSET_PASSWORD}, {"few", NULL}};
	static const char *const denied[] = {"head", "-1", "/etc/shadow", NULL};

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session session;
		struct command command;

		begin(&session, SUDO, cases[i].user, cases[i].password);
		assert_true(shell_targeted(session.shell));
		expect_said(&session, id, false, "0\n", "");
		words(&command, id);
		command.plain = true;
		assert_int_equal(session_run(&session, &command), ERR_OK);
		assert_string_not_equal(buf_text(&command.out), "0\n");
		command_clear(&command);
		words(&command, denied);
		assert_int_equal(session_run(&session, &command), ERR_OK);
		assert_int_equal(command.status, 1);
		assert_string_equal(buf_text(&command.out), "");
		assert_non_null(strstr(buf_text(&command.err),
		    i == 0 ? "is not allowed to execute" : "a password is required"));
		command_clear(&command);
		session_end(&session);
	}
	expect_no_root(SUDO, "some", "wrong", FAULT_BECOME_PASSWORD, 1, "refused the password");
	expect_no_root(SUDO, "some", NULL, FAULT_BECOME_PASSWORD, 0, "password is required");
	expect_no_root(SUDO, "brief", ASSET_PASSWORD, FAULT_BECOME_DENIED, 0, "timestamp_timeout");
}

/* What a terminal gives as one comes apart again. */
static void tells_outputs_apart_on_a_terminal(void **state)
{
	static const char *const both[] = {
	    "sh", "-c", "printf 'a.1\\n\\n.'; printf '.b\\r.7\\n\\n' >&2; exit 7", NULL};
	static const char *const none[] = {"true", NULL};
	static const char *const missing[] = {"no-such-command", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin(&session, SU, "plain", ROOT_PASSWORD);
	expect_said(&session, both, false, "a.1\n\n.", ".b\r.7\n\n");
	expect_said(&session, none, false, "", "");
	words(&command, missing);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 127);
	command_clear(&command);
	session_end(&session);
}

static void hand_over(struct session *session)
{
	static const char *const cat[] = {"cat", NULL};
	struct command command;
	char all[256];
	size_t len = 0;

	for (int byte = 1; byte < 256; byte++) {
		if (byte != '\n')
			all[len++] = (char)byte;
	}
	words(&command, cat);
	command.holds_secret = true;
	for (int i = 0; i < 60; i++) {
		buf_add(&command.input, all, len);
		if (i > 20)
			buf_add_text(&command.input, i % 2 == 0 ? "\n" : " \n\n");
	}
	if (session_run(session, &command) != ERR_OK)
		fail_msg("%s", session->outcome.text);
	assert_int_equal(command.out.len, command.input.len);
	assert_memory_equal(command.out.data, command.input.data, command.input.len);
	assert_int_equal(command.err.len, 0);
	assert_true(command.sent);
	assert_true(command.ended);
	command_clear(&command);
}

/* A line of more than 5000 bytes is among them, and every control character. */
static void hands_over_every_byte_on_a_terminal(void **state)
{
	static const struct {
		enum wire_become become;
		const char *user, *password;
	} cases[] = {
	    {SU, "plain", ROOT_PASSWORD},
	    {SUDO, "term", ASSET_PASSWORD},
	    {SUDO, "few", NULL},
	    {SUDO, "some", ASSET_PASSWORD},
	};

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session session;

		begin(&session, cases[i].become, cases[i].user, cases[i].password);
		hand_over(&session);
		hand_over(&session);
		session_end(&session);
	}
}

/* ── The proof by su ─────────────────────────────────────────────────────────────────────── */

static void expect_su(struct session *session, const char *account, const char *password,
    enum wire_verdict expected, enum fault fault, unsigned failed)
{
	struct secret *secret = secret_from(password, strlen(password));
	struct su *su = su_new(session->link, account, secret);
	enum wire_verdict verdict = VERDICT_UNKNOWN;
	enum err err = DRIVE(session, 60000, su_step(su, &verdict, &session->outcome));

	if (verdict != expected || (err == ERR_OK) != (fault == FAULT_NONE))
		fail_msg("%s: verdict %d: %s", account, verdict, session->outcome.text);
	if (fault != FAULT_NONE)
		expect_fault(session, fault);
	assert_int_equal(su_failed_attempts(su), failed);
	su_free(su);
	secret_free(secret);
	/* The privileged shell beside it goes on. */
	expect_said(session, id, false, "0\n", "");
}

static void proves_by_su(void **state)
{
	struct session session;

	(void)state;
	NEED_ASSET();
	begin(&session, SUDO, "free", NULL);
	expect_su(&session, "plain", ASSET_PASSWORD, VERDICT_MATCH, FAULT_NONE, 0);
	expect_su(&session, "plain", "wrong", VERDICT_MISMATCH, FAULT_NONE, 1);
	expect_su(&session, "old", ASSET_PASSWORD, VERDICT_UNKNOWN, FAULT_EXPIRED, 0);
	expect_su(&session, "none", ASSET_PASSWORD, VERDICT_UNKNOWN, FAULT_NO_SHELL, 0);
	expect_su(&session, "no-such", ASSET_PASSWORD, VERDICT_UNKNOWN, FAULT_BECOME_DENIED, 0);
	expect_su(&session, "-c", ASSET_PASSWORD, VERDICT_UNKNOWN, FAULT_LIMIT, 0);
	expect_su(&session, "a'; id; '", ASSET_PASSWORD, VERDICT_UNKNOWN, FAULT_BECOME_DENIED, 0);
	session_end(&session);
}

/* root is let through: it has to be someone else first. */
static void proves_by_su_where_root_logs_in(void **state)
{
	struct session session;

	(void)state;
	NEED_ASSET();
	begin(&session, WIRE_BECOME_NONE, "root", NULL);
	expect_su(&session, "plain", "wrong", VERDICT_MISMATCH, FAULT_NONE, 1);
	expect_su(&session, "plain", ASSET_PASSWORD, VERDICT_MATCH, FAULT_NONE, 0);
	session_end(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(becomes_root_by_sudo),
	    cmocka_unit_test(becomes_root_by_su),
	    cmocka_unit_test(becomes_root_by_doas),
	    cmocka_unit_test(elevates_each_command),
	    cmocka_unit_test(tells_outputs_apart_on_a_terminal),
	    cmocka_unit_test(hands_over_every_byte_on_a_terminal),
	    cmocka_unit_test(proves_by_su),
	    cmocka_unit_test(proves_by_su_where_root_logs_in),
	};

	return cmocka_run_group_tests(tests, asset_begin, asset_end);
}
