#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_shell.h"
#include "wire/dialogue.h"

static void note(char *out, size_t size, const struct buf *buf)
{
	assert_true(buf->len < size);
	if (buf->len > 0)
		memcpy(out, buf->data, buf->len);
	out[buf->len] = '\0';
}

static void begin(struct shell *shell, const struct command *command)
{
	shell->command = command;
	shell->waited = 0;
	note(shell->line, sizeof(shell->line), &command->line);
	note(shell->input, sizeof(shell->input), &command->input);
	shell->holds_secret = command->holds_secret;
	shell->plain = command->plain;
	shell->limit_ms = command->limit_ms;
}

enum err shell_run_step(struct shell *shell, struct command *command, struct outcome *outcome)
{
	const struct fake_command *way = &shell->commands[shell->next];

	if (shell->next == shell->count)
		fail_msg("one more command than was expected");
	if (shell->command == NULL)
		begin(shell, command);
	assert_ptr_equal(command, shell->command);
	command->sent = !way->unsent && command->input.len > 0;
	if (shell->waited < way->waits) {
		shell->waited++;
		return ERR_AGAIN;
	}
	shell->command = NULL;
	shell->next++;
	if (way->fault != FAULT_NONE)
		return outcome_set(outcome, way->fault, "%s", way->text);
	buf_add_text(&command->out, way->out != NULL ? way->out : "");
	buf_add_text(&command->err, way->err != NULL ? way->err : "");
	command->status = way->status;
	command->ended = !way->unended;
	return ERR_OK;
}

/* It asks for as many answers as it is told, in order, and takes them as one input. */
enum err shell_dialogue_step(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	const struct fake_command *way = &shell->commands[shell->next];
	bool holds_new = false;
	enum err err;

	buf_reset(&command->input);
	for (size_t i = 0; i < dialogue->step_count && i < way->answers; i++) {
		const struct dialogue_step *step = &dialogue->steps[i];

		buf_add(&command->input, step->send.data, step->send.len);
		holds_new |= step->holds_new;
	}
	err = shell_run_step(shell, command, outcome);
	command->sent = command->sent && holds_new;
	dialogue->answered = way->answers;
	dialogue->unanswered = way->unanswered;
	return err;
}

bool shell_targeted(const struct shell *shell)
{
	return shell->targeted;
}

struct scripts *fake_scripts(const char *source)
{
	const struct wire_script file = {"p", "p.lua", source, strlen(source)};
	struct scripts *scripts;
	struct error error;

	if (scripts_new(&scripts, &file, 1, &error) != ERR_OK)
		fail_msg("%s", error.text);
	return scripts;
}

struct script *fake_script_with(
    struct scripts *scripts, struct script_config config, struct shell *shell)
{
	config.platform = "p";
	config.asset = "web1";
	config.account = "app";
	config.limit_ms = 30000;
	config.shell = shell;
	return script_new(scripts, &config);
}

struct script *fake_script(struct scripts *scripts, enum script_call call, struct shell *shell,
    const struct secret *new_secret, const struct secret *old_secret)
{
	const struct script_config config = {
	    .call = call,
	    .proof = WIRE_PROOF_LOGIN,
	    .new_secret = new_secret,
	    .old_secret = old_secret,
	};

	return fake_script_with(scripts, config, shell);
}

enum err fake_run(
    struct script *script, struct script_result *result, struct outcome *outcome, unsigned *turns)
{
	for (unsigned steps = 0; steps < 10000; steps++) {
		bool busy;
		enum err err = script_step(script, result, &busy, outcome);

		if (err != ERR_AGAIN)
			return err;
		if (turns != NULL && busy)
			++*turns;
	}
	fail_msg("the script does not end");
	return ERR_AGAIN;
}

struct secret *fake_secret(const char *text)
{
	struct secret *secret = secret_from(text, strlen(text));

	assert_non_null(secret);
	return secret;
}

int fake_setup(void **state)
{
	bool locked;
	struct error error;

	(void)state;
	return secret_heap_init(1024 * 1024, &locked, &error) == ERR_OK ? 0 : -1;
}
