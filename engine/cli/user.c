/* People: whom the policy declares, and who one is to the engine. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "cli/ask.h"
#include "cli/list.h"
#include "cli/qr.h"
#include "cli/terminal.h"

#define KEY_REMOVE 0x1000

static int list_run(struct cli *);
static int show_run(struct cli *);
static int enroll_run(struct cli *);
static int confirm_run(struct cli *);
static int reset_run(struct cli *);
static int password_run(struct cli *);
static int whoami_run(struct cli *);

static const struct argp_option list_options[] = {LIST_CSV, {0}};

static const struct argp_option password_options[] = {
    {"remove", KEY_REMOVE, NULL, 0, "there is to be none any more", 0},
    {0},
};

const struct command user_commands[] = {
    {"user list", "", "show whom the policy declares, and what they may do", list_options, 0, 0,
	list_run},
    {"user show", "USER", "show one of them, and each of their roles", NULL, 1, 1, show_run},
    {"user enroll", "[USER]", "set up the second factor of yourself, or of a user", NULL, 0, 1,
	enroll_run},
    {"user confirm", "[USER]", "make it count, by a first code (asks, or reads stdin)", NULL, 0, 1,
	confirm_run},
    {"user reset-mfa", "USER", "take the second factor of a user away", NULL, 1, 1, reset_run},
    {"user password", "[USER]", "set the password for logins over TLS (asks, or reads stdin)",
	password_options, 0, 1, password_run},
    {0},
};

const struct command whoami_commands[] = {
    {"whoami", "", "show who you are to the engine, and what you may do", NULL, 0, 0, whoami_run},
    {0},
};

static const char *enrolled_text(char out[LIST_TEXT_SIZE], const json_t *user)
{
	return format_time(out, text_of(user, "enrolled"));
}

static const struct column user_columns[] = {
    {"user", "name", NULL, true},
    {"uid", "uid", NULL, false},
    {"roles", "roles", NULL, false},
    {"may", "permissions", NULL, false},
    {"nodes", "nodes", NULL, false},
    {"tasks", "tasks", NULL, false},
    {"second factor since", NULL, enrolled_text, false},
    {"mail", "mail", NULL, false},
    {NULL, "enrolled", NULL, false},
    {NULL, "password", NULL, false},
    {NULL, "certificates", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "user.list", json_object(), &result);

	status = list_print(cli, status, result, user_columns,
	    "no users: only the vault's owner and root may act (user \"NAME\" { role = … })");
	json_decref(result);
	return status;
}

/* A list's items with commas; `none` where there are none. */
static void print_texts(const char *word, const json_t *texts, const char *none)
{
	const json_t *text;
	size_t i;

	printf("%-12s ", word);
	json_array_foreach(texts, i, text)
	    printf("%s%s", i == 0 ? "" : ", ", json_string_value(text));
	printf("%s\n", i == 0 ? none : "");
}

static void print_role(const json_t *role)
{
	printf("\nrole %s\n", text_of(role, "name"));
	print_texts("may", json_object_get(role, "permissions"), "nothing");
	print_texts("nodes", json_object_get(role, "nodes"), "all");
	print_texts("tasks", json_object_get(role, "tasks"), "all");
	if (json_is_true(json_object_get(role, "reason")))
		printf("%-12s a reason\n", "reveal needs");
}

static void print_user(const json_t *user)
{
	const json_t *roles = json_object_get(user, "role_details"), *role;
	size_t i;

	printf("%-12s %s (%s:%lld)\n", "user", text_of(user, "name"), text_of(user, "file"),
	    (long long)number_of(user, "line"));
	if (json_is_integer(json_object_get(user, "uid")))
		printf("%-12s %lld\n", "uid", (long long)number_of(user, "uid"));
	if (text_of(user, "mail")[0] != '\0')
		printf("%-12s %s\n", "mail", text_of(user, "mail"));
	print_texts("nodes", json_object_get(user, "nodes"), "all");
	print_texts("tasks", json_object_get(user, "tasks"), "all");
	json_array_foreach(roles, i, role) print_role(role);
}

static int show_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(
	    cli, "user.show", json_pack("{s:o}", "user", json_text(cli->args[0])), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_user(result);
	json_decref(result);
	return status;
}

/* ── The second factor ───────────────────────────────────────────────────────────────────── */

static json_t *user_params(const struct cli *cli)
{
	json_t *params = json_object();

	if (cli->arg_count > 0)
		json_object_set_new(params, "user", json_text(cli->args[0]));
	return params;
}

/* The program that shows codes takes either of the two. */
static void print_factor(const json_t *result)
{
	const char *uri = text_of(result, "uri");

	if (terminal_is(STDOUT_FILENO))
		(void)qr_print(uri);
	printf("%s\n", uri);
	printf("Take it into the program that shows your codes; it counts after a first one.\n");
	fflush(stdout);
}

static void print_recovery(const json_t *result)
{
	const json_t *codes = json_object_get(result, "recovery"), *code;
	size_t i;

	printf(
	    "user %s has a second factor now. Each of these works once, in place of a code: keep "
	    "them apart from the phone.\n",
	    text_of(result, "user"));
	json_array_foreach(codes, i, code) printf("  %s\n", json_string_value(code));
}

static int confirm_run(struct cli *cli)
{
	json_t *params = user_params(cli), *code = ask_code(), *result;
	int status;

	if (code == NULL) {
		json_decref(params);
		return SERVICE_USAGE;
	}
	json_object_set_new(params, "code", code);
	status = cli_call(cli, "user.confirm", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_recovery(result);
	json_decref(result);
	return status;
}

/* A program is given the factor, and confirms it with another command. */
static int enroll_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "user.enroll", user_params(cli), &result);

	if (status == SERVICE_OK && cli->json) {
		status = cli_print_json(result, status);
	} else if (status == SERVICE_OK) {
		print_factor(result);
		status = confirm_run(cli);
	}
	json_decref(result);
	return status;
}

static int reset_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "user.reset_mfa", user_params(cli), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("user %s has no second factor any more: lockstep user enroll %s\n",
		    text_of(result, "user"), text_of(result, "user"));
	json_decref(result);
	return status;
}

/* ── The password ────────────────────────────────────────────────────────────────────────── */

static int password_run(struct cli *cli)
{
	json_t *params = user_params(cli), *password = NULL, *result;
	int status;

	if (cli_flag(cli, "remove"))
		json_object_set_new(params, "remove", json_true());
	else
		password = ask_secret("password", "a user's password");
	if (password == NULL && !cli_flag(cli, "remove")) {
		json_decref(params);
		return SERVICE_USAGE;
	}
	if (password != NULL)
		json_object_set_new(params, "password", password);
	status = cli_call(cli, "user.password", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("user %s has %s\n", text_of(result, "user"),
		    !json_is_true(json_object_get(result, "password"))	? "no password any more"
		    : json_is_true(json_object_get(result, "replaced")) ? "a new password"
									: "a password now");
	json_decref(result);
	return status;
}

static int whoami_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "whoami", json_object(), &result);

	if (status == SERVICE_OK && cli->json) {
		status = cli_print_json(result, status);
	} else if (status == SERVICE_OK) {
		printf("%s\n", text_of(result, "name"));
		if (json_is_true(json_object_get(result, "owner")))
			printf("can read the vault, and so may do everything\n");
		else
			print_texts("roles", json_object_get(result, "roles"), "none");
	}
	json_decref(result);
	return status;
}
