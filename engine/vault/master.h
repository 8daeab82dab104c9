/*
 * The master key's file: 32 bytes in hex and a newline, mode 0400.
 *
 * Owns the format and who may read it. Never keeps the key.
 */
#ifndef VAULT_MASTER_H
#define VAULT_MASTER_H

#include "base/err.h"
#include "base/secret.h"

#define MASTER_KEY_SIZE 32

/* Reads the key. ERR_NOT_FOUND, ERR_DENIED (others may read it), ERR_INVALID (not a key), ERR_FULL.
 */
enum err master_read(const char *path, struct secret **key, struct error *error) MUST_CHECK;

/* Makes a key and its file, durably. ERR_EXISTS. */
enum err master_create(const char *path, struct secret **key, struct error *error) MUST_CHECK;

#endif
