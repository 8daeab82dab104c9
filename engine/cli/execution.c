#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/format.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/list.h"
#include "service/report.h"

enum { KEY_LIMIT = 0x1000, KEY_ASSET, KEY_HTML, KEY_OUTPUT };

static int list_run(struct cli *);
static int show_run(struct cli *);
static int log_run(struct cli *);
static int cancel_run(struct cli *);
static int report_run(struct cli *);

static const struct argp_option list_options[] = {
    {"limit", KEY_LIMIT, "N", 0, "only the N newest", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option log_options[] = {
    {"asset", KEY_ASSET, "ASSET|GLOB", 0, "only what was done on these", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option report_options[] = {
    {"html", KEY_HTML, NULL, 0, "as a page of HTML that needs nothing else", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "write it there, whole or not at all", 0},
    {0},
};

const struct command execution_commands[] = {
    {"execution list", "", "show what was run, newest first", list_options, 0, 0, list_run},
    {"execution show", "ID", "show one execution", NULL, 1, 1, show_run},
    {"execution log", "ID", "show step by step what was done, as far as it is kept", log_options, 1,
	1, log_run},
    {"execution cancel", "ID", "begin nothing more of one that is running", NULL, 1, 1, cancel_run},
    {"execution report", "ID", "tell what came of one, why, and what to do", report_options, 1, 1,
	report_run},
    {0},
};

static const char *short_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	(void)out;
	return text_of(execution, "short");
}

static const char *started_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return format_time(out, text_of(execution, "started"));
}

static const char *total_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return format_count(out, (uint64_t)number_of(execution, "total"));
}

static const char *count_text(char *out, const json_t *execution, const char *status)
{
	json_int_t count = number_of(json_object_get(execution, "counts"), status);

	return count == 0 ? "" : format_count(out, (uint64_t)count);
}

static const char *success_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return count_text(out, execution, "success");
}

static const char *failed_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return count_text(out, execution, "failed");
}

static const char *unverified_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return count_text(out, execution, "unverified");
}

static const char *skipped_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	return count_text(out, execution, "skipped");
}

static const char *state_text(char out[LIST_TEXT_SIZE], const json_t *execution)
{
	(void)out;
	if (json_is_true(json_object_get(execution, "interrupted")))
		return "interrupted";
	if (text_of(execution, "ended")[0] == '\0')
		return "running";
	return text_of(execution, "stopped")[0] != '\0' ? "stopped" : "ended";
}

static const struct column execution_columns[] = {
    {"execution", NULL, short_text, true},
    {NULL, "id", NULL, false},
    {"task", "task", NULL, false},
    {"by", "trigger", NULL, false},
    {"started", NULL, started_text, true},
    {NULL, "started", NULL, false},
    {NULL, "ended", NULL, false},
    {NULL, "interrupted", NULL, false},
    {NULL, "stopped", NULL, false},
    {"total", NULL, total_text, false},
    {"success", NULL, success_text, false},
    {"failed", NULL, failed_text, false},
    {"unverified", NULL, unverified_text, false},
    {"skipped", NULL, skipped_text, false},
    {"", NULL, state_text, false},
    {NULL, "total", NULL, false},
    {NULL, "counts.success", NULL, false},
    {NULL, "counts.failed", NULL, false},
    {NULL, "counts.unverified", NULL, false},
    {NULL, "counts.skipped", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "execution.list", cli_params(cli), &result);

	status = list_print(
	    cli, status, result, execution_columns, "nothing was run yet: lockstep run TASK");
	json_decref(result);
	return status;
}

static const char *stopped_words(const char *why)
{
	if (strcmp(why, "canary") == 0)
		return "its canaries failed, and the rest was not begun";
	if (strcmp(why, "stop_after") == 0)
		return "too many failed or are unverified (stop_after)";
	return why;
}

static const char *end_words(const json_t *execution)
{
	if (json_is_true(json_object_get(execution, "interrupted")))
		return "  (its engine was killed)";
	return text_of(execution, "ended")[0] == '\0' ? "still running" : "";
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
	    end_words(execution));
	if (text_of(execution, "stopped")[0] != '\0')
		printf("stopped      %s\n", stopped_words(text_of(execution, "stopped")));
	printf("accounts     %s\n", format_count(text, (uint64_t)number_of(execution, "total")));
	json_object_foreach(json_object_get(execution, "counts"), key, count)
	{
		if (json_integer_value(count) > 0)
			printf("  %-10s %s\n", key,
			    format_count(text, (uint64_t)json_integer_value(count)));
	}
	printf("its records: lockstep record list --execution %s\n", text_of(execution, "id"));
	printf("step by step: lockstep execution log %s\n", text_of(execution, "id"));
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

/* ── cancel ──────────────────────────────────────────────────────────────────────────────── */

static int cancel_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "execution", json_text(cli->args[0]));
	status = cli_call(cli, "execution.cancel", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("execution %s: nothing more of it is begun, and what is in flight ends\n",
		    text_of(result, "short"));
	json_decref(result);
	return status;
}

/* ── log ─────────────────────────────────────────────────────────────────────────────────── */

static const char *time_text(char out[LIST_TEXT_SIZE], const json_t *step)
{
	return format_time_ms(out, text_of(step, "time"));
}

/* "failed: locked", and how often it was visited and sent, where that was not once. */
static const char *ended_text(char out[LIST_TEXT_SIZE], const json_t *step)
{
	const char *code = text_of(json_object_get(step, "error"), "code");
	const char *reason = text_of(step, "reason");
	json_int_t visits = number_of(step, "attempts"), sends = number_of(step, "sends");
	size_t used;

	if (strcmp(reason, code) == 0)
		reason = "";
	used = (size_t)snprintf(out, LIST_TEXT_SIZE, "%s%s%s%s%s", text_of(step, "status"),
	    reason[0] != '\0' || code[0] != '\0' ? ": " : "", reason,
	    reason[0] != '\0' && code[0] != '\0' ? ", " : "", code);
	if (sends == 0 && used < LIST_TEXT_SIZE)
		used += (size_t)snprintf(out + used, LIST_TEXT_SIZE - used, "; nothing was sent");
	if (sends > 1 && used < LIST_TEXT_SIZE)
		used += (size_t)snprintf(
		    out + used, LIST_TEXT_SIZE - used, "; sent %lld times", (long long)sends);
	if (visits > 1 && used < LIST_TEXT_SIZE)
		(void)snprintf(
		    out + used, LIST_TEXT_SIZE - used, "; %lld visits", (long long)visits);
	return out;
}

static const char *step_text(char out[LIST_TEXT_SIZE], const json_t *step)
{
	const char *word = text_of(step, "step");

	if (strcmp(word, "staged") == 0)
		snprintf(out, LIST_TEXT_SIZE, "version %lld is kept, and may be sent",
		    (long long)number_of(step, "version"));
	else if (strcmp(word, "sent") == 0 && number_of(step, "sends") > 1)
		snprintf(out, LIST_TEXT_SIZE, "the last of %lld times",
		    (long long)number_of(step, "sends"));
	else if (strcmp(word, "proved") == 0)
		snprintf(out, LIST_TEXT_SIZE, "seen to work by %s", text_of(step, "proof"));
	else if (strcmp(word, "ended") == 0)
		return ended_text(out, step);
	else
		return "";
	return out;
}

static const char *message_text(char out[LIST_TEXT_SIZE], const json_t *step)
{
	(void)out;
	return text_of(json_object_get(step, "error"), "message");
}

static const struct column log_columns[] = {
    {"time", NULL, time_text, true},
    {NULL, "time", NULL, false},
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {"step", "step", NULL, false},
    {"", NULL, step_text, false},
    {"", NULL, message_text, false},
    {NULL, "record", NULL, false},
    {NULL, "version", NULL, false},
    {NULL, "proof", NULL, false},
    {NULL, "status", NULL, false},
    {NULL, "reason", NULL, false},
    {NULL, "error.code", NULL, false},
    {NULL, "error.message", NULL, false},
    {NULL, "attempts", NULL, false},
    {NULL, "sends", NULL, false},
    {0},
};

/* Where a step stands, and where it stood. */
struct place {
	json_t *step;
	size_t order;
};

static int by_time(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = strcmp(text_of(a->step, "time"), text_of(b->step, "time"));

	return order != 0 ? order : a->order < b->order ? -1 : a->order > b->order;
}

/* Each page of the log is in order of time, and all of them together then too. */
static void sort_steps(json_t *log)
{
	const json_t *steps = json_object_get(log, "steps");
	size_t count = json_array_size(steps);
	struct place *places = xcalloc(count, sizeof(*places));
	json_t *sorted = json_array();

	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){json_array_get(steps, i), i};
	qsort(places, count, sizeof(*places), by_time);
	for (size_t i = 0; i < count; i++)
		json_array_append(sorted, places[i].step);
	free(places);
	json_object_set_new(log, "steps", sorted);
}

static int log_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "execution", json_text(cli->args[0]));
	status = cli_call(cli, "execution.log", params, &result);
	if (status == SERVICE_OK)
		sort_steps(result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else
		status = list_print(cli, status, json_object_get(result, "steps"), log_columns,
		    "it had nothing to do");
	json_decref(result);
	return status;
}

/* ── report ──────────────────────────────────────────────────────────────────────────────── */

static void report_print(const struct cli *cli, FILE *out, const json_t *report)
{
	if (cli_flag(cli, "html"))
		report_html(out, report);
	else
		report_text(out, report);
}

static int report_file(const struct cli *cli, const char *path, const json_t *report)
{
	char *text = NULL;
	size_t len = 0;
	struct error error;
	FILE *out = open_memstream(&text, &len);
	enum err err = ERR_FULL;

	if (out == NULL)
		abort(); /* as any small allocation that fails */
	report_print(cli, out, report);
	if (fclose(out) == 0)
		err = file_write(path, text, len, 0644, true, &error);
	free(text);
	if (err == ERR_OK)
		return SERVICE_OK;
	return cli_usage("--output: %s: give a file that can be written", error.text);
}

static int report_run(struct cli *cli)
{
	json_t *params, *result;
	const char *path = cli_option(cli, "output");
	int status;

	if (cli->json && (path != NULL || cli_flag(cli, "html")))
		return cli_usage(
		    "--json prints the report as JSON: give neither --html nor --output");
	params = json_object();
	json_object_set_new(params, "execution", json_text(cli->args[0]));
	status = cli_call(cli, "execution.report", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && path != NULL)
		status = report_file(cli, path, result);
	else if (status == SERVICE_OK)
		report_print(cli, stdout, result);
	json_decref(result);
	return status;
}
