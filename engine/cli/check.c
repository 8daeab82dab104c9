#include "cli/cli.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/format.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

static int check_run(struct cli *);

const struct command check_commands[] = {
    {"check", "", "read the whole policy and say what is wrong with it", NULL, 0, 0, check_run},
    {0},
};

static const char *next_words(const json_t *task)
{
	if (!json_is_true(json_object_get(task, "active")))
		return "not active";
	if (text_of(task, "schedule")[0] != '\0' && text_of(task, "next")[0] == '\0')
		return "never again";
	return text_of(task, "next_local");
}

static void print_tasks(const json_t *tasks)
{
	static const char *const titles[] = {
	    "task", "accounts", "assets", "secret", "proof", "next", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *task;
	size_t i;

	json_array_foreach(tasks, i, task)
	{
		char accounts[FORMAT_SIZE], assets[FORMAT_SIZE];

		sheet_add(sheet, (const char *const[]){
				     text_of(task, "name"),
				     format_count(accounts, (uint64_t)number_of(task, "accounts")),
				     format_count(assets, (uint64_t)number_of(task, "assets")),
				     text_of(task, "secret"),
				     text_of(task, "verify"),
				     next_words(task),
				 });
	}
	if (i > 0)
		sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static void print_result(const struct cli *cli, const json_t *result, double elapsed_s)
{
	const json_t *tasks = json_object_get(result, "tasks");
	char assets[FORMAT_SIZE];

	printf("policy ok: assets %s, tasks %zu, platforms %lld   (%.2f s)\n",
	    format_count(assets, (uint64_t)number_of(result, "assets")), json_array_size(tasks),
	    (long long)number_of(result, "platforms"), elapsed_s);
	print_tasks(tasks);
	fflush(stdout);
	if (!cli->quiet)
		cli_problems(json_object_get(result, "warnings"), "warning: ");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* With --json, what is wrong is a result too. */
static int check_json(struct cli *cli)
{
	struct error error = {.code = ERR_OK};
	json_t *params = json_object(), *result;
	enum service_end end = service_call(cli->service, "check", params, &result, &error);
	int status = end;

	if (result != NULL)
		status = cli_print_json(result, end);
	else
		fprintf(stderr, "lockstep: %s\n", error.text);
	json_decref(result);
	json_decref(params);
	return status;
}

static int check_run(struct cli *cli)
{
	double started_s = seconds();
	json_t *result;
	enum service_end end;

	if (cli->json)
		return check_json(cli);
	end = cli_call(cli, "check", json_object(), &result);
	if (end == SERVICE_OK)
		print_result(cli, result, seconds() - started_s);
	json_decref(result);
	return end;
}
