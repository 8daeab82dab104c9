/* What a terminal shows for a while, and its clipboard. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>

/* Whether someone looks at a terminal that has a second screen, and can say that they have seen it.
 */
bool screen_can_hide(void);

/*
 * A second screen, on which what is printed stays for half a minute or until a line is typed; then
 * the first one is back, without it. Signals wait for that.
 */
void screen_enter(void);
void screen_leave(void);

/* Into the clipboard, by OSC 52, for as long. False where there is no memory for that. */
bool screen_copy(const char *secret);

#endif
