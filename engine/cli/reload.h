/* Loading the policy anew: how its end is shown. */
#ifndef CLI_RELOAD_H
#define CLI_RELOAD_H

#include "cli/cli.h"

/* "reloaded: …", and the warnings. */
void reload_print(const struct cli *, const json_t *result);

#endif
