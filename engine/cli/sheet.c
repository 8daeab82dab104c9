#include "cli/sheet.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/format.h"

#define GAP	    2 /* between columns */
#define WIDTH_LEAST 6 /* no column is cut below this */

struct sheet {
	const char *const *titles;
	size_t columns;
	char **cells; /* row after row */
	size_t rows, room;
	size_t widths[SHEET_COLUMNS_MAX];
	bool used[SHEET_COLUMNS_MAX];
	bool kept[SHEET_COLUMNS_MAX];
};

struct sheet *sheet_new(const char *const *titles)
{
	struct sheet *sheet = xcalloc(1, sizeof(*sheet));

	sheet->titles = titles;
	while (titles[sheet->columns] != NULL) {
		sheet->widths[sheet->columns] = format_width(titles[sheet->columns]);
		sheet->columns++;
	}
	return sheet;
}

void sheet_free(struct sheet *sheet)
{
	if (sheet == NULL)
		return;
	for (size_t i = 0; i < sheet->rows * sheet->columns; i++)
		free(sheet->cells[i]);
	free(sheet->cells);
	free(sheet);
}

void sheet_keep(struct sheet *sheet, size_t column)
{
	sheet->kept[column] = true;
}

void sheet_add(struct sheet *sheet, const char *const *texts)
{
	if (sheet->rows == sheet->room) {
		sheet->room = sheet->room * 2 + 32;
		sheet->cells =
		    xrealloc(sheet->cells, sheet->room * sheet->columns * sizeof(*sheet->cells));
	}
	for (size_t i = 0; i < sheet->columns; i++) {
		size_t width = format_width(texts[i]);

		sheet->cells[sheet->rows * sheet->columns + i] = xstrdup(texts[i]);
		sheet->used[i] |= width > 0;
		if (width > sheet->widths[i])
			sheet->widths[i] = width;
	}
	sheet->rows++;
}

static size_t total_width(const struct sheet *sheet, const size_t *widths)
{
	size_t total = 0;

	for (size_t i = 0; i < sheet->columns; i++)
		total += sheet->used[i] ? widths[i] + GAP : 0;
	return total > GAP ? total - GAP : 0;
}

/* The widest column that may be cut; the number of columns when there is none. */
static size_t widest_of(const struct sheet *sheet, const size_t *widths)
{
	size_t widest = sheet->columns;

	for (size_t i = 0; i < sheet->columns; i++) {
		if (!sheet->used[i] || sheet->kept[i] || widths[i] <= WIDTH_LEAST)
			continue;
		if (widest == sheet->columns || widths[i] > widths[widest])
			widest = i;
	}
	return widest;
}

static void fit(const struct sheet *sheet, size_t *widths, size_t width)
{
	while (total_width(sheet, widths) > width) {
		size_t widest = widest_of(sheet, widths);

		if (widest == sheet->columns)
			return;
		widths[widest]--;
	}
}

static void print_cell(FILE *out, const char *text, size_t width, bool last)
{
	size_t taken = format_width(text);

	if (taken > width) {
		fprintf(out, "%.*s…", (int)format_prefix(text, width - 1), text);
		taken = width;
	} else {
		fputs(text, out);
	}
	if (!last)
		fprintf(out, "%*s", (int)(width - taken + GAP), "");
}

static void print_row(
    const struct sheet *sheet, FILE *out, const char *const *texts, const size_t *widths)
{
	size_t last = 0;

	for (size_t i = 0; i < sheet->columns; i++)
		last = texts[i][0] != '\0' ? i : last;
	for (size_t i = 0; i <= last; i++)
		if (sheet->used[i])
			print_cell(out, texts[i], widths[i], i == last);
	fputc('\n', out);
}

void sheet_print(const struct sheet *sheet, FILE *out, size_t width)
{
	size_t widths[SHEET_COLUMNS_MAX];

	memcpy(widths, sheet->widths, sizeof(widths));
	if (width > 0)
		fit(sheet, widths, width);
	print_row(sheet, out, sheet->titles, widths);
	for (size_t row = 0; row < sheet->rows; row++)
		print_row(
		    sheet, out, (const char *const *)&sheet->cells[row * sheet->columns], widths);
}
