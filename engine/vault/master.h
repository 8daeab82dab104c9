/*
 * Master keys as they are written: 32 bytes in hex and a newline; in a file of mode 0400, in a
 * credential, or on a command's output.
 *
 * Owns the format and who may read it. Never keeps the key.
 */
#ifndef VAULT_MASTER_H
#define VAULT_MASTER_H

#include "vault/keys.h"

#define MASTER_KEY_SIZE 32

/* Makes a key and its file, durably; where one is there it is replaced, or ERR_EXISTS. */
enum err master_create(
    const char *path, bool replace, struct secret **key, struct error *error) MUST_CHECK;

#endif
