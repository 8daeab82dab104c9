/*
 * Randomness: the CSPRNG of OpenSSL, or a seeded stream in a test.
 *
 * Owns the choice of the source. Secrets are made from `random_bytes` alone.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `out`; ends the process when the system has no randomness. */
void random_bytes(void *out, size_t len);

/*
 * Tests only: from now on random_bytes is a stream that `seed` alone decides. Undone by
 * random_unseed. A process that serves people never calls it.
 */
void random_seed(uint64_t seed);
void random_unseed(void);

#endif
