/* The table of commands, for what reads it: the command line itself and completion. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/cli.h"

#define DIR_DEFAULT "/etc/lockstep"

/* A table a noun; NULL ends them. */
extern const struct command *const command_tables[];

/* What every command takes. */
extern const struct argp_option command_global_options[];

#endif
