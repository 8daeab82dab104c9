/*
 * A privileged shell from inside.
 *
 * Private to shell.c and dialogue.c.
 */
#ifndef WIRE_SHELL_STATE_H
#define WIRE_SHELL_STATE_H

#include "wire/command.h"
#include "wire/shell.h"

enum shell_phase { SHELL_OPENING, SHELL_READY, SHELL_BROKEN };

struct shell {
	struct link *link;
	struct elevation *elevation;
	enum shell_phase phase;
	struct channel *channel; /* NULL until it is ready */
	struct manner manner;
	struct buf text; /* what is being written */
};

#endif
