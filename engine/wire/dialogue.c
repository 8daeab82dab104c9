#include "wire/dialogue.h"

#include <string.h>

#include "base/crash.h"
#include "wire/command.h"
#include "wire/hint.h"
#include "wire/shell_state.h"

enum dialogue_phase {
	DIALOGUE_NEW,
	DIALOGUE_LINE,	 /* the command is written */
	DIALOGUE_READ,	 /* what does it say? */
	DIALOGUE_ANSWER, /* a step is written */
	DIALOGUE_STOP,	 /* the relay is told to stop: the command's input ends */
	DIALOGUE_LEAVE,	 /* the same, after the command's end */
	DIALOGUE_DONE,
};

static enum err dialogue_begin(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	enum err err = command_check(command, outcome);

	if (err != ERR_OK)
		return err;
	nonce_make(command->nonce);
	nonce_make(dialogue->stop);
	buf_reset(&shell->text);
	dialogue_render(command, shell->manner, dialogue->stop, &shell->text);
	if (buf_failed(&shell->text))
		return outcome_set(
		    outcome, FAULT_LIMIT, "a command of more than %d bytes", COMMAND_LINE_MAX);
	dialogue->phase = DIALOGUE_LINE;
	return ERR_OK;
}

/* Writes all of it in one packet, then goes on to `next`. */
static enum err dialogue_write(struct shell *shell, struct dialogue *dialogue,
    const struct buf *text, bool *touched, enum dialogue_phase next, struct outcome *outcome)
{
	enum err err = channel_write_step(
	    shell->channel, text->data, text->len, &dialogue->written, touched, outcome);

	if (err == ERR_OK) {
		dialogue->written = 0;
		dialogue->phase = next;
	}
	return err;
}

static enum err dialogue_answer(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	const struct dialogue_step *step = &dialogue->steps[dialogue->answered];
	bool touched = false;
	enum err err;

	if (step->holds_new) {
		link_hold(shell->link, true);
		CRASH_POINT("wire.sending");
	}
	err = dialogue_write(shell, dialogue, &step->send, &touched, DIALOGUE_READ, outcome);
	command->sent |= touched && step->holds_new;
	if (err != ERR_OK)
		return err;
	if (step->holds_new)
		CRASH_POINT("wire.sent");
	dialogue->answered++;
	dialogue->from = command->out.len;
	return ERR_OK;
}

static enum err dialogue_stop(struct shell *shell, struct dialogue *dialogue,
    enum dialogue_phase next, struct outcome *outcome)
{
	bool touched = false;

	if (dialogue->written == 0) {
		buf_reset(&shell->text);
		buf_addf(&shell->text, "%s\n", dialogue->stop);
	}
	return dialogue_write(shell, dialogue, &shell->text, &touched, next, outcome);
}

/* What was said since the last answer, without the blanks that end it. */
static const char *said_since(struct command *command, const struct dialogue *dialogue, size_t *len)
{
	const char *said = buf_text(&command->out) + dialogue->from;

	*len = command->out.len - dialogue->from;
	while (*len > 0 && said[*len - 1] == ' ')
		--*len;
	return said;
}

static bool is_expected(const struct dialogue *dialogue, const char *said, size_t len)
{
	const struct dialogue_step *step = &dialogue->steps[dialogue->answered];

	if (dialogue->answered == dialogue->step_count)
		return false;
	for (size_t i = 0; i < step->expect_count; i++) {
		size_t end = strlen(step->expects[i]);

		if (end <= len && memcmp(said + len - end, step->expects[i], end) == 0)
			return true;
	}
	return false;
}

static void dialogue_end(struct shell *shell, struct command *command, struct dialogue *dialogue)
{
	command->ended = true;
	/* The relay of one that was stopped has ended already. */
	dialogue->phase = dialogue->unanswered ? DIALOGUE_DONE : DIALOGUE_LEAVE;
	if (!command->sent)
		return;
	CRASH_POINT("wire.end_seen");
	link_hold(shell->link, false);
}

/* ERR_AGAIN when what it said so far decides nothing. */
static enum err dialogue_look(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	size_t len;
	const char *said;

	if (dialogue_finish(command)) {
		dialogue_end(shell, command, dialogue);
		return ERR_OK;
	}
	said = said_since(command, dialogue, &len);
	if (dialogue->unanswered)
		return ERR_AGAIN;
	if (is_expected(dialogue, said, len)) {
		dialogue->phase = DIALOGUE_ANSWER;
		return ERR_OK;
	}
	if (hint_prompt(said, len) == PROMPT_NONE)
		return ERR_AGAIN;
	dialogue->unanswered = true;
	/* A terminal's input has no end: there it waits for ever. */
	if (shell->manner.terminal)
		return outcome_set(
		    outcome, FAULT_OUTPUT, "the command asks what is not to be answered");
	dialogue->phase = DIALOGUE_STOP;
	return ERR_OK;
}

static enum err dialogue_read(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	enum err err;

	do {
		bool end = false;

		err =
		    channel_read_step(shell->channel, &command->out, &command->err, &end, outcome);
		if (err != ERR_OK)
			return err;
		err = dialogue_look(shell, command, dialogue, outcome);
		if (err == ERR_AGAIN && end)
			return outcome_set(outcome, FAULT_LOST,
			    "the privileged shell ended before the command's end was seen");
	} while (err == ERR_AGAIN);
	return err;
}

static enum err dialogue_phase_step(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	bool touched = false;

	switch ((enum dialogue_phase)dialogue->phase) {
	case DIALOGUE_NEW: return dialogue_begin(shell, command, dialogue, outcome);
	case DIALOGUE_LINE:
		return dialogue_write(
		    shell, dialogue, &shell->text, &touched, DIALOGUE_READ, outcome);
	case DIALOGUE_READ: return dialogue_read(shell, command, dialogue, outcome);
	case DIALOGUE_ANSWER: return dialogue_answer(shell, command, dialogue, outcome);
	case DIALOGUE_STOP: return dialogue_stop(shell, dialogue, DIALOGUE_READ, outcome);
	case DIALOGUE_LEAVE: return dialogue_stop(shell, dialogue, DIALOGUE_DONE, outcome);
	case DIALOGUE_DONE: break;
	}
	return ERR_OK;
}

enum err shell_dialogue_step(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	enum err err = ERR_OK;

	if (shell->phase != SHELL_READY)
		return outcome_set(outcome, FAULT_LOST, "the privileged shell is gone");
	if (dialogue->phase == DIALOGUE_NEW) {
		err = dialogue_begin(shell, command, dialogue, outcome);
		/* Nothing has been sent yet: the shell is as good as before. */
		if (err != ERR_OK)
			return err;
	}
	while (err == ERR_OK && dialogue->phase != DIALOGUE_DONE)
		err = dialogue_phase_step(shell, command, dialogue, outcome);
	if (err != ERR_OK && err != ERR_AGAIN)
		shell->phase = SHELL_BROKEN;
	return err;
}
