#include "base/pack.h"

#include <string.h>

#include <msgpack.h>

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
