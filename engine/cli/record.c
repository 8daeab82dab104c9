#include "cli/run.h"

#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/advice.h"
#include "cli/format.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

enum { KEY_EXECUTION = 0x1000, KEY_STATUS, KEY_LIMIT };

static int list_run(struct cli *);
static int show_run(struct cli *);
static int retry_run(struct cli *);

static const struct argp_option list_options[] = {
    {"execution", KEY_EXECUTION, "ID", 0, "only of this execution", 0},
    {"status", KEY_STATUS, "S", 0, "only success, failed, unverified, skipped, planned, staged", 0},
    {"limit", KEY_LIMIT, "N", 0, "at most N (of all executions: 1000)", 0},
    {0},
};

const struct command record_commands[] = {
    {"record list", "", "show what came of each account", list_options, 0, 0, list_run},
    {"record show", "ID", "show one record, and what to do next", NULL, 1, 1, show_run},
    {"record retry", "ID...", "run these records' accounts again, as the policy says now", NULL, 1,
	-1, retry_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static void print_records(const json_t *records)
{
	static const char *const titles[] = {
	    "record", "asset", "account", "status", "ended", "why", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *record;
	size_t i;

	json_array_foreach(records, i, record)
	{
		char ended[FORMAT_SIZE];

		sheet_add(sheet, (const char *const[]){
				     text_of(record, "id"),
				     text_of(record, "asset"),
				     text_of(record, "account"),
				     text_of(record, "status"),
				     format_time(ended, text_of(record, "ended")),
				     advice_what(record),
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static int list_run(struct cli *cli)
{
	json_t *params = json_copy(cli->options), *result;
	int status = cli_call(cli, "record.list", params, &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && json_array_size(result) == 0)
		printf("no records\n");
	else if (status == SERVICE_OK)
		print_records(result);
	json_decref(result);
	return status;
}

/* ── show ────────────────────────────────────────────────────────────────────────────────── */

static void print_text(const char *word, const char *text)
{
	if (text[0] != '\0')
		printf("%-12s %s\n", word, text);
}

static void print_time(const char *word, const json_t *record, const char *key)
{
	char text[FORMAT_SIZE];

	print_text(word, format_time(text, text_of(record, key)));
}

static void print_record(const json_t *record)
{
	const json_t *error = json_object_get(record, "error");
	char next[512];

	print_text("record", text_of(record, "id"));
	print_text("execution", text_of(record, "execution"));
	print_text("task", text_of(record, "task"));
	print_text("asset", text_of(record, "asset"));
	print_text("account", text_of(record, "account"));
	print_text("status", text_of(record, "status"));
	print_text("reason", text_of(record, "reason"));
	print_text("what", advice_what(record));
	if (json_is_object(error))
		printf("%-12s %s (%s)\n", "error", text_of(error, "code"), text_of(error, "class"));
	print_text("proof", text_of(record, "proof"));
	printf("%-12s %lld, then %lld (0: none)\n", "versions",
	    (long long)number_of(record, "old_version"),
	    (long long)number_of(record, "new_version"));
	printf("%-12s %lld, secret sent %lld times\n", "visits",
	    (long long)number_of(record, "attempts"), (long long)number_of(record, "sends"));
	print_time("planned", record, "planned");
	print_time("staged", record, "staged");
	print_time("sent", record, "sent");
	print_time("proved", record, "proved");
	print_time("ended", record, "ended");
	if (text_of(record, "status")[0] != 's' || text_of(record, "status")[1] != 'u')
		print_text("next", advice_next(next, sizeof(next), record));
}

static int show_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "record", json_text(cli->args[0]));
	status = cli_call(cli, "record.show", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_record(result);
	json_decref(result);
	return status;
}

/* ── retry ───────────────────────────────────────────────────────────────────────────────── */

static int retry_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "records", cli_args(cli));
	end = cli_call(cli, "record.retry", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}
