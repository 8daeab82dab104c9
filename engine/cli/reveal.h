/* Showing a secret, where that was asked for. */
#ifndef CLI_REVEAL_H
#define CLI_REVEAL_H

#include "cli/cli.h"

/* The commands `account reveal` and `record reveal`. */
int reveal_run(struct cli *);
int reveal_record_run(struct cli *);

#endif
