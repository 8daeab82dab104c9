#include "cli/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/format.h"
#include "cli/terminal.h"
#include "cli/trouble.h"

enum { KEY_DRY_RUN = 0x1000, KEY_REVEALED_TO, KEY_SINCE };

const struct argp_option run_options[] = {
    {"dry-run", KEY_DRY_RUN, NULL, 0, "change nothing: tell what would become of each account", 0},
    {"revealed-to", KEY_REVEALED_TO, "USER", 0,
	"only accounts that a secret which they saw or told may open still", 0},
    {"since", KEY_SINCE, "TIME", 0, "that they saw since then: 2d, or 2026-11-24", 0},
    {0},
};

const struct command run_commands[] = {
    {"run", "TASK", "rotate the accounts of a task, and wait for the end", run_options, 1, 1,
	run_run},
    {0},
};

/* ── What did not succeed ────────────────────────────────────────────────────────────────── */

/* Only the problems: what is left alone on purpose is in the counts. */
static void print_troubles(struct cli *cli, const json_t *result)
{
	json_t *records;

	if (cli_call(cli, "record.list",
		json_pack("{s:s, s:b}", "execution", text_of(result, "execution"), "problems", 1),
		&records) == SERVICE_OK)
		troubles_print(stdout, records, text_of(result, "short"),
		    terminal_width(STDOUT_FILENO), terminal_has_colour(STDOUT_FILENO));
	json_decref(records);
}

/* ── The summary ─────────────────────────────────────────────────────────────────────────── */

static void print_summary(const json_t *result)
{
	char elapsed[FORMAT_SIZE], count[FORMAT_SIZE];

	printf("done in %s: ", format_elapsed(elapsed, (uint64_t)number_of(result, "elapsed_ms")));
	printf("%s %sseen to work", format_count(count, (uint64_t)number_of(result, "success")),
	    strcmp(text_of(result, "kind"), "verify") != 0 ? "changed and " : "");
	printf(", %s failed", format_count(count, (uint64_t)number_of(result, "failed")));
	printf(", %s unverified", format_count(count, (uint64_t)number_of(result, "unverified")));
	printf(", %s skipped\n", format_count(count, (uint64_t)number_of(result, "skipped")));
}

/* A verify has no task. */
static void print_nothing(const char *task)
{
	if (task[0] != '\0')
		printf("nothing to do: task \"%s\" selects no accounts\n", task);
	else
		printf("nothing to do: no account is declared there\n");
}

int run_print(struct cli *cli, enum service_end end, const json_t *result)
{
	if (end != SERVICE_OK && end != SERVICE_SOME)
		return end;
	if (cli->json)
		return cli_print_json(result, end);
	if (number_of(result, "total") == 0) {
		print_nothing(text_of(result, "task"));
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
	    text_of(result, "short"), end);
	return end;
}

int run_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "task", json_text(cli->args[0]));
	end = cli_call(cli, "run", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}
