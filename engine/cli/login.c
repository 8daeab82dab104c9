/* Logging in over TLS, and out: a password and a code for a token of an hour. */
#include "cli/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/list.h"
#include "cli/reveal.h"
#include "cli/terminal.h"

#define KEY_RAW 0x1000

static int logout_run(struct cli *);

static const struct argp_option login_options[] = {
    {"raw", KEY_RAW, NULL, 0, "the token alone, also where stdout is no terminal", 0},
    {0},
};

const struct command login_commands[] = {
    {"login", "USER", "by password and code, for a token of an hour (--server)", login_options, 1,
	1, login_run},
    {"logout", "", "end the login whose token is shown (--server)", NULL, 0, 0, logout_run},
    {0},
};

static void print_until(const json_t *result)
{
	char until[LIST_TEXT_SIZE];

	fprintf(stderr, "user %s is in until %s; --token-file takes what is shown\n",
	    text_of(result, "user"), format_time(until, text_of(result, "until")));
}

/* Two lines: the password, then the code, which may be empty for whoever has no second factor. */
static json_t *ask_both(const struct cli *cli)
{
	json_t *password = ask_line("password: "), *code;

	if (password == NULL) {
		cli_usage("no password was given: type it, or give it as a line on standard input, "
			  "with the code in the next one");
		return NULL;
	}
	code = ask_line("code of your second factor: ");
	return json_pack("{s:o, s:o, s:o*}", "user", json_text(cli->args[0]), "password", password,
	    "code", code);
}

int login_run(struct cli *cli)
{
	json_t *params, *result;
	int status;

	if (cli->remote.server.url == NULL)
		return cli_usage(
		    "to log in is for an engine elsewhere: name it by --server; here the "
		    "kernel says who you are (lockstep whoami)");
	if (!reveal_may_be_written(cli, "a login's token"))
		return SERVICE_USAGE;
	params = ask_both(cli);
	if (params == NULL)
		return SERVICE_USAGE;
	status = cli_call(cli, "login", params, &result);
	if (status == SERVICE_OK && !cli->json)
		print_until(result);
	if (status == SERVICE_OK)
		status = reveal_show(cli, result, reveal_print_token);
	json_decref(result);
	return status;
}

static int logout_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "logout", json_object(), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("user %s is out: what was shown is good for nothing any more\n",
		    text_of(result, "user"));
	json_decref(result);
	return status;
}
