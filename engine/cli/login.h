/* Logging in over TLS. */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include "cli/cli.h"

/* The command `login`: the one that shows no token, as it is to be given one. */
int login_run(struct cli *);

#endif
