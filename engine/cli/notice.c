#include "cli/cli.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "cli/list.h"
#include "cli/terminal.h"

#define WAIT_MS	 90000 /* longer than one attempt takes by default */
#define PAUSE_MS 200

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
    {"notice test", "ADDRESS|WEBHOOK", "send what only shows that the way is open", NULL, 1, 1,
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

/* The notice as it is in the queue now; NULL = it is there no more. */
static json_t *look(struct cli *cli, const char *id)
{
	json_t *list, *found = NULL;
	size_t i;
	json_t *notice;

	if (cli_call(cli, "notice.list", json_object(), &list) != SERVICE_OK)
		return json_object();
	json_array_foreach(list, i, notice)
	{
		if (strcmp(text_of(notice, "id"), id) == 0)
			found = json_incref(notice);
	}
	json_decref(list);
	return found;
}

/* Until it was sent, or could not be: {…, sent} in place of what it was. */
static json_t *wait_for(struct cli *cli, json_t *notice)
{
	for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += PAUSE_MS) {
		json_t *now = look(cli, text_of(notice, "id"));

		if (now == NULL) {
			json_object_set_new(notice, "state", json_string("sent"));
			return notice;
		}
		json_object_update(notice, now);
		json_decref(now);
		if (number_of(notice, "tries") > 0)
			return notice;
		(void)poll(NULL, 0, PAUSE_MS);
	}
	return notice;
}

static int print_test(const json_t *notice)
{
	const char *to = text_of(notice, "to"), *why = text_of(notice, "why");

	if (strcmp(text_of(notice, "state"), "sent") == 0) {
		printf("sent to %s\n", to);
		return SERVICE_OK;
	}
	if (why[0] != '\0')
		printf("not sent to %s: %s\nit is tried again: lockstep notice list\n", to, why);
	else if (json_is_true(json_object_get(notice, "lockstepd")))
		printf("not sent to %s yet: lockstep notice list\n", to);
	else
		printf("queued for %s: lockstepd sends it, and none runs with this vault\n", to);
	return SERVICE_SOME;
}

static int test_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "to", json_text(cli->args[0]));
	status = cli_call(cli, "notice.test", params, &result);
	if (status == SERVICE_OK && json_is_true(json_object_get(result, "lockstepd")))
		result = wait_for(cli, result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result,
		    strcmp(text_of(result, "state"), "sent") == 0 ? SERVICE_OK : SERVICE_SOME);
	else if (status == SERVICE_OK)
		status = print_test(result);
	json_decref(result);
	return status;
}
