/*
 * Starting a wire: this program again, as a process that has nothing of ours but its socket.
 *
 * Owns what the new process inherits: the socket at WIRE_SOCKET_FD, the vault's lock at
 * WIRE_LOCK_FD (so that the lock lives as long as any wire), and nothing else. Never waits for it.
 */
#ifndef WIRE_SPAWN_H
#define WIRE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define WIRE_SOCKET_FD 3
#define WIRE_LOCK_FD   4

struct spawn_config {
	const char *exe; /* NULL = /proc/self/exe */
	int lock_fd;	 /* -1 = none */
	bool keep_stderr;
};

struct spawned {
	pid_t pid;
	int pidfd;  /* readable once it has ended; -1 where the kernel (before 5.3) has none */
	int socket; /* our end */
};

/* ERR_IO. That the program could not be executed shows in its exit status, SPAWN_FAILED. */
enum err spawn_wire(struct spawned *, const struct spawn_config *, struct error *error) MUST_CHECK;

#define SPAWN_FAILED 127

#endif
