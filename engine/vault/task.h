/* What is kept of tasks, for those who write executions. */
#ifndef VAULT_TASK_H
#define VAULT_TASK_H

#include "vault.h"

/* It has ended: remembered where it went well. */
enum err task_succeeded(struct vault_txn *, const struct execution *) MUST_CHECK;

#endif
