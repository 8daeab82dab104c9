#include <stdlib.h>
#include <string.h>

#include "vault/key.h"

void key_add(struct key *key, const void *bytes, size_t len)
{
	if (len > sizeof(key->bytes) - key->len)
		abort();
	memcpy(key->bytes + key->len, bytes, len);
	key->len += len;
}

void key_add_u32(struct key *key, uint32_t value)
{
	uint8_t bytes[4] = {
	    (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

	key_add(key, bytes, sizeof(bytes));
}

struct key key_of_word(const char *word)
{
	struct key key = {.len = 0};

	key_add(&key, word, strlen(word));
	return key;
}

struct key key_of_id(const struct id *id)
{
	struct key key = {.len = 0};

	key_add(&key, id->bytes, ID_SIZE);
	return key;
}

struct key key_of_ids(const struct id *first, const struct id *second)
{
	struct key key = key_of_id(first);

	key_add(&key, second->bytes, ID_SIZE);
	return key;
}

struct key key_of_names(const char *first, const char *second)
{
	struct key key = {.len = 0};

	key_add(&key, first, strlen(first) + 1);
	key_add(&key, second, strlen(second));
	return key;
}

struct key key_of_account(const char *asset, const char *name, uint8_t kind)
{
	struct key key = key_of_names(asset, name);
	uint8_t tail[2] = {0, kind};

	key_add(&key, tail, sizeof(tail));
	return key;
}

bool key_begins(const struct key *key, const struct key *prefix)
{
	return key->len >= prefix->len && memcmp(key->bytes, prefix->bytes, prefix->len) == 0;
}
