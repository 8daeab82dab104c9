/* The terminal: whether there is one, how wide it is, and asking on it. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

bool terminal_is(int fd);

/* Columns of the terminal behind `fd`; 0 when it is none. */
size_t terminal_width(int fd);

/* Lines of the terminal behind `fd`; 0 when it is none. */
size_t terminal_height(int fd);

/* Whether text on `fd` may have colours: a terminal, and no NO_COLOR. */
bool terminal_has_colour(int fd);

/* Asks a question on the terminal; only "y" and "yes" are yes. */
bool terminal_ask(const char *question);

/*
 * Reads one line from stdin, without its end: with `prompt` from a terminal, which does not show
 * it. False at the end of input, or when the line is longer than the buffer's cap.
 */
bool terminal_read_secret(const char *prompt, struct buf *line);

/* Whether something stands on stdin behind the line that was read; waits for its end. */
bool terminal_goes_on(void);

#endif
