/* Running: what `run` and `record retry` share. */
#ifndef SERVICE_RUN_H
#define SERVICE_RUN_H

#include "service/engine.h"

/* What a run of the task does. */
enum rotation_kind run_kind(const struct task *);

/* What it came to, in the log. */
void run_log_record(const struct record *);

/* Opens the engine and carries out the order, of which nothing need last longer than the call. The
 * result is the summary. */
enum service_end run_order(struct request *, const struct rotation_order *) MUST_CHECK;

#endif
