/*
 * A look at a MessagePack message before anything is allocated for it.
 */
#ifndef ENGINE_BASE_PACK_SCAN_H
#define ENGINE_BASE_PACK_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True when `bytes` is exactly one message: every length and count is really there, and nothing is
 * nested deeper than 16.
 */
bool pack_scan(const void *bytes, size_t len);

#endif
