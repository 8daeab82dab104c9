/*
 * Privileged shells, and the commands in them, on a real sshd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire_link_help.h"

/* ── Privileged shells ───────────────────────────────────────────────────────────────────── */

static void expect_become(const char *user, const char *password)
{
	const char *const id[] = {"id", "-u", NULL};
	struct session session;
	struct command command;

	expect_login(&session, asset.key_port, user, asset.key, true);
	if (session_become(&session, WIRE_BECOME_SUDO, user, password) != ERR_OK)
		fail_msg("%s: %s", fault_name(session.outcome.fault), session.outcome.text);
	assert_int_equal(shell_failed_attempts(session.shell), 0);
	words(&command, id);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_string_equal(buf_text(&command.out), "0\n");
	command_clear(&command);
	session_end(&session);
}

static void expect_no_become(
    const char *user, const char *password, enum fault fault, unsigned failed)
{
	struct session session;

	expect_login(&session, asset.key_port, user, asset.key, true);
	assert_int_not_equal(session_become(&session, WIRE_BECOME_SUDO, user, password), ERR_OK);
	expect_fault(&session, fault);
	assert_int_equal(shell_failed_attempts(session.shell), failed);
	session_end(&session);
}

/* The asset's own count: sudo writes it when it has ended. */
static void expect_in_sudo_log(const char *words)
{
	char *command = xasprintf("grep -q '%s' %s/sudo.log", words, asset.dir);

	for (int i = 0; system(command) != 0; i++) {
		if (i == 50)
			fail_msg("sudo never logged: %s", words);
		usleep(100 * 1000);
	}
	free(command);
}

static void becomes_root(void **state)
{
	(void)state;
	NEED_ASSET();
	expect_become("admin", ASSET_PASSWORD);
	expect_become("free", NULL);
	expect_become("free", ASSET_PASSWORD);
	expect_no_become("admin", "wrong", FAULT_BECOME_PASSWORD, 1);
	expect_in_sudo_log("admin : 1 incorrect password attempt");
	expect_no_become("admin", NULL, FAULT_BECOME_PASSWORD, 0);
	expect_no_become("plain", ASSET_PASSWORD, FAULT_BECOME_DENIED, 0);
	expect_no_become("old", ASSET_PASSWORD, FAULT_EXPIRED, 0);
}

static void begin_root(struct session *session)
{
	struct shell_config config = {.become = WIRE_BECOME_NONE, .user = "root"};

	expect_login(session, asset.key_port, "root", asset.key, true);
	session->shell = shell_new(session->link, &config);
	if (DRIVE(session, 10000, shell_open_step(session->shell, &session->outcome)) != ERR_OK)
		fail_msg("%s: %s", fault_name(session->outcome.fault), session->outcome.text);
}

static void runs_command_after_command(void **state)
{
	const char *const odd[] = {
	    "printf", "%s|%s|%s", "it's", "$HOME `x` \\n !", "\xc3\x81", NULL};
	const char *const both[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
	const char *const slow[] = {"sleep", "9", NULL};
	const char *const none[] = {"no-such-command", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, odd);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_string_equal(buf_text(&command.out), "it's|$HOME `x` \\n !|\xc3\x81");
	assert_true(command.ended);
	assert_false(command.sent);
	command_clear(&command);

	words(&command, both);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 7);
	assert_string_equal(buf_text(&command.out), "out\n");
	assert_string_equal(buf_text(&command.err), "err\n");
	command_clear(&command);

	words(&command, slow);
	command.limit_ms = 1000;
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 137);
	command_clear(&command);

	words(&command, none);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 127);
	command_clear(&command);
	session_end(&session);
}

static void hands_over_every_byte(void **state)
{
	const char *const cat[] = {"cat", NULL};
	struct session session;
	struct command command;
	char all[256];
	size_t len = 0;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	for (int byte = 1; byte < 256; byte++) {
		if (byte != '\n')
			all[len++] = (char)byte;
	}
	words(&command, cat);
	command.holds_secret = true;
	for (int i = 0; i < 20; i++) {
		buf_add(&command.input, all, len);
		buf_add_text(&command.input, i % 2 == 0 ? "\n" : " \n\n");
	}
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.out.len, command.input.len);
	assert_memory_equal(command.out.data, command.input.data, command.input.len);
	assert_true(command.sent);
	assert_true(command.ended);
	command_clear(&command);
	session_end(&session);
}

static void stops_at_too_much_output(void **state)
{
	const char *const yes[] = {"yes", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, yes);
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_OUTPUT);
	assert_false(command.ended);
	command_clear(&command);
	words(&command, yes);
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_LOST);
	command_clear(&command);
	session_end(&session);
}

static void sees_a_shell_that_dies(void **state)
{
	const char *const kill[] = {"sh", "-c", "cat; kill -9 $PPID", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, kill);
	command.holds_secret = true;
	buf_add_text(&command.input, "x\n");
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_LOST);
	assert_true(command.sent);
	assert_false(command.ended);
	command_clear(&command);
	session_end(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(becomes_root),
	    cmocka_unit_test(runs_command_after_command),
	    cmocka_unit_test(hands_over_every_byte),
	    cmocka_unit_test(stops_at_too_much_output),
	    cmocka_unit_test(sees_a_shell_that_dies),
	};

	return cmocka_run_group_tests(tests, asset_begin, asset_end);
}
