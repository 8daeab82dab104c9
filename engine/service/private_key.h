/* Private keys as files hold them (PEM): whether one can be a key at all, before it is kept. */
#ifndef SERVICE_PRIVATE_KEY_H
#define SERVICE_PRIVATE_KEY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * NULL for a private key in PEM, as OpenSSH or OpenSSL write it; else what is wrong with it, in
 * words. Looks at the shell alone: what is inside is never decoded.
 */
const char *private_key_fault(const char *pem, size_t len, bool passphrase_given);

#endif
