/*
 * Progress of a long command, on stderr: a bar on a terminal, plain lines elsewhere.
 *
 * Owns what it drew last. Never writes to stdout.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include <jansson.h>

struct progress;

/* `quiet`: nothing at all. `json`: a result for programs is on its way, so no plain lines.
 * `log`: the log goes to the same place, so no bar. */
struct progress *progress_new(bool quiet, bool json, bool log);
void progress_free(struct progress *);

/* An event of the service; `arg` is the progress. */
void progress_event(void *arg, const json_t *event);

/* Wipes what is drawn: something else is to be printed. */
void progress_end(struct progress *);

#endif
