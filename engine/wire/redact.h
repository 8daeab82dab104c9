/*
 * Redaction: secrets that an asset sent back are taken out of its output.
 *
 * Owns what stands in their place. A second line of defence: it finds the bytes as they were sent,
 * not what an asset made of them. Never sees a stream, only output that is whole.
 */
#ifndef WIRE_REDACT_H
#define WIRE_REDACT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/secret.h"

/*
 * Replaces each occurrence of each of `count` secrets (NULL = none there) by "[secret]". What would
 * then pass the buffer's cap is cut.
 */
void redact(struct buf *, const struct secret *const *secrets, size_t count);

#endif
