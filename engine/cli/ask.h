/* Asking for a secret: twice on a terminal, which does not show it; else one line of stdin. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>

/*
 * What was given, or NULL once what is wrong with it was said. `what` names it ("password"), and
 * `whose` the thing that it is for.
 */
json_t *ask_secret(const char *what, const char *whose);

/* A code of a second factor, once: from the terminal, which does not show it, or a line of stdin.
 * NULL once it was said that there is none. */
json_t *ask_code(void);

/* A line, once, likewise; NULL where there is none, or an empty one. */
json_t *ask_line(const char *prompt);

#endif
