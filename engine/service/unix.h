/* The engine's socket in the file system: its address, and who is at the other end. */
#ifndef SERVICE_UNIX_H
#define SERVICE_UNIX_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Listens at `path`, for its owner alone; replaces a socket that nobody listens at. ERR_IO,
 * ERR_EXISTS (somebody does, or it is no socket). */
enum err unix_listen(const char *path, int *fd, struct error *error) MUST_CHECK;

/*
 * A path as an address takes it: one that is too long is named through its directory, which is
 * opened as `*dir_fd` (else -1). False where that does not help.
 */
#define UNIX_PATH_SIZE 108
bool unix_path(const char *path, char out[UNIX_PATH_SIZE], int *dir_fd);

/* Who made or took the connection, as the kernel says. */
bool unix_peer(int fd, uid_t *uid, pid_t *pid);

#endif
