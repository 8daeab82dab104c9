#include "cli/trouble.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/advice.h"
#include "cli/cli.h"
#include "base/format.h"

#define NEXT_SIZE      512
#define STATUS_COLUMNS 10
#define INDENT	       "              "
#define CAUSES_MAX     64 /* words; more are not told apart */
#define CAUSES_SHOWN   5

/* In the order in which they are shown. */
static const struct shown_status {
	const char *status, *shouted, *colour;
} statuses[] = {
    {"failed", "FAILED", "\033[31m"},
    {"unverified", "UNVERIFIED", "\033[33m"},
    {"skipped", "SKIPPED", "\033[36m"},
};

#define STATUS_KINDS (sizeof(statuses) / sizeof(statuses[0]))

static const struct shown_status *status_of(const json_t *record)
{
	for (size_t i = 0; i < STATUS_KINDS; i++)
		if (strcmp(statuses[i].status, text_of(record, "status")) == 0)
			return &statuses[i];
	return NULL;
}

/* ── The table ───────────────────────────────────────────────────────────────────────────── */

struct table {
	FILE *out;
	size_t width; /* of the terminal; 0 = none */
	bool colour;
	size_t asset, account; /* columns */
	const json_t **rows;
	size_t count;
};

static size_t wider(size_t columns, const char *text)
{
	size_t width = format_width(text);

	return width > columns ? width : columns;
}

/* The first so many, those of one status after those of another. */
static void table_choose(struct table *table, const json_t *records, size_t most)
{
	for (size_t s = 0; s <= STATUS_KINDS; s++) {
		for (size_t i = 0; i < json_array_size(records) && table->count < most; i++) {
			const json_t *record = json_array_get(records, i);
			const struct shown_status *status = status_of(record);

			if (status != (s < STATUS_KINDS ? &statuses[s] : NULL))
				continue;
			table->rows[table->count++] = record;
			table->asset = wider(table->asset, text_of(record, "asset"));
			table->account = wider(table->account, text_of(record, "account"));
		}
	}
}

static void print_padded(FILE *out, const char *text, size_t columns)
{
	size_t width = format_width(text);

	fprintf(out, "  %s%*s", text, width < columns ? (int)(columns - width) : 0, "");
}

static void print_status(const struct table *table, const json_t *record)
{
	const struct shown_status *status = status_of(record);
	bool colour = table->colour && status != NULL;

	fputs(colour ? status->colour : "", table->out);
	print_padded(table->out, status != NULL ? status->shouted : text_of(record, "status"),
	    STATUS_COLUMNS);
	fputs(colour ? "\033[0m" : "", table->out);
}

/* What to do stands behind what happened where there is room, else below it. */
static void print_row(const struct table *table, const json_t *record)
{
	char buffer[NEXT_SIZE];
	const char *what = advice_what(buffer, sizeof(buffer), record);
	size_t taken = STATUS_COLUMNS + table->asset + table->account + 8;
	char next[NEXT_SIZE];

	advice_next(next, sizeof(next), record);
	taken += format_width(what) + 4 + format_width(next);
	print_status(table, record);
	print_padded(table->out, text_of(record, "asset"), table->asset);
	print_padded(table->out, text_of(record, "account"), table->account);
	fprintf(table->out, "  %s", what);
	if (next[0] != '\0')
		fprintf(table->out, "%s→ %s",
		    table->width > 0 && taken > table->width ? "\n" INDENT : "  ", next);
	fputc('\n', table->out);
}

/* `rows` is to be freed. */
static void table_print(struct table *table, const json_t *records)
{
	table->rows = xcalloc(TROUBLES_SHOWN, sizeof(*table->rows));
	table_choose(table, records, TROUBLES_SHOWN);
	for (size_t i = 0; i < table->count; i++)
		print_row(table, table->rows[i]);
}

/* ── The rest ────────────────────────────────────────────────────────────────────────────── */

struct cause {
	const char *word;
	size_t count;
};

/* A reason says more than the error on the way to it. */
static const char *cause_of(const json_t *record)
{
	const char *reason = text_of(record, "reason");

	return reason[0] != '\0' ? reason : text_of(json_object_get(record, "error"), "code");
}

static int most_first(const void *left, const void *right)
{
	const struct cause *a = left, *b = right;

	return (a->count < b->count) - (a->count > b->count);
}

static size_t causes_count(const json_t *records, struct cause causes[CAUSES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(records); i++) {
		const char *word = cause_of(json_array_get(records, i));
		size_t at = 0;

		while (at < count && strcmp(causes[at].word, word) != 0)
			at++;
		if (at == CAUSES_MAX)
			continue;
		causes[at].word = word;
		causes[at].count++;
		count = at == count ? count + 1 : count;
	}
	qsort(causes, count, sizeof(*causes), most_first);
	return count;
}

static void print_causes(FILE *out, const json_t *records)
{
	struct cause causes[CAUSES_MAX] = {{NULL, 0}};
	size_t count = causes_count(records, causes);
	char text[FORMAT_SIZE];

	fputs("  in all:", out);
	for (size_t i = 0; i < count && i < CAUSES_SHOWN; i++)
		fprintf(out, "%s %s %s", i == 0 ? "" : ",",
		    causes[i].word[0] != '\0' ? causes[i].word : "other",
		    format_count(text, causes[i].count));
	fputs(count > CAUSES_SHOWN ? ", …\n" : "\n", out);
}

void troubles_rows(FILE *out, const json_t *records, size_t width, bool colour)
{
	struct table table = {.out = out, .width = width, .colour = colour};

	table_print(&table, records);
	free(table.rows);
}

void troubles_print(
    FILE *out, const json_t *records, const char *execution, size_t width, bool colour)
{
	size_t count = json_array_size(records);
	struct table table = {.out = out, .width = width, .colour = colour};
	char more[FORMAT_SIZE];

	table_print(&table, records);
	if (count > table.count) {
		fprintf(out, "  … and %s more: lockstep record list --execution %s\n",
		    format_count(more, count - table.count), execution);
		print_causes(out, records);
	}
	if (count > 1 && text_of(table.rows[0], "task")[0] != '\0')
		fprintf(out, "when the causes are mended: lockstep record retry --execution %s\n",
		    execution);
	free(table.rows);
}
