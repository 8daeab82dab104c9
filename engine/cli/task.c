#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/format.h"
#include "cli/list.h"
#include "cli/run.h"
#include "cli/task_file.h"

enum { KEY_COUNT = 0x1000, KEY_FOR, KEY_WHY };

static int list_run(struct cli *);
static int show_run(struct cli *);
static int next_run(struct cli *);
static int pause_run(struct cli *);
static int resume_run(struct cli *);

static const struct argp_option list_options[] = {LIST_CSV, {0}};

static const struct argp_option next_options[] = {
    {"count", KEY_COUNT, "N", 0, "the next N (5)", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option pause_options[] = {
    {"for", KEY_FOR, "DURATION", 0, "until so long from now, such as 2d (else until resumed)", 0},
    {"why", KEY_WHY, "TEXT", 0, "for whoever finds it paused", 0},
    {0},
};

const struct command task_commands[] = {
    {"task list", "", "show the tasks, and when each is next run", list_options, 0, 0, list_run},
    {"task show", "TASK", "show all that the policy says of a task", NULL, 1, 1, show_run},
    {"task next", "[TASK]", "show when schedules next begin a run", next_options, 0, 1, next_run},
    {"task pause", "TASK", "do not follow a task's schedule for a while", pause_options, 1, 1,
	pause_run},
    {"task resume", "TASK", "follow a task's schedule again", NULL, 1, 1, resume_run},
    {"task run", "TASK", "rotate the accounts of a task, as \"run\" does", run_options, 1, 1,
	run_run},
    {"task create", "NAME", "write a new task into the policy", task_create_options, 1, 1,
	task_create_run},
    {"task edit", "TASK", "change a task in $EDITOR, and check it", task_edit_options, 1, 1,
	task_edit_run},
    {"task copy", "TASK NAME", "write a task into the policy that is as another", task_copy_options,
	2, 2, task_copy_run},
    {"task rename", "OLD NEW", "give a task another name; what is kept of it follows",
	task_rename_options, 2, 2, task_rename_run},
    {"task delete", "TASK", "take a task out of the policy; its history stays", task_delete_options,
	1, 1, task_delete_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static bool is_paused(const json_t *task)
{
	return json_is_object(json_object_get(task, "paused"));
}

static const char *next_words(char out[LIST_TEXT_SIZE], const json_t *task)
{
	const json_t *paused = json_object_get(task, "paused");
	char until[FORMAT_SIZE];

	if (text_of(task, "schedule")[0] == '\0')
		return "by hand";
	if (!json_is_true(json_object_get(task, "active")))
		return "not active";
	if (!is_paused(task))
		return text_of(task, "next")[0] == '\0' ? "never again"
							: text_of(task, "next_local");
	if (text_of(paused, "until")[0] == '\0')
		return "paused";
	snprintf(
	    out, LIST_TEXT_SIZE, "paused until %s", format_time(until, text_of(paused, "until")));
	return out;
}

/* "success 12, failed 1" of what its schedule began last. */
static const char *last_words(char out[LIST_TEXT_SIZE], const json_t *task)
{
	static const char *const words[] = {"success", "failed", "unverified", "skipped"};
	const json_t *last = json_object_get(task, "last");
	const json_t *counts = json_object_get(last, "counts");
	char started[FORMAT_SIZE];
	size_t used;

	if (!json_is_object(last))
		return "";
	used = (size_t)snprintf(
	    out, LIST_TEXT_SIZE, "%s", format_time(started, text_of(last, "started")));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && used < LIST_TEXT_SIZE; i++)
		if (number_of(counts, words[i]) > 0)
			used += (size_t)snprintf(out + used, LIST_TEXT_SIZE - used, ", %s %lld",
			    words[i], (long long)number_of(counts, words[i]));
	return out;
}

static const struct column task_columns[] = {
    {"task", "name", NULL, true},
    {"kind", "kind", NULL, false},
    {NULL, "active", NULL, false},
    {"schedule", "schedule", NULL, false},
    {"next", NULL, next_words, true},
    {NULL, "next", NULL, false},
    {NULL, "next_local", NULL, false},
    {NULL, "paused.by", NULL, false},
    {NULL, "paused.why", NULL, false},
    {NULL, "paused.until", NULL, false},
    {"last by schedule", NULL, last_words, false},
    {NULL, "last.id", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "task.list", cli_params(cli), &result);

	status = list_print(cli, status, result, task_columns, "the policy declares no task");
	json_decref(result);
	return status;
}

/* ── show ────────────────────────────────────────────────────────────────────────────────── */

static void print_line(const char *word, const char *text)
{
	if (text[0] != '\0')
		printf("%-12s %s\n", word, text);
}

static void print_span(const char *word, json_int_t ms)
{
	char text[FORMAT_SIZE];

	if (ms > 0)
		print_line(word, format_elapsed(text, (uint64_t)ms));
}

static void print_limits(const json_t *limits)
{
	const char *word;
	json_t *limit;

	json_object_foreach(json_object_get(limits, "limits"), word, limit)
	{
		if (json_is_integer(limit))
			printf("  %-10s %lld\n", word, (long long)json_integer_value(limit));
		else if (json_is_string(limit))
			printf("  %-10s %s\n", word, json_string_value(limit));
	}
}

static void print_pause(const json_t *paused)
{
	char since[FORMAT_SIZE];

	printf("paused       since %s", format_time(since, text_of(paused, "since")));
	if (text_of(paused, "by")[0] != '\0')
		printf(" by %s", text_of(paused, "by"));
	if (text_of(paused, "why")[0] != '\0')
		printf(": %s", text_of(paused, "why"));
	printf("\n");
}

static void print_accounts(const json_t *task)
{
	char accounts[FORMAT_SIZE], assets[FORMAT_SIZE], overdue[FORMAT_SIZE];

	printf("accounts     %s on %s assets",
	    format_count(accounts, (uint64_t)number_of(task, "accounts")),
	    format_count(assets, (uint64_t)number_of(task, "assets")));
	if (number_of(task, "overdue") > 0)
		printf("; %s older than its max_age",
		    format_count(overdue, (uint64_t)number_of(task, "overdue")));
	printf("\n");
}

static void print_task(const json_t *task)
{
	char text[LIST_TEXT_SIZE];

	print_line("task", text_of(task, "name"));
	print_line("declared in", text_of(task, "file"));
	print_line("kind", text_of(task, "kind"));
	print_accounts(task);
	print_line("secret", text_of(task, "secret"));
	print_line("proof", text_of(task, "verify"));
	print_line("schedule", text_of(task, "schedule"));
	print_line("next", next_words(text, task));
	if (is_paused(task))
		print_pause(json_object_get(task, "paused"));
	print_span("jitter", number_of(task, "jitter_ms"));
	print_span("catch up", number_of(task, "catch_up_ms"));
	print_line("last", last_words(text, task));
	print_span("max age", number_of(task, "max_age_ms"));
	print_line("priority", text_of(task, "priority"));
	printf("limits\n");
	print_limits(task);
	print_line("recipients", text_of(task, "recipients"));
	print_line("comment", text_of(task, "comment"));
}

/* Calls with the task that is the first argument, and prints what comes. */
static int call_for_task(struct cli *cli, const char *method, void (*print)(const json_t *task))
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "task", json_text(cli->args[0]));
	status = cli_call(cli, method, params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print(result);
	json_decref(result);
	return status;
}

static int show_run(struct cli *cli)
{
	return call_for_task(cli, "task.show", print_task);
}

/* ── next ────────────────────────────────────────────────────────────────────────────────── */

static const char *until_text(char out[LIST_TEXT_SIZE], const json_t *moment)
{
	return text_of(moment, "until")[0] == '\0' ? ""
						   : format_time(out, text_of(moment, "until"));
}

static const struct column moment_columns[] = {
    {"begins", "start_local", NULL, true},
    {NULL, "start", NULL, false},
    {NULL, "due", NULL, false},
    {"task", "task", NULL, true},
    {"its window closes", NULL, until_text, true},
    {NULL, "until", NULL, false},
    {0},
};

static int next_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	if (cli->arg_count > 0)
		json_object_set_new(params, "task", json_text(cli->args[0]));
	status = cli_call(cli, "task.next", params, &result);
	status = list_print(cli, status, result, moment_columns,
	    "no run is due: no task that is meant has a schedule that is followed");
	json_decref(result);
	return status;
}

/* ── pause, resume ───────────────────────────────────────────────────────────────────────── */

static void print_next(const json_t *task)
{
	char text[LIST_TEXT_SIZE];

	printf("task \"%s\": %s\n", text_of(task, "name"), next_words(text, task));
}

static int pause_run(struct cli *cli)
{
	return call_for_task(cli, "task.pause", print_next);
}

static int resume_run(struct cli *cli)
{
	return call_for_task(cli, "task.resume", print_next);
}
