/* A command whose output is a key: run without a shell, within a time, and read within a cap. */
#ifndef VAULT_KEY_COMMAND_H
#define VAULT_KEY_COMMAND_H

#include "base/buf.h"
#include "base/err.h"

/* Appends what it printed to `out`. ERR_NOT_FOUND, ERR_LIMIT (time, size), ERR_REFUSED (its exit
 * status is not 0), ERR_IO. */
enum err key_command_run(
    const char *const *argv, uint64_t timeout_ms, struct buf *out, struct error *error) MUST_CHECK;

#endif
