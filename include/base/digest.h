/*
 * SHA-256, as one says that bytes are these and no others.
 *
 * Never for secrets: what is short can be guessed from its digest.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DIGEST_SIZE	 32
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1)

void digest_of(const void *bytes, size_t len, uint8_t out[DIGEST_SIZE]);

/* Of the one followed by the other. */
void digest_of_two(
    const void *first, size_t first_len, const void *second, size_t second_len, uint8_t *out);

/* Of all that is left to read of `fd`, which stands where it stood when it returns. ERR_IO. */
enum err digest_of_file(int fd, uint8_t out[DIGEST_SIZE]) MUST_CHECK;

/* In hexadecimal; returns `out`. */
char *digest_text(const uint8_t digest[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE]);

#endif
