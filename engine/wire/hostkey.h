/*
 * Host keys: their type, their fingerprint, and whether one is among the pinned.
 *
 * Never pins anything: what was seen is reported, and who keeps the vault decides.
 */
#ifndef WIRE_HOSTKEY_H
#define WIRE_HOSTKEY_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/link.h"

/* "SHA256:" and 43 characters. */
#define FINGERPRINT_SIZE WIRE_FINGERPRINT_SIZE

/* Fills `key` from the blob that a server sent. False when it is too long or has no type. */
bool hostkey_read(struct wire_key *, const void *blob, size_t len);

/* As OpenSSH shows it; returns `out`. */
char *hostkey_fingerprint(const struct wire_key *, char out[FINGERPRINT_SIZE]);

/* Compares with the pins: FAULT_HOST_KEY, FAULT_HOST_UNKNOWN. */
enum err hostkey_check(const struct wire_key *, const struct wire_key *pins, size_t pin_count,
    bool known_only, struct outcome *) MUST_CHECK;

#endif
