#include "wire/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/command.h"
#include "wire/hint.h"
#include "wire/said.h"

#define NOISE_MAX (64 * 1024)

struct echo {
	struct link *link;
	struct channel *channel;
	struct buf out, err;
	char nonce[NONCE_SIZE];
	char command[NONCE_SIZE + 8];
};

struct echo *echo_new(struct link *link)
{
	struct echo *echo = xcalloc(1, sizeof(*echo));

	echo->link = link;
	buf_init(&echo->out, NOISE_MAX);
	buf_init(&echo->err, NOISE_MAX);
	nonce_make(echo->nonce);
	/* Every shell has this word, that of Windows and restricted ones too. */
	snprintf(echo->command, sizeof(echo->command), "echo %s", echo->nonce);
	return echo;
}

void echo_free(struct echo *echo)
{
	if (echo == NULL)
		return;
	channel_free(echo->channel);
	buf_clear(&echo->out);
	buf_clear(&echo->err);
	free(echo);
}

/*
 * The nonce ends a line. What stands before it there is what start-up files left unfinished; one
 * that only repeats the command proves nothing.
 */
static bool echo_heard(struct echo *echo)
{
	static const char word[] = "echo ";
	const size_t word_len = sizeof(word) - 1;
	const char *text = buf_text(&echo->out);
	const char *at = text;
	size_t len = strlen(echo->nonce);

	while ((at = strstr(at, echo->nonce)) != NULL) {
		bool repeated =
		    (size_t)(at - text) >= word_len && memcmp(at - word_len, word, word_len) == 0;

		if (!repeated && (at[len] == '\n' || at[len] == '\r'))
			return true;
		at += len;
	}
	return false;
}

static enum err echo_silent(struct echo *echo, struct outcome *outcome)
{
	enum fault fault = said_hint(&echo->err, &echo->out, hint_login);
	char said[SAID_SIZE];

	return outcome_set(outcome, fault != FAULT_NONE ? fault : FAULT_NO_SHELL,
	    "it logs in and does not run what it is told: \"%s\"",
	    said_text(said, &echo->err, &echo->out));
}

enum err echo_step(struct echo *echo, struct outcome *outcome)
{
	enum err err = ERR_OK;

	if (echo->channel == NULL)
		err = channel_exec_step(echo->link, &echo->channel, echo->command, false, outcome);
	while (err == ERR_OK) {
		bool end = false;

		err = channel_read_step(echo->channel, &echo->out, &echo->err, &end, outcome);
		if (err == ERR_OK && echo_heard(echo))
			return ERR_OK;
		if (err == ERR_OK && end)
			return echo_silent(echo, outcome);
	}
	return err;
}
