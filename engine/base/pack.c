#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "base/mem.h"
#include "base/pack_scan.h"

struct unpack {
	msgpack_unpacked message;
};

struct value {
	msgpack_object object;
};

static int pack_write(void *arg, const char *bytes, size_t len)
{
	return buf_add(arg, bytes, len) ? 0 : -1;
}

static msgpack_packer packer_of(struct buf *buf)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, buf, pack_write);
	return packer;
}

void pack_map(struct buf *buf, size_t pairs)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_map(&packer, pairs);
}

void pack_array(struct buf *buf, size_t items)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_array(&packer, items);
}

void pack_text(struct buf *buf, const char *text)
{
	msgpack_packer packer = packer_of(buf);
	size_t len;

	if (text == NULL) {
		msgpack_pack_nil(&packer);
		return;
	}
	len = strlen(text);
	msgpack_pack_str(&packer, len);
	msgpack_pack_str_body(&packer, text, len);
}

void pack_bytes(struct buf *buf, const void *bytes, size_t len)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_bin(&packer, len);
	msgpack_pack_bin_body(&packer, bytes, len);
}

void pack_uint(struct buf *buf, uint64_t value)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_uint64(&packer, value);
}

void pack_int(struct buf *buf, int64_t value)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_int64(&packer, value);
}

void pack_bool(struct buf *buf, bool value)
{
	msgpack_packer packer = packer_of(buf);

	if (value)
		msgpack_pack_true(&packer);
	else
		msgpack_pack_false(&packer);
}

void pack_nil(struct buf *buf)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_nil(&packer);
}

void pack_kv_text(struct buf *buf, const char *key, const char *text)
{
	pack_text(buf, key);
	pack_text(buf, text);
}

void pack_kv_bytes(struct buf *buf, const char *key, const void *bytes, size_t len)
{
	pack_text(buf, key);
	pack_bytes(buf, bytes, len);
}

void pack_kv_uint(struct buf *buf, const char *key, uint64_t value)
{
	pack_text(buf, key);
	pack_uint(buf, value);
}

void pack_kv_int(struct buf *buf, const char *key, int64_t value)
{
	pack_text(buf, key);
	pack_int(buf, value);
}

void pack_kv_bool(struct buf *buf, const char *key, bool value)
{
	pack_text(buf, key);
	pack_bool(buf, value);
}

void pack_kv_id(struct buf *buf, const char *key, const struct id *id)
{
	pack_text(buf, key);
	pack_bytes(buf, id->bytes, ID_SIZE);
}

enum err unpack_new(struct unpack **out, const void *bytes, size_t len)
{
	struct unpack *unpack;
	size_t end = 0;

	*out = NULL;
	/* The library takes a count at its word and allocates for it. */
	if (!pack_scan(bytes, len))
		return ERR_CORRUPT;
	unpack = xcalloc(1, sizeof(*unpack));
	msgpack_unpacked_init(&unpack->message);
	if (msgpack_unpack_next(&unpack->message, bytes, len, &end) != MSGPACK_UNPACK_SUCCESS ||
	    end != len) {
		unpack_free(unpack);
		return ERR_CORRUPT;
	}
	*out = unpack; /* transferred */
	return ERR_OK;
}

void unpack_free(struct unpack *unpack)
{
	if (unpack == NULL)
		return;
	msgpack_unpacked_destroy(&unpack->message);
	free(unpack);
}

static const struct value *value_of(const msgpack_object *object)
{
	return (const struct value *)object;
}

const struct value *unpack_root(const struct unpack *unpack)
{
	return value_of(&unpack->message.data);
}

static bool value_is(const struct value *value, msgpack_object_type type)
{
	return value != NULL && value->object.type == type;
}

const struct value *value_get(const struct value *map, const char *key)
{
	size_t count = value_pairs(map), len = strlen(key);

	for (size_t i = 0; i < count; i++) {
		const char *name;
		size_t name_len;
		const struct value *value = value_pair(map, i, &name, &name_len);

		if (name != NULL && name_len == len && memcmp(name, key, len) == 0)
			return value;
	}
	return NULL;
}

size_t value_count(const struct value *array)
{
	return value_is(array, MSGPACK_OBJECT_ARRAY) ? array->object.via.array.size : 0;
}

const struct value *value_item(const struct value *array, size_t index)
{
	if (index >= value_count(array))
		return NULL;
	return value_of(&array->object.via.array.ptr[index]);
}

size_t value_pairs(const struct value *map)
{
	return value_is(map, MSGPACK_OBJECT_MAP) ? map->object.via.map.size : 0;
}

const struct value *value_pair(const struct value *map, size_t index, const char **key, size_t *len)
{
	const msgpack_object_kv *pair;

	*key = NULL;
	*len = 0;
	if (index >= value_pairs(map))
		return NULL;
	pair = &map->object.via.map.ptr[index];
	if (pair->key.type == MSGPACK_OBJECT_STR) {
		*key = pair->key.via.str.ptr;
		*len = pair->key.via.str.size;
	}
	return value_of(&pair->val);
}

uint64_t value_uint(const struct value *value, uint64_t otherwise)
{
	return value_is(value, MSGPACK_OBJECT_POSITIVE_INTEGER) ? value->object.via.u64 : otherwise;
}

int64_t value_int(const struct value *value, int64_t otherwise)
{
	if (value_is(value, MSGPACK_OBJECT_NEGATIVE_INTEGER))
		return value->object.via.i64;
	if (value_is(value, MSGPACK_OBJECT_POSITIVE_INTEGER) && value->object.via.u64 <= INT64_MAX)
		return (int64_t)value->object.via.u64;
	return otherwise;
}

bool value_bool(const struct value *value, bool otherwise)
{
	return value_is(value, MSGPACK_OBJECT_BOOLEAN) ? value->object.via.boolean : otherwise;
}

bool value_is_nil(const struct value *value)
{
	return value == NULL || value_is(value, MSGPACK_OBJECT_NIL);
}

const void *value_bytes(const struct value *value, size_t *len)
{
	if (value_is(value, MSGPACK_OBJECT_BIN)) {
		*len = value->object.via.bin.size;
		return value->object.via.bin.ptr;
	}
	if (value_is(value, MSGPACK_OBJECT_STR)) {
		*len = value->object.via.str.size;
		return value->object.via.str.ptr;
	}
	*len = 0;
	return NULL;
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
