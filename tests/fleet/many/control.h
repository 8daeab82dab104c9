/* The control socket: one line a connection, answered with text until its end. */
#ifndef MANY_CONTROL_H
#define MANY_CONTROL_H

#include "many.h"

/*
 *	judge				what each account holds, and the logins that were seen
 *	trouble FIRST LAST WORD		from now on those assets make this trouble; none = no more
 *	latency LOGIN_MS COMMAND_MS
 *	stats
 *
 * False, with a word on stderr, where there can be none.
 */
bool control_listen(struct fleet *);

#endif
