#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/format.h"
#include "base/json.h"
#include "cli/list.h"

enum { KEY_ALL = 0x1000, KEY_FOR };

static int list_run(struct cli *);
static int grant_run(struct cli *);
static int deny_run(struct cli *);

static const struct argp_option list_options[] = {
    {"all", KEY_ALL, NULL, 0, "also what was denied, used or has expired", 0}, LIST_CSV, {0}};

static const struct argp_option grant_options[] = {
    {"for", KEY_FOR, "TIME", 0, "how long it may be used, once (else 1h)", 0},
    {0},
};

const struct command approval_commands[] = {
    {"approval list", "", "show who asks to see a secret, and who may let them", list_options, 0, 0,
	list_run},
    {"approval grant", "ID", "let someone see the secret that they asked for, once", grant_options,
	1, 1, grant_run},
    {"approval deny", "ID", "do not let them", NULL, 1, 1, deny_run},
    {0},
};

static const char *short_text(char out[LIST_TEXT_SIZE], const json_t *approval)
{
	(void)out;
	return text_of(approval, "short");
}

static const char *asked_text(char out[LIST_TEXT_SIZE], const json_t *approval)
{
	return format_time(out, text_of(approval, "asked"));
}

static const char *state_text(char out[LIST_TEXT_SIZE], const json_t *approval)
{
	const char *state = text_of(approval, "state");
	char when[FORMAT_SIZE];

	if (strcmp(state, "granted") != 0)
		return state;
	snprintf(out, LIST_TEXT_SIZE, "granted by %s until %s", text_of(approval, "by"),
	    format_time(when, text_of(approval, "until")));
	return out;
}

/* Of what waits. */
static const char *approvers_text(char out[LIST_TEXT_SIZE], const json_t *approval)
{
	const json_t *names = json_object_get(approval, "approvers");
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < json_array_size(names) && used < LIST_TEXT_SIZE; i++)
		used += (size_t)snprintf(out + used, LIST_TEXT_SIZE - used, "%s%s",
		    i == 0 ? "" : ", ", json_string_value(json_array_get(names, i)));
	return out;
}

static const struct column columns[] = {
    {"approval", NULL, short_text, true},
    {NULL, "id", NULL, false},
    {"asked", NULL, asked_text, true},
    {"who", "who", NULL, true},
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {NULL, "kind", NULL, false},
    {"version", "version", NULL, false},
    {"why", "why", NULL, false},
    {"state", NULL, state_text, false},
    {NULL, "state", NULL, false},
    {"may approve", NULL, approvers_text, false},
    {NULL, "by", NULL, false},
    {NULL, "until", NULL, false},
    {NULL, "used", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "approval.list", cli_params(cli), &result);

	status = list_print(cli, status, result, columns, "nobody asks for an approval");
	json_decref(result);
	return status;
}

static int answer(struct cli *cli, const char *method)
{
	json_t *params = cli_params(cli), *result;
	char until[FORMAT_SIZE];
	int status;

	json_object_set_new(params, "approval", json_text(cli->args[0]));
	status = cli_call(cli, method, params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && strcmp(text_of(result, "state"), "granted") == 0)
		printf("%s may see version %lld of account \"%s\" on asset \"%s\" once, until %s\n",
		    text_of(result, "who"), (long long)number_of(result, "version"),
		    text_of(result, "account"), text_of(result, "asset"),
		    format_time(until, text_of(result, "until")));
	else if (status == SERVICE_OK)
		printf("denied: %s\n", text_of(result, "who"));
	json_decref(result);
	return status;
}

static int grant_run(struct cli *cli)
{
	return answer(cli, "approval.grant");
}

static int deny_run(struct cli *cli)
{
	return answer(cli, "approval.deny");
}
