#include "wire/shell.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "wire/command.h"
#include "wire/elevate.h"
#include "wire/shell_state.h"

/* What is put around a command. */
#define OPENING_MAX 1024

enum command_phase { COMMAND_NEW, COMMAND_LINE, COMMAND_TOLD, COMMAND_INPUT, COMMAND_READ };

struct shell *shell_new(struct link *link, const struct shell_config *config)
{
	struct shell *shell = xcalloc(1, sizeof(*shell));

	shell->link = link;
	shell->elevation = elevation_new(link, config);
	buf_init(&shell->text, COMMAND_LINE_MAX + OPENING_MAX);
	return shell;
}

void shell_free(struct shell *shell)
{
	if (shell == NULL)
		return;
	elevation_free(shell->elevation);
	channel_free(shell->channel);
	buf_clear(&shell->text);
	free(shell);
}

uint32_t shell_failed_attempts(const struct shell *shell)
{
	return elevation_failed_attempts(shell->elevation);
}

char *shell_said(const struct shell *shell, char *text, size_t size)
{
	char said[SAID_SIZE] = "";

	if (shell->phase != SHELL_READY)
		elevation_said(shell->elevation, said);
	snprintf(text, size, "%s", said);
	return text;
}

bool shell_targeted(const struct shell *shell)
{
	return shell->manner.targeted;
}

enum err shell_open_step(struct shell *shell, struct outcome *outcome)
{
	enum err err;

	if (shell->phase == SHELL_READY)
		return ERR_OK;
	if (shell->phase == SHELL_BROKEN)
		return outcome_set(outcome, FAULT_LOST, "the shell has failed before");
	err = elevation_step(shell->elevation, outcome);
	if (err == ERR_OK) {
		shell->channel = elevation_take(shell->elevation, &shell->manner);
		shell->phase = SHELL_READY;
	} else if (err != ERR_AGAIN) {
		shell->phase = SHELL_BROKEN;
	}
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
	command_render(command, shell->manner, &shell->text);
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
		command->phase = command_waits(command) ? COMMAND_TOLD : COMMAND_INPUT;
		if (command->holds_secret)
			link_hold(shell->link, true);
	}
	return err;
}

static enum err command_told_step(
    struct shell *shell, struct command *command, struct outcome *outcome)
{
	while (!command_told(command)) {
		bool end = false;
		enum err err =
		    channel_read_step(shell->channel, &command->out, &command->err, &end, outcome);

		if (err != ERR_OK)
			return err;
		if (end && !command_told(command))
			return outcome_set(outcome, FAULT_LOST,
			    "the privileged shell ended before it was given the secret");
	}
	command->phase = COMMAND_INPUT;
	return ERR_OK;
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
		if (command_finish(command, shell->manner))
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
	if (err == ERR_OK && command->phase == COMMAND_TOLD)
		err = command_told_step(shell, command, outcome);
	if (err == ERR_OK && command->phase == COMMAND_INPUT)
		err = command_input_step(shell, command, outcome);
	if (err == ERR_OK && command->phase == COMMAND_READ)
		err = command_read_step(shell, command, outcome);
	if (err != ERR_OK && err != ERR_AGAIN)
		shell->phase = SHELL_BROKEN;
	return err;
}
