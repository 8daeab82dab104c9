/*
 * The manual pages say all that there is: lockstep(1) each command with its arguments and options,
 * lockstep-policy(5) and lockstep-platform(5) each field and function of lua/meta. The operations
 * guide names no command and no test that there is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"

#define LINES_MAX 4000
#define LINE_SIZE 512

struct page {
	char (*lines)[LINE_SIZE];
	size_t count;
};

static struct page read_page(const char *name)
{
	const char *srcdir = getenv("srcdir");
	struct page page = {.lines = calloc(LINES_MAX, LINE_SIZE)};
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", srcdir != NULL ? srcdir : ".", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s cannot be read", path);
	while (page.count < LINES_MAX && fgets(page.lines[page.count], LINE_SIZE, file) != NULL) {
		char *end = strchr(page.lines[page.count], '\n');

		assert_non_null(end);
		*end = '\0';
		page.count++;
	}
	fclose(file);
	assert_true(page.count < LINES_MAX);
	return page;
}

/* The first line from `at` on that begins with `text`, which ends there or is followed by a space;
 * `count` when there is none. */
static size_t find_line(const struct page *page, size_t at, const char *text)
{
	size_t len = strlen(text);

	for (; at < page->count; at++) {
		const char *line = page->lines[at];

		if (strncmp(line, text, len) == 0 && (line[len] == '\0' || line[len] == ' '))
			return at;
	}
	return page->count;
}

/* ── lockstep(1) ─────────────────────────────────────────────────────────────────────────── */

/* True when the lines of a command's part have "Fl Fl NAME". */
static bool has_option(const struct page *page, size_t from, size_t to, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "Fl Fl %s", name);
	for (size_t i = from; i < to; i++) {
		const char *found = strstr(page->lines[i], text);

		if (found != NULL && (found[strlen(text)] == '\0' || found[strlen(text)] == ' '))
			return true;
	}
	return false;
}

static size_t tokens(const char *text, const char *stop)
{
	size_t count = 0;

	while (*(text += strspn(text, stop)) != '\0') {
		count++;
		text += strcspn(text, stop);
	}
	return count;
}

/* An item of its own, with as many arguments, and all of its options up to the next command. */
static void check_command(const struct page *page, const struct command *command)
{
	const struct argp_option *option = command->options;
	char item[96];
	size_t from, to, args;

	snprintf(item, sizeof(item), ".It Ic %s", command->words);
	from = find_line(page, 0, item);
	if (from == page->count)
		fail_msg("lockstep.1 has no \"%s\"", item);
	args = tokens(page->lines[from] + strlen(item), " |[].") > 0 ? 1 : 0;
	if ((args > 0) != (command->args[0] != '\0'))
		fail_msg("lockstep.1: \"%s\" and its arguments \"%s\"", item, command->args);
	to = find_line(page, from + 1, ".It Ic");
	for (; option != NULL && option->name != NULL; option++)
		if (!has_option(page, from, to, option->name))
			fail_msg("lockstep.1: \"%s\" has no --%s", command->words, option->name);
}

static void test_every_command_is_in_the_manual(void **state)
{
	struct page page = read_page("docs/lockstep.1");
	size_t commands = 0, items = 0;

	(void)state;
	for (size_t t = 0; command_tables[t] != NULL; t++)
		for (const struct command *c = command_tables[t]; c->words != NULL; c++, commands++)
			check_command(&page, c);
	for (const struct argp_option *o = command_global_options; o->name != NULL; o++)
		if (!has_option(&page, 0, page.count, o->name))
			fail_msg("lockstep.1 has no --%s", o->name);
	for (size_t at = 0; (at = find_line(&page, at, ".It Ic")) < page.count; at++)
		items++;
	assert_int_equal(items, commands); /* none that there is no more */
	free(page.lines);
}

/* `lockstep --help` has a line for each, which a terminal of 80 columns does not wrap. */
static void test_every_summary_fits_a_line(void **state)
{
	(void)state;
	for (size_t t = 0; command_tables[t] != NULL; t++)
		for (const struct command *c = command_tables[t]; c->words != NULL; c++)
			if (strlen(c->words) > 16 || strlen(c->summary) > 60)
				fail_msg("%s: \"%s\" is too long", c->words, c->summary);
}

/* ── The Lua ─────────────────────────────────────────────────────────────────────────────── */

/* The word behind a marker: letters, digits, `_`. */
static bool word_behind(const char *line, const char *marker, char out[64])
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t len = strlen(marker);

	if (strncmp(line, marker, len) != 0)
		return false;
	snprintf(out, 64, "%.*s", (int)strspn(line + len, letters), line + len);
	return out[0] != '\0';
}

/* A class is marked by a comment; its fields stand up to the next one. */
static void check_field(
    const struct page *page, const char *name, const char *class, const char *field)
{
	char marker[96], item[96];
	size_t from, to;

	snprintf(marker, sizeof(marker), ".\\\" @class %s", class);
	snprintf(item, sizeof(item), ".It Va %s", field);
	from = find_line(page, 0, marker);
	to = find_line(page, from + 1, ".\\\" @class");
	if (from == page->count)
		fail_msg("%s has no part for the class \"%s\" (%s)", name, class, marker);
	if (find_line(page, from, item) >= to)
		fail_msg("%s: class \"%s\" has no \"%s\"", name, class, item);
}

static void check_function(const struct page *page, const char *name, const char *line)
{
	char item[96], word[64];
	const char *colon = strchr(line, ':'), *paren = strchr(line, '(');
	bool method = colon != NULL && paren != NULL && colon < paren;

	if (!word_behind(line, "function ", word))
		return;
	if (method)
		(void)word_behind(colon + 1, "", word);
	snprintf(item, sizeof(item), ".It Ic %s%s", method ? "job.admin:" : "", word);
	if (find_line(page, 0, item) == page->count)
		fail_msg("%s has no \"%s\"", name, item);
}

static void check_reference(const char *page_name, const char *meta_name)
{
	struct page page = read_page(page_name), meta = read_page(meta_name);
	char class[64] = "", word[64], alias[96];
	size_t fields = 0;

	for (size_t i = 0; i < meta.count; i++) {
		const char *line = meta.lines[i];

		if (word_behind(line, "---@class ", word)) {
			snprintf(class, sizeof(class), "%s", word);
		} else if (word_behind(line, "---@field ", word)) {
			check_field(&page, page_name, class, word);
			fields++;
		} else if (word_behind(line, "---@alias ", word)) {
			snprintf(alias, sizeof(alias), ".\\\" @alias %s", word);
			if (find_line(&page, 0, alias) == page.count)
				fail_msg("%s has no \"%s\"", page_name, alias);
		} else {
			check_function(&page, page_name, line);
		}
	}
	assert_true(fields > 10);
	free(page.lines);
	free(meta.lines);
}

static void test_every_field_of_a_policy_is_in_the_manual(void **state)
{
	(void)state;
	check_reference("docs/lockstep-policy.5", "lua/meta/policy.lua");
}

static void test_every_field_of_a_platform_is_in_the_manual(void **state)
{
	(void)state;
	check_reference("docs/lockstep-platform.5", "lua/meta/platform.lua");
}

/* ── docs/operations.md ──────────────────────────────────────────────────────────────────── */

static bool is_command(const char *words)
{
	size_t len = strcspn(words, "`");

	for (size_t t = 0; command_tables[t] != NULL; t++)
		for (const struct command *c = command_tables[t]; c->words != NULL; c++) {
			size_t own = strlen(c->words);

			if (own <= len && strncmp(words, c->words, own) == 0 &&
			    (own == len || words[own] == ' ' || words[own] == ':'))
				return true;
		}
	return false;
}

/* Each `lockstep WORDS` of the line, and one that begins it. */
static size_t check_line(const char *line)
{
	static const char name[] = "lockstep ";
	size_t count = 0;

	for (const char *at = line; (at = strstr(at, name)) != NULL; at += sizeof(name) - 1) {
		if (at != line && at[-1] != '`')
			continue;
		if (!is_command(at + sizeof(name) - 1))
			fail_msg("docs/operations.md has no such command: %s", at);
		count++;
	}
	return count;
}

/* "| `NN_name.py` `test_name` |" at the end of a row. */
static bool check_test(const char *line)
{
	const char *file = strstr(line, ".py` `test_");
	char path[64], function[140], test[128];
	struct page page;
	size_t at;

	if (file == NULL)
		return false;
	snprintf(test, sizeof(test), "%s", strstr(file, "test_"));
	test[strcspn(test, "`")] = '\0';
	while (file[-1] != '`')
		file--;
	snprintf(path, sizeof(path), "tests/e2e/%.*s", (int)strcspn(file, "`"), file);
	snprintf(function, sizeof(function), "def %s():", test);
	page = read_page(path);
	at = find_line(&page, 0, function);
	if (at == page.count)
		fail_msg("docs/operations.md names %s of %s, which is not there", test, path);
	free(page.lines);
	return true;
}

static void test_the_guide_names_what_there_is(void **state)
{
	struct page page = read_page("docs/operations.md");
	size_t commands = 0, tests = 0;

	(void)state;
	for (size_t at = 0; at < page.count; at++) {
		commands += check_line(page.lines[at]);
		tests += check_test(page.lines[at]);
	}
	assert_true(commands > 60 && tests > 15);
	free(page.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_command_is_in_the_manual),
	    cmocka_unit_test(test_every_summary_fits_a_line),
	    cmocka_unit_test(test_every_field_of_a_policy_is_in_the_manual),
	    cmocka_unit_test(test_every_field_of_a_platform_is_in_the_manual),
	    cmocka_unit_test(test_the_guide_names_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
