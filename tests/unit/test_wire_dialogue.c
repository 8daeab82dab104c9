/*
 * Commands that ask, run by each sh that this machine has, in place of an asset's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/dialogue.h"
#include "wire/shell_state.h"

#define WAIT_MS 5000

struct channel {
	pid_t pid;
	int in, out, err;
};

static unsigned holds;

void link_hold(struct link *link, bool hold)
{
	(void)link;
	holds += hold;
}

enum err channel_write_step(struct channel *channel, const void *bytes, size_t len, size_t *written,
    bool *touched, struct outcome *outcome)
{
	(void)outcome;
	*touched = true;
	assert_int_equal(write(channel->in, bytes, len), len);
	*written = len;
	return ERR_OK;
}

static size_t pull(int fd, struct buf *into)
{
	char piece[512];
	ssize_t got = read(fd, piece, sizeof(piece));

	if (got > 0)
		buf_add(into, piece, (size_t)got);
	return got > 0 ? (size_t)got : 0;
}

enum err channel_read_step(
    struct channel *channel, struct buf *out, struct buf *err, bool *end, struct outcome *outcome)
{
	struct pollfd fds[2] = {{channel->out, POLLIN, 0}, {channel->err, POLLIN, 0}};
	size_t got = 0;

	if (poll(fds, 2, WAIT_MS) <= 0)
		return outcome_set(outcome, FAULT_TIMEOUT, "it waits for ever");
	if (fds[0].revents != 0)
		got = pull(channel->out, out);
	*end = fds[0].revents != 0 && got == 0;
	if (fds[1].revents != 0)
		pull(channel->err, err);
	return ERR_OK;
}

/* ── The shell ───────────────────────────────────────────────────────────────────────────── */

static void shell_start(struct channel *channel, const char *sh)
{
	int in[2], out[2], err[2];

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	channel->pid = fork();
	if (channel->pid == 0) {
		char line[256];

		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		snprintf(line, sizeof(line),
		    "exec %s -c 'while IFS= read -r c; do eval \"$c\"; done'", sh);
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	channel->in = in[1];
	channel->out = out[0];
	channel->err = err[0];
}

/* Ends it; what it complained of meanwhile. */
static void shell_end(struct channel *channel, struct buf *complaint)
{
	close(channel->in);
	while (pull(channel->err, complaint) > 0)
		;
	close(channel->out);
	close(channel->err);
	waitpid(channel->pid, NULL, 0);
}

static void step_add(struct dialogue *dialogue, const char *expect, const char *send, bool new)
{
	struct dialogue_step *step = &dialogue->steps[dialogue->step_count++];

	snprintf(step->expects[0], DIALOGUE_EXPECT_SIZE, "%s", "Never said:");
	snprintf(step->expects[1], DIALOGUE_EXPECT_SIZE, "%s", expect);
	step->expect_count = 2;
	step->holds_new = new;
	buf_init(&step->send, 1024);
	buf_add_text(&step->send, send);
	buf_add_text(&step->send, "\n");
}

/* ── What the tests ask ──────────────────────────────────────────────────────────────────── */

struct talk_result {
	char out[1024];
	int status;
	size_t answered;
	bool unanswered, sent, ended;
	enum err err;
};

static struct talk_result talk(
    struct shell *shell, const char *script, const char *first, const char *second)
{
	struct dialogue dialogue = {.step_count = 0};
	struct talk_result result;
	struct outcome outcome;
	struct command command;

	command_init(&command);
	command.holds_secret = true;
	assert_true(command_word(&command, "sh", 2) && command_word(&command, "-c", 2) &&
		    command_word(&command, script, strlen(script)));
	step_add(&dialogue, "New password:", first, true);
	step_add(&dialogue, "Retype it:", second, true);
	do
		result.err = shell_dialogue_step(shell, &command, &dialogue, &outcome);
	while (result.err == ERR_AGAIN);
	snprintf(result.out, sizeof(result.out), "%s", buf_text(&command.out));
	result.status = command.status;
	result.answered = dialogue.answered;
	result.unanswered = dialogue.unanswered;
	result.sent = command.sent;
	result.ended = command.ended;
	dialogue_clear(&dialogue);
	command_clear(&command);
	return result;
}

static void talk_all(const char *sh)
{
	struct channel channel;
	struct shell shell = {.phase = SHELL_READY, .channel = &channel};
	struct talk_result result;
	struct buf complaint;
	char file[] = "/tmp/dialogue.XXXXXX", touch[64];
	int fd = mkstemp(file);

	close(fd);
	unlink(file);
	snprintf(touch, sizeof(touch), "touch %s", file);
	buf_init(&shell.text, COMMAND_LINE_MAX + 1024);
	buf_init(&complaint, 65536);
	shell_start(&channel, sh);

	result = talk(&shell,
	    "printf \"New password: \"; IFS= read -r a; echo; printf \"Retype it: \" >&2; "
	    "IFS= read -r b; printf \"%s\\n\" \"$a/$b\"; exit 3",
	    "a \\b", "it's");
	assert_int_equal(result.err, ERR_OK);
	assert_string_equal(result.out, "New password: \nRetype it: a \\b/it's\n");
	assert_int_equal(result.status, 3);
	assert_int_equal(result.answered, 2);
	assert_true(result.sent && result.ended && !result.unanswered);

	/* It asks again: its input ends, and its end is seen. */
	result = talk(&shell,
	    "while printf \"New password: \" && read -r a; do echo BAD; done; exit 10", "a", "b");
	assert_int_equal(result.err, ERR_OK);
	assert_string_equal(result.out, "New password: BAD\nNew password: ");
	assert_int_equal(result.status, 10);
	assert_int_equal(result.answered, 1);
	assert_true(result.sent && result.ended && result.unanswered);

	/* Another question than was expected is not answered. */
	result = talk(&shell, "printf \"Current password: \"; read -r a || exit 4", "a", "b");
	assert_int_equal(result.err, ERR_OK);
	assert_int_equal(result.status, 4);
	assert_true(!result.sent && result.ended && result.unanswered);

	/* What it does not read is no command for the shell. */
	result = talk(&shell, "printf \"New password: \"; exec 0<&-; exit 1", touch, "b");
	assert_int_equal(result.err, ERR_OK);
	assert_int_equal(result.status, 1);
	assert_true(result.ended);
	result = talk(&shell, "exit 0", "a", "b");
	assert_int_equal(result.err, ERR_OK);
	assert_true(!result.sent && result.ended && !result.unanswered);
	result =
	    talk(&shell, "printf \"New password: \"; exec 0<&-; sleep 0.2; exit 1", touch, "b");
	assert_int_equal(result.err, ERR_OK);
	assert_int_equal(access(file, F_OK), -1);

	shell_end(&channel, &complaint);
	if (complaint.len > 0)
		fail_msg("%s: %s", sh, buf_text(&complaint));
	buf_clear(&complaint);
	buf_clear(&shell.text);
}

static void each_sh(void (*fn)(const char *sh))
{
	static const char *const all[][2] = {
	    {"dash", "dash"}, {"bash", "bash"}, {"busybox", "busybox ash"}, {"mksh", "mksh"}};
	char probe[64];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(probe, sizeof(probe), "command -v %s >/dev/null", all[i][0]);
		if (system(probe) == 0)
			fn(all[i][1]);
	}
}

static void test_talk(void **state)
{
	(void)state;
	each_sh(talk_all);
	assert_true(holds > 0);
}

/* A line that arrives without its end reaches no command. */
static void cut(const char *sh)
{
	struct channel channel;
	struct command command;
	struct buf line, out;

	command_init(&command);
	snprintf(command.nonce, sizeof(command.nonce), "NONCE");
	command_word(&command, "cat", 3);
	buf_init(&line, 4096);
	buf_init(&out, 4096);
	dialogue_render(&command, (struct manner){.terminal = false}, "STOP", &line);
	buf_add_text(&line, "whole\ncut");
	shell_start(&channel, sh);
	assert_int_equal(write(channel.in, line.data, line.len), line.len);
	close(channel.in);
	while (pull(channel.out, &out) > 0)
		;
	assert_string_equal(buf_text(&out), "whole\nNONCE 0\n");
	channel.in = -1;
	buf_reset(&out);
	shell_end(&channel, &out);
	buf_clear(&out);
	buf_clear(&line);
	command_clear(&command);
}

static void test_cut(void **state)
{
	(void)state;
	each_sh(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_talk),
	    cmocka_unit_test(test_cut),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
