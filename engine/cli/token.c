/* API tokens: made, shown once, listed, revoked. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/format.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/list.h"
#include "cli/reveal.h"

enum { KEY_USER = 0x1000, KEY_PERMISSIONS, KEY_NODES, KEY_TASKS, KEY_FOR, KEY_RAW };

static int create_run(struct cli *);
static int list_run(struct cli *);
static int revoke_run(struct cli *);

static const struct argp_option create_options[] = {
    {"user", KEY_USER, "USER", 0, "for whom it acts; else for yourself", 0},
    {"permissions", KEY_PERMISSIONS, "PERMISSION...", 0,
	"what of theirs it may, with commas between; else view", 0},
    {"nodes", KEY_NODES, "NODE...", 0, "only at and below these nodes", 0},
    {"tasks", KEY_TASKS, "TASK...", 0, "only for these tasks", 0},
    {"for", KEY_FOR, "TIME", 0, "so long, as 12h or 90d; else 30d", 0},
    {"raw", KEY_RAW, NULL, 0, "the token alone, also where stdout is no terminal", 0},
    {0},
};

static const struct argp_option list_options[] = {LIST_CSV, {0}};

const struct command token_commands[] = {
    {"token create", "NAME", "make an API token, for use over TLS (shown once)", create_options, 1,
	1, create_run},
    {"token list", "", "show which tokens there are, and what for", list_options, 0, 0, list_run},
    {"token revoke", "NAME", "take a token away", NULL, 1, 1, revoke_run},
    {0},
};

/* ── create ──────────────────────────────────────────────────────────────────────────────── */

/* "view,run" and two options are the same. */
static json_t *split(const json_t *given)
{
	json_t *words = json_array(), *text;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)given, i, text)
	{
		const char *at = json_string_value(text), *comma;

		for (; (comma = strchr(at, ',')) != NULL; at = comma + 1)
			json_array_append_new(words, json_stringn(at, (size_t)(comma - at)));
		json_array_append_new(words, json_string(at));
	}
	return words;
}

static void print_what(const json_t *result)
{
	char until[LIST_TEXT_SIZE];

	fprintf(stderr,
	    "token %s acts for user %s until %s; it is not shown again. Keep it in a file that "
	    "only "
	    "its user may read.\n",
	    text_of(result, "name"), text_of(result, "user"),
	    format_time(until, text_of(result, "until")));
}

static int create_run(struct cli *cli)
{
	char *whose = xasprintf("token \"%s\"", cli->args[0]);
	bool may = reveal_may_be_written(cli, whose);
	json_t *params, *result;
	int status;

	free(whose);
	if (!may)
		return SERVICE_USAGE;
	params = cli_params(cli);
	json_object_del(params, "raw");
	json_object_set_new(params, "name", json_text(cli->args[0]));
	if (cli_flag(cli, "permissions"))
		json_object_set_new(
		    params, "permissions", split(json_object_get(cli->options, "permissions")));
	status = cli_call(cli, "token.create", params, &result);
	if (status == SERVICE_OK && !cli->json)
		print_what(result);
	if (status == SERVICE_OK)
		status = reveal_show(cli, result, reveal_print_token);
	json_decref(result);
	return status;
}

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *until_text(char out[LIST_TEXT_SIZE], const json_t *token)
{
	if (json_is_true(json_object_get(token, "expired")))
		return "expired";
	return format_time(out, text_of(token, "until"));
}

static const char *made_text(char out[LIST_TEXT_SIZE], const json_t *token)
{
	return format_time(out, text_of(token, "made"));
}

static const struct column token_columns[] = {
    {"token", "name", NULL, true},
    {"user", "user", NULL, true},
    {"may", "permissions", NULL, false},
    {"nodes", "nodes", NULL, false},
    {"tasks", "tasks", NULL, false},
    {"made", NULL, made_text, false},
    {"until", NULL, until_text, true},
    {NULL, "made", NULL, false},
    {NULL, "until", NULL, false},
    {NULL, "expired", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "token.list", json_object(), &result);

	status = list_print(
	    cli, status, result, token_columns, "no tokens of yours: lockstep token create NAME");
	json_decref(result);
	return status;
}

/* ── revoke ──────────────────────────────────────────────────────────────────────────────── */

static int revoke_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(
	    cli, "token.revoke", json_pack("{s:o}", "name", json_text(cli->args[0])), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("token %s is good for nothing any more\n", text_of(result, "name"));
	json_decref(result);
	return status;
}
