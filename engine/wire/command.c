#define _GNU_SOURCE
#include "wire/command.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"

#define COMMAND_INPUT_MAX  (64 * 1024)
#define COMMAND_SECRET_MAX (16 * 1024) /* leaves in one packet */

/*
 * Runs as root. Without backslash, newline, quote and exclamation mark, so that dash, bash, zsh,
 * ksh, fish and csh alike hand it on unchanged between single quotes. The unset ends an export that
 * the variables may have from outside, and `e` is a newline.
 */
static const char prepare[] = "LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; "
			      "export LC_ALL PATH; unset c e i l n s; set +x; "
			      "p=no; case $(type printf) in *builtin*) p=yes;; esac; "
			      "t=no; timeout -s KILL 5 true </dev/null >/dev/null 2>&1 && t=yes; "
			      "e=$(echo .; echo .); e=${e#.}; e=${e%.}; ";
static const char repeat[] = "while IFS= read -r c; do eval \"$c\"; done";

/*
 * Takes all lines of the input, or ends the shell: a line without its end is the rest of a link
 * that broke, and must not reach the command. Only builtins see them.
 */
static const char collect[] = "while [ \"$n\" -gt 0 ]; do IFS= read -r l || exit 1; "
			      "i=$i$l$e; n=$((n-1)); done; printf \"%s\" \"$i\" | ";

char *nonce_make(char out[NONCE_SIZE])
{
	uint8_t bytes[(NONCE_SIZE - 1) / 2];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return out;
}

void opening_render(struct buf *out, const char *nonce, const char *prompt)
{
	if (prompt != NULL && prompt[0] != '\0')
		buf_addf(out, "env LC_ALL=C sudo -S -p %s ", prompt);
	else if (prompt != NULL)
		buf_add_text(out, "env LC_ALL=C sudo -n ");
	buf_addf(out, "sh -c '%secho %s $p $t; %s'", prepare, nonce, repeat);
}

/* Where `word` begins in the buffer; NULL when it does not stand there. */
static uint8_t *buf_find(const struct buf *buf, const char *word)
{
	return buf->len > 0 ? memmem(buf->data, buf->len, word, strlen(word)) : NULL;
}

/* The text between the nonce, a space, and the newline; false when it is not there yet. */
static bool mark_read(
    const struct buf *buf, const char *nonce, const uint8_t **mark, char *text, size_t size)
{
	const uint8_t *from, *end;

	*mark = buf_find(buf, nonce);
	if (*mark == NULL)
		return false;
	from = *mark + strlen(nonce);
	end = memchr(from, '\n', (size_t)(buf->data + buf->len - from));
	if (end == NULL)
		return false;
	snprintf(text, size, "%.*s", (int)(end - from), (const char *)from);
	return true;
}

bool ready_find(const struct buf *out, const char *nonce, struct ready *ready)
{
	const uint8_t *mark;
	char text[16];

	if (!mark_read(out, nonce, &mark, text, sizeof(text)))
		return false;
	ready->printf_builtin = strncmp(text, " yes", 4) == 0;
	ready->timeout = strstr(text + 1, " yes") != NULL;
	return true;
}

void command_init(struct command *command)
{
	*command = (struct command){.status = -1};
	buf_init(&command->line, COMMAND_LINE_MAX);
	buf_init(&command->input, COMMAND_INPUT_MAX);
	buf_init(&command->out, COMMAND_OUTPUT_MAX);
	buf_init(&command->err, COMMAND_OUTPUT_MAX);
}

void command_clear(struct command *command)
{
	buf_clear(&command->line);
	buf_clear(&command->input);
	buf_clear(&command->out);
	buf_clear(&command->err);
}

bool command_word(struct command *command, const char *bytes, size_t len)
{
	struct buf *line = &command->line;

	if (memchr(bytes, '\0', len) != NULL || memchr(bytes, '\n', len) != NULL)
		return false;
	buf_add_text(line, line->len > 0 ? " '" : "'");
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\'')
			buf_add_text(line, "'\\''");
		else
			buf_add(line, bytes + i, 1);
	}
	return buf_add_text(line, "'");
}

enum err command_check(const struct command *command, struct outcome *outcome)
{
	const struct buf *line = &command->line, *input = &command->input;
	size_t input_max = command->holds_secret ? COMMAND_SECRET_MAX : COMMAND_INPUT_MAX;

	if (line->len == 0)
		return outcome_set(outcome, FAULT_SCRIPT, "a command without a word");
	if (buf_failed(line))
		return outcome_set(
		    outcome, FAULT_LIMIT, "a command of more than %d bytes", COMMAND_LINE_MAX);
	if (buf_failed(input) || input->len > input_max)
		return outcome_set(
		    outcome, FAULT_LIMIT, "an input of more than %zu bytes", input_max);
	if (input->len > 0 && input->data[input->len - 1] != '\n')
		return outcome_set(outcome, FAULT_SCRIPT, "an input whose last line has no end");
	if (input->len > 0 && memchr(input->data, '\0', input->len) != NULL)
		return outcome_set(outcome, FAULT_SCRIPT, "an input with a NUL byte");
	return ERR_OK;
}

static size_t lines_count(const struct buf *input)
{
	size_t count = 0;

	for (size_t i = 0; i < input->len; i++)
		count += input->data[i] == '\n';
	return count;
}

/* Not a moment longer than the engine waits, and at least a second: timeout(1) counts whole ones.
 */
static uint32_t limit_s(uint32_t limit_ms)
{
	return limit_ms < 1000 ? 1 : limit_ms / 1000;
}

void command_render(const struct command *command, bool timeout, struct buf *out)
{
	bool fed = command->input.len > 0;

	if (fed)
		buf_addf(out, "i=; n=%zu; %s", lines_count(&command->input), collect);
	buf_add_text(out, "( exec ");
	if (timeout && command->limit_ms > 0)
		buf_addf(out, "timeout -s KILL %u ", limit_s(command->limit_ms));
	buf_add(out, command->line.data, command->line.len);
	buf_add_text(out, fed ? " ); s=$?; unset i l; " : " ) </dev/null; s=$?; ");
	buf_addf(out, "printf \"%%s %%s\\n\" %s \"$s\"; printf \"%%s\\n\" %s >&2\n", command->nonce,
	    command->nonce);
}

static void buf_cut(struct buf *buf, const uint8_t *end)
{
	size_t keep = (size_t)(end - buf->data);

	explicit_bzero(buf->data + keep, buf->len - keep);
	buf->len = keep;
}

/* " 0" … " 255". */
static bool status_read(const char *text, int *status)
{
	int value = 0;
	const char *digit = text + 1;

	if (text[0] != ' ' || !isdigit((unsigned char)*digit))
		return false;
	for (; isdigit((unsigned char)*digit) && value < 1000; digit++)
		value = value * 10 + (*digit - '0');
	*status = value;
	return *digit == '\0';
}

bool command_finish(struct command *command)
{
	const uint8_t *out_mark, *err_mark;
	char text[16], empty[16];

	if (!mark_read(&command->out, command->nonce, &out_mark, text, sizeof(text)) ||
	    !mark_read(&command->err, command->nonce, &err_mark, empty, sizeof(empty)) ||
	    !status_read(text, &command->status))
		return false;
	buf_cut(&command->out, out_mark);
	buf_cut(&command->err, err_mark);
	return true;
}
