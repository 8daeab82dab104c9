/* Showing a secret, where that was asked for. */
#ifndef CLI_REVEAL_H
#define CLI_REVEAL_H

#include "cli/cli.h"

/* The command `account reveal`. */
int reveal_run(struct cli *);

#endif
