/*
 * Lua states with caps: memory, instructions, and only the libraries that are safe.
 *
 * Owns the allocator (wiped, not dumped) and the hook. Never opens os, io, debug, coroutine,
 * package, nor load, loadfile, dofile, collectgarbage, print. Globals and the string metatable are
 * made read-only by luastate_seal.
 */
#ifndef BASE_LUASTATE_H
#define BASE_LUASTATE_H

#include <lua.h>

#include "base/err.h"

struct luastate_caps {
	size_t memory_bytes;
	uint64_t instructions; /* in one luastate_call; 0 = no hook (the caller sets its own) */
	size_t subject_bytes;  /* string.find, match, gmatch, gsub: a longer subject is an error */
};

/*
 * A state with base, string, table, math, utf8 as far as they are safe. NULL when no memory.
 * string.rep and concatenation are bounded by the memory cap alone.
 */
lua_State *luastate_new(const struct luastate_caps *);
void luastate_free(lua_State *);

/*
 * Makes the globals, every table that stands in one and has no metatable (the libraries), and the
 * string metatable read-only: a write is an error. pairs, # and indexing go on as before; lua_next
 * in C sees a sealed table empty. Raises as the Lua API does when there is no memory.
 */
void luastate_seal(lua_State *);

/*
 * lua_pcall within the instruction cap. On failure the text of the error stands in `error` (as Lua
 * gave it, with "file:line:"), with ERR_LIMIT for a cap and ERR_INVALID otherwise, and the stack is
 * as lua_pcall leaves it without the message.
 */
enum err luastate_call(lua_State *, int args, int results, struct error *error) MUST_CHECK;

/* Bytes that the state holds now. */
size_t luastate_memory(lua_State *);

#endif
