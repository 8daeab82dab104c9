/*
 * Apart: what may crash on bytes that are damaged is carried out in a process of its own, which
 * tells how it ended.
 *
 * Owns the child, its bound of processor time, and bringing back what it left. Never interprets it.
 */
#ifndef BASE_APART_H
#define BASE_APART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What is carried out; `result` is without pointers. */
typedef enum err (*apart_fn)(void *arg, void *result, struct error *error);

/*
 * `fn` in a child of this process; `result` (`size` bytes) is what it left there. Its own error;
 * or, with `*answered` false, ERR_CORRUPT where it was ended by a signal, by its bound of `cpu_s`
 * seconds of processor time (0 = none), or said nothing: the text says by what. Waits for it, so
 * never on a loop, and in no process that has threads.
 */
enum err apart_run(apart_fn fn, void *arg, void *result, size_t size, unsigned cpu_s,
    bool *answered, struct error *error) MUST_CHECK;

#endif
