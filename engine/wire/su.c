#include "wire/su.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/command.h"
#include "wire/hint.h"
#include "wire/said.h"
#include "wire/talk.h"

/* root is let through without a password: it becomes this one first. */
#define NOBODY "nobody"

#define LINE_MAX_SIZE 4096

enum phase {
	PHASE_EXEC,   /* a plain sh on a terminal */
	PHASE_READY,  /* waits for it */
	PHASE_LINE,   /* writes the line with su */
	PHASE_PROMPT, /* waits for the prompt */
	PHASE_ANSWER, /* writes the password */
	PHASE_END,    /* waits for the nonce, or the end */
	PHASE_CLOSE,  /* the link goes on, so that the channel has to end in order */
};

struct su {
	const char *account;
	const struct secret *secret;
	enum phase phase;
	struct talk talk;
	char ready[NONCE_SIZE];	 /* sh is past the rc files */
	char begun[NONCE_SIZE];	 /* su comes next */
	char inside[NONCE_SIZE]; /* said by the account */
	uint32_t failed;
	enum wire_verdict verdict; /* what came of it, until the channel is closed */
	enum err end;
	struct outcome outcome;
};

struct su *su_new(struct link *link, const char *account, const struct secret *secret)
{
	struct su *su = xcalloc(1, sizeof(*su));

	su->account = account;
	su->secret = secret;
	talk_init(&su->talk, link);
	opening_render(&su->talk.text,
	    &(struct opening){.prefix = "", .nonce = nonce_make(su->ready), .terminal = true});
	return su;
}

void su_free(struct su *su)
{
	if (su == NULL)
		return;
	talk_clear(&su->talk);
	free(su);
}

uint32_t su_failed_attempts(const struct su *su)
{
	return su->failed;
}

/* Every shell has the word that the account is to say. */
static void put_su(struct su *su)
{
	struct buf line, words;

	buf_init(&line, LINE_MAX_SIZE);
	buf_init(&words, LINE_MAX_SIZE);
	buf_add_text(&words, "exec su ");
	quote_add(&words, su->account, strlen(su->account));
	buf_addf(&words, " -c \"echo %s\"", nonce_make(su->inside));
	buf_addf(&line, "u=$(id -u); echo %s; case $u in 0) exec su -s /bin/sh " NOBODY " -c ",
	    nonce_make(su->begun));
	quote_add(&line, (const char *)words.data, words.len);
	buf_addf(&line, ";; *) %s;; esac", buf_text(&words));
	talk_put(&su->talk, buf_text(&line));
	talk_forget(&su->talk);
	buf_clear(&words);
	buf_clear(&line);
	su->phase = PHASE_LINE;
}

/* ── What it says ────────────────────────────────────────────────────────────────────────── */

static bool heard_inside(struct su *su)
{
	return nonce_heard(buf_text(&su->talk.out), su->inside);
}

static enum err no_verdict(const struct su *su, enum fault fault, struct outcome *outcome)
{
	char said[SAID_SIZE];

	return outcome_set(
	    outcome, fault, "su: \"%s\"", said_text(said, &su->talk.err, &su->talk.out));
}

static enum err looked_for_shell(struct su *su, bool end, struct outcome *outcome)
{
	struct ready ready;

	if (ready_find(&su->talk.out, su->ready, &ready)) {
		put_su(su);
		return ERR_OK;
	}
	if (said_wants_change(&su->talk.out))
		return no_verdict(su, FAULT_NO_SHELL, outcome);
	return end ? no_verdict(su, FAULT_NO_SHELL, outcome) : ERR_AGAIN;
}

static enum err looked_for_prompt(struct su *su, bool end, struct outcome *outcome)
{
	const char *text = strstr(buf_text(&su->talk.out), su->begun);
	enum fault fault;

	if (heard_inside(su))
		return outcome_set(outcome, FAULT_BECOME_DENIED,
		    "su lets in without a password: nothing can be proven");
	text = text != NULL ? strchr(text, '\n') : NULL;
	if (text != NULL) {
		switch (hint_prompt(text, strlen(text))) {
		case PROMPT_NONE: break;
		case PROMPT_PASSWORD:
			talk_forget(&su->talk);
			talk_put_secret(&su->talk, su->secret);
			su->phase = PHASE_ANSWER;
			return ERR_OK;
		case PROMPT_CHANGE: return no_verdict(su, FAULT_EXPIRED, outcome);
		case PROMPT_OTHER: return no_verdict(su, FAULT_BECOME_DENIED, outcome);
		}
	}
	if (!end)
		return ERR_AGAIN;
	fault = said_hint(&su->talk.err, &su->talk.out, hint_su);
	/* Nothing was asked, so no password was refused. */
	if (fault == FAULT_NONE || fault == FAULT_BECOME_PASSWORD)
		fault = FAULT_BECOME_DENIED;
	return no_verdict(su, fault, outcome);
}

/* What the account's own rc files print comes before the nonce, even if it looks like a prompt. */
static enum err looked_for_end(
    struct su *su, bool end, enum wire_verdict *verdict, struct outcome *outcome)
{
	enum fault fault;

	if (heard_inside(su)) {
		su->failed = 0;
		*verdict = VERDICT_MATCH;
		return ERR_OK;
	}
	if (hint_prompt(buf_text(&su->talk.out), su->talk.out.len) == PROMPT_CHANGE)
		fault = FAULT_EXPIRED;
	else if (end)
		fault = said_hint(&su->talk.err, &su->talk.out, hint_su);
	else
		return ERR_AGAIN;
	if (fault == FAULT_BECOME_PASSWORD) {
		*verdict = VERDICT_MISMATCH;
		return ERR_OK;
	}
	/* The password was right: it is old, or what runs then is no shell. */
	if (fault == FAULT_EXPIRED || fault == FAULT_NO_SHELL)
		su->failed = 0;
	return no_verdict(su, fault != FAULT_NONE ? fault : FAULT_NO_SHELL, outcome);
}

static enum err look(struct su *su, bool end, enum wire_verdict *verdict, struct outcome *outcome)
{
	switch (su->phase) {
	case PHASE_READY: return looked_for_shell(su, end, outcome);
	case PHASE_PROMPT: return looked_for_prompt(su, end, outcome);
	default: return looked_for_end(su, end, verdict, outcome);
	}
}

/* ── Steps ───────────────────────────────────────────────────────────────────────────────── */

static enum err wait_step(struct su *su, enum wire_verdict *verdict, struct outcome *outcome)
{
	enum err err;

	do {
		bool end = false;

		err = talk_read_step(&su->talk, &end, outcome);
		if (err == ERR_OK)
			err = look(su, end, verdict, outcome);
		else
			break;
	} while (err == ERR_AGAIN);
	return err;
}

static enum err write_step(struct su *su, enum phase next, struct outcome *outcome)
{
	bool touched = false;
	enum err err = talk_write_step(&su->talk, &touched, outcome);

	if (touched && su->phase == PHASE_ANSWER)
		su->failed = 1;
	if (err == ERR_OK)
		su->phase = next;
	return err;
}

static enum err exec_step(struct su *su, struct outcome *outcome)
{
	enum err err = talk_exec_step(&su->talk, true, outcome);

	if (err == ERR_OK)
		su->phase = PHASE_READY;
	return err;
}

static enum err attempt_step(struct su *su, enum wire_verdict *verdict, struct outcome *outcome)
{
	enum err err = ERR_OK;

	while (err == ERR_OK && *verdict == VERDICT_UNKNOWN) {
		switch (su->phase) {
		case PHASE_EXEC: err = exec_step(su, outcome); break;
		case PHASE_LINE: err = write_step(su, PHASE_PROMPT, outcome); break;
		case PHASE_ANSWER: err = write_step(su, PHASE_END, outcome); break;
		default: err = wait_step(su, verdict, outcome);
		}
	}
	return err;
}

static enum err close_step(struct su *su, enum wire_verdict *verdict, struct outcome *outcome)
{
	struct outcome ignored;
	int status;

	if (su->talk.channel != NULL &&
	    channel_close_step(su->talk.channel, &status, &ignored) == ERR_AGAIN)
		return ERR_AGAIN;
	*verdict = su->verdict;
	*outcome = su->outcome;
	return su->end;
}

enum err su_step(struct su *su, enum wire_verdict *verdict, struct outcome *outcome)
{
	enum err err;

	/* An option of su's is no account. */
	if (su->account[0] == '-' || strpbrk(su->account, "\n\r") != NULL)
		return outcome_set(outcome, FAULT_LIMIT, "su takes no account of this name");
	if (su->phase != PHASE_CLOSE) {
		err = attempt_step(su, &su->verdict, outcome);
		if (err == ERR_AGAIN || (err != ERR_OK && outcome->fault == FAULT_LOST))
			return err;
		su->end = err;
		su->outcome = *outcome;
		su->phase = PHASE_CLOSE;
	}
	return close_step(su, verdict, outcome);
}
