/*
 * Ways, in the order that they are tried:
 *
 *   PLAIN     no elevation
 *   PIPE      the login shell starts `sudo … sh`, without a terminal: one round trip
 *   TERMINAL  a plain sh on a terminal starts sudo, su or doas in its own place: where they ask
 * only there, or want one TARGETED  a plain sh on a terminal, for which sudo has a ticket: where it
 * allows no shell
 *
 * A sh that has started is past all that rc files and banners print.
 */
#include "wire/elevate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/hint.h"
#include "wire/said.h"
#include "wire/talk.h"

/* More than a canonical terminal takes of one line. */
#define LONG_LINE 4200

#define PROMPT_SIZE 64

enum way { WAY_PLAIN, WAY_PIPE, WAY_TERMINAL, WAY_TARGETED };

/* What is awaited. */
enum stage {
	STAGE_SHELL,	/* the sh that the login shell starts */
	STAGE_ELEVATED, /* what the line with sudo, su or doas comes to */
	STAGE_CHECKED,	/* what the terminal makes of a long line */
};

enum phase { PHASE_EXEC, PHASE_WAIT, PHASE_WRITE, PHASE_DONE };

struct elevation {
	struct link *link;
	struct shell_config config;
	enum way way;
	enum stage stage;
	enum phase phase;
	struct talk talk;
	char nonce[NONCE_SIZE];	  /* what is awaited says it */
	char begun[NONCE_SIZE];	  /* said right before what may ask; "" = it asks by nonce */
	char go[NONCE_SIZE];	  /* "" = the shell takes any line */
	char prompt[PROMPT_SIZE]; /* how sudo's begins; "" where none may come */
	struct manner manner;
	size_t line_len; /* of the long line */
	bool answered;
	bool answering; /* what is written is the password */
	uint32_t failed;
};

static const char *become_name(enum wire_become become)
{
	static const char *const names[] = {
	    [WIRE_BECOME_NONE] = "login",
	    [WIRE_BECOME_SUDO] = "sudo",
	    [WIRE_BECOME_SU] = "su",
	    [WIRE_BECOME_DOAS] = "doas",
	};

	return names[become];
}

static bool is_sudo(const struct elevation *elevation)
{
	return elevation->config.become == WIRE_BECOME_SUDO;
}

/* The words that elevate. `%p` is who sudo asks for the password of. */
static void elevate_words(const struct elevation *elevation, struct buf *out)
{
	bool secret = elevation->config.become_secret != NULL;
	const char *from = elevation->way == WAY_PIPE ? "-S " : "";

	switch (elevation->config.become) {
	case WIRE_BECOME_NONE: break;
	case WIRE_BECOME_SU: buf_add_text(out, "su root -c "); break;
	case WIRE_BECOME_DOAS: buf_add_text(out, secret ? "doas " : "doas -n "); break;
	case WIRE_BECOME_SUDO:
		if (secret)
			buf_addf(out, "sudo %s-p %s%%p: ", from, elevation->prompt);
		else
			buf_add_text(out, "sudo -n ");
		break;
	}
}

static void begin_way(struct elevation *elevation, enum way way)
{
	struct buf prefix;
	char nonce[NONCE_SIZE];

	talk_clear(&elevation->talk);
	talk_init(&elevation->talk, elevation->link);
	elevation->way = way;
	elevation->stage = STAGE_SHELL;
	elevation->phase = PHASE_EXEC;
	elevation->answered = false;
	elevation->begun[0] = elevation->go[0] = elevation->prompt[0] = '\0';
	elevation->manner = (struct manner){
	    .terminal = way == WAY_TERMINAL || way == WAY_TARGETED,
	    .targeted = way == WAY_TARGETED,
	};
	if (is_sudo(elevation) && elevation->config.become_secret != NULL)
		snprintf(elevation->prompt, PROMPT_SIZE, "password-%s-", nonce_make(nonce));
	buf_init(&prefix, PROMPT_SIZE * 2);
	if (way == WAY_PIPE) {
		buf_add_text(&prefix, "env LC_ALL=C ");
		elevate_words(elevation, &prefix);
	}
	opening_render(&elevation->talk.text, &(struct opening){
						  .prefix = buf_text(&prefix),
						  .nonce = nonce_make(elevation->nonce),
						  .terminal = elevation->manner.terminal,
					      });
	buf_clear(&prefix);
}

static enum way first_way(const struct shell_config *config)
{
	switch (config->become) {
	case WIRE_BECOME_NONE: break;
	case WIRE_BECOME_SUDO: return WAY_PIPE;
	case WIRE_BECOME_SU: return WAY_TERMINAL;
	case WIRE_BECOME_DOAS: return config->become_secret != NULL ? WAY_TERMINAL : WAY_PIPE;
	}
	return WAY_PLAIN;
}

struct elevation *elevation_new(struct link *link, const struct shell_config *config)
{
	struct elevation *elevation = xcalloc(1, sizeof(*elevation));

	elevation->link = link;
	elevation->config = *config;
	begin_way(elevation, first_way(config));
	return elevation;
}

void elevation_free(struct elevation *elevation)
{
	if (elevation == NULL)
		return;
	talk_clear(&elevation->talk);
	free(elevation);
}

uint32_t elevation_failed_attempts(const struct elevation *elevation)
{
	return elevation->failed;
}

char *elevation_said(const struct elevation *elevation, char text[SAID_SIZE])
{
	return said_text(text, &elevation->talk.err, &elevation->talk.out);
}

struct channel *elevation_take(struct elevation *elevation, struct manner *manner)
{
	struct channel *channel = elevation->talk.channel;

	elevation->talk.channel = NULL; /* transferred */
	*manner = elevation->manner;
	return channel;
}

/* ── Lines ───────────────────────────────────────────────────────────────────────────────── */

static void put_line(struct elevation *elevation, struct buf *line, enum stage stage)
{
	talk_put(&elevation->talk, buf_text(line));
	talk_forget(&elevation->talk);
	elevation->stage = stage;
	elevation->phase = PHASE_WRITE;
	buf_clear(line);
}

/* The shell becomes the one that elevates; what that starts says a nonce of its own. */
static void put_elevate(struct elevation *elevation)
{
	const struct opening opening = {
	    .prefix = "",
	    .nonce = nonce_make(elevation->nonce),
	    .go = nonce_make(elevation->go),
	    .terminal = true,
	};
	struct buf line, shell;

	buf_init(&line, COMMAND_LINE_MAX);
	buf_init(&shell, COMMAND_LINE_MAX);
	buf_addf(&line, "echo %s; exec ", nonce_make(elevation->begun));
	elevate_words(elevation, &line);
	/* Through root's own login shell: one that is restricted knows no exec. */
	if (elevation->config.become == WIRE_BECOME_SU) {
		opening_render(&shell, &opening);
		quote_add(&line, (const char *)shell.data, shell.len);
	} else {
		opening_render(&line, &opening);
	}
	buf_clear(&shell);
	put_line(elevation, &line, STAGE_ELEVATED);
}

/*
 * sudo is asked for a ticket, which counts for the terminal. Where it wants no password for some
 * commands it needs none for those.
 */
static void put_ticket(struct elevation *elevation)
{
	struct buf line;

	buf_init(&line, COMMAND_LINE_MAX);
	buf_addf(&line, "echo %s; s=none; ", nonce_make(elevation->begun));
	if (elevation->config.become_secret != NULL)
		buf_addf(&line,
		    "sudo -v -p %s%%p: && { s=lost; sudo -n -v 2>/dev/null && s=ticket; }; ",
		    elevation->prompt);
	buf_addf(&line,
	    "[ $s = ticket ] || { sudo -n -l >/dev/null && s=ticket; }; echo %s $s; unset s",
	    nonce_make(elevation->nonce));
	put_line(elevation, &line, STAGE_ELEVATED);
}

/* The line tells its own length, as the shell got it. */
static void put_check(struct elevation *elevation)
{
	struct buf line;
	char fill[65];

	buf_init(&line, COMMAND_LINE_MAX);
	memset(fill, 'x', sizeof(fill) - 1);
	fill[sizeof(fill) - 1] = '\0';
	buf_addf(&line, "%s%secho %s ${#c}; : ", elevation->go, elevation->go[0] != '\0' ? " " : "",
	    nonce_make(elevation->nonce));
	while (line.len < LONG_LINE)
		buf_add_text(&line, fill);
	elevation->line_len = line.len;
	put_line(elevation, &line, STAGE_CHECKED);
}

/* ── What it says ────────────────────────────────────────────────────────────────────────── */

/* What of both outputs came since what may ask was started; NULL = it was not. */
static const char *said_since(struct elevation *elevation)
{
	const char *text;

	if (elevation->way == WAY_PIPE)
		return buf_text(&elevation->talk.err);
	text = buf_text(&elevation->talk.out);
	if (elevation->answered)
		return text;
	text = strstr(text, elevation->begun);
	text = text != NULL ? strchr(text, '\n') : NULL;
	return text != NULL ? text + 1 : NULL;
}

static enum fault said_why(const struct elevation *elevation)
{
	const struct talk *talk = &elevation->talk;

	switch (elevation->config.become) {
	case WIRE_BECOME_NONE: break;
	case WIRE_BECOME_SUDO: return said_hint(&talk->err, &talk->out, hint_sudo);
	case WIRE_BECOME_SU:
	case WIRE_BECOME_DOAS: return said_hint(&talk->err, &talk->out, hint_su);
	}
	return said_hint(&talk->err, &talk->out, hint_login);
}

/* The way that what was said leads to; the same when none does. */
static enum way other_way(const struct elevation *elevation)
{
	const struct talk *talk = &elevation->talk;
	bool secret = elevation->config.become_secret != NULL;

	if (!is_sudo(elevation) || elevation->way == WAY_TARGETED)
		return elevation->way;
	if (elevation->way == WAY_PIPE &&
	    said_hint(&talk->err, &talk->out, hint_sudo_terminal) != FAULT_NONE)
		return WAY_TERMINAL;
	if (said_hint(&talk->err, &talk->out, hint_sudo_command) != FAULT_NONE)
		return WAY_TARGETED;
	/* sudo asks before it says that a command is not allowed. */
	if (!secret && said_why(elevation) == FAULT_BECOME_PASSWORD)
		return WAY_TARGETED;
	return elevation->way;
}

/* Who ended it. */
static const char *speaker(const struct elevation *elevation)
{
	bool began = elevation->way == WAY_PIPE || elevation->stage != STAGE_SHELL;

	return become_name(began ? elevation->config.become : WIRE_BECOME_NONE);
}

/* It ended, or asked for what we do not answer: why? */
static enum err refused(struct elevation *elevation, struct outcome *outcome)
{
	enum fault fault = said_why(elevation);
	enum way way = other_way(elevation);
	char said[SAID_SIZE];

	if (way != elevation->way) {
		elevation->failed = 0;
		begin_way(elevation, way);
		return ERR_OK;
	}
	said_text(said, &elevation->talk.err, &elevation->talk.out);
	/* sudo says so after the password was right; su may say so in any case. */
	if (fault == FAULT_EXPIRED || (fault == FAULT_BECOME_DENIED && is_sudo(elevation)))
		elevation->failed = 0;
	if (fault == FAULT_NONE)
		return outcome_set(
		    outcome, FAULT_NO_SHELL, "the shell ended before it was ready: \"%s\"", said);
	return outcome_set(outcome, fault, "%s: \"%s\"", speaker(elevation), said);
}

static enum err prompted(struct elevation *elevation, struct outcome *outcome)
{
	const struct shell_config *config = &elevation->config;
	const char *name = become_name(config->become);

	/* su asks once: what looks like another prompt, root's own rc files print. */
	if (elevation->answered && config->become == WIRE_BECOME_SU)
		return ERR_AGAIN;
	if (elevation->answered)
		return outcome_set(outcome, FAULT_BECOME_PASSWORD, "%s refused the password", name);
	if (config->become_secret == NULL)
		return outcome_set(outcome, FAULT_BECOME_PASSWORD,
		    "%s asks for a password, and none is known", name);
	talk_forget(&elevation->talk);
	talk_put_secret(&elevation->talk, config->become_secret);
	elevation->answering = true;
	elevation->phase = PHASE_WRITE;
	return ERR_OK;
}

/* Another's password is not the one that we have. */
static enum err prompted_for(struct elevation *elevation, const char *who, struct outcome *outcome)
{
	const char *user = elevation->config.user;
	size_t len = strlen(who) - 1;

	if (strlen(user) == len && memcmp(user, who, len) == 0)
		return prompted(elevation, outcome);
	return outcome_set(outcome, FAULT_BECOME_DENIED,
	    "sudo asks for the password of %.*s and not of %s (rootpw, targetpw or runaspw in "
	    "sudoers): nothing was sent; take that setting away for %s, or use become = \"su\"",
	    (int)(len < 64 ? len : 64), who, user, user);
}

/* sudo's prompt is ours, with the name of whose password it asks for. */
static const char *sudo_prompt(const struct elevation *elevation, const char *said)
{
	const char *from = NULL;

	if (elevation->prompt[0] == '\0')
		return NULL;
	for (const char *at = said; (at = strstr(at, elevation->prompt)) != NULL;)
		from = at += strlen(elevation->prompt);
	return from != NULL && from[0] != '\0' && from[strlen(from) - 1] == ':' &&
		       strchr(from, '\n') == NULL
		   ? from
		   : NULL;
}

/* Whether it asks; ERR_AGAIN when not. */
static enum err look_for_prompt(struct elevation *elevation, struct outcome *outcome)
{
	const char *said = said_since(elevation);
	const char *name = become_name(elevation->config.become);
	const char *who;
	char shown[SAID_SIZE];

	if (said == NULL || elevation->config.become == WIRE_BECOME_NONE)
		return ERR_AGAIN;
	who = is_sudo(elevation) ? sudo_prompt(elevation, said) : NULL;
	if (who != NULL)
		return prompted_for(elevation, who, outcome);
	/* Without a terminal the words of rc files come in between, whatever they look like. */
	if (elevation->way == WAY_PIPE)
		return ERR_AGAIN;
	switch (hint_prompt(said, strlen(said))) {
	case PROMPT_NONE: return ERR_AGAIN;
	case PROMPT_PASSWORD:
		if (!is_sudo(elevation))
			return prompted(elevation, outcome);
		break;
	case PROMPT_CHANGE:
		elevation->failed = 0;
		return outcome_set(
		    outcome, FAULT_EXPIRED, "%s wants the password changed first", name);
	case PROMPT_OTHER: break;
	}
	said_text(shown, &elevation->talk.err, &elevation->talk.out);
	return outcome_set(outcome, FAULT_BECOME_DENIED,
	    "%s asks in a way that is not answered: \"%s\"%s", name, shown,
	    is_sudo(elevation) ? " (passprompt_override in sudoers lets it ask as it is told)"
			       : "");
}

static enum err shell_is_ready(
    struct elevation *elevation, const struct ready *ready, struct outcome *outcome)
{
	elevation->failed = 0;
	if (!ready->printf_builtin)
		return outcome_set(outcome, FAULT_NO_SHELL,
		    "printf is no builtin of the asset's sh: a secret would be seen in its process "
		    "list");
	elevation->manner.timeout = ready->timeout;
	if (!elevation->manner.terminal)
		elevation->phase = PHASE_DONE;
	else if (elevation->stage == STAGE_ELEVATED)
		put_check(elevation);
	else if (elevation->way == WAY_TARGETED)
		put_ticket(elevation);
	else
		put_elevate(elevation);
	return ERR_OK;
}

static enum err ticket_told(struct elevation *elevation, const char *told, struct outcome *outcome)
{
	if (strcmp(told, " ticket") == 0) {
		elevation->failed = 0;
		put_check(elevation);
		return ERR_OK;
	}
	if (strcmp(told, " lost") == 0) {
		elevation->failed = 0;
		return outcome_set(outcome, FAULT_BECOME_DENIED,
		    "sudo allows %s no shell, only single commands, and keeps no ticket for them "
		    "(timestamp_timeout = 0 in sudoers?): let it keep one, or allow the commands "
		    "with NOPASSWD",
		    elevation->config.user);
	}
	return refused(elevation, outcome);
}

static enum err terminal_told(
    struct elevation *elevation, const char *told, struct outcome *outcome)
{
	size_t len = strtoul(told, NULL, 10);

	if (len != elevation->line_len)
		return outcome_set(outcome, FAULT_NO_SHELL,
		    "the asset's terminal cuts what is written: of %zu bytes came %zu",
		    elevation->line_len, len);
	elevation->phase = PHASE_DONE;
	return ERR_OK;
}

/* Looks at what was said so far; ERR_AGAIN when it decides nothing. */
static enum err look(struct elevation *elevation, bool end, struct outcome *outcome)
{
	struct talk *talk = &elevation->talk;
	bool ticket = elevation->way == WAY_TARGETED && elevation->stage == STAGE_ELEVATED;
	struct ready ready;
	char told[16];
	enum err err = ERR_AGAIN;

	if (elevation->stage == STAGE_CHECKED) {
		if (strstr(buf_text(&talk->out), "${#c}") != NULL)
			return outcome_set(outcome, FAULT_NO_SHELL,
			    "the asset's terminal repeats what is written");
		if (mark_find(&talk->out, elevation->nonce, told, sizeof(told)))
			return terminal_told(elevation, told, outcome);
	} else if (ticket && mark_find(&talk->out, elevation->nonce, told, sizeof(told))) {
		return ticket_told(elevation, told, outcome);
	} else if (!ticket && ready_find(&talk->out, elevation->nonce, &ready)) {
		return shell_is_ready(elevation, &ready, outcome);
	} else if (elevation->way == WAY_PIPE || elevation->stage == STAGE_ELEVATED) {
		err = look_for_prompt(elevation, outcome);
	} else if (said_wants_change(&talk->out)) {
		return refused(elevation, outcome);
	}
	if (err != ERR_AGAIN)
		return err;
	if (end || said_hint(&talk->err, &talk->out, hint_sudo_asks) != FAULT_NONE)
		return refused(elevation, outcome);
	return ERR_AGAIN;
}

/* ── Steps ───────────────────────────────────────────────────────────────────────────────── */

static enum err exec_step(struct elevation *elevation, struct outcome *outcome)
{
	enum err err = talk_exec_step(&elevation->talk, elevation->manner.terminal, outcome);

	if (err == ERR_OK)
		elevation->phase = PHASE_WAIT;
	return err;
}

static enum err wait_step(struct elevation *elevation, struct outcome *outcome)
{
	enum err err;

	do {
		bool end = false;

		err = talk_read_step(&elevation->talk, &end, outcome);
		if (err == ERR_OK)
			err = look(elevation, end, outcome);
		else
			break;
	} while (err == ERR_AGAIN);
	return err;
}

static enum err write_step(struct elevation *elevation, struct outcome *outcome)
{
	bool touched = false;
	enum err err = talk_write_step(&elevation->talk, &touched, outcome);

	if (touched && elevation->answering) {
		elevation->answered = true;
		elevation->failed = 1;
	}
	if (err == ERR_OK) {
		elevation->answering = false;
		elevation->phase = PHASE_WAIT;
	}
	return err;
}

enum err elevation_step(struct elevation *elevation, struct outcome *outcome)
{
	enum err err = ERR_OK;

	while (err == ERR_OK && elevation->phase != PHASE_DONE) {
		switch (elevation->phase) {
		case PHASE_EXEC: err = exec_step(elevation, outcome); break;
		case PHASE_WAIT: err = wait_step(elevation, outcome); break;
		case PHASE_WRITE: err = write_step(elevation, outcome); break;
		case PHASE_DONE: break;
		}
	}
	return err;
}
