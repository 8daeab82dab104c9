#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/format.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

#define KEY_LIMIT 0x1000

static int list_run(struct cli *);
static int show_run(struct cli *);

static const struct argp_option list_options[] = {
    {"limit", KEY_LIMIT, "N", 0, "only the N newest", 0},
    {0},
};

const struct command execution_commands[] = {
    {"execution list", "", "show what was run, newest first", list_options, 0, 0, list_run},
    {"execution show", "ID", "show one execution", NULL, 1, 1, show_run},
    {0},
};

static const char *state_of(const json_t *execution)
{
	return json_is_true(json_object_get(execution, "interrupted")) ? "interrupted" : "ended";
}

static char *count_text(char out[FORMAT_SIZE], const json_t *execution, const char *status)
{
	json_int_t count = number_of(json_object_get(execution, "counts"), status);

	if (count == 0)
		out[0] = '\0';
	else
		format_count(out, (uint64_t)count);
	return out;
}

static void print_executions(const json_t *executions)
{
	static const char *const titles[] = {"execution", "task", "by", "started", "total",
	    "success", "failed", "unverified", "skipped", "", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *execution;
	size_t i;

	json_array_foreach(executions, i, execution)
	{
		char started[FORMAT_SIZE], total[FORMAT_SIZE], counts[4][FORMAT_SIZE];

		sheet_add(sheet, (const char *const[]){
				     text_of(execution, "id"),
				     text_of(execution, "task"),
				     text_of(execution, "trigger"),
				     format_time(started, text_of(execution, "started")),
				     format_count(total, (uint64_t)number_of(execution, "total")),
				     count_text(counts[0], execution, "success"),
				     count_text(counts[1], execution, "failed"),
				     count_text(counts[2], execution, "unverified"),
				     count_text(counts[3], execution, "skipped"),
				     state_of(execution),
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static int list_run(struct cli *cli)
{
	json_t *params = json_copy(cli->options), *result;
	int status = cli_call(cli, "execution.list", params, &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && json_array_size(result) == 0)
		printf("nothing was run yet: lockstep run TASK\n");
	else if (status == SERVICE_OK)
		print_executions(result);
	json_decref(result);
	return status;
}

static void print_execution(const json_t *execution)
{
	char text[FORMAT_SIZE];
	const char *key;
	json_t *count;

	printf("execution    %s\n", text_of(execution, "id"));
	printf("task         %s (%s)\n", text_of(execution, "task"), text_of(execution, "trigger"));
	printf("started      %s\n", format_time(text, text_of(execution, "started")));
	printf("ended        %s%s\n", format_time(text, text_of(execution, "ended")),
	    json_is_true(json_object_get(execution, "interrupted")) ? "  (its engine was killed)"
								    : "");
	printf("accounts     %s\n", format_count(text, (uint64_t)number_of(execution, "total")));
	json_object_foreach(json_object_get(execution, "counts"), key, count)
	{
		if (json_integer_value(count) > 0)
			printf("  %-10s %s\n", key,
			    format_count(text, (uint64_t)json_integer_value(count)));
	}
	printf("its records: lockstep record list --execution %s\n", text_of(execution, "id"));
}

static int show_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "execution", json_text(cli->args[0]));
	status = cli_call(cli, "execution.show", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_execution(result);
	json_decref(result);
	return status;
}
