/* Running: how the end of `run` and `record retry` is shown. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/cli.h"

extern const struct argp_option run_options[];
int run_run(struct cli *);

/* Prints the summary and what did not succeed; returns the exit status. */
int run_print(struct cli *, enum service_end, const json_t *result);

/* What a rehearsal foretells, for people. */
void foresight_print(const json_t *result);

#endif
