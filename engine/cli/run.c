#include "cli/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/advice.h"
#include "cli/format.h"
#include "cli/terminal.h"

#define TROUBLES_SHOWN 20
#define NEXT_SIZE      512
#define STATUS_COLUMNS 10

enum { KEY_DRY_RUN = 0x1000 };

static int run_run(struct cli *);

static const struct argp_option run_options[] = {
    {"dry-run", KEY_DRY_RUN, NULL, 0, "change nothing: tell what would become of each account", 0},
    {0},
};

const struct command run_commands[] = {
    {"run", "TASK", "rotate the accounts of a task, and wait for the end", run_options, 1, 1,
	run_run},
    {0},
};

/* ── What did not succeed ────────────────────────────────────────────────────────────────── */

static const char *shouted(const char *status)
{
	static const char *const names[][2] = {
	    {"failed", "FAILED"},
	    {"unverified", "UNVERIFIED"},
	    {"skipped", "SKIPPED"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], status) == 0)
			return names[i][1];
	return status;
}

struct columns {
	size_t width; /* of the terminal; 0 = none */
	size_t asset, account;
};

static void columns_widen(struct columns *columns, const json_t *record)
{
	size_t asset = format_width(text_of(record, "asset"));
	size_t account = format_width(text_of(record, "account"));

	columns->asset = asset > columns->asset ? asset : columns->asset;
	columns->account = account > columns->account ? account : columns->account;
}

static void print_padded(const char *text, size_t columns)
{
	size_t width = format_width(text);

	printf("  %s%*s", text, width < columns ? (int)(columns - width) : 0, "");
}

/* What to do stands behind what happened where there is room, else below it. */
static void print_trouble(const json_t *record, const struct columns *columns)
{
	const char *what = advice_what(record);
	size_t taken = STATUS_COLUMNS + columns->asset + columns->account + 8;
	char next[NEXT_SIZE];

	advice_next(next, sizeof(next), record);
	taken += format_width(what) + 4 + format_width(next);
	print_padded(shouted(text_of(record, "status")), STATUS_COLUMNS);
	print_padded(text_of(record, "asset"), columns->asset);
	print_padded(text_of(record, "account"), columns->account);
	printf("  %s", what);
	if (next[0] != '\0')
		printf("%s→ %s",
		    columns->width > 0 && taken > columns->width ? "\n              " : "  ", next);
	putchar('\n');
}

static void print_records(const json_t *records, const char *execution)
{
	struct columns columns = {.width = terminal_width(STDOUT_FILENO)};
	size_t count = json_array_size(records);
	size_t shown = count < TROUBLES_SHOWN ? count : TROUBLES_SHOWN;

	for (size_t i = 0; i < shown; i++)
		columns_widen(&columns, json_array_get(records, i));
	for (size_t i = 0; i < shown; i++)
		print_trouble(json_array_get(records, i), &columns);
	if (count > shown)
		printf("  … and %zu more: lockstep record list --execution %s\n", count - shown,
		    execution);
}

static void print_troubles(struct cli *cli, const json_t *result)
{
	const char *execution = text_of(result, "execution");
	json_t *records;

	if (cli_call(cli, "record.list",
		json_pack("{s:s, s:b}", "execution", execution, "problems", 1),
		&records) == SERVICE_OK)
		print_records(records, execution);
	json_decref(records);
}

/* ── The summary ─────────────────────────────────────────────────────────────────────────── */

static void print_summary(const json_t *result)
{
	char elapsed[FORMAT_SIZE], count[FORMAT_SIZE];

	printf("done in %s: ", format_elapsed(elapsed, (uint64_t)number_of(result, "elapsed_ms")));
	printf("%s changed and seen to work",
	    format_count(count, (uint64_t)number_of(result, "success")));
	printf(", %s failed", format_count(count, (uint64_t)number_of(result, "failed")));
	printf(", %s unverified", format_count(count, (uint64_t)number_of(result, "unverified")));
	printf(", %s skipped\n", format_count(count, (uint64_t)number_of(result, "skipped")));
}

int run_print(struct cli *cli, enum service_end end, const json_t *result)
{
	if (end != SERVICE_OK && end != SERVICE_SOME)
		return end;
	if (cli->json)
		return cli_print_json(result, end);
	if (number_of(result, "total") == 0) {
		printf("nothing to do: task \"%s\" selects no accounts\n", text_of(result, "task"));
		return end;
	}
	if (json_is_true(json_object_get(result, "dry_run"))) {
		foresight_print(result);
		return end;
	}
	print_summary(result);
	if (end == SERVICE_SOME)
		print_troubles(cli, result);
	printf("everything: lockstep execution show %s   exit status %d\n",
	    text_of(result, "execution"), end);
	return end;
}

static int run_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "task", json_text(cli->args[0]));
	json_object_set_new(params, "dry_run", json_boolean(cli_flag(cli, "dry-run")));
	end = cli_call(cli, "run", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}
