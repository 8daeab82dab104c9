/*
 * The pager: what is longer than the terminal is shown by $PAGER (else less), page by page.
 *
 * Owns the text until it is shown. Never shows secrets: a pager may keep what it is given.
 */
#ifndef CLI_PAGER_H
#define CLI_PAGER_H

#include <stddef.h>
#include <stdio.h>

struct pager {
	FILE *out;
	char *text;
	size_t len;
};

/* Where to write what is to be shown. */
FILE *pager_open(struct pager *);

/* Shows it: through the pager where stdout is a terminal with fewer lines, else as it is. */
void pager_close(struct pager *);

#endif
