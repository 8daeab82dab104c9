/*
 * The privileged shell of an asset: one process, elevated once, that runs command after command on
 * one channel (where sudo allows single commands only, a plain one that elevates each); and the
 * echo that proves a login.
 *
 * Owns the nonces that mark ends, the guard against a cut line, the certainty about what was sent
 * and what ended; how it is elevated is in elevate.h. Never knows Lua or platforms.
 *
 * Steps are as in link.h.
 */
#ifndef WIRE_SHELL_H
#define WIRE_SHELL_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/link.h"

struct shell;

struct shell_config {
	enum wire_become become;
	const char *user;		    /* who is logged in; must outlive the opening, as the */
	const struct secret *become_secret; /* secret must; NULL = none to give */
};

/* On a link that is logged in. */
struct shell *shell_new(struct link *, const struct shell_config *);
/* NULL is fine. The link stays. */
void shell_free(struct shell *);

/* Starts it, elevated, and waits for its nonce. FAULT_BECOME_*, FAULT_NO_SHELL, FAULT_EXPIRED, … */
enum err shell_open_step(struct shell *, struct outcome *) MUST_CHECK;
/* The elevation's password was refused: how many attempts the asset counted. */
uint32_t shell_failed_attempts(const struct shell *);
/* The last that was said while it is being opened, escaped; returns `text`. */
char *shell_said(const struct shell *, char *text, size_t size);
/* Each command is elevated alone: there is no process that has privileges. */
bool shell_targeted(const struct shell *);

#define COMMAND_LINE_MAX   (32 * 1024)
#define COMMAND_OUTPUT_MAX (64 * 1024)

/* One command and, afterwards, what came of it. */
struct command {
	/* In: */
	struct buf line;  /* shell words, quoted by command_word; one line */
	struct buf input; /* its stdin: whole lines; empty = none. Wiped memory: may hold secrets */
	bool plain; /* it needs no privileges, and has none where they come command by command */
	bool holds_secret; /* a part of `input` is the new secret */
	uint32_t limit_ms; /* the asset ends it after this, where it has timeout(1); 0 = no limit */
	/* Out: */
	struct buf out, err;
	int status;
	bool sent;  /* something of `input` may have left */
	bool ended; /* its end was seen: the status is the command's own */
	/* private: */
	int phase;
	size_t written;
	char nonce[33];
};

void command_init(struct command *);
void command_clear(struct command *);

/* Appends one word, quoted for sh, with a space before it where needed. False for NUL, newline, or
 * past the cap. */
bool command_word(struct command *, const char *bytes, size_t len);

/*
 * Runs it to its end. `input` reaches the command line by line only as whole lines (the remote side
 * reads each with its newline or refuses); it leaves this machine in one packet. After an error, or
 * when freed before its end, nothing may follow on this shell.
 */
enum err shell_run_step(struct shell *, struct command *, struct outcome *) MUST_CHECK;

/* The proof of a login: runs an echo of a nonce on a new channel of a link that is logged in.
 * FAULT_EXPIRED, FAULT_NO_SHELL … */
struct echo;
struct echo *echo_new(struct link *);
/* Its channel is closed with the session, which nothing else is done on. */
void echo_free(struct echo *);
enum err echo_step(struct echo *, struct outcome *) MUST_CHECK;

#endif
