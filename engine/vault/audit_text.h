/*
 * An entry of the audit log as text, there and back, and what is hashed and signed of it.
 *
 * The line is the entry: what is not in it is not covered.
 */
#ifndef VAULT_AUDIT_TEXT_H
#define VAULT_AUDIT_TEXT_H

#include <jansson.h>

#include "vault/audit.h"

#define AUDIT_HEX_SIZE	  (2 * AUDIT_SIGNATURE_SIZE + 1)
#define AUDIT_SIGNED_SIZE (AUDIT_LINE_SIZE + 256)

/* `out` has room for two digits a byte and a NUL. */
void hex_of(const uint8_t *bytes, size_t len, char *out);
/* True for exactly `len` bytes in small letters. */
bool hex_read(const char *text, uint8_t *bytes, size_t len);

/* The hash that the first entry's follows. */
void audit_genesis(const struct id *vault, uint8_t hash[AUDIT_HASH_SIZE]);

/* Fills `entry->hash`: it covers `before` and all else of the entry. */
void audit_hash(struct audit_entry *entry, const uint8_t before[AUDIT_HASH_SIZE]);

/* What an entry's signature is over: the vault's id, the hash before it, and all else of it. In
 * `out[AUDIT_SIGNED_SIZE]`; returns the length. */
size_t audit_signed_text(const char *vault_id, const uint8_t before[AUDIT_HASH_SIZE],
    const struct audit_entry *, char *out);

/* False where it is not what audit_line writes. */
bool audit_parse(const char *line, struct audit_entry *);

#endif
