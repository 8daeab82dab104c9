/*
 * How a shell comes to have privileges: none needed, sudo, su, doas, each the way that the asset
 * takes.
 *
 * Owns the order of the ways, the prompts and the one answer to them, and the count of what was
 * refused. A password is written only to a prompt that came after the elevating command was
 * started: sudo's holds a nonce, su and doas are started behind one. Never runs a command of ours.
 *
 * Steps are as in link.h.
 */
#ifndef WIRE_ELEVATE_H
#define WIRE_ELEVATE_H

#include <stdint.h>

#include "wire/command.h"
#include "wire/said.h"
#include "wire/shell.h"

struct elevation;

/* `config` is copied; what it points to must outlive the elevation. */
struct elevation *elevation_new(struct link *, const struct shell_config *);
/* NULL is fine. */
void elevation_free(struct elevation *);

/* Until a shell waits for commands. FAULT_BECOME_*, FAULT_NO_SHELL, FAULT_EXPIRED, … */
enum err elevation_step(struct elevation *, struct outcome *) MUST_CHECK;

/* So many attempts by password the asset may have counted as failed: root's for su. */
uint32_t elevation_failed_attempts(const struct elevation *);

/* The last that was said while it is under way; returns `text`. */
char *elevation_said(const struct elevation *, char text[SAID_SIZE]);

/* After it is done: the channel, which is the caller's, and what the shell on it is like. */
struct channel *elevation_take(struct elevation *, struct manner *);

#endif
