/*
 * A trial: a wire started only to see whether wires can start here, and whether scripts load in
 * one.
 *
 * Owns that process and a loop of its own, so that it can be waited for while the caller's loop
 * stands still or runs. Never touches an asset.
 */
#ifndef WIRE_TRIAL_H
#define WIRE_TRIAL_H

#include "base/err.h"
#include "wire.h"

struct buf;

/* `scripts` is a frame (message_put_scripts), or NULL. What the wire said is wrong, or ERR_IO. */
enum err trial_run(
    const struct wires_config *, const struct buf *scripts, struct error *error) MUST_CHECK;

#endif
