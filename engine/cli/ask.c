#include "cli/ask.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"

int ask_secret(const char *what, struct buf *secret)
{
	char prompt[40];
	struct buf again;
	bool same;

	snprintf(prompt, sizeof(prompt), "%s: ", what);
	if (!terminal_read_secret(prompt, secret) || secret->len == 0)
		return cli_usage(
		    "no %s was given (one line, at most %d bytes); nothing was changed", what,
		    ASK_BYTES_MAX);
	if (!terminal_is(STDIN_FILENO))
		return SERVICE_OK;
	buf_init(&again, ASK_BYTES_MAX);
	same = terminal_read_secret("again: ", &again) &&
	       strcmp(buf_text(secret), buf_text(&again)) == 0;
	buf_clear(&again);
	return same ? SERVICE_OK : cli_usage("the two that were typed differ; nothing was changed");
}

json_t *ask_text(struct buf *secret)
{
	const char *text = buf_text(secret);

	return strlen(text) == secret->len ? json_stringn(text, secret->len) : NULL;
}
