/* What checking needs of tasks. */
#ifndef SERVICE_TASK_H
#define SERVICE_TASK_H

#include "service/engine.h"

/* Sets "schedule", "next" and "next_local", as the policy alone says. */
void task_shape_next(json_t *shape, const struct task *, uint64_t now_ms);

/* Sets what the policy says of it beside its schedule. */
void task_shape_declared(json_t *shape, const struct task *);

/* What `check` says of it; NULL, and the request's error, where it cannot select. */
json_t *task_shape_checked(struct request *, const struct task *);

/* How many of the selection have a secret that is older than the task's max_age. */
size_t task_overdue(
    struct vault_txn *, const struct task *, const struct selection *, uint64_t now_ms);

#endif
