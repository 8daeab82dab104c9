#include "cli/ask.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/terminal.h"

#define BYTES_MAX 16384
#define CODE_MAX  64

static bool is_same_again(struct buf *secret)
{
	struct buf again;
	bool same;

	buf_init(&again, BYTES_MAX);
	same = terminal_read_secret("again: ", &again) &&
	       strcmp(buf_text(secret), buf_text(&again)) == 0;
	buf_clear(&again);
	return same;
}

/* What of a file or a pipe is no line, or more than one, is a mistake that would go unseen. */
static bool is_one_line(struct buf *secret, const char *what, const char *whose)
{
	const char *text = buf_text(secret);

	if (terminal_goes_on())
		cli_usage("%s: standard input has more than one line, and a %s is one: give it "
			  "alone; nothing was changed",
		    whose, what);
	else if (text[secret->len - 1] == '\r')
		cli_usage("%s: the line ends in a carriage return, as in files from Windows: take "
			  "it off, by tr -d '\\r'; nothing was changed",
		    whose);
	else
		return true;
	return false;
}

static json_t *text_checked(struct buf *secret, const char *what, const char *whose)
{
	const char *text = buf_text(secret);
	json_t *checked;

	if (terminal_is(STDIN_FILENO)) {
		if (!is_same_again(secret)) {
			cli_usage("%s: the two that were typed differ: type it again; nothing was "
				  "changed",
			    whose);
			return NULL;
		}
	} else if (!is_one_line(secret, what, whose)) {
		return NULL;
	}
	checked = strlen(text) == secret->len ? json_stringn(text, secret->len) : NULL;
	if (checked == NULL)
		cli_usage("%s: the %s is no UTF-8 text without NUL: give one that is; nothing was "
			  "changed",
		    whose, what);
	return checked;
}

json_t *ask_secret(const char *what, const char *whose)
{
	struct buf secret;
	json_t *text = NULL;
	char prompt[40];

	snprintf(prompt, sizeof(prompt), "%s: ", what);
	buf_init(&secret, BYTES_MAX);
	if (terminal_read_secret(prompt, &secret) && secret.len > 0)
		text = text_checked(&secret, what, whose);
	else
		cli_usage(
		    "%s: no %s was given: type it, or give it as one line of at most %d bytes "
		    "on standard input; nothing was changed",
		    whose, what, BYTES_MAX);
	buf_clear(&secret);
	return text;
}

json_t *ask_code(void)
{
	struct buf code;
	json_t *text = NULL;

	buf_init(&code, CODE_MAX);
	if (terminal_read_secret("code of your second factor: ", &code) && code.len > 0)
		text = json_stringn(buf_text(&code), code.len);
	if (text == NULL)
		cli_usage("a code of your second factor is needed: type it, or give it as one line "
			  "on standard input");
	buf_clear(&code);
	return text;
}

json_t *ask_line(const char *prompt)
{
	struct buf line;
	json_t *text = NULL;

	buf_init(&line, BYTES_MAX);
	if (terminal_read_secret(prompt, &line) && line.len > 0)
		text = json_stringn(buf_text(&line), line.len);
	buf_clear(&line);
	return text;
}
