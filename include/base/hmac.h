/*
 * HMAC-SHA256 (RFC 2104), for what someone outside is to believe.
 */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include <stddef.h>

#include "base/secret.h"

#define HMAC_HEX_SIZE 65 /* with the NUL */

/* Of the first text and the second one behind it, in hexadecimal. */
void hmac_sha256_hex(
    const struct secret *key, const char *first, const char *second, char out[HMAC_HEX_SIZE]);

#endif
