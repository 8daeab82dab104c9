/*
 * bcrypt_pbkdf: how OpenSSH makes the key that seals a private key of a passphrase.
 *
 * Slow by design: some 5 ms a round, and 100 ms to work out Blowfish's tables, which are the digits
 * of pi. Never keeps what it was given.
 */
#ifndef BASE_BCRYPT_H
#define BASE_BCRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BCRYPT_SALT_MAX	  64
#define BCRYPT_KEY_MAX	  128
#define BCRYPT_ROUNDS_MAX 1024

/* False where a length or the rounds are none that it takes. */
bool bcrypt_derive(const void *pass, size_t pass_len, const uint8_t *salt, size_t salt_len,
    uint32_t rounds, uint8_t *key, size_t key_len);

#endif
