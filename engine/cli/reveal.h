/* Showing a secret, where that was asked for. */
#ifndef CLI_REVEAL_H
#define CLI_REVEAL_H

#include "cli/cli.h"

/* The commands `account reveal` and `record reveal`. */
int reveal_run(struct cli *);
int checkout_run(struct cli *);
/* For others that show a secret. Whether it may go to where stdout leads, with --raw and --json;
 * else it is said why not: ask before anything is done. `whose`: the thing that it is of. */
bool reveal_may_be_written(const struct cli *, const char *whose);
/* Prints a result that holds a secret, on a terminal for a while; past stdio's buffer. */
int reveal_show(const struct cli *, const json_t *result,
    int (*print)(const struct cli *, const json_t *result));
int reveal_write(const char *secret);
/* The secret "token" of a result, alone in a line; with --raw without its end. */
int reveal_print_token(const struct cli *, const json_t *result);
int reveal_record_run(struct cli *);

#endif
