#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "cli/list.h"
#include "cli/terminal.h"

enum { KEY_ALL = 0x1000, KEY_YES };

static int list_run(struct cli *);
static int retry_run(struct cli *);
static int drop_run(struct cli *);
static int test_run(struct cli *);

static const struct argp_option list_options[] = {LIST_CSV, {0}};

static const struct argp_option retry_options[] = {
    {"all", KEY_ALL, NULL, 0, "all that were given up", 0},
    {0},
};

static const struct argp_option drop_options[] = {
    {"all", KEY_ALL, NULL, 0, "all of the queue", 0},
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    {0},
};

const struct command notice_commands[] = {
    {"notice list", "", "show what is to be told to someone, and why it has not gone", list_options,
	0, 0, list_run},
    {"notice retry", "[ID...]", "try again now, also what was given up", retry_options, 0, -1,
	retry_run},
    {"notice drop", "[ID...]", "take notices out of the queue, unsent", drop_options, 0, -1,
	drop_run},
    {"notice test", "ADDRESS", "queue a mail that only shows that the way is open", NULL, 1, 1,
	test_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *short_text(char out[LIST_TEXT_SIZE], const json_t *notice)
{
	(void)out;
	return text_of(notice, "short");
}

static const char *queued_text(char out[LIST_TEXT_SIZE], const json_t *notice)
{
	return format_time(out, text_of(notice, "queued"));
}

static const char *state_text(char out[LIST_TEXT_SIZE], const json_t *notice)
{
	const char *state = text_of(notice, "state"), *next = text_of(notice, "next");
	char when[FORMAT_SIZE];

	if (strcmp(state, "given_up") == 0)
		return "given up";
	if (next[0] == '\0' || number_of(notice, "tries") == 0)
		return state;
	snprintf(
	    out, LIST_TEXT_SIZE, "again at %s", format_time(when, next) + strlen("0000-00-00 "));
	return out;
}

static const struct column notice_columns[] = {
    {"notice", NULL, short_text, true},
    {NULL, "id", NULL, false},
    {"queued", NULL, queued_text, true},
    {NULL, "queued", NULL, false},
    {"to", "to", NULL, false},
    {NULL, "channel", NULL, false},
    {"event", "event", NULL, false},
    {"task", "task", NULL, false},
    {NULL, "execution", NULL, false},
    {"tries", "tries", NULL, false},
    {"", NULL, state_text, false},
    {NULL, "state", NULL, false},
    {NULL, "tried", NULL, false},
    {NULL, "next", NULL, false},
    {"why", "why", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "notice.list", json_object(), &result);

	status = list_print(cli, status, result, notice_columns, "nothing waits to be sent");
	json_decref(result);
	return status;
}

/* ── retry and drop ──────────────────────────────────────────────────────────────────────── */

static int change(struct cli *cli, const char *method, const char *what)
{
	json_t *params = json_object(), *result;
	int status;

	if (cli_flag(cli, "all"))
		json_object_set_new(params, "all", json_true());
	json_object_set_new(params, "notices", cli_args(cli));
	status = cli_call(cli, method, params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("%s: %lld\n", what, (long long)number_of(result, "notices"));
	json_decref(result);
	return status;
}

static int retry_run(struct cli *cli)
{
	return change(cli, "notice.retry", "tried again");
}

static int drop_run(struct cli *cli)
{
	if (cli_flag(cli, "all") && !cli_flag(cli, "yes")) {
		if (!terminal_is(STDIN_FILENO))
			return cli_usage("stdin is no terminal, so nothing is asked: give --yes to "
					 "drop all notices");
		if (!terminal_ask("Drop all notices, unsent?")) {
			fprintf(stderr, "nothing was changed\n");
			return SERVICE_OK;
		}
	}
	return change(cli, "notice.drop", "dropped");
}

/* ── test ────────────────────────────────────────────────────────────────────────────────── */

static int test_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "to", json_text(cli->args[0]));
	status = cli_call(cli, "notice.test", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && json_is_true(json_object_get(result, "lockstepd")))
		printf("%s is on its way; if it does not arrive: lockstep notice list\n",
		    text_of(result, "short"));
	else if (status == SERVICE_OK)
		printf("%s is queued; lockstepd sends it, and none runs with this vault\n",
		    text_of(result, "short"));
	json_decref(result);
	return status;
}
