/*
 * The exclusive lock that says which engine runs: flock(2) on the file `lock` in the vault's
 * directory.
 *
 * The file's text names the holder, for whoever comes second. It is only told, never decided by.
 */
#ifndef VAULT_LOCK_H
#define VAULT_LOCK_H

#include <stdint.h>

#include "base/err.h"

/*
 * Takes the lock without waiting. `*fd` (close-on-exec) holds it until the last copy is closed, in
 * whatever process. ERR_BUSY names who has it.
 */
enum err lock_take(const char *dir, int dir_fd, const char *purpose, uint64_t now_ms, int *fd,
    struct error *error) MUST_CHECK;

#endif
