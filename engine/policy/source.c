#include "policy/source.h"

#include <ctype.h>
#include <string.h>

#include "policy.h"

/* ── Tokens ──────────────────────────────────────────────────────────────────────────────── */

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_OTHER };

struct scanner {
	const char *at, *end, *line_start;
	size_t line;
	/* The token. */
	enum token_kind kind;
	const char *text; /* a string's inside */
	size_t len;
	struct position position;
};

static void scanner_init(struct scanner *scanner, const char *text, size_t len)
{
	*scanner = (struct scanner){.at = text, .end = text + len, .line_start = text, .line = 1};
}

static void step(struct scanner *scanner)
{
	if (*scanner->at++ == '\n') {
		scanner->line++;
		scanner->line_start = scanner->at;
	}
}

static bool starts_with(const struct scanner *scanner, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(scanner->end - scanner->at) >= len && memcmp(scanner->at, text, len) == 0;
}

/* At `[`, any number of `=`, `[`: the number and one more; else 0. */
static size_t long_bracket(const struct scanner *scanner)
{
	const char *at = scanner->at + 1;

	if (scanner->at == scanner->end || *scanner->at != '[')
		return 0;
	while (at < scanner->end && *at == '=')
		at++;
	return at < scanner->end && *at == '[' ? (size_t)(at - scanner->at) : 0;
}

static bool closes_long(const struct scanner *scanner, size_t level)
{
	if ((size_t)(scanner->end - scanner->at) <= level || *scanner->at != ']')
		return false;
	for (size_t i = 1; i < level; i++)
		if (scanner->at[i] != '=')
			return false;
	return scanner->at[level] == ']';
}

static void skip_long(struct scanner *scanner, size_t level)
{
	while (scanner->at < scanner->end && !closes_long(scanner, level))
		step(scanner);
	for (size_t i = 0; i <= level && scanner->at < scanner->end; i++)
		step(scanner);
}

static void skip_comment(struct scanner *scanner)
{
	size_t level;

	scanner->at += 2;
	level = long_bracket(scanner);
	if (level) {
		skip_long(scanner, level);
		return;
	}
	while (scanner->at < scanner->end && *scanner->at != '\n')
		step(scanner);
}

static void skip_space(struct scanner *scanner)
{
	while (scanner->at < scanner->end) {
		if (starts_with(scanner, "--"))
			skip_comment(scanner);
		else if (isspace((unsigned char)*scanner->at))
			step(scanner);
		else
			return;
	}
}

static void scan_quoted(struct scanner *scanner)
{
	char quote = *scanner->at;

	step(scanner);
	scanner->text = scanner->at;
	while (scanner->at < scanner->end && *scanner->at != quote) {
		if (*scanner->at == '\\' && scanner->at + 1 < scanner->end)
			step(scanner);
		step(scanner);
	}
	scanner->len = (size_t)(scanner->at - scanner->text);
	if (scanner->at < scanner->end)
		step(scanner);
}

static bool name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void scan_name(struct scanner *scanner)
{
	while (scanner->at < scanner->end && name_char(*scanner->at))
		scanner->at++;
	scanner->len = (size_t)(scanner->at - scanner->text);
}

static void scan_long(struct scanner *scanner, size_t level)
{
	scanner->at += level + 1;
	scanner->text = scanner->at;
	skip_long(scanner, level);
	scanner->len = (size_t)(scanner->at - scanner->text);
	scanner->len -= scanner->len > level ? level + 1 : scanner->len;
}

static bool next(struct scanner *scanner)
{
	size_t level;

	skip_space(scanner);
	scanner->text = scanner->at;
	scanner->len = 0;
	scanner->position.line = scanner->line;
	scanner->position.column = (size_t)(scanner->at - scanner->line_start);
	if (scanner->at == scanner->end) {
		scanner->kind = TOKEN_END;
		return false;
	}
	level = long_bracket(scanner);
	if (level) {
		scanner->kind = TOKEN_STRING;
		scan_long(scanner, level);
	} else if (*scanner->at == '"' || *scanner->at == '\'') {
		scanner->kind = TOKEN_STRING;
		scan_quoted(scanner);
	} else if (name_char(*scanner->at)) {
		scanner->kind = TOKEN_NAME;
		scan_name(scanner);
	} else {
		scanner->kind = TOKEN_OTHER;
		scanner->len = 1;
		step(scanner);
	}
	scanner->position.len = scanner->len;
	return true;
}

static bool token_is(const struct scanner *scanner, enum token_kind kind, const char *text)
{
	return scanner->kind == kind && scanner->len == strlen(text) &&
	       memcmp(scanner->text, text, scanner->len) == 0;
}

/* ── Finding ─────────────────────────────────────────────────────────────────────────────── */

/* Stands after the statement's `kind` (and name, where it is written as a plain string). */
static bool find_statement(struct scanner *scanner, size_t line, const char *kind, const char *name)
{
	struct scanner first = {0};

	while (next(scanner) && scanner->position.line <= line) {
		struct scanner ahead;

		if (scanner->position.line != line || !token_is(scanner, TOKEN_NAME, kind))
			continue;
		if (!name)
			return true;
		if (!first.at)
			first = *scanner;
		ahead = *scanner;
		if (next(&ahead) && token_is(&ahead, TOKEN_OTHER, "("))
			next(&ahead);
		if (token_is(&ahead, TOKEN_STRING, name))
			return true;
	}
	if (first.at)
		*scanner = first;
	return first.at != NULL;
}

static int nesting(const struct scanner *scanner)
{
	if (scanner->kind != TOKEN_OTHER)
		return 0;
	if (strchr("{([", *scanner->text))
		return 1;
	return strchr("})]", *scanner->text) ? -1 : 0;
}

static bool assigned(const struct scanner *scanner)
{
	struct scanner ahead = *scanner;

	return next(&ahead) && token_is(&ahead, TOKEN_OTHER, "=");
}

/* Enters the next table and stands at its field `name`. */
static bool find_field(struct scanner *scanner, const char *name)
{
	bool may_be_key = true;
	int depth = 1;

	while (next(scanner) && !token_is(scanner, TOKEN_OTHER, "{"))
		;
	while (depth > 0 && next(scanner)) {
		if (depth == 1 && may_be_key && token_is(scanner, TOKEN_NAME, name) &&
		    assigned(scanner))
			return true;
		depth += nesting(scanner);
		may_be_key =
		    token_is(scanner, TOKEN_OTHER, ",") || token_is(scanner, TOKEN_OTHER, ";");
	}
	return false;
}

static bool find_path(struct scanner *scanner, const struct field_path *path)
{
	if (path->up && !find_path(scanner, path->up))
		return false;
	return find_field(scanner, path->name);
}

bool source_find(const struct source *source, size_t line, const char *kind, const char *name,
    const struct field_path *path, struct position *position)
{
	struct scanner scanner;

	if (!source->text.data)
		return false;
	scanner_init(&scanner, (const char *)source->text.data, source->text.len);
	if (!find_statement(&scanner, line, kind, name) || !find_path(&scanner, path))
		return false;
	*position = scanner.position;
	return true;
}

/* ── A task as a whole ───────────────────────────────────────────────────────────────────── */

/* Stands at `task`: goes behind its name, where that is the one. */
static bool pass_name(
    struct scanner *scanner, const char *text, const char *name, struct task_span *span)
{
	bool enclosed;

	span->begin = (size_t)(scanner->text - text);
	if (!next(scanner))
		return false;
	enclosed = token_is(scanner, TOKEN_OTHER, "(");
	if (enclosed)
		next(scanner);
	if (!token_is(scanner, TOKEN_STRING, name))
		return false;
	span->name_begin = (size_t)(scanner->text - 1 - text);
	span->name_end = (size_t)(scanner->at - text);
	/* In brackets of another kind its ends lie elsewhere. */
	if (!strchr("\"'", text[span->name_begin]))
		return false;
	return !enclosed || (next(scanner) && token_is(scanner, TOKEN_OTHER, ")"));
}

/* Behind the table that begins here. */
static bool pass_table(struct scanner *scanner)
{
	int depth = 1;

	if (!next(scanner) || !token_is(scanner, TOKEN_OTHER, "{"))
		return false;
	while (depth > 0 && next(scanner))
		depth += nesting(scanner);
	return depth == 0;
}

bool task_span_find(const char *text, size_t len, const char *name, struct task_span *span)
{
	struct scanner scanner;
	size_t before = 0;

	scanner_init(&scanner, text, len);
	for (; next(&scanner); before++) {
		struct scanner ahead = scanner;

		if (!token_is(&scanner, TOKEN_NAME, "task") ||
		    !pass_name(&ahead, text, name, span) || !pass_table(&ahead))
			continue;
		span->end = (size_t)(ahead.at - text);
		while (next(&ahead) && token_is(&ahead, TOKEN_OTHER, ";"))
			;
		span->alone = before == 0 && ahead.kind == TOKEN_END;
		return true;
	}
	return false;
}

/* ── Lines ───────────────────────────────────────────────────────────────────────────────── */

const char *source_line(const struct source *source, size_t line, size_t *len)
{
	const char *at = (const char *)source->text.data;
	const char *end = at ? at + source->text.len : at;
	const char *stop;

	*len = 0;
	if (!at || line == 0)
		return "";
	while (--line > 0) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			return "";
		at++;
	}
	stop = memchr(at, '\n', (size_t)(end - at));
	*len = (size_t)((stop ? stop : end) - at);
	if (*len > 0 && at[*len - 1] == '\r')
		--*len;
	return at;
}
