/*
 * What a command looks like on its way to a privileged shell, and how its end is known.
 *
 * Owns the quoting and the marks. Never does I/O.
 */
#ifndef WIRE_COMMAND_H
#define WIRE_COMMAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/shell.h"

#define NONCE_SIZE 33 /* 32 hexadecimal digits */

/* A fresh one; returns `out`. */
char *nonce_make(char out[NONCE_SIZE]);

struct opening {
	const char *prefix; /* words that elevate, and a space; "" = none */
	const char *nonce;
	const char *go; /* NULL = none */
	bool terminal;
};

/*
 * The command that a login shell of any kind takes: the prefix, then a plain sh that says the
 * nonce, whether its printf is a builtin and whether the asset has timeout(1), and then runs line
 * after line. With `go` it throws away what comes before the line that begins with that word, and
 * runs the rest of this one. A terminal it makes raw: rc files may have changed it.
 */
void opening_render(struct buf *out, const struct opening *);

/*
 * True when `echo NONCE` was run: the nonce ends a line, and what stands before it is not the
 * command, which some only repeat. It may be what rc files print without an end.
 */
bool nonce_heard(const char *text, const char *nonce);

/* The text between a nonce and the end of its line; false while it is not there. */
bool mark_find(const struct buf *, const char *nonce, char *text, size_t size);

/* What the shell says when it is ready. */
struct ready {
	bool printf_builtin;
	bool timeout;
};

/* True when `out` has the whole line. */
bool ready_find(const struct buf *out, const char *nonce, struct ready *);

/* FAULT_SCRIPT or FAULT_LIMIT where it cannot be run as it is. */
enum err command_check(const struct command *, struct outcome *) MUST_CHECK;

/* What a shell is like. */
struct manner {
	bool terminal; /* both outputs come as one: what is said on stderr follows the end's mark */
	bool targeted; /* sudo elevates command by command */
	bool timeout;  /* the asset has timeout(1) */
};

/* The one line for the shell; the input follows it, where command_waits once it has said so. */
void command_render(const struct command *, struct manner, struct buf *);

/*
 * The new secret follows only when the asset has told that it waits for it, and it takes it for so
 * long by its own clock: what a hung asset or gateway delivers after that is not applied.
 */
bool command_waits(const struct command *);
/* It has told; what it said until then is dropped. */
bool command_told(struct command *);

/*
 * When both outputs have shown the end: cuts the marks off, sets the status, and is true. False
 * while something is still to come.
 */
bool command_finish(struct command *, struct manner);

/*
 * The line for a command that asks: both its outputs come as one, with the end's mark behind. What
 * is written meanwhile it reads, until the line `stop`, which may come before its end or after.
 */
void dialogue_render(const struct command *, struct manner, const char *stop, struct buf *);

/* As command_finish. */
bool dialogue_finish(struct command *);

/* Appends a text between single quotes, as sh takes it. */
void quote_add(struct buf *, const char *bytes, size_t len);

#endif
