#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"
#include "base/format.h"

#define VALUE_SIZE 256

static int diff_run(struct cli *);

const struct command diff_commands[] = {
    {"diff", "", "show what a reload would change in the engine that runs", NULL, 0, 0, diff_run},
    {0},
};

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

/* "interval_ms" is a span of time, and so shown. */
static bool is_span(const char *field)
{
	size_t len = strlen(field);

	return len > 3 && strcmp(field + len - 3, "_ms") == 0;
}

static const char *value_words(char out[VALUE_SIZE], const char *field, const json_t *value)
{
	if (json_is_string(value))
		snprintf(out, VALUE_SIZE, "%s", json_string_value(value));
	else if (json_is_boolean(value))
		snprintf(out, VALUE_SIZE, "%s", json_is_true(value) ? "true" : "false");
	else if (!json_is_integer(value))
		snprintf(out, VALUE_SIZE, "none");
	else if (is_span(field))
		format_elapsed(out, (uint64_t)json_integer_value(value));
	else
		snprintf(out, VALUE_SIZE, "%lld", (long long)json_integer_value(value));
	return out;
}

static void print_fields(const json_t *fields)
{
	const json_t *field;
	size_t i;

	json_array_foreach(fields, i, field)
	{
		const char *name = text_of(field, "field");
		char was[VALUE_SIZE], is[VALUE_SIZE];
		int len = (int)strlen(name) - (is_span(name) ? 3 : 0);

		value_words(was, name, json_object_get(field, "was"));
		value_words(is, name, json_object_get(field, "is"));
		if (strcmp(was, is) == 0)
			printf("  %.*s: another one, that reads the same (%s)\n", len, name, is);
		else
			printf("  %.*s: %s → %s\n", len, name, was, is);
	}
}

/* ── What is gained and lost ─────────────────────────────────────────────────────────────── */

static void print_example(const json_t *example)
{
	if (json_is_string(example))
		printf("%s", json_string_value(example));
	else
		printf("%s on %s", text_of(example, "account"), text_of(example, "asset"));
}

/* "  + 12 accounts: app on web1, …" */
static void print_some(const char *mark, const char *what, const json_t *some)
{
	const json_t *examples = json_object_get(some, "examples"), *example;
	json_int_t count = number_of(some, "count");
	char text[FORMAT_SIZE];
	size_t i;

	if (count == 0)
		return;
	printf("  %s %s %s: ", mark, format_count(text, (uint64_t)count), what);
	json_array_foreach(examples, i, example)
	{
		printf("%s", i == 0 ? "" : ", ");
		print_example(example);
	}
	printf("%s\n", count > (json_int_t)i ? ", …" : "");
}

static void print_sides(const char *what, const json_t *sides)
{
	const json_t *gained = json_object_get(sides, "gained");
	const json_t *lost = json_object_get(sides, "lost");
	const json_t *changed = json_object_get(sides, "changed");

	if (number_of(gained, "count") + number_of(lost, "count") + number_of(changed, "count") ==
	    0)
		return;
	printf("%s\n", what);
	print_some("+", "gained", gained);
	print_some("-", "lost", lost);
	print_some("~", "changed", changed);
}

static void print_tasks(const json_t *tasks)
{
	const json_t *task;
	size_t i;

	json_array_foreach(tasks, i, task)
	{
		const char *change = text_of(task, "change");

		printf("task \"%s\"%s%s\n", text_of(task, "name"),
		    strcmp(change, "changed") == 0 ? "" : ": ",
		    strcmp(change, "changed") == 0 ? "" : change);
		print_fields(json_object_get(task, "fields"));
		print_some("+", "accounts", json_object_get(task, "gained"));
		print_some("-", "accounts", json_object_get(task, "lost"));
	}
}

static void print_diff(const struct cli *cli, const json_t *result)
{
	const json_t *settings = json_object_get(result, "settings");
	char loaded[FORMAT_SIZE];

	if (json_is_true(json_object_get(result, "same")))
		printf("nothing differs from what was loaded %s\n",
		    format_time(loaded, text_of(result, "loaded")));
	if (json_array_size(settings) > 0)
		printf("settings\n");
	print_fields(settings);
	print_sides("platforms", json_object_get(result, "platforms"));
	print_sides("assets", json_object_get(result, "assets"));
	print_tasks(json_object_get(result, "tasks"));
	fflush(stdout);
	if (!cli->quiet)
		cli_problems(json_object_get(result, "warnings"), "warning: ");
}

/* ── The command ─────────────────────────────────────────────────────────────────────────── */

static bool is_our_dir(const struct cli *cli, const json_t *result)
{
	char ours[PATH_MAX];

	return realpath(cli->dir, ours) == NULL || strcmp(ours, text_of(result, "dir")) == 0;
}

static int diff_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "diff", json_object(), &result);

	if (result == NULL)
		return status;
	if (!is_our_dir(cli, result))
		status = cli_usage("the engine that has this vault goes by the policy in %s, and "
				   "not by %s: give lockstep -C %s diff",
		    text_of(result, "dir"), cli->dir, text_of(result, "dir"));
	else if (cli->json)
		status = cli_print_json(result, status);
	else
		print_diff(cli, result);
	json_decref(result);
	return status;
}
