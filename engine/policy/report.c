#include "policy/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define WHAT_SIZE    1024
#define EXCERPT_SIZE 512
#define EXCERPT_MAX  120 /* columns */
#define TAB_COLUMNS  4

/* ── The list ────────────────────────────────────────────────────────────────────────────── */

void problems_clear(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->items[i].text);
		free(problems->items[i].file);
	}
	*problems = (struct problems){0};
}

static bool problems_has(const struct problems *problems, const char *text)
{
	for (size_t i = 0; i < problems->count; i++)
		if (strcmp(problems->items[i].text, text) == 0)
			return true;
	return false;
}

/* Only counts one that would not be kept: a hundred thousand of them must not take minutes. */
static bool problems_full(struct problems *problems)
{
	if (problems->count < POLICY_PROBLEMS_MAX)
		return false;
	problems->more++;
	return true;
}

static void problems_push(
    struct problems *problems, const char *file, size_t line, char *text /* transferred */)
{
	if (problems_has(problems, text)) {
		free(text);
		return;
	}
	problems->items[problems->count++] =
	    (struct problem){.text = text, .file = file ? xstrdup(file) : NULL, .line = line};
}

static int problem_compare(const void *left, const void *right)
{
	const struct problem *a = left, *b = right;
	int order = strcmp(a->file ? a->file : "", b->file ? b->file : "");

	if (order)
		return order;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return strcmp(a->text, b->text);
}

void problems_sort(struct problems *problems)
{
	qsort(problems->items, problems->count, sizeof(problems->items[0]), problem_compare);
}

/* ── The line and the caret ──────────────────────────────────────────────────────────────── */

/* Columns that the first `bytes` of a line take once tabs are spaces. */
static size_t columns(const char *line, size_t bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (line[i] == '\t')
			count += TAB_COLUMNS;
		else if (((unsigned char)line[i] & 0xc0) != 0x80)
			count++;
	}
	return count;
}

static void spaces_for_tabs(char *out, size_t size, const char *line, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len && used + TAB_COLUMNS < size; i++) {
		if (line[i] == '\t') {
			memset(out + used, ' ', TAB_COLUMNS);
			used += TAB_COLUMNS;
		} else {
			out[used++] = line[i];
		}
	}
	out[used] = '\0';
}

/* "\n   7 |   recipient = …", or nothing for a line that is empty or not text. */
static void excerpt(char *out, size_t size, const struct source *source, size_t line)
{
	char plain[EXCERPT_SIZE], shown[EXCERPT_MAX];
	size_t len;
	const char *text = source_line(source, line, &len);

	out[0] = '\0';
	if (len == 0 || !text_is_utf8(text, len))
		return;
	spaces_for_tabs(plain, sizeof(plain), text, len);
	text_escape(shown, sizeof(shown), plain, strlen(plain));
	snprintf(out, size, "\n%4zu | %s", line, shown);
}

/* "\n     |   ^^^^^^^^^", or nothing when it would stand outside what is shown. */
static void caret(
    char *out, size_t size, const struct source *source, const struct position *position)
{
	char marks[EXCERPT_MAX + 1];
	size_t len, before, wide;
	const char *text = source_line(source, position->line, &len);

	before = columns(text, position->column);
	wide = columns(text + position->column, position->len);
	out[0] = '\0';
	if (before + wide >= EXCERPT_MAX)
		return;
	memset(marks, '^', sizeof(marks));
	snprintf(out, size, "\n     | %*s%.*s", (int)before, "", (int)wide, marks);
}

/* ── Messages ────────────────────────────────────────────────────────────────────────────── */

__attribute__((format(printf, 2, 0))) static void format(
    char out[WHAT_SIZE], const char *fmt, va_list args)
{
	char raw[WHAT_SIZE];
	int len = vsnprintf(raw, sizeof(raw), fmt, args);

	if (len < 0)
		len = 0;
	text_escape(out, WHAT_SIZE, raw, (size_t)len < sizeof(raw) ? (size_t)len : sizeof(raw) - 1);
}

static char *with_place(const char *file, size_t line, const char *what, const char *below)
{
	if (!file)
		return xasprintf("%s%s", what, below);
	if (line == 0)
		return xasprintf("%s: %s%s", file, what, below);
	return xasprintf("%s:%zu: %s%s", file, line, what, below);
}

void problem_add(struct problems *problems, const char *file, size_t line, const char *fmt, ...)
{
	char what[WHAT_SIZE];
	va_list args;

	if (problems_full(problems))
		return;
	va_start(args, fmt);
	format(what, fmt, args);
	va_end(args);
	problems_push(problems, file, line, with_place(file, line, what, ""));
}

void problem_add_line(
    struct problems *problems, const struct source *source, size_t line, const char *fmt, ...)
{
	char what[WHAT_SIZE], below[EXCERPT_SIZE];
	va_list args;

	if (problems_full(problems))
		return;
	va_start(args, fmt);
	format(what, fmt, args);
	va_end(args);
	excerpt(below, sizeof(below), source, line);
	problems_push(problems, source->file, line, with_place(source->file, line, what, below));
}

static void name_statement(char out[WHAT_SIZE], const struct statement *statement, const char *what)
{
	char name[160];

	if (!statement->name) {
		snprintf(out, WHAT_SIZE, "%s: %s", statement->kind, what);
		return;
	}
	text_escape(name, sizeof(name), statement->name, strlen(statement->name));
	snprintf(out, WHAT_SIZE, "%s \"%s\": %s", statement->kind, name, what);
}

static void statement_push(struct problems *problems, const struct statement *statement,
    size_t line, const char *what, const char *below)
{
	char named[WHAT_SIZE];

	name_statement(named, statement, what);
	problems_push(
	    problems, statement->file, line, with_place(statement->file, line, named, below));
}

void statement_problem(struct problems *problems, const struct statement *statement,
    const struct field_path *path, const char *meant, const char *fmt, ...)
{
	char what[WHAT_SIZE], line[EXCERPT_SIZE] = "", marks[EXCERPT_SIZE] = "", offer[256] = "";
	struct position position = {.line = statement->line};
	char *below;
	va_list args;

	if (problems_full(problems))
		return;
	va_start(args, fmt);
	format(what, fmt, args);
	va_end(args);
	if (statement->source) {
		bool found = path && source_find(statement->source, statement->line,
					 statement->kind, statement->name, path, &position);

		excerpt(line, sizeof(line), statement->source, position.line);
		if (found && line[0])
			caret(marks, sizeof(marks), statement->source, &position);
	}
	if (meant)
		snprintf(
		    offer, sizeof(offer), "%s did you mean \"%s\"?", marks[0] ? "" : ";", meant);
	below = marks[0] ? xasprintf("%s%s%s", line, marks, offer) : xasprintf("%s%s", offer, line);
	statement_push(problems, statement, position.line, what, below);
	free(below);
}

void statement_problem_quiet(struct problems *problems, const struct statement *statement,
    const struct field_path *path, const char *what)
{
	struct position position = {.line = statement->line};

	if (problems_full(problems))
		return;
	if (statement->source)
		(void)source_find(statement->source, statement->line, statement->kind,
		    statement->name, path, &position);
	statement_push(problems, statement, position.line, what, "");
}

void statement_problem_why(struct problems *problems, const struct statement *statement,
    const char *why, const char *fmt, ...)
{
	char what[WHAT_SIZE], shown[WHAT_SIZE];
	char *below;
	va_list args;

	if (problems_full(problems))
		return;
	va_start(args, fmt);
	format(what, fmt, args);
	va_end(args);
	text_escape(shown, sizeof(shown), why, strlen(why));
	below = xasprintf("\n     %s", shown);
	statement_push(problems, statement, statement->line, what, below);
	free(below);
}

void field_path_text(const struct field_path *path, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	if (path->up) {
		field_path_text(path->up, out, size);
		used = strlen(out);
	}
	snprintf(out + used, size - used, "%s%s", path->up ? "." : "", path->name);
}
