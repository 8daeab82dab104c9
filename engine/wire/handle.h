/*
 * Handles: what a script holds of one job, and cannot look into.
 *
 * Owns the three kinds of userdata (job, admin, secret) and the rule that each is good only while
 * the job that it was made for runs. Owns no secret: a handle names one that its job keeps, so that
 * a handle which a script hides away leads nowhere. Never waits.
 */
#ifndef WIRE_HANDLE_H
#define WIRE_HANDLE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "wire/binding.h"

enum handle_kind { HANDLE_JOB, HANDLE_ADMIN, HANDLE_SECRET };

struct handle {
	uint64_t job;		     /* the number of the script that it belongs to */
	const struct secret *secret; /* SECRET: borrowed from that script */
	bool holds_new;		     /* SECRET: it is, or may tell, the new secret */
	bool output;		     /* SECRET: an asset said it */
};

/* Pushes the metatable of a kind, to be filled; makes it when there is none. Raises. */
void handle_metatable(lua_State *, enum handle_kind);

/* Pushes a handle of `script`, with one user value. Raises. */
struct handle *handle_push(lua_State *, const struct script *, enum handle_kind);

/* The handle at `index`, or NULL for any other value. Raises when it belongs to another job. */
const struct handle *handle_test(lua_State *, int index, enum handle_kind);

/* The script that runs, whose handle of that kind stands at `index`. Raises when it is none. */
struct script *handle_script(lua_State *, int index, enum handle_kind);

#endif
