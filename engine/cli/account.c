#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/accounts_csv.h"
#include "cli/format.h"
#include "cli/reveal.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

#define PASSWORD_BYTES_MAX 16384

enum { KEY_UNMANAGED = 0x1000, KEY_IN_DOUBT, KEY_KIND, KEY_NUMBER, KEY_RAW };

static int list_run(struct cli *);
static int show_run(struct cli *);
static int import_run(struct cli *);
static int add_run(struct cli *);

static const struct argp_option list_options[] = {
    {"unmanaged", KEY_UNMANAGED, NULL, 0, "only those without a known secret", 0},
    {"in-doubt", KEY_IN_DOUBT, NULL, 0, "only those whose change is not settled", 0},
    {0},
};

static const struct argp_option reveal_options[] = {
    {"kind", KEY_KIND, "KIND", 0, "password or key, of an account that has both", 0},
    {"version", KEY_NUMBER, "N", 0, "this version instead of the current one", 0},
    {"raw", KEY_RAW, NULL, 0, "the secret alone, without a newline", 0},
    {0},
};

const struct command account_commands[] = {
    {"account list", "[ASSET|GLOB|NODE...]", "show accounts and the state of their secrets",
	list_options, 0, -1, list_run},
    {"account show", "ASSET ACCOUNT", "show an account's versions, never their secrets", NULL, 2, 2,
	show_run},
    {"account add", "ASSET ACCOUNT", "tell an account's password (asks, or one line of stdin)",
	NULL, 2, 2, add_run},
    {"account import", "FILE", "tell many secrets, from CSV (- = stdin)", NULL, 1, 1, import_run},
    {"account reveal", "ASSET ACCOUNT", "show an account's secret", reveal_options, 2, 2,
	reveal_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static void print_accounts(const json_t *accounts)
{
	static const char *const titles[] = {
	    "asset", "account", "state", "age", "proof", "kind", "", NULL};
	struct sheet *sheet = sheet_new(titles);
	int64_t now_s = time(NULL);
	const json_t *account;
	size_t i;

	json_array_foreach(accounts, i, account)
	{
		bool declared = json_is_true(json_object_get(account, "declared"));
		char age[FORMAT_SIZE];

		format_age(age, text_of(account, "changed"), now_s);

		sheet_add(sheet, (const char *const[]){
				     text_of(account, "asset"),
				     text_of(account, "account"),
				     text_of(account, "state"),
				     age,
				     text_of(account, "proof"),
				     text_of(account, "kind"),
				     declared ? "" : "kept, declared no more",
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static int list_run(struct cli *cli)
{
	json_t *params = json_pack("{s:b, s:b, s:o}", "unmanaged", cli_flag(cli, "unmanaged"),
	    "in_doubt", cli_flag(cli, "in-doubt"), "assets", cli_args(cli));
	json_t *result;
	int status = cli_call(cli, "account.list", params, &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK && json_array_size(result) == 0)
		printf("no accounts\n");
	else if (status == SERVICE_OK)
		print_accounts(result);
	json_decref(result);
	return status;
}

/* ── show ────────────────────────────────────────────────────────────────────────────────── */

static void print_versions(const json_t *versions)
{
	static const char *const titles[] = {
	    "version", "stage", "kind", "made", "proof", "proved", "end", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *version;
	size_t i;

	json_array_foreach(versions, i, version)
	{
		char number[24], made[FORMAT_SIZE], proved[FORMAT_SIZE];

		snprintf(number, sizeof(number), "%lld", (long long)number_of(version, "number"));
		sheet_add(sheet, (const char *const[]){
				     number,
				     text_of(version, "stage"),
				     text_of(version, "kind"),
				     format_time(made, text_of(version, "created")),
				     text_of(version, "proof"),
				     format_time(proved, text_of(version, "proved")),
				     text_of(version, "end"),
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static void print_account(const json_t *account)
{
	const json_t *versions = json_object_get(account, "versions");

	printf("%s on %s: %s%s\n", text_of(account, "account"), text_of(account, "asset"),
	    text_of(account, "state"),
	    json_is_true(json_object_get(account, "declared"))
		? ""
		: " (the policy declares it no more)");
	if (json_array_size(versions) > 0)
		print_versions(versions);
}

static json_t *account_params(const struct cli *cli)
{
	json_t *params = json_object();

	json_object_set_new(params, "asset", json_text(cli->args[0]));
	json_object_set_new(params, "account", json_text(cli->args[1]));
	return params;
}

static int show_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "account.show", account_params(cli), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_account(result);
	json_decref(result);
	return status;
}

/* ── import ──────────────────────────────────────────────────────────────────────────────── */

static int print_told(struct cli *cli, int status, const json_t *result)
{
	char count[FORMAT_SIZE];

	if (status != SERVICE_OK || cli->json)
		return status == SERVICE_OK ? cli_print_json(result, status) : status;
	printf("told: the secrets of %s account%s\n",
	    format_count(count, (uint64_t)number_of(result, "accounts")),
	    number_of(result, "accounts") == 1 ? "" : "s");
	return status;
}

static int import_run(struct cli *cli)
{
	const char *path = cli->args[0];
	const char *source = strcmp(path, "-") == 0 ? "stdin" : path;
	struct error error;
	json_t *rows, *params, *result;
	int status;

	if (accounts_csv_read(path, source, &rows, &error) != ERR_OK)
		return cli_usage("%s; nothing was imported", error.text);
	params = json_pack("{s:o, s:o}", "source", json_text(source), "rows", rows);
	status = cli_call(cli, "account.import", params, &result);
	status = print_told(cli, status, result);
	json_decref(result);
	return status;
}

/* ── add ─────────────────────────────────────────────────────────────────────────────────── */

/* Twice on a terminal, which does not show what is typed. */
static int read_password(struct buf *password)
{
	struct buf again;
	bool same;

	if (!terminal_read_secret("password: ", password))
		return cli_usage("no password was given (at most %d bytes)", PASSWORD_BYTES_MAX);
	if (!terminal_is(STDIN_FILENO))
		return SERVICE_OK;
	buf_init(&again, PASSWORD_BYTES_MAX);
	same = terminal_read_secret("again: ", &again) &&
	       strcmp(buf_text(password), buf_text(&again)) == 0;
	buf_clear(&again);
	return same ? SERVICE_OK : cli_usage("they differ; nothing was changed");
}

static int add_password(struct cli *cli, struct buf *password)
{
	json_t *params = account_params(cli), *result;
	json_t *text = json_stringn(buf_text(password), password->len);
	int status;

	if (text == NULL || strlen(buf_text(password)) != password->len) {
		json_decref(text);
		json_decref(params);
		return cli_usage("the password is no UTF-8 text; nothing was changed");
	}
	json_object_set_new(params, "password", text);
	status = cli_call(cli, "account.add", params, &result);
	status = print_told(cli, status, result);
	json_decref(result);
	return status;
}

static int add_run(struct cli *cli)
{
	struct buf password;
	int status;

	buf_init(&password, PASSWORD_BYTES_MAX);
	status = read_password(&password);
	if (status == SERVICE_OK)
		status = add_password(cli, &password);
	buf_clear(&password);
	return status;
}
