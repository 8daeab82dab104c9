/*
 * The sandbox of a wire: the system calls that are left to it.
 *
 * Owns the list. After it nothing can be opened, executed, forked, traced or signalled, and no
 * socket made but for the Internet: what is needed from files, and the threads, must be there
 * before.
 */
#ifndef WIRE_SANDBOX_H
#define WIRE_SANDBOX_H

#include "base/err.h"

/* For all threads, for good: any other call ends the process (SIGSYS). ERR_IO where the kernel has
 * no such thing. */
enum err sandbox_enter(struct error *error) MUST_CHECK;

#endif
