#include "wire/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/command.h"
#include "wire/hint.h"
#include "wire/said.h"

/* What may be said before the shell is ready: rc files, banners, a lecture. */
#define NOISE_MAX (64 * 1024)

#define OPENING_MAX  1024
#define PASSWORD_MAX (SECRET_SIZE_MAX + 1)
#define PROMPT_SIZE  64

enum shell_phase { SHELL_EXEC, SHELL_WAIT, SHELL_ANSWER, SHELL_READY, SHELL_BROKEN };

enum command_phase { COMMAND_NEW, COMMAND_LINE, COMMAND_INPUT, COMMAND_READ };

struct shell {
	struct link *link;
	struct shell_config config;
	struct channel *channel;
	enum shell_phase phase;
	struct buf out, err; /* until it is ready */
	struct buf text;     /* what is being written: the opening, a password, a command's line */
	size_t written;
	bool answered;
	char nonce[NONCE_SIZE];
	char prompt[PROMPT_SIZE]; /* "" where none may come */
	bool timeout;
	uint32_t failed;
};

struct shell *shell_new(struct link *link, const struct shell_config *config)
{
	struct shell *shell = xcalloc(1, sizeof(*shell));
	char nonce[NONCE_SIZE];

	shell->link = link;
	shell->config = *config;
	buf_init(&shell->out, NOISE_MAX);
	buf_init(&shell->err, NOISE_MAX);
	buf_init(&shell->text, COMMAND_LINE_MAX + OPENING_MAX);
	nonce_make(shell->nonce);
	if (config->become == WIRE_BECOME_SUDO && config->become_secret != NULL)
		snprintf(shell->prompt, sizeof(shell->prompt), "password-%s:", nonce_make(nonce));
	opening_render(
	    &shell->text, shell->nonce, config->become == WIRE_BECOME_SUDO ? shell->prompt : NULL);
	return shell;
}

void shell_free(struct shell *shell)
{
	if (shell == NULL)
		return;
	channel_free(shell->channel);
	buf_clear(&shell->out);
	buf_clear(&shell->err);
	buf_clear(&shell->text);
	free(shell);
}

uint32_t shell_failed_attempts(const struct shell *shell)
{
	return shell->failed;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static enum err shell_exec_step(struct shell *shell, struct outcome *outcome)
{
	enum err err =
	    channel_exec_step(shell->link, &shell->channel, buf_text(&shell->text), outcome);

	if (err == ERR_OK) {
		buf_reset(&shell->text);
		shell->phase = SHELL_WAIT;
	}
	return err;
}

static bool buf_ends(const struct buf *buf, const char *end)
{
	size_t len = strlen(end);

	return len > 0 && buf->len >= len && memcmp(buf->data + buf->len - len, end, len) == 0;
}

/* It ended, or asked for what we do not answer: why? */
static enum err shell_refused(struct shell *shell, struct outcome *outcome)
{
	bool sudo = shell->config.become == WIRE_BECOME_SUDO;
	enum fault fault = said_hint(&shell->err, &shell->out, sudo ? hint_sudo : hint_login);
	char said[SAID_SIZE];

	said_text(said, &shell->err, &shell->out);
	if (fault == FAULT_BECOME_DENIED || fault == FAULT_EXPIRED)
		shell->failed = 0;
	if (fault == FAULT_NONE)
		return outcome_set(
		    outcome, FAULT_NO_SHELL, "the shell ended before it was ready: \"%s\"", said);
	return outcome_set(outcome, fault, "%s: \"%s\"", sudo ? "sudo" : "login", said);
}

static enum err shell_ready(struct shell *shell, const struct ready *ready, struct outcome *outcome)
{
	shell->failed = 0;
	if (!ready->printf_builtin)
		return outcome_set(outcome, FAULT_NO_SHELL,
		    "printf is no builtin of the asset's sh: a secret would be seen in its process "
		    "list");
	shell->timeout = ready->timeout;
	shell->phase = SHELL_READY;
	buf_clear(&shell->out);
	buf_clear(&shell->err);
	return ERR_OK;
}

static enum err shell_prompted(struct shell *shell, struct outcome *outcome)
{
	const struct secret *secret = shell->config.become_secret;

	if (shell->answered)
		return outcome_set(outcome, FAULT_BECOME_PASSWORD, "sudo refused the password");
	buf_reset(&shell->err);
	buf_add(&shell->text, secret_data(secret), secret_len(secret));
	buf_add_text(&shell->text, "\n");
	shell->written = 0;
	shell->phase = SHELL_ANSWER;
	return ERR_OK;
}

/* Looks at what was said so far; ERR_AGAIN when it decides nothing. */
static enum err shell_look(struct shell *shell, bool end, struct outcome *outcome)
{
	struct ready ready;

	if (ready_find(&shell->out, shell->nonce, &ready))
		return shell_ready(shell, &ready, outcome);
	if (buf_ends(&shell->err, shell->prompt))
		return shell_prompted(shell, outcome);
	if (end || said_hint(&shell->err, &shell->out, hint_sudo_asks) != FAULT_NONE)
		return shell_refused(shell, outcome);
	return ERR_AGAIN;
}

static enum err shell_wait_step(struct shell *shell, struct outcome *outcome)
{
	enum err err;

	do {
		bool end = false;

		err = channel_read_step(shell->channel, &shell->out, &shell->err, &end, outcome);
		if (err == ERR_OK)
			err = shell_look(shell, end, outcome);
		else
			break;
	} while (err == ERR_AGAIN);
	return err;
}

static enum err shell_answer_step(struct shell *shell, struct outcome *outcome)
{
	bool touched = false;
	enum err err = channel_write_step(
	    shell->channel, shell->text.data, shell->text.len, &shell->written, &touched, outcome);

	if (touched) {
		shell->answered = true;
		shell->failed = 1;
	}
	if (err == ERR_OK) {
		buf_reset(&shell->text);
		shell->phase = SHELL_WAIT;
	}
	return err;
}

enum err shell_open_step(struct shell *shell, struct outcome *outcome)
{
	enum err err = ERR_OK;

	while (err == ERR_OK && shell->phase != SHELL_READY) {
		switch (shell->phase) {
		case SHELL_EXEC: err = shell_exec_step(shell, outcome); break;
		case SHELL_WAIT: err = shell_wait_step(shell, outcome); break;
		case SHELL_ANSWER: err = shell_answer_step(shell, outcome); break;
		default: err = outcome_set(outcome, FAULT_LOST, "the shell has failed before");
		}
	}
	if (err != ERR_OK && err != ERR_AGAIN)
		shell->phase = SHELL_BROKEN;
	return err;
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static enum err command_begin(struct shell *shell, struct command *command, struct outcome *outcome)
{
	enum err err = command_check(command, outcome);

	if (err != ERR_OK)
		return err;
	nonce_make(command->nonce);
	buf_reset(&shell->text);
	command_render(command, shell->timeout, &shell->text);
	if (buf_failed(&shell->text))
		return outcome_set(
		    outcome, FAULT_LIMIT, "a command of more than %d bytes", COMMAND_LINE_MAX);
	command->written = 0;
	command->phase = COMMAND_LINE;
	return ERR_OK;
}

static enum err command_line_step(
    struct shell *shell, struct command *command, struct outcome *outcome)
{
	bool touched = false;
	enum err err = channel_write_step(shell->channel, shell->text.data, shell->text.len,
	    &command->written, &touched, outcome);

	if (err == ERR_OK) {
		command->written = 0;
		command->phase = COMMAND_INPUT;
		if (command->holds_secret)
			link_hold(shell->link, true);
	}
	return err;
}

static enum err command_input_step(
    struct shell *shell, struct command *command, struct outcome *outcome)
{
	enum err err;

	if (command->holds_secret)
		CRASH_POINT("wire.sending");
	err = channel_write_step(shell->channel, command->input.data, command->input.len,
	    &command->written, &command->sent, outcome);
	if (err != ERR_OK)
		return err;
	if (command->holds_secret)
		CRASH_POINT("wire.sent");
	command->phase = COMMAND_READ;
	return ERR_OK;
}

static enum err command_read_step(
    struct shell *shell, struct command *command, struct outcome *outcome)
{
	for (;;) {
		bool end = false;
		enum err err =
		    channel_read_step(shell->channel, &command->out, &command->err, &end, outcome);

		if (err != ERR_OK)
			return err;
		if (command_finish(command))
			break;
		if (end)
			return outcome_set(outcome, FAULT_LOST,
			    "the privileged shell ended before the command's end was seen");
	}
	command->ended = true;
	if (command->holds_secret)
		CRASH_POINT("wire.end_seen");
	if (command->holds_secret)
		link_hold(shell->link, false);
	return ERR_OK;
}

enum err shell_run_step(struct shell *shell, struct command *command, struct outcome *outcome)
{
	enum err err = ERR_OK;

	if (shell->phase != SHELL_READY)
		return outcome_set(outcome, FAULT_LOST, "the privileged shell is gone");
	if (command->phase == COMMAND_NEW)
		err = command_begin(shell, command, outcome);
	/* Nothing has been sent yet: the shell is as good as before. */
	if (err != ERR_OK)
		return err;
	if (command->phase == COMMAND_LINE)
		err = command_line_step(shell, command, outcome);
	if (err == ERR_OK && command->phase == COMMAND_INPUT)
		err = command_input_step(shell, command, outcome);
	if (err == ERR_OK && command->phase == COMMAND_READ)
		err = command_read_step(shell, command, outcome);
	if (err != ERR_OK && err != ERR_AGAIN)
		shell->phase = SHELL_BROKEN;
	return err;
}
