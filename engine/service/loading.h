/*
 * Loading the policy beside the loop, in a thread of its own, so that nobody waits for it.
 *
 * Owns the thread. What it loads it hands over in the loop; the thread touches nothing else of the
 * service's.
 */
#ifndef SERVICE_LOADING_H
#define SERVICE_LOADING_H

#include "service/engine.h"

struct loading;

/* As snapshot_load leaves them: `problems` is for the callee to drop. */
typedef void (*loading_fn)(
    void *arg, struct snapshot *, json_t *problems, const struct error *error);

/* NULL where there is no thread; `error` says why. `done` is called once, from the loop. */
struct loading *loading_start(struct service *, loading_fn done, void *arg, struct error *error);

/* Waits for its thread's end, and drops what it loaded. NULL is fine. */
void loading_stop(struct loading *);

#endif
