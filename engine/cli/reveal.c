#include "cli/reveal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/screen.h"
#include "cli/terminal.h"

/* Past stdio, whose buffer would keep it. */
int reveal_write(const char *secret)
{
	size_t len = strlen(secret), done = 0;

	fflush(stdout);
	while (done < len) {
		ssize_t n = write(STDOUT_FILENO, secret + done, len - done);

		if (n < 0)
			return SERVICE_NO_ENGINE;
		done += (size_t)n;
	}
	return SERVICE_OK;
}

static bool is_key(const json_t *version)
{
	return strcmp(text_of(version, "kind"), "key") == 0;
}

/* A terminal would act on what it does not show. A key has lines, which it may show. */
static bool is_plain(const json_t *version)
{
	const char *secret = text_of(version, "secret");
	size_t size = strlen(secret) * 4 + 1;
	char *escaped = mem_alloc(size);
	bool plain = escaped != NULL &&
		     strcmp(text_escape(escaped, size, secret, strlen(secret)), secret) == 0;

	mem_free(escaped);
	return plain || is_key(version);
}

/* What a terminal cannot show of all that may be in a result; NULL = nothing. */
static const json_t *unplain_of(const json_t *result)
{
	const json_t *versions[] = {
	    result, json_object_get(result, "old"), json_object_get(result, "new")};
	const json_t *candidate;
	size_t i;

	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (json_is_object(versions[i]) && !is_plain(versions[i]))
			return versions[i];
	json_array_foreach(json_object_get(result, "candidates"), i, candidate)
	{
		if (!is_plain(candidate))
			return candidate;
	}
	return NULL;
}

static int print_one(const json_t *version)
{
	int status = reveal_write(text_of(version, "secret"));

	if (status == SERVICE_OK && !is_key(version))
		status = reveal_write("\n");
	return status;
}

int reveal_print_token(const struct cli *cli, const json_t *result)
{
	int status;

	if (cli->json)
		return cli_print_json(result, SERVICE_OK);
	status = reveal_write(text_of(result, "token"));
	if (status == SERVICE_OK && !cli_flag(cli, "raw"))
		status = reveal_write("\n");
	return status;
}

/* It is not known which of them opens the account. */
static int print_candidates(const json_t *result)
{
	const json_t *candidates = json_object_get(result, "candidates"), *candidate;
	int status = SERVICE_OK;
	size_t i;

	fprintf(stderr, "it is not known which of these opens the account:\n");
	json_array_foreach(candidates, i, candidate)
	{
		printf("version %lld, %s%s: ", (long long)number_of(candidate, "version"),
		    text_of(candidate, "stage"),
		    strcmp(text_of(candidate, "kind"), "key") == 0 ? " key" : "");
		if (status == SERVICE_OK)
			status = print_one(candidate);
	}
	return status;
}

static int print_reveal(const struct cli *cli, const json_t *result)
{
	bool several = json_array_size(json_object_get(result, "candidates")) > 0 &&
		       cli_option(cli, "version") == NULL;

	if (cli->json)
		return cli_print_json(result, SERVICE_OK);
	if (cli_flag(cli, "raw") && several)
		return cli_usage("which of %zu secrets opens account \"%s\" on asset \"%s\" is not "
				 "known: give --version N for one, or --json for all",
		    json_array_size(json_object_get(result, "candidates")),
		    text_of(result, "account"), text_of(result, "asset"));
	if (json_is_true(json_object_get(result, "stale")))
		fprintf(stderr,
		    "this is what a backup that was put back has, and was not seen to work since: "
		    "lockstep account verify %s %s sees whether it does\n",
		    text_of(result, "asset"), text_of(result, "account"));
	if (cli_flag(cli, "raw"))
		return reveal_write(text_of(result, "secret"));
	return several ? print_candidates(result) : print_one(result);
}

/* No secret: it may go anywhere. */
static int print_public(const json_t *result)
{
	const char *line = text_of(result, "public");

	if (line[0] == '\0')
		return cli_usage(
		    "version %lld of account \"%s\" on asset \"%s\" is a password, which "
		    "has no public line: lockstep account show %s %s tells which are keys",
		    (long long)number_of(result, "version"), text_of(result, "account"),
		    text_of(result, "asset"), text_of(result, "asset"), text_of(result, "account"));
	printf("%s\n", line);
	return SERVICE_OK;
}

/* Whether it may go to where stdout leads. */
bool reveal_may_be_written(const struct cli *cli, const char *whose)
{
	if (cli->json || cli_flag(cli, "public") || cli_flag(cli, "raw") ||
	    terminal_is(STDOUT_FILENO))
		return true;
	cli_usage(
	    "%s: stdout is no terminal: give --raw or --json to have the secret written there",
	    whose);
	return false;
}

/* A person looks at it, and it does not stay on the screen. */
int reveal_show(const struct cli *cli, const json_t *result,
    int (*print)(const struct cli *, const json_t *result))
{
	bool looks = !cli->json && !cli_flag(cli, "raw") && !cli_flag(cli, "public");
	const json_t *unplain = looks ? unplain_of(result) : NULL;
	int status;

	if (unplain != NULL)
		return cli_usage("version %lld has characters that a terminal would act on: use "
				 "--raw into a file, or --json",
		    (long long)number_of(unplain, "version"));
	if (!looks || !screen_can_hide())
		return print(cli, result);
	screen_enter();
	status = print(cli, result);
	screen_leave();
	return status;
}

static int copy(const json_t *result)
{
	const char *secret = text_of(result, "secret");

	if (!terminal_is(STDOUT_FILENO))
		return cli_usage("--copy goes through the terminal, and stdout is none");
	if (json_array_size(json_object_get(result, "candidates")) > 0)
		return cli_usage(
		    "it is not known which secret opens the account: give --version N");
	return screen_copy(secret) ? SERVICE_OK : SERVICE_NO_ENGINE;
}

static int print_account(const struct cli *cli, const json_t *result)
{
	return cli_flag(cli, "public") && !cli->json ? print_public(result)
						     : print_reveal(cli, result);
}

static int reveal_call(struct cli *cli, const char *method, json_t **result)
{
	char *whose = xasprintf("account \"%s\" on asset \"%s\"", cli->args[1], cli->args[0]);
	bool may = reveal_may_be_written(cli, whose);
	json_t *params;
	int status;

	*result = NULL;
	free(whose);
	if (!may)
		return SERVICE_USAGE;
	params = json_copy(cli->options);
	json_object_set_new(params, "asset", json_text(cli->args[0]));
	json_object_set_new(params, "account", json_text(cli->args[1]));
	if (cli_flag(cli, "public"))
		json_object_set_new(params, "kind", json_string("key"));
	status = cli_call(cli, method, params, result);
	if (status == SERVICE_OK)
		status = cli_flag(cli, "copy") ? copy(*result)
					       : reveal_show(cli, *result, print_account);
	return status;
}

int reveal_run(struct cli *cli)
{
	json_t *result;
	int status = reveal_call(cli, "account.reveal", &result);

	json_decref(result);
	return status;
}

/* Whatever became of showing it, they have it. */
int checkout_run(struct cli *cli)
{
	json_t *result;
	int status = reveal_call(cli, "account.checkout", &result);
	const char *until = text_of(result, "until");
	char when[FORMAT_SIZE];

	if (until[0] != '\0' && !cli->json)
		fprintf(stderr,
		    "checked out until %s; then, or by lockstep account checkin %s %s, task \"%s\" "
		    "rotates it\n",
		    format_time(when, until), text_of(result, "asset"), text_of(result, "account"),
		    text_of(result, "task"));
	json_decref(result);
	return status;
}

/* ── A record's ──────────────────────────────────────────────────────────────────────────── */

static int print_old_or_new(const char *word, const json_t *version)
{
	if (!json_is_object(version)) {
		printf("%s: none is kept\n", word);
		return SERVICE_OK;
	}
	printf("%s, version %lld, %s: ", word, (long long)number_of(version, "version"),
	    text_of(version, "stage"));
	return print_one(version);
}

static int print_record(const struct cli *cli, const json_t *result)
{
	int status;

	if (cli->json)
		return cli_print_json(result, SERVICE_OK);
	status = print_old_or_new("old", json_object_get(result, "old"));
	if (status == SERVICE_OK)
		status = print_old_or_new("new", json_object_get(result, "new"));
	if (status == SERVICE_OK && json_array_size(json_object_get(result, "candidates")) > 0)
		status = print_candidates(result);
	return status;
}

int reveal_record_run(struct cli *cli)
{
	char *whose = xasprintf("record %s", cli->args[0]);
	bool may = reveal_may_be_written(cli, whose);
	json_t *params, *result;
	int status;

	free(whose);
	if (!may)
		return SERVICE_USAGE;
	params = json_copy(cli->options);
	json_object_set_new(params, "record", json_text(cli->args[0]));
	status = cli_call(cli, "record.reveal", params, &result);
	if (status == SERVICE_OK)
		status = reveal_show(cli, result, print_record);
	json_decref(result);
	return status;
}
