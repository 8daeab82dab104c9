#include "cli/accounts_csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"

#define COLUMNS_MAX CSV_FIELDS_MAX

static const char *const columns[] = {"asset", "account", "password", "key_file", "passphrase"};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

struct reading {
	const char *source;
	json_t *rows;
	const char *header[COLUMNS_MAX];
	size_t count; /* of columns; 0 = the header was not read yet */
};

/* ── The header ──────────────────────────────────────────────────────────────────────────── */

static const char *column_known(const char *name)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (strcmp(columns[i], name) == 0)
			return columns[i];
	return NULL;
}

static bool has_column(const struct reading *reading, const char *name)
{
	for (size_t i = 0; i < reading->count; i++)
		if (strcmp(reading->header[i], name) == 0)
			return true;
	return false;
}

static enum err column_unknown(
    const struct reading *reading, size_t line, const char *name, struct error *error)
{
	const char *nearest = text_nearest(name, columns, COLUMN_COUNT);
	char shown[80];

	text_escape(shown, sizeof(shown), name, strlen(name));
	if (nearest != NULL)
		return error_set(error, ERR_INVALID,
		    "%s:%zu: column \"%s\" is not known; did you mean \"%s\"?", reading->source,
		    line, shown, nearest);
	return error_set(error, ERR_INVALID,
	    "%s:%zu: column \"%s\" is not known: the first line names the columns, which are "
	    "asset, "
	    "account, password, key_file and passphrase",
	    reading->source, line, shown);
}

static enum err read_header(struct reading *reading, size_t line, const struct csv_field *fields,
    size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		const char *column = column_known(fields[i].text);

		if (column == NULL)
			return column_unknown(reading, line, fields[i].text, error);
		if (has_column(reading, column))
			return error_set(error, ERR_INVALID,
			    "%s:%zu: column \"%s\" is there twice: take one out", reading->source,
			    line, column);
		reading->header[reading->count++] = column;
	}
	for (size_t i = 0; i < 2; i++)
		if (!has_column(reading, columns[i]))
			return error_set(error, ERR_INVALID,
			    "%s:%zu: column \"%s\" is missing: the first line must name it",
			    reading->source, line, columns[i]);
	return ERR_OK;
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static enum err read_key(
    struct reading *reading, size_t line, const char *path, json_t *row, struct error *error)
{
	struct buf text;
	json_t *key;
	enum err err;

	buf_init(&text, SECRET_SIZE_MAX);
	err = file_read(path, &text, error);
	if (err == ERR_OK) {
		key = json_stringn(buf_text(&text), text.len);
		if (key == NULL || strlen(buf_text(&text)) != text.len) {
			json_decref(key);
			err = error_set(error, ERR_INVALID, "%s is no text", path);
		} else {
			json_object_set_new(row, "key", key);
		}
	}
	if (err != ERR_OK)
		error_prefix(error, "%s:%zu: column key_file: ", reading->source, line);
	buf_clear(&text);
	return err;
}

static enum err read_row(struct reading *reading, size_t line, const struct csv_field *fields,
    size_t count, struct error *error)
{
	json_t *row = json_pack("{s:I}", "line", (json_int_t)line);
	enum err err = ERR_OK;

	json_array_append_new(reading->rows, row);
	if (count != reading->count)
		return error_set(error, ERR_INVALID, "%s:%zu: %zu fields, but the header has %zu",
		    reading->source, line, count, reading->count);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		if (fields[i].len == 0)
			continue;
		if (strcmp(reading->header[i], "key_file") == 0)
			err = read_key(reading, line, fields[i].text, row, error);
		else
			json_object_set_new(
			    row, reading->header[i], json_stringn(fields[i].text, fields[i].len));
	}
	return err;
}

static enum err read_any(
    void *arg, size_t line, const struct csv_field *fields, size_t count, struct error *error)
{
	struct reading *reading = arg;

	return reading->count == 0 ? read_header(reading, line, fields, count, error)
				   : read_row(reading, line, fields, count, error);
}

enum err accounts_csv_read(const char *path, const char *source, json_t **rows, struct error *error)
{
	struct reading reading = {.source = source};
	bool from_stdin = strcmp(path, "-") == 0;
	int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum err err;

	*rows = NULL;
	if (fd < 0)
		return error_set(error, ERR_IO,
		    "\"%s\" cannot be read: %s: give a file of CSV, or - for standard input", path,
		    strerror(errno));
	reading.rows = json_array();
	err = csv_read(fd, source, read_any, &reading, error);
	if (!from_stdin)
		close(fd);
	if (err == ERR_OK)
		*rows = reading.rows; /* transferred */
	else
		json_decref(reading.rows);
	return err;
}
