#include "base/csv.h"

#include <csv.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#define READ_BYTES (16 * 1024)

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct reader {
	int fd;
	const char *name;
	csv_row_fn row_fn;
	void *arg;
	struct error *error;
	enum err err; /* the first thing that went wrong */

	struct csv_parser parser;
	struct buf input; /* read and not parsed yet, from `start` */
	size_t start;
	bool ended;  /* nothing more to read */
	size_t line; /* the number of the newest line */

	/* The row under way. */
	bool open;
	bool within;	 /* the parser has not come to the line's end */
	size_t row_line; /* where it began */
	size_t row_bytes;
	struct buf texts; /* its fields, each with its NUL */
	size_t ends[CSV_FIELDS_MAX];
	size_t count;
};

static bool reader_fail(struct reader *reader, const char *why)
{
	if (reader->err == ERR_OK)
		reader->err = error_set(
		    reader->error, ERR_INVALID, "%s:%zu: %s", reader->name, reader->line, why);
	return false;
}

/* Spaces belong to a field: one may begin or end a password. */
static int never_space(unsigned char c)
{
	(void)c;
	return 0;
}

static void on_field(void *text, size_t len, void *arg)
{
	struct reader *reader = arg;

	if (reader->count == CSV_FIELDS_MAX) {
		reader_fail(reader, "the row has too many fields");
		return;
	}
	if (!buf_add(&reader->texts, text, len) || !buf_add(&reader->texts, "", 1)) {
		reader_fail(reader, "the row is too long");
		return;
	}
	reader->ends[reader->count++] = reader->texts.len;
}

static void reader_give_row(struct reader *reader)
{
	struct csv_field fields[CSV_FIELDS_MAX];
	const char *texts = buf_text(&reader->texts);
	size_t start = 0;

	for (size_t i = 0; i < reader->count; i++) {
		fields[i].text = texts + start;
		fields[i].len = reader->ends[i] - start - 1;
		start = reader->ends[i];
	}
	reader->err =
	    reader->row_fn(reader->arg, reader->row_line, fields, reader->count, reader->error);
}

static void on_row(int end, void *arg)
{
	struct reader *reader = arg;

	(void)end;
	/* The parser ends a row at a lone carriage return, too: then our lines are not its. */
	if (reader->within)
		reader_fail(reader, "a carriage return stands alone");
	if (reader->err == ERR_OK)
		reader_give_row(reader);
	buf_reset(&reader->texts);
	reader->count = 0;
	reader->open = false;
}

/* True when all went to the parser and nobody objected. */
static bool reader_parse(struct reader *reader, const uint8_t *bytes, size_t len)
{
	if (csv_parse(&reader->parser, bytes, len, on_field, on_row, reader) == len)
		return reader->err == ERR_OK;
	if (csv_error(&reader->parser) == CSV_EPARSE)
		return reader_fail(reader, "a quote stands where none may");
	return reader_fail(reader, "no memory for the row");
}

/* `len` bytes of text, then `end_len` of line end. */
static bool reader_take_line(struct reader *reader, const uint8_t *text, size_t len, size_t end_len)
{
	if (!reader->open && len == 0)
		return true;
	if (!text_is_utf8((const char *)text, len))
		return reader_fail(reader, "the line is not UTF-8 text");
	if (!reader->open && text[0] == '\r')
		return reader_fail(reader, "a carriage return stands alone");
	if (!reader->open) {
		reader->open = true;
		reader->row_line = reader->line;
		reader->row_bytes = 0;
	}
	reader->row_bytes += len + end_len;
	if (reader->row_bytes > CSV_LINE_MAX)
		return reader_fail(reader, "the row is too long");
	reader->within = true;
	if (!reader_parse(reader, text, len))
		return false;
	reader->within = false;
	return reader_parse(reader, text + len, end_len);
}

/* Reads more behind what is there. */
static bool reader_fill(struct reader *reader)
{
	uint8_t *room;
	ssize_t n;

	buf_drop(&reader->input, reader->start);
	reader->start = 0;
	room = buf_reserve(&reader->input, READ_BYTES);
	if (room == NULL) {
		reader->line++;
		return reader_fail(reader, "the line is too long");
	}
	do {
		n = read(reader->fd, room, READ_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		reader->err = error_set(
		    reader->error, ERR_IO, "cannot read %s: %s", reader->name, strerror(errno));
		return false;
	}
	reader->input.len += (size_t)n;
	reader->ended = n == 0;
	return true;
}

/* The bytes before the first line that are not of it. */
static size_t mark_len(const uint8_t *text, size_t len)
{
	size_t mark = strlen(BYTE_ORDER_MARK);

	return len >= mark && memcmp(text, BYTE_ORDER_MARK, mark) == 0 ? mark : 0;
}

/* Takes the line that begins at `start`: `len` bytes of which the last may be its newline. */
static bool reader_split_line(struct reader *reader, size_t len)
{
	const uint8_t *text = reader->input.data + reader->start;
	size_t skip = reader->line == 0 ? mark_len(text, len) : 0;
	size_t end_len = 0;

	reader->start += len;
	reader->line++;
	text += skip;
	len -= skip;
	if (len > 0 && text[len - 1] == '\n')
		end_len = len > 1 && text[len - 2] == '\r' ? 2 : 1;
	return reader_take_line(reader, text, len - end_len, end_len);
}

/* False at the end, or when something is wrong. */
static bool reader_next_line(struct reader *reader)
{
	for (;;) {
		size_t left = reader->input.len - reader->start;
		const uint8_t *text = left > 0 ? reader->input.data + reader->start : NULL;
		const uint8_t *newline = left > 0 ? memchr(text, '\n', left) : NULL;

		if (newline != NULL)
			return reader_split_line(reader, (size_t)(newline - text) + 1);
		if (reader->ended)
			return left > 0 && reader_split_line(reader, left);
		if (!reader_fill(reader))
			return false;
	}
}

static void reader_finish(struct reader *reader)
{
	if (reader->err != ERR_OK)
		return;
	if (csv_fini(&reader->parser, on_field, on_row, reader) != 0) {
		reader->line = reader->row_line;
		reader_fail(reader, "a quote is opened here and never closed");
	}
}

enum err csv_read(int fd, const char *name, csv_row_fn row_fn, void *arg, struct error *error)
{
	struct reader reader = {
	    .fd = fd, .name = name, .row_fn = row_fn, .arg = arg, .error = error};

	if (csv_init(&reader.parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
		return error_set(error, ERR_IO, "cannot read %s: no parser", name);
	csv_set_realloc_func(&reader.parser, mem_realloc);
	csv_set_free_func(&reader.parser, mem_free);
	csv_set_space_func(&reader.parser, never_space);
	buf_init(&reader.input, CSV_LINE_MAX + READ_BYTES);
	buf_init(&reader.texts, CSV_LINE_MAX + CSV_FIELDS_MAX);
	while (reader_next_line(&reader))
		;
	reader_finish(&reader);
	buf_clear(&reader.input);
	buf_clear(&reader.texts);
	csv_free(&reader.parser);
	return reader.err;
}
