#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ROOM_MIN 64

void buf_init(struct buf *buf, size_t size_max)
{
	*buf = (struct buf){.size_max = size_max};
}

void buf_clear(struct buf *buf)
{
	mem_free(buf->data);
	buf_init(buf, buf->size_max);
}

void buf_reset(struct buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->len);
	buf->len = 0;
	buf->failed = false;
}

/* Room for `len` more bytes and the NUL of buf_text, which is not of the cap. */
static bool buf_grow(struct buf *buf, size_t len)
{
	size_t need, room;
	uint8_t *data;

	if (buf->failed || len > buf->size_max - buf->len || len >= SIZE_MAX - buf->len)
		return false;
	need = buf->len + len + 1;
	if (need <= buf->room)
		return true;
	/* Twice what there was, so that many small appends cost little; at most what the cap
	 * allows. */
	room = need > buf->room * 2 ? need : buf->room * 2;
	if (room - 1 > buf->size_max)
		room = buf->size_max + 1;
	if (room < ROOM_MIN)
		room = ROOM_MIN;
	data = mem_realloc(buf->data, room);
	if (data == NULL)
		return false;
	buf->data = data;
	buf->room = room;
	return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t len)
{
	if (!buf_grow(buf, len)) {
		buf->failed = true;
		return NULL;
	}
	return buf->data + buf->len;
}

bool buf_add(struct buf *buf, const void *bytes, size_t len)
{
	uint8_t *end = buf_reserve(buf, len);

	if (end == NULL)
		return false;
	if (len > 0)
		memcpy(end, bytes, len);
	buf->len += len;
	return true;
}

bool buf_add_text(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

bool buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	uint8_t *end;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0) {
		buf->failed = true;
		return false;
	}
	end = buf_reserve(buf, (size_t)len);
	if (end == NULL)
		return false;
	va_start(args, fmt);
	vsnprintf((char *)end, (size_t)len + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)len;
	return true;
}

void buf_drop(struct buf *buf, size_t len)
{
	size_t rest;

	if (len > buf->len)
		len = buf->len;
	if (len == 0)
		return;
	rest = buf->len - len;
	memmove(buf->data, buf->data + len, rest);
	explicit_bzero(buf->data + rest, len);
	buf->len = rest;
}

bool buf_failed(const struct buf *buf)
{
	return buf->failed;
}

const char *buf_text(struct buf *buf)
{
	if (buf->data == NULL)
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}
