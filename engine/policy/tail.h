/*
 * Tails: all that the end of a half-written secret says about what may come next. How often its
 * last character was just repeated, and how much of the account's name was just spelled.
 *
 * Owns the automaton whose states those are. Characters that no rule tells apart share their
 * states, which keeps the tables small: where no part of the name was spelled, the class of the
 * last character stands for the character itself. Never counts.
 */
#ifndef POLICY_TAIL_H
#define POLICY_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/generate.h"

#define TAIL_START 0
#define TAIL_NONE  UINT16_MAX
#define TAILS_MAX  4096

/* `run` and `last` are 0 at the start, and everywhere in a rule that does not limit runs. */
struct tail {
	uint16_t matched;   /* characters of the name just spelled */
	uint16_t run;	    /* how often the last character stands at the end */
	char last;	    /* one that stands for all that lead here */
	uint16_t same;	    /* the tail after one more of `last`, or TAIL_NONE: forbidden */
	uint16_t next[128]; /* after any other character */
};

struct tails {
	struct tail *items; /* items[TAIL_START] is the empty secret's */
	size_t count;
	size_t room;
};

/*
 * Makes the tails of a rule. `name` is in lower case, at most as long as the secret; "" = no name
 * is forbidden. False when there would be more than TAILS_MAX. Cleared with tails_clear either way.
 */
bool tails_init(struct tails *, const struct rule_spec *, const char *name);
void tails_clear(struct tails *);

/*
 * The tail after `character`, where `last` is the one before it (NUL at the start); TAIL_NONE where
 * it is forbidden.
 */
uint16_t tail_after(const struct tail *, char last, char character);

/* ASCII only, whatever the locale. */
char ascii_lower(char);

#endif
