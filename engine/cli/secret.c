#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "base/format.h"
#include "cli/list.h"
#include "cli/terminal.h"

#define KEY_YES 0x1000

static int set_run(struct cli *);
static int list_run(struct cli *);
static int delete_run(struct cli *);

static const struct argp_option list_options[] = {LIST_CSV, {0}};

static const struct argp_option delete_options[] = {
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    {0},
};

const struct command secret_commands[] = {
    {"secret set", "NAME", "keep a secret that the policy names (asks, or reads stdin)", NULL, 1, 1,
	set_run},
    {"secret list", "", "show which secrets are kept, and what uses them", list_options, 0, 0,
	list_run},
    {"secret delete", "NAME", "delete a secret that the policy names no more", delete_options, 1, 1,
	delete_run},
    {0},
};

/* ── set ─────────────────────────────────────────────────────────────────────────────────── */

static int set_run(struct cli *cli)
{
	char *whose = xasprintf("secret \"%s\"", cli->args[0]);
	json_t *params, *result, *text = ask_secret("secret", whose);
	int status;

	free(whose);
	if (text == NULL)
		return SERVICE_USAGE;
	params = json_pack("{s:o, s:o}", "name", json_text(cli->args[0]), "secret", text);
	status = cli_call(cli, "secret.set", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("secret \"%s\" is %s\n", text_of(result, "name"),
		    json_is_true(json_object_get(result, "replaced")) ? "replaced" : "kept");
	json_decref(result);
	return status;
}

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *changed_text(char out[LIST_TEXT_SIZE], const json_t *secret)
{
	if (!json_is_true(json_object_get(secret, "set")))
		return "not set";
	return format_time(out, text_of(secret, "changed"));
}

static const char *users_text(char out[LIST_TEXT_SIZE], const json_t *secret)
{
	const json_t *uses = json_object_get(secret, "used_by"), *use;
	size_t used = 0, i;

	out[0] = '\0';
	json_array_foreach(uses, i, use)
	{
		if (used < LIST_TEXT_SIZE)
			used += (size_t)snprintf(out + used, LIST_TEXT_SIZE - used, "%s%s %s",
			    i == 0 ? "" : ", ", text_of(use, "kind"), text_of(use, "name"));
	}
	return i == 0 ? "nothing" : out;
}

static const struct column secret_columns[] = {
    {"secret", "name", NULL, true},
    {"changed", NULL, changed_text, true},
    {"used by", NULL, users_text, false},
    {NULL, "set", NULL, false},
    {NULL, "made", NULL, false},
    {NULL, "changed", NULL, false},
    {NULL, "used_by", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "secret.list", json_object(), &result);

	status =
	    list_print(cli, status, result, secret_columns, "no secrets: lockstep secret set NAME");
	json_decref(result);
	return status;
}

/* ── delete ──────────────────────────────────────────────────────────────────────────────── */

static bool agreed(const struct cli *cli)
{
	char question[200];

	if (cli_flag(cli, "yes"))
		return true;
	snprintf(question, sizeof(question), "Delete secret \"%.120s\" for good?", cli->args[0]);
	return terminal_ask(question);
}

static int delete_run(struct cli *cli)
{
	json_t *result;
	int status;

	if (!cli_flag(cli, "yes") && !terminal_is(STDIN_FILENO))
		return cli_usage("secret \"%s\": stdin is no terminal, so nothing is asked: give "
				 "--yes to delete it for good",
		    cli->args[0]);
	if (!agreed(cli)) {
		fprintf(stderr, "nothing was changed\n");
		return SERVICE_OK;
	}
	status = cli_call(
	    cli, "secret.delete", json_pack("{s:o}", "name", json_text(cli->args[0])), &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("secret \"%s\" is deleted\n", text_of(result, "name"));
	json_decref(result);
	return status;
}
