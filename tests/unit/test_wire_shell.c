/*
 * The parts of shells that need no asset: quoting and marks, the meaning of words.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <pty.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/command.h"
#include "wire/hint.h"

/* ── Commands ────────────────────────────────────────────────────────────────────────────── */

static void quotes_words(void **state)
{
	struct command command;
	char *large = xcalloc(1, COMMAND_LINE_MAX);

	(void)state;
	command_init(&command);
	assert_true(command_word(&command, "it's", 4));
	assert_true(command_word(&command, "", 0));
	assert_true(command_word(&command, "$x`\\!", 5));
	assert_string_equal(buf_text(&command.line), "'it'\\''s' '' '$x`\\!'");
	assert_false(command_word(&command, "a\nb", 3));
	assert_false(command_word(&command, "a\0b", 3));
	assert_string_equal(buf_text(&command.line), "'it'\\''s' '' '$x`\\!'");
	memset(large, '\'', COMMAND_LINE_MAX);
	assert_false(command_word(&command, large, COMMAND_LINE_MAX / 2));
	command_clear(&command);
	free(large);
}

/* Between the single quotes stands nothing that any login shell would change. */
static void opens_in_words_of_every_shell(void **state)
{
	static const char *const prefixes[] = {"", "env LC_ALL=C sudo -n ", "exec ",
	    "env LC_ALL=C sudo -S -p password-0123456789abcdef0123456789abcdef-%p: "};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		static const char nonce[] = "0123456789abcdef0123456789abcdef";
		struct buf buf;
		const char *text, *quote;

		buf_init(&buf, 4096);
		opening_render(&buf, &(struct opening){
					 .prefix = prefixes[i],
					 .nonce = nonce,
					 .go = i == 2 ? nonce : NULL,
					 .terminal = i == 2,
				     });
		text = buf_text(&buf);
		quote = strchr(text, '\'');
		assert_non_null(quote);
		assert_ptr_equal(strchr(quote + 1, '\''), text + buf.len - 1);
		assert_null(strpbrk(text, "\\\n!"));
		assert_int_equal(strcspn(text, "$`\"*?[]{}()<>|;&#~"),
		    strcspn(quote, "$`\"*?[]{}()<>|;&#~") + (size_t)(quote - text));
		/* The shortest line that a csh takes. */
		assert_in_range(buf.len, 1, 1000);
		buf_clear(&buf);
	}
}

static void checks_what_it_sends(void **state)
{
	static const struct {
		const char *input;
		size_t len;
		enum fault fault;
	} cases[] = {
	    {"line\n", 5, FAULT_NONE},
	    {"line", 4, FAULT_SCRIPT},
	    {"a\nb", 3, FAULT_SCRIPT},
	    {"a\0b\n", 4, FAULT_SCRIPT},
	    {"", 0, FAULT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = {.fault = FAULT_NONE};
		struct command command;

		command_init(&command);
		assert_int_not_equal(command_check(&command, &outcome), ERR_OK);
		outcome.fault = FAULT_NONE;
		command_word(&command, "cat", 3);
		buf_add(&command.input, cases[i].input, cases[i].len);
		assert_int_equal(
		    command_check(&command, &outcome) == ERR_OK, cases[i].fault == FAULT_NONE);
		assert_int_equal(outcome.fault, cases[i].fault);
		command_clear(&command);
	}
}

static void keeps_a_secret_to_one_packet(void **state)
{
	struct outcome outcome = {.fault = FAULT_NONE};
	struct command command;

	(void)state;
	command_init(&command);
	command_word(&command, "cat", 3);
	for (int i = 0; i < 17 * 1024; i++)
		buf_add_text(&command.input, "\n");
	assert_int_equal(command_check(&command, &outcome), ERR_OK);
	command.holds_secret = true;
	assert_int_not_equal(command_check(&command, &outcome), ERR_OK);
	assert_int_equal(outcome.fault, FAULT_LIMIT);
	command_clear(&command);
}

/* Runs the line and the input by a plain sh; what it says on stdout, with stderr behind. */
static void run_sh(const char *sh, struct command *command, struct manner manner, const char *input,
    struct buf *said)
{
	char path[] = "/tmp/wire-XXXXXX", *line;
	int fd = mkstemp(path);
	char piece[4096];
	size_t len;
	FILE *pipe;
	struct buf text;

	buf_init(&text, 65536);
	strcpy(command->nonce, "NONCE");
	command_render(command, manner, &text);
	buf_add_text(&text, input);
	assert_int_equal(write(fd, text.data, text.len), text.len);
	line = xasprintf("%s -c 'e=$(echo .; echo .); e=${e#.}; e=${e%%.}; "
			 "while IFS= read -r c; do eval \"$c\"; done' <%s 2>&1",
	    sh, path);
	pipe = popen(line, "r");
	while ((len = fread(piece, 1, sizeof(piece), pipe)) > 0)
		buf_add(said, piece, len);
	pclose(pipe);
	unlink(path);
	close(fd);
	free(line);
	buf_clear(&text);
}

static void runs_only_on_whole_lines(void **state)
{
	static const struct {
		const char *sent, *said;
	} cases[] = {
	    {"a b \\\n  c\n", "a b \\\n  c\nNONCE 0\nNONCE\n"},
	    {"a b \\\n  c", ""},
	    {"a b", ""},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command command;
		struct buf said;

		command_init(&command);
		buf_init(&said, 65536);
		command_word(&command, "cat", 3);
		buf_add_text(&command.input, "a b \\\n  c\n");
		run_sh("sh", &command, (struct manner){.terminal = false}, cases[i].sent, &said);
		assert_string_equal(buf_text(&said), cases[i].said);
		buf_clear(&said);
		command_clear(&command);
	}
}

static void limits_by_the_assets_own_clock(void **state)
{
	struct command command;
	struct buf text;

	(void)state;
	command_init(&command);
	buf_init(&text, 4096);
	command_word(&command, "id", 2);
	command.limit_ms = 1001;
	command_render(&command, (struct manner){.timeout = true}, &text);
	assert_non_null(strstr(buf_text(&text), "exec timeout -s KILL 1 'id' )"));
	buf_reset(&text);
	command_render(&command, (struct manner){.timeout = false}, &text);
	assert_non_null(strstr(buf_text(&text), "exec 'id' )"));
	buf_clear(&text);
	command_clear(&command);
}

static void sees_the_end_when_both_outputs_show_it(void **state)
{
	struct command command;

	(void)state;
	command_init(&command);
	strcpy(command.nonce, "0123456789abcdef0123456789abcdef");
	buf_add_text(&command.out, "no newline0123456789abcdef0123456789abcdef 13");
	buf_add_text(&command.err, "x\n0123456789abcdef0123456789abcdef\n");
	assert_false(command_finish(&command, (struct manner){.terminal = false}));
	buf_add_text(&command.out, "7\n");
	assert_true(command_finish(&command, (struct manner){.terminal = false}));
	assert_int_equal(command.status, 137);
	assert_string_equal(buf_text(&command.out), "no newline");
	assert_string_equal(buf_text(&command.err), "x\n");
	command_clear(&command);

	command_init(&command);
	strcpy(command.nonce, "0123456789abcdef0123456789abcdef");
	buf_add_text(&command.out, "0123456789abcdef0123456789abcdef 0\n");
	assert_false(command_finish(&command, (struct manner){.terminal = false}));
	buf_add_text(&command.err, "0123456789abcdef0123456789abcde\n");
	assert_false(command_finish(&command, (struct manner){.terminal = false}));
	command_clear(&command);
}

static void splits_what_a_terminal_gives_as_one(void **state)
{
	const struct manner manner = {.terminal = true};
	struct command command;

	(void)state;
	command_init(&command);
	strcpy(command.nonce, "NONCE");
	buf_add_text(&command.out, "out.1\nNONCE 7\nerr.2\n");
	assert_false(command_finish(&command, manner));
	buf_add_text(&command.out, ".NONCE");
	assert_false(command_finish(&command, manner));
	buf_add_text(&command.out, "\n");
	assert_true(command_finish(&command, manner));
	assert_int_equal(command.status, 7);
	assert_string_equal(buf_text(&command.out), "out.1\n");
	assert_string_equal(buf_text(&command.err), "err.2\n.");
	command_clear(&command);
}

/* As any sh of this machine runs it, the input's guard among it. */
static void keeps_outputs_apart_in_any_sh(void **state)
{
	static const char *const shells[] = {"sh", "bash", "busybox sh", "mksh", "ksh", "zsh"};
	static const char script[] = "cat; echo b. >&2; echo .a; exit 3";
	const struct manner manner = {.terminal = true};

	(void)state;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		char *there = xasprintf("%s -c : 2>/dev/null", shells[i]);
		struct command command;
		struct buf said;

		command_init(&command);
		buf_init(&said, 65536);
		command_word(&command, "sh", 2);
		command_word(&command, "-c", 2);
		command_word(&command, script, strlen(script));
		buf_add_text(&command.input, "x \\\n");
		if (system(there) == 0) {
			run_sh(shells[i], &command, manner, "x \\\n", &said);
			assert_string_equal(buf_text(&said), "x \\\n.a\nNONCE 3\nb.\nNONCE\n");
			buf_reset(&said);
			run_sh(shells[i], &command, manner, "x \\", &said);
			assert_string_equal(buf_text(&said), "");
		}
		buf_clear(&said);
		command_clear(&command);
		free(there);
	}
}

/* As an rc file may leave it. */
static void sane_terminal(struct termios *modes)
{
	memset(modes, 0, sizeof(*modes));
	modes->c_iflag = ICRNL | IXON;
	modes->c_oflag = OPOST | ONLCR;
	modes->c_lflag = ICANON | ISIG | IEXTEN | ECHO;
	modes->c_cflag = CREAD | CS8 | B38400;
	modes->c_cc[VMIN] = 1;
	modes->c_cc[VEOF] = 4;
}

/* A sh on a terminal, as one is opened; returns the terminal's other end. */
static int terminal_begin(pid_t *child)
{
	struct termios modes;
	struct buf line;
	char said[512] = "";
	size_t len = 0;
	int fd;

	sane_terminal(&modes);
	buf_init(&line, 4096);
	opening_render(&line, &(struct opening){.prefix = "", .nonce = "NONCE", .terminal = true});
	*child = forkpty(&fd, NULL, &modes, NULL);
	if (*child == 0) {
		execl("/bin/sh", "sh", "-c", buf_text(&line), (char *)NULL);
		_exit(127);
	}
	buf_clear(&line);
	while (strstr(said, "NONCE") == NULL || said[len - 1] != '\n') {
		ssize_t got = read(fd, said + len, sizeof(said) - 1 - len);

		assert_true(got > 0);
		len += (size_t)got;
	}
	return fd;
}

static bool file_comes(const char *path, unsigned tries)
{
	for (unsigned i = 0; i < tries && access(path, F_OK) != 0; i++)
		usleep(20 * 1000);
	return access(path, F_OK) == 0;
}

/* What the asset sees of a link that breaks: a terminal that hangs up in the midst of a line. */
static void a_line_cut_on_a_terminal_reaches_no_command(void **state)
{
	static const char *const inputs[] = {"app:secret\n", "app:secret", "app:se"};
	char dir[] = "/tmp/wire-XXXXXX", *path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/ran", dir);
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct command command;
		struct buf text;
		pid_t child;
		int fd = terminal_begin(&child);

		command_init(&command);
		buf_init(&text, 65536);
		strcpy(command.nonce, "NONCE");
		command_word(&command, "tee", 3);
		command_word(&command, path, strlen(path));
		buf_add_text(&command.input, "app:secret\n");
		command_render(&command, (struct manner){.terminal = true}, &text);
		buf_add_text(&text, inputs[i]);
		assert_int_equal(write(fd, text.data, text.len), text.len);
		assert_int_equal(file_comes(path, i == 0 ? 100 : 5), i == 0);
		close(fd);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(access(path, F_OK) == 0, i == 0);
		unlink(path);
		buf_clear(&text);
		command_clear(&command);
	}
	rmdir(dir);
	free(path);
}

/* What was typed too early is thrown away. */
static void begins_at_its_own_word(void **state)
{
	struct buf line;
	char piece[256];
	size_t len;
	FILE *pipe;

	(void)state;
	buf_init(&line, 4096);
	buf_add_text(&line, "printf 'echo early\nGO echo ${#c}\necho late\n' | ");
	opening_render(&line, &(struct opening){.prefix = "", .nonce = "NONCE", .go = "GO"});
	pipe = popen(buf_text(&line), "r");
	len = fread(piece, 1, sizeof(piece) - 1, pipe);
	piece[len] = '\0';
	pclose(pipe);
	assert_non_null(strstr(piece, "NONCE yes yes\n13\nlate\n"));
	assert_null(strstr(piece, "early"));
	buf_clear(&line);
}

static void limits_only_what_it_can_end(void **state)
{
	struct manner manner = {.targeted = true, .timeout = true};
	struct command command;
	struct buf text;

	(void)state;
	command_init(&command);
	buf_init(&text, 4096);
	command_word(&command, "id", 2);
	command.limit_ms = 9000;
	command_render(&command, manner, &text);
	assert_non_null(strstr(buf_text(&text), "( exec sudo -n -- 'id' )"));
	buf_reset(&text);
	command.plain = true;
	command_render(&command, manner, &text);
	assert_non_null(strstr(buf_text(&text), "( exec timeout -s KILL 9 'id' )"));
	buf_clear(&text);
	command_clear(&command);
}

static void hears_what_was_run_and_not_repeated(void **state)
{
	(void)state;
	assert_true(nonce_heard("NONCE\n", "NONCE"));
	assert_true(nonce_heard("motd\nNONCE\r\n", "NONCE"));
	assert_true(nonce_heard("[sudo] password for ops: NONCE\n", "NONCE"));
	assert_true(nonce_heard("+ echo NONCE\nNONCE\n", "NONCE"));
	assert_false(nonce_heard("NONCE", "NONCE"));
	assert_false(nonce_heard("echo NONCE\n", "NONCE"));
	assert_false(nonce_heard("not allowed: echo NONCE\n", "NONCE"));
	assert_false(nonce_heard("not allowed: 'echo NONCE'\n", "NONCE"));
	assert_false(nonce_heard("su: 'echo NONCE': no such file\n", "NONCE"));
	assert_false(nonce_heard("", "NONCE"));
}

static void reads_what_the_shell_can_do(void **state)
{
	struct ready ready;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	buf_add_text(&out, "motd\nNONCE yes no");
	assert_false(ready_find(&out, "NONCE", &ready));
	buf_add_text(&out, "\n");
	assert_true(ready_find(&out, "NONCE", &ready));
	assert_true(ready.printf_builtin);
	assert_false(ready.timeout);
	buf_reset(&out);
	buf_add_text(&out, "NONCE no yes\n");
	assert_true(ready_find(&out, "NONCE", &ready));
	assert_false(ready.printf_builtin);
	assert_true(ready.timeout);
	buf_clear(&out);
}

/* ── Words ───────────────────────────────────────────────────────────────────────────────── */

static void understands_sudo(void **state)
{
	static const struct {
		const char *said;
		enum fault fault;
	} cases[] = {
	    {"plain is not in the sudoers file.\n", FAULT_BECOME_DENIED},
	    {"Sorry, user x is not allowed to execute '/bin/sh' as root on web1.",
		FAULT_BECOME_DENIED},
	    {"sudo: sorry, you must have a tty to run sudo", FAULT_BECOME_DENIED},
	    {"sudo: 1 incorrect password attempt", FAULT_BECOME_PASSWORD},
	    {"sudo: a password is required", FAULT_BECOME_PASSWORD},
	    {"sudo: Account or password is expired, reset your password and try again",
		FAULT_EXPIRED},
	    {"env: 'sudo': No such file or directory", FAULT_BECOME_DENIED},
	    {"WARNING: Your password has expired.", FAULT_EXPIRED},
	    {"env: sudo: No such file or directory", FAULT_BECOME_DENIED},
	    {"Could not chdir to home directory /x: No such file or directory", FAULT_NONE},
	    {"Segmentation fault", FAULT_NONE},
	    {"", FAULT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(hint_sudo(cases[i].said, strlen(cases[i].said)), cases[i].fault);
	assert_true(hint_change("(current) UNIX password: ", 25));
	assert_true(hint_change("New Password:", 13));
	assert_false(hint_change("Password: ", 10));
	assert_false(hint_change("Verification code: ", 19));
}

static void understands_su_and_doas(void **state)
{
	static const struct {
		const char *said;
		enum fault fault;
	} cases[] = {
	    {"su: Authentication failure\n", FAULT_BECOME_PASSWORD},
	    {"su: incorrect password\n", FAULT_BECOME_PASSWORD},
	    {"su: Permission denied\n", FAULT_BECOME_DENIED},
	    {"The account is locked due to 3 failed logins.\nsu: Authentication failure",
		FAULT_BECOME_DENIED},
	    {"su: must be run from a terminal", FAULT_BECOME_DENIED},
	    {"sh: 1: exec: su: not found", FAULT_BECOME_DENIED},
	    {"This account is currently not available.", FAULT_NO_SHELL},
	    {"Your account has expired; please contact your system administrator", FAULT_EXPIRED},
	    {"doas: Authentication failed", FAULT_BECOME_PASSWORD},
	    {"doas: Authentication required", FAULT_BECOME_PASSWORD},
	    {"doas: Operation not permitted", FAULT_BECOME_DENIED},
	    {"env: 'doas': No such file or directory", FAULT_BECOME_DENIED},
	    {"Last login: today", FAULT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(hint_su(cases[i].said, strlen(cases[i].said)), cases[i].fault);
}

static void knows_a_prompt_by_its_end(void **state)
{
	static const struct {
		const char *said;
		enum prompt prompt;
	} cases[] = {
	    {"Password: ", PROMPT_PASSWORD},
	    {"banner\nPassword:", PROMPT_PASSWORD},
	    {"\rdoas (ops@web1) password: ", PROMPT_PASSWORD},
	    {"root's Password:", PROMPT_PASSWORD},
	    {"Password for root@EXAMPLE.COM: ", PROMPT_PASSWORD},
	    {"Password: \n", PROMPT_NONE},
	    {"Password: is what it asks", PROMPT_NONE},
	    {"Enter your password", PROMPT_NONE},
	    {"Current password: ", PROMPT_CHANGE},
	    {"New password: ", PROMPT_CHANGE},
	    {"Verification code: ", PROMPT_OTHER},
	    {"One-time password: ", PROMPT_OTHER},
	    {"su: ", PROMPT_NONE},
	    {":", PROMPT_NONE},
	    {"", PROMPT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    hint_prompt(cases[i].said, strlen(cases[i].said)), cases[i].prompt);
}

static void names_every_fault(void **state)
{
	(void)state;
	for (int a = 1; a <= FAULT_WIRE; a++) {
		assert_int_not_equal(fault_name((enum fault)a)[0], '\0');
		assert_int_not_equal(fault_class((enum fault)a), FAULT_CLASS_NONE);
		/* A gateway's is one word of two classes. */
		for (int b = 0; b < a && a != FAULT_GATEWAY_AWAY; b++)
			assert_string_not_equal(
			    fault_name((enum fault)a), fault_name((enum fault)b));
	}
	assert_int_equal(fault_class(FAULT_GATEWAY), FAULT_CLASS_PERMANENT);
	assert_int_equal(fault_class(FAULT_GATEWAY_AWAY), FAULT_CLASS_RETRY);
	assert_string_equal(fault_name(FAULT_NONE), "");
	assert_int_equal(fault_class(FAULT_LOST), FAULT_CLASS_RETRY);
	assert_int_equal(fault_class(FAULT_AUTH), FAULT_CLASS_PERMANENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(quotes_words),
	    cmocka_unit_test(opens_in_words_of_every_shell),
	    cmocka_unit_test(checks_what_it_sends),
	    cmocka_unit_test(keeps_a_secret_to_one_packet),
	    cmocka_unit_test(runs_only_on_whole_lines),
	    cmocka_unit_test(limits_by_the_assets_own_clock),
	    cmocka_unit_test(sees_the_end_when_both_outputs_show_it),
	    cmocka_unit_test(splits_what_a_terminal_gives_as_one),
	    cmocka_unit_test(keeps_outputs_apart_in_any_sh),
	    cmocka_unit_test(a_line_cut_on_a_terminal_reaches_no_command),
	    cmocka_unit_test(begins_at_its_own_word),
	    cmocka_unit_test(limits_only_what_it_can_end),
	    cmocka_unit_test(hears_what_was_run_and_not_repeated),
	    cmocka_unit_test(reads_what_the_shell_can_do),
	    cmocka_unit_test(understands_sudo),
	    cmocka_unit_test(understands_su_and_doas),
	    cmocka_unit_test(knows_a_prompt_by_its_end),
	    cmocka_unit_test(names_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
