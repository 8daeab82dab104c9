/* Reading MessagePack: a message's values in one array, made in one allocation. */
#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pack_scan.h"

struct value {
	struct token token;
	const struct value *items; /* what is in it, of a map its keys and values in turn */
};

struct unpack {
	struct value values[1]; /* more follow: those of a container stand together */
};

/* ── Making ── */

/* Where the values of a container still go. */
struct filling {
	struct value *next;
	size_t left;
};

static bool has_items(const struct token *token)
{
	return (token->kind == TOKEN_ARRAY || token->kind == TOKEN_MAP) && token->len > 0;
}

/* Of a message that was scanned: nothing can be wrong with it any more. */
static void unpack_fill(struct unpack *unpack, const void *bytes, size_t len)
{
	struct scan scan = {.next = bytes, .left = len};
	struct filling open[PACK_DEPTH_MAX + 1] = {{.next = unpack->values, .left = 1}};
	struct value *free_ones = unpack->values + 1;
	unsigned depth = 1;

	while (depth > 0) {
		struct filling *filling = &open[depth - 1];
		struct value *value = filling->next;

		if (filling->left == 0) {
			depth--;
			continue;
		}
		filling->next++;
		filling->left--;
		if (!scan_token(&scan, &value->token) || !has_items(&value->token))
			continue;
		value->items = free_ones;
		open[depth++] = (struct filling){.next = free_ones, .left = value->token.len};
		free_ones += value->token.len;
	}
}

enum err unpack_new(struct unpack **out, const void *bytes, size_t len)
{
	size_t values;

	*out = NULL;
	if (!pack_scan(bytes, len, &values))
		return ERR_CORRUPT;
	*out = xcalloc(values, sizeof(struct value)); /* one is in struct unpack */
	unpack_fill(*out, bytes, len);
	return ERR_OK;
}

void unpack_free(struct unpack *unpack)
{
	free(unpack);
}

const struct value *unpack_root(const struct unpack *unpack)
{
	return unpack->values;
}

/* ── Reading ── */

static bool value_is(const struct value *value, enum token_kind kind)
{
	return value != NULL && value->token.kind == kind;
}

static bool key_is(const struct token *token, const char *key, size_t len)
{
	return token->kind == TOKEN_TEXT && token->len == len &&
	       (len == 0 ||
		   (token->bytes[0] == (uint8_t)key[0] && memcmp(token->bytes, key, len) == 0));
}

const struct value *value_get(const struct value *map, const char *key)
{
	size_t count = value_pairs(map), len = strlen(key);

	for (size_t i = 0; i < count; i++)
		if (key_is(&map->items[i * 2].token, key, len))
			return &map->items[i * 2 + 1];
	return NULL;
}

size_t value_count(const struct value *array)
{
	return value_is(array, TOKEN_ARRAY) ? array->token.len : 0;
}

const struct value *value_item(const struct value *array, size_t index)
{
	return index < value_count(array) ? &array->items[index] : NULL;
}

size_t value_pairs(const struct value *map)
{
	return value_is(map, TOKEN_MAP) ? map->token.len / 2 : 0;
}

const struct value *value_pair(const struct value *map, size_t index, const char **key, size_t *len)
{
	const struct value *pair;

	*key = NULL;
	*len = 0;
	if (index >= value_pairs(map))
		return NULL;
	pair = &map->items[index * 2];
	if (pair->token.kind == TOKEN_TEXT) {
		*key = (const char *)pair->token.bytes;
		*len = pair->token.len;
	}
	return pair + 1;
}

uint64_t value_uint(const struct value *value, uint64_t otherwise)
{
	return value_is(value, TOKEN_UINT) ? value->token.number : otherwise;
}

int64_t value_int(const struct value *value, int64_t otherwise)
{
	if (value_is(value, TOKEN_NEGATIVE) ||
	    (value_is(value, TOKEN_UINT) && value->token.number <= INT64_MAX))
		return (int64_t)value->token.number;
	return otherwise;
}

bool value_bool(const struct value *value, bool otherwise)
{
	return value_is(value, TOKEN_BOOL) ? value->token.number != 0 : otherwise;
}

bool value_is_nil(const struct value *value)
{
	return value == NULL || value_is(value, TOKEN_NIL);
}

const void *value_bytes(const struct value *value, size_t *len)
{
	bool has = value_is(value, TOKEN_BYTES) || value_is(value, TOKEN_TEXT);

	*len = has ? value->token.len : 0;
	return has ? value->token.bytes : NULL;
}

size_t value_text(const struct value *value, char *out, size_t size)
{
	size_t len;
	const char *bytes = value_bytes(value, &len);

	if (size == 0)
		return 0;
	if (len > size - 1) {
		len = size - 1;
		/* Not within a character. */
		while (len > 0 && ((unsigned char)bytes[len] & 0xc0) == 0x80)
			len--;
	}
	/* Who reads C text sees no further than a NUL: neither does the length. */
	len = bytes == NULL ? 0 : strnlen(bytes, len);
	if (len > 0)
		memcpy(out, bytes, len);
	out[len] = '\0';
	return len;
}

struct id value_id(const struct value *value)
{
	struct id id = {{0}};
	size_t len;
	const void *bytes = value_bytes(value, &len);

	if (len == ID_SIZE)
		memcpy(id.bytes, bytes, ID_SIZE);
	return id;
}
