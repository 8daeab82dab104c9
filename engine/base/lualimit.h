/*
 * Lua's standard library, as far as a script may have it.
 *
 * Owns which functions there are, and the wrappers around those whose C would run longer than any
 * instruction count sees, or would hide that the count is used up.
 */
#ifndef ENGINE_BASE_LUALIMIT_H
#define ENGINE_BASE_LUALIMIT_H

#include <stdbool.h>

#include "base/luastate.h"

/* A C function for Lua: opens the libraries in a fresh state. Raises when there is no memory. */
int lualimit_open(lua_State *);

/* What the wrappers ask of the state that they run in (luastate.c). */
const struct luastate_caps *luastate_caps_of(lua_State *);
bool luastate_is_over(lua_State *);
int luastate_raise_over(lua_State *); /* never returns */

#endif
