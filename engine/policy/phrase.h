/*
 * Passphrases: words of a list, drawn evenly and joined.
 *
 * Owns what a rule with `words` says, how many passphrases satisfy it, and the drawing. Two draws
 * that differ never give the same text, so that the count is exact. Reads no files.
 */
#ifndef POLICY_PHRASE_H
#define POLICY_PHRASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "policy/loader.h"

struct phrase;

/* True when the rule's table has `words`. */
bool phrase_wanted(lua_State *, int index);

/* Reads the rule's table; NULL and reported when it has mistakes. It lives in the arena. */
const struct phrase *phrase_read(struct loader *, const struct statement *, int index);

/* Complains about fields that only a rule with `words` has. */
void phrase_refuse(struct loader *, const struct statement *, int index);

double phrase_bits(const struct phrase *);
size_t phrase_longest(const struct phrase *);
size_t phrase_shortest(const struct phrase *);
uint32_t phrase_words(const struct phrase *);
bool phrase_same(const struct phrase *, const struct phrase *);

/* A character of `refuse` that a passphrase may hold, or NUL. */
char phrase_may_hold(const struct phrase *, const char *refuse);

/* ERR_FULL when the secure heap has no room. */
enum err phrase_draw(const struct phrase *, struct secret **out, struct error *error) MUST_CHECK;

#endif
