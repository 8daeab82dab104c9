/*
 * The PEM around OpenSSH's own form of a private key.
 *
 * Keys stand in struct secret, before and after.
 */
#ifndef BASE_SSH_PEM_H
#define BASE_SSH_PEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"

#define SSH_MAGIC "openssh-key-v1" /* what such a key begins with, and its NUL */

/* True for OpenSSH's form; other PEM is OpenSSL's to read. */
bool ssh_pem_is_own(const struct secret *pem);

/* What is inside, with no regard to what it is; NULL when the memory for secrets is full. */
struct secret *ssh_pem_read(const struct secret *pem, size_t *len);

/* Base 64 in lines, between its two rules. NULL likewise. */
struct secret *ssh_pem_write(const uint8_t *bytes, size_t len);

#endif
