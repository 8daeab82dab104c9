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

/*
 * The command that a login shell of any kind takes: it starts a plain sh, elevated where `prompt`
 * (sudo asks with it; NULL: not at all, "" : sudo must not ask) says so, which says `nonce`,
 * whether its printf is a builtin and whether the asset has timeout(1), and then runs line after
 * line.
 */
void opening_render(struct buf *, const char *nonce, const char *prompt);

/* What the shell says when it is ready. */
struct ready {
	bool printf_builtin;
	bool timeout;
};

/* True when `out` has the whole line. */
bool ready_find(const struct buf *out, const char *nonce, struct ready *);

/* FAULT_SCRIPT or FAULT_LIMIT where it cannot be run as it is. */
enum err command_check(const struct command *, struct outcome *) MUST_CHECK;

/* The one line for the shell; the input follows it. */
void command_render(const struct command *, bool timeout, struct buf *);

/*
 * When both outputs have shown the end: cuts the marks off, sets the status, and is true. False
 * while something is still to come.
 */
bool command_finish(struct command *);

#endif
