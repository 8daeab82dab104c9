#define _GNU_SOURCE
#include "wire/command.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "wire/dialogue.h"

/* Before a command's nonce: it waits for its input. */
#define GO "go-"

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

static const char make_raw[] = "stty raw -echo 2>/dev/null; ";

/* What was typed before its time, a password perhaps, is no command. */
static const char await[] =
    "until [ \"${c%%%% *}\" = %s ]; do IFS= read -r c || exit 1; done; eval \"${c#* }\"; ";

/*
 * Takes all lines of the input, or ends the shell: a line without its end is the rest of a link
 * that broke, and must not reach the command. Only builtins see them.
 */
static const char gather[] = "while [ \"$n\" -gt 0 ]; do IFS= read -r l || exit 1; "
			     "i=$i$l$e; n=$((n-1)); done; ";

/* An asset that does not tell seconds has no such limit. */
static const char mark_time[] = "d=$(date +%%s); printf \"%%s\\n\" " GO "%s; ";
static const char check_time[] = "case $d in \"\"|*[!0-9]*) ;; "
				 "*) [ $(($(date +%%s)-d)) -le %u ] || exit 1;; esac; ";

static const char hand_over[] = "printf \"%s\" \"$i\" | ";

char *nonce_make(char out[NONCE_SIZE])
{
	uint8_t bytes[(NONCE_SIZE - 1) / 2];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return out;
}

void opening_render(struct buf *out, const struct opening *opening)
{
	buf_addf(out, "%ssh -c '%s%secho %s $p $t; ", opening->prefix, prepare,
	    opening->terminal ? make_raw : "", opening->nonce);
	if (opening->go != NULL)
		buf_addf(out, await, opening->go);
	buf_addf(out, "%s'", repeat);
}

bool nonce_heard(const char *text, const char *nonce)
{
	static const char word[] = "echo ";
	size_t len = strlen(nonce), word_len = sizeof(word) - 1;

	for (const char *at = text; (at = strstr(at, nonce)) != NULL; at += len) {
		bool repeated =
		    (size_t)(at - text) >= word_len && memcmp(at - word_len, word, word_len) == 0;

		if (!repeated && (at[len] == '\n' || at[len] == '\r'))
			return true;
	}
	return false;
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

bool mark_find(const struct buf *buf, const char *nonce, char *text, size_t size)
{
	const uint8_t *mark;

	return mark_read(buf, nonce, &mark, text, size);
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

void quote_add(struct buf *out, const char *bytes, size_t len)
{
	buf_add_text(out, "'");
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\'')
			buf_add_text(out, "'\\''");
		else
			buf_add(out, bytes + i, 1);
	}
	buf_add_text(out, "'");
}

bool command_word(struct command *command, const char *bytes, size_t len)
{
	struct buf *line = &command->line;

	if (memchr(bytes, '\0', len) != NULL || memchr(bytes, '\n', len) != NULL)
		return false;
	if (line->len > 0)
		buf_add_text(line, " ");
	quote_add(line, bytes, len);
	return !buf_failed(line);
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

bool command_waits(const struct command *command)
{
	return command->holds_secret && command->input.len > 0 && command->limit_ms > 0;
}

bool command_told(struct command *command)
{
	char mark[sizeof(GO) + NONCE_SIZE], rest[8];

	snprintf(mark, sizeof(mark), GO "%s", command->nonce);
	if (!mark_find(&command->out, mark, rest, sizeof(rest)))
		return false;
	buf_reset(&command->out);
	return true;
}

/* Half of what the engine waits for its end: the other half is the command's own. */
static uint32_t late_s(uint32_t limit_ms)
{
	return limit_ms < 2000 ? 1 : limit_ms / 2000;
}

static void gather_render(const struct command *command, struct buf *out)
{
	buf_add_text(out, gather);
	if (command_waits(command))
		buf_addf(out, check_time, late_s(command->limit_ms));
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

/* In a process of its own, so that it has the input, and the shell the outputs. */
static void process_render(const struct command *command, struct manner manner, struct buf *out)
{
	bool elevates = manner.targeted && !command->plain;

	buf_add_text(out, "( exec ");
	/* What sudo runs cannot be ended by the one who called it. */
	if (manner.timeout && command->limit_ms > 0 && !elevates)
		buf_addf(out, "timeout -s KILL %u ", limit_s(command->limit_ms));
	if (elevates)
		buf_add_text(out, "sudo -n -- ");
	buf_add(out, command->line.data, command->line.len);
	buf_add_text(out, " )");
}

/* The marks come on both outputs. */
static void ends_render(const struct command *command, struct manner manner, struct buf *out)
{
	bool fed = command->input.len > 0;

	if (fed) {
		gather_render(command, out);
		buf_add_text(out, hand_over);
	}
	process_render(command, manner, out);
	buf_add_text(out, fed ? "; s=$?; unset i l; " : " </dev/null; s=$?; ");
	buf_addf(out, "printf \"%%s %%s\\n\" %s \"$s\"; printf \"%%s\\n\" %s >&2\n", command->nonce,
	    command->nonce);
}

/*
 * On a terminal: stdout goes to it, stderr into a variable with the status behind it, and follows
 * between two marks.
 */
static void halves_render(const struct command *command, struct manner manner, struct buf *out)
{
	bool fed = command->input.len > 0;

	if (fed)
		gather_render(command, out);
	buf_add_text(out, "{ s=$( ");
	if (fed)
		buf_add_text(out, hand_over);
	process_render(command, manner, out);
	buf_add_text(out, " 2>&1 >&3 3>&-");
	buf_addf(out, "%s; echo .$? ); } 3>&1 2>/dev/null; ", fed ? "" : " </dev/null");
	buf_addf(out,
	    "printf \"%%s %%s\\n%%s%%s\\n\" %s \"${s##*.}\" \"${s%%.*}\" %s; unset i l s\n",
	    command->nonce, command->nonce);
}

void command_render(const struct command *command, struct manner manner, struct buf *out)
{
	if (command_waits(command))
		buf_addf(out, mark_time, command->nonce);
	if (command->input.len > 0)
		buf_addf(out, "i=; n=%zu; ", lines_count(&command->input));
	if (manner.terminal)
		halves_render(command, manner, out);
	else
		ends_render(command, manner, out);
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

/* The error output stands between the first mark's line and the second mark. */
static bool halves_split(struct command *command, const uint8_t *mark)
{
	struct buf *out = &command->out;
	const uint8_t *end = out->data + out->len;
	const uint8_t *from = memchr(mark, '\n', (size_t)(end - mark));
	size_t nonce_len = strlen(command->nonce);
	const uint8_t *second;

	from++;
	second = memmem(from, (size_t)(end - from), command->nonce, nonce_len);
	if (second == NULL || memchr(second, '\n', (size_t)(end - second)) == NULL)
		return false;
	buf_add(&command->err, from, (size_t)(second - from));
	return true;
}

bool command_finish(struct command *command, struct manner manner)
{
	const uint8_t *out_mark, *err_mark;
	char text[16], empty[16];

	if (!mark_read(&command->out, command->nonce, &out_mark, text, sizeof(text)) ||
	    !status_read(text, &command->status))
		return false;
	if (manner.terminal) {
		if (!halves_split(command, out_mark))
			return false;
	} else if (!mark_read(&command->err, command->nonce, &err_mark, empty, sizeof(empty))) {
		return false;
	} else {
		buf_cut(&command->err, err_mark);
	}
	buf_cut(&command->out, out_mark);
	return true;
}

/* ── Dialogues ───────────────────────────────────────────────────────────────────────────── */

void dialogue_clear(struct dialogue *dialogue)
{
	for (size_t i = 0; i < dialogue->step_count; i++)
		buf_clear(&dialogue->steps[i].send);
	*dialogue = (struct dialogue){.step_count = 0};
}

/* Lines go through builtins alone; one without its end goes nowhere. */
static const char relay[] = "{ trap \"\" PIPE; while IFS= read -r l && [ \"$l\" != %s ]; do "
			    "printf \"%%s\\n\" \"$l\"; done; } 2>/dev/null | ";

/* What the command left unread on the terminal is no line for the shell. */
static const char skip[] =
    "; l=; until [ \"$l\" = %s ]; do IFS= read -r l || exit 1; done; unset l";

void dialogue_render(
    const struct command *command, struct manner manner, const char *stop, struct buf *out)
{
	if (!manner.terminal)
		buf_addf(out, relay, stop);
	/* It puts what it runs behind the terminal's back, where reading stops a process. */
	if (manner.terminal)
		manner.timeout = false;
	buf_add_text(out, "{ ");
	process_render(command, manner, out);
	buf_addf(out, " 2>&1; printf \"%%s %%s\\n\" %s \"$?\"; }", command->nonce);
	if (manner.terminal)
		buf_addf(out, skip, stop);
	buf_add_text(out, "\n");
}

bool dialogue_finish(struct command *command)
{
	const uint8_t *mark;
	char text[16];

	if (!mark_read(&command->out, command->nonce, &mark, text, sizeof(text)) ||
	    !status_read(text, &command->status))
		return false;
	buf_cut(&command->out, mark);
	return true;
}
