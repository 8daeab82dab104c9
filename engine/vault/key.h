/*
 * Rows' keys: bytes that sort as what they stand for.
 */
#ifndef VAULT_KEY_H
#define VAULT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

/* A row's key; longer ones are a mistake of ours. */
#define KEY_SIZE 320
struct key {
	uint8_t bytes[KEY_SIZE];
	size_t len;
};

void key_add(struct key *, const void *bytes, size_t len);
void key_add_u32(struct key *, uint32_t value); /* big-endian: sorts by value */
struct key key_of_word(const char *word);
struct key key_of_id(const struct id *);
struct key key_of_ids(const struct id *first, const struct id *second);
struct key key_of_names(const char *first, const char *second); /* first NUL second */
struct key key_of_account(
    const char *asset, const char *name, uint8_t kind); /* asset NUL name NUL kind */
bool key_begins(const struct key *, const struct key *prefix);

#endif
