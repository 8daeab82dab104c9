/*
 * An engine on another machine: where it is, and what is shown to it.
 *
 * Owns reading the token, from a file, standard input or the terminal; never from an argument,
 * which others on the machine can see.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "service.h"

struct remote {
	struct service_server server; /* url NULL: the engine is on this machine */
	const char *token_file;	      /* "-" = standard input; NULL = it is asked for */
	struct buf token;
};

void remote_init(struct remote *);
void remote_clear(struct remote *);

/* Reads what is to be shown; where `is_login`, nothing. False once it was said what is wrong. */
bool remote_prepare(struct remote *, bool is_login);

#endif
