/*
 * Stable numbers from names: what must be spread evenly, and fall on the same place again after a
 * restart, on another machine and with the next release.
 *
 * Owns the function, which never changes. No protection against whoever chooses the names.
 */
#ifndef BASE_SPREAD_H
#define BASE_SPREAD_H

#include <stddef.h>
#include <stdint.h>

/* Begins with 0; several texts are taken one after the other. */
uint64_t spread_add(uint64_t state, const void *bytes, size_t len);
/* With its end, so that "a", "bc" and "ab", "c" differ. */
uint64_t spread_text(uint64_t state, const char *text);
uint64_t spread_number(uint64_t state, uint64_t number);

/* The number, even in all its bits. */
uint64_t spread_end(uint64_t state);

#endif
