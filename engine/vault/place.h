/*
 * Where a vault may stand: the directory's owner and mode, the kind of file system, and what a
 * failed system call means for whoever called.
 *
 * Never opens a vault.
 */
#ifndef VAULT_PLACE_H
#define VAULT_PLACE_H

#include <stdbool.h>

#include "base/err.h"

/* What an errno of open, write, mkdir … is among our errors. */
enum err place_err(int errnum);

/* True when statfs(2) gives `type` for a file system whose locks or mappings cannot be relied on.
 */
bool place_is_remote(unsigned long type);

/* The parent directory of `path`, to be freed. */
char *place_parent(const char *path);

/*
 * Opens the directory when it may hold our vault: it is there, ours, closed to others and on this
 * machine.
 * `*fd` is the caller's. ERR_NOT_FOUND, ERR_DENIED, ERR_REFUSED, ERR_IO.
 */
enum err place_open(const char *dir, int *fd, struct error *error) MUST_CHECK;

/* Puts a directory's entries on disk. */
enum err place_sync(const char *dir, struct error *error) MUST_CHECK;

#endif
