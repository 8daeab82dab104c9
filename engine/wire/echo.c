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
	channel_abandon(echo->channel);
	buf_clear(&echo->out);
	buf_clear(&echo->err);
	free(echo);
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
		if (err == ERR_OK && nonce_heard(buf_text(&echo->out), echo->nonce))
			return ERR_OK;
		if (err == ERR_OK && end)
			return echo_silent(echo, outcome);
	}
	return err;
}
