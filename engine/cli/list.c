#include "cli/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/pager.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

#define KEY_SIZE      64
#define CELL_SIZE_MAX ((size_t)1 << 20) /* the accounts of an asset, joined */

/* ── A member in words ───────────────────────────────────────────────────────────────────── */

static const json_t *member(const json_t *row, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[KEY_SIZE];

	if (dot == NULL)
		return json_object_get(row, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return member(json_object_get(row, first), dot + 1);
}

static void add_value(struct buf *out, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING: buf_add_text(out, json_string_value(value)); return;
	case JSON_INTEGER:
		buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	case JSON_REAL: buf_addf(out, "%.1f", json_real_value(value)); return;
	case JSON_TRUE: buf_add_text(out, "true"); return;
	case JSON_FALSE: buf_add_text(out, "false"); return;
	default: return;
	}
}

static void add_object(struct buf *out, const json_t *object)
{
	const char *between = "", *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		buf_addf(out, "%s%s", between, key);
		if (!json_is_string(value) || strcmp(json_string_value(value), "true") != 0) {
			buf_add_text(out, "=");
			add_value(out, value);
		}
		between = ";";
	}
}

static void add_array(struct buf *out, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);

		buf_add_text(out, i == 0 ? "" : ";");
		if (json_is_object(item))
			add_object(out, item);
		else
			add_value(out, item);
	}
}

void list_add(struct buf *out, const json_t *row, const char *key)
{
	const json_t *value = member(row, key);

	if (json_is_array(value))
		add_array(out, value);
	else if (json_is_object(value))
		add_object(out, value);
	else if (value != NULL)
		add_value(out, value);
}

/* ── The table ───────────────────────────────────────────────────────────────────────────── */

static bool is_last(const struct column *column)
{
	return column->title == NULL && column->key == NULL;
}

/* The columns of a table that people see. */
struct shown {
	const struct column *columns[SHEET_COLUMNS_MAX];
	const char *titles[SHEET_COLUMNS_MAX + 1];
	size_t count;
	struct buf bufs[SHEET_COLUMNS_MAX];
	char texts[SHEET_COLUMNS_MAX][LIST_TEXT_SIZE];
};

static struct shown *shown_new(const struct column *columns)
{
	struct shown *shown = xcalloc(1, sizeof(*shown));

	for (; !is_last(columns) && shown->count < SHEET_COLUMNS_MAX; columns++) {
		if (columns->title == NULL)
			continue;
		buf_init(&shown->bufs[shown->count], CELL_SIZE_MAX);
		shown->titles[shown->count] = columns->title;
		shown->columns[shown->count++] = columns;
	}
	return shown;
}

static void shown_free(struct shown *shown)
{
	for (size_t i = 0; i < shown->count; i++)
		buf_clear(&shown->bufs[i]);
	free(shown);
}

static const char *shown_text(struct shown *shown, size_t i, const json_t *row)
{
	struct buf *buf = &shown->bufs[i];

	if (shown->columns[i]->text != NULL)
		return shown->columns[i]->text(shown->texts[i], row);
	buf_reset(buf);
	list_add(buf, row, shown->columns[i]->key);
	return buf_text(buf);
}

void list_write(FILE *out, size_t width, const json_t *rows, const struct column *columns)
{
	struct shown *shown = shown_new(columns);
	struct sheet *sheet = sheet_new(shown->titles);
	const char *cells[SHEET_COLUMNS_MAX];

	for (size_t i = 0; i < shown->count; i++)
		if (shown->columns[i]->whole)
			sheet_keep(sheet, i);

	for (size_t row = 0; row < json_array_size(rows); row++) {
		for (size_t i = 0; i < shown->count; i++)
			cells[i] = shown_text(shown, i, json_array_get(rows, row));
		sheet_add(sheet, cells);
	}
	sheet_print(sheet, out, width);
	sheet_free(sheet);
	shown_free(shown);
}

/* ── CSV ─────────────────────────────────────────────────────────────────────────────────── */

static void write_field(FILE *out, const char *text)
{
	if (strpbrk(text, ",\"\r\n") == NULL) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* Text of an asset that a spreadsheet would take for a formula is made plain by what leads it. */
static const char *lead_of(const char *key, const char *text)
{
	bool formula =
	    strcmp(key, "error.message") == 0 && text[0] != '\0' && strchr("=+-@", text[0]) != NULL;

	return formula ? "'" : "";
}

static void add_cell(struct buf *out, const char *key, const json_t *row)
{
	struct buf member;

	if (row == NULL) {
		buf_add_text(out, key);
		return;
	}
	buf_init(&member, CELL_SIZE_MAX);
	list_add(&member, row, key);
	buf_addf(out, "%s%s", lead_of(key, buf_text(&member)), buf_text(&member));
	buf_clear(&member);
}

static void write_line(FILE *out, const struct column *columns, const json_t *row, struct buf *text)
{
	const char *between = "";

	for (; !is_last(columns); columns++) {
		if (columns->key == NULL)
			continue;
		buf_reset(text);
		add_cell(text, columns->key, row);
		fputs(between, out);
		write_field(out, buf_text(text));
		between = ",";
	}
	fputs("\r\n", out);
}

void list_write_csv(FILE *out, const json_t *rows, const struct column *columns)
{
	struct buf text;

	buf_init(&text, CELL_SIZE_MAX);
	write_line(out, columns, NULL, &text);
	for (size_t i = 0; i < json_array_size(rows); i++)
		write_line(out, columns, json_array_get(rows, i), &text);
	buf_clear(&text);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

int list_print(
    struct cli *cli, int status, const json_t *rows, const struct column *columns, const char *none)
{
	struct pager pager;

	if (status != SERVICE_OK)
		return status;
	if (cli->json)
		return cli_print_json(rows, status);
	if (cli_flag(cli, "csv")) {
		list_write_csv(stdout, rows, columns);
	} else if (json_array_size(rows) == 0) {
		printf("%s\n", none);
	} else {
		list_write(pager_open(&pager), terminal_width(STDOUT_FILENO), rows, columns);
		pager_close(&pager);
	}
	return status;
}
