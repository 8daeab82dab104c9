#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* Other people's text in one value; longer is cut. */
#define TEXT_SIZE_MAX (1024 * 1024)

/* No character becomes more than four times as long when escaped. */
#define ESCAPE_GROWTH 4

#define WRITE_BYTES (16 * 1024)

void json_init(void)
{
	json_set_alloc_funcs(mem_alloc, mem_free);
	json_object_seed(0); /* opens a file: now, and not in a sandbox */
}

json_t *json_text(const char *text)
{
	size_t len, size;
	char *escaped;
	json_t *json;

	if (text == NULL)
		return json_null();
	len = strlen(text);
	size = len < TEXT_SIZE_MAX / ESCAPE_GROWTH ? len * ESCAPE_GROWTH + 1 : TEXT_SIZE_MAX;
	escaped = mem_alloc(size);
	if (escaped == NULL)
		return NULL;
	json = json_string(text_escape(escaped, size, text, len));
	mem_free(escaped);
	return json;
}

json_t *json_time(uint64_t wall_ms)
{
	char text[32];

	if (wall_ms == 0)
		return json_null();
	return json_string(text_rfc3339(text, wall_ms));
}

json_t *json_id(const struct id *id)
{
	char text[ID_TEXT_SIZE];

	if (id_is_none(id))
		return json_null();
	return json_string(id_text(id, text));
}

const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

struct writer {
	int fd;
	struct buf pending;
};

static int writer_flush(struct writer *writer)
{
	size_t done = 0;

	while (done < writer->pending.len) {
		ssize_t n =
		    write(writer->fd, writer->pending.data + done, writer->pending.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	buf_reset(&writer->pending);
	return 0;
}

/* jansson hands over a few bytes at a time. */
static int writer_add(const char *bytes, size_t len, void *arg)
{
	struct writer *writer = arg;

	while (len > 0) {
		size_t left = WRITE_BYTES - writer->pending.len;
		size_t take = len < left ? len : left;

		if (!buf_add(&writer->pending, bytes, take))
			return -1;
		bytes += take;
		len -= take;
		if (writer->pending.len == WRITE_BYTES && writer_flush(writer) != 0)
			return -1;
	}
	return 0;
}

enum err json_write(int fd, const json_t *json, bool indented)
{
	size_t flags = JSON_ENCODE_ANY | (indented ? JSON_INDENT(2) : JSON_COMPACT);
	struct writer writer = {.fd = fd};
	enum err err = ERR_OK;

	buf_init(&writer.pending, WRITE_BYTES);
	if (json_dump_callback(json, writer_add, &writer, flags) != 0 ||
	    writer_add("\n", 1, &writer) != 0 || writer_flush(&writer) != 0)
		err = ERR_IO;
	buf_clear(&writer.pending);
	return err;
}
