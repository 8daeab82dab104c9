/* Running: what `run` and `record retry` share. */
#ifndef SERVICE_RUN_H
#define SERVICE_RUN_H

#include "service/engine.h"

/* Opens the engine, rotates these accounts under the task and waits for the end. The result is the
 * summary. */
enum service_end run_items(struct request *, const struct task *, const struct selected *items,
    size_t count, const char *trigger) MUST_CHECK;

#endif
