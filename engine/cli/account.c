#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/accounts_csv.h"
#include "cli/ask.h"
#include "base/format.h"
#include "cli/list.h"
#include "cli/reveal.h"
#include "cli/run.h"
#include "cli/terminal.h"

enum {
	KEY_UNMANAGED = 0x1000,
	KEY_IN_DOUBT,
	KEY_MISMATCH,
	KEY_ORPHANED,
	KEY_OLDER,
	KEY_REVEALED_TO,
	KEY_SINCE,
	KEY_KIND,
	KEY_NUMBER,
	KEY_RAW,
	KEY_PUBLIC,
	KEY_REASON,
	KEY_COPY,
	KEY_FOR,
	KEY_OF,
	KEY_FORGET,
	KEY_OUT
};

static int list_run(struct cli *);
static int show_run(struct cli *);
static int history_run(struct cli *);
static int import_run(struct cli *);
static int add_run(struct cli *);
static int verify_run(struct cli *);
static int restore_run(struct cli *);
static int checkin_run(struct cli *);

static const struct argp_option list_options[] = {
    {"unmanaged", KEY_UNMANAGED, NULL, 0, "only those without a known secret", 0},
    {"in-doubt", KEY_IN_DOUBT, NULL, 0, "only those whose change is not settled", 0},
    {"mismatch", KEY_MISMATCH, NULL, 0, "only those that none of their secrets opens", 0},
    {"orphaned", KEY_ORPHANED, NULL, 0, "only those that are kept and declared no more", 0},
    {"older", KEY_OLDER, "AGE", 0, "only those whose secret is older than that, such as 90d", 0},
    {"out", KEY_OUT, NULL, 0, "only those that are checked out, and who has them until when", 0},
    {"revealed-to", KEY_REVEALED_TO, "USER", 0,
	"only those that a secret which they saw or told may open still", 0},
    {"since", KEY_SINCE, "TIME", 0, "that they saw since then: 2d, or 2026-11-24", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option history_options[] = {LIST_CSV, {0}};

static const struct argp_option reveal_options[] = {
    {"kind", KEY_KIND, "KIND", 0, "password or key, of an account that has both", 0},
    {"version", KEY_NUMBER, "N", 0, "this version instead of the current one", 0},
    {"raw", KEY_RAW, NULL, 0, "the secret alone, without a newline", 0},
    {"public", KEY_PUBLIC, NULL, 0, "of a key the public line, as it stands on the asset", 0},
    {"reason", KEY_REASON, "TEXT", 0, "why, where the policy asks for it", 0},
    {"copy", KEY_COPY, NULL, 0, "into the terminal's clipboard, and not on the screen", 0},
    {0},
};

static const struct argp_option checkout_options[] = {
    {"for", KEY_FOR, "TIME", 0, "how long, such as 2h (else 1h): then it is rotated", 0},
    {"kind", KEY_KIND, "KIND", 0, "password or key, of an account that has both", 0},
    {"raw", KEY_RAW, NULL, 0, "the secret alone, without a newline", 0},
    {"reason", KEY_REASON, "TEXT", 0, "why, where the policy asks for it", 0},
    {"copy", KEY_COPY, NULL, 0, "into the terminal's clipboard, and not on the screen", 0},
    {0},
};

static const struct argp_option checkin_options[] = {
    {"kind", KEY_KIND, "KIND", 0, "password or key, of an account that has both", 0},
    {"of", KEY_OF, "USER", 0, "what this person has checked out", 0},
    {"forget", KEY_FORGET, NULL, 0, "rotate nothing: what nothing can rotate any more", 0},
    {0},
};

static const struct argp_option restore_options[] = {
    {"version", KEY_NUMBER, "N", 0, "the version: lockstep account show tells which are kept", 0},
    {0},
};

const struct command account_commands[] = {
    {"account list", "[ASSET|GLOB|NODE...]", "show accounts and the state of their secrets",
	list_options, 0, -1, list_run},
    {"account show", "ASSET ACCOUNT", "show an account's versions, never their secrets", NULL, 2, 2,
	show_run},
    {"account history", "ASSET ACCOUNT", "show what made each version, and how it ended",
	history_options, 2, 2, history_run},
    {"account add", "ASSET ACCOUNT", "tell an account's password (asks, or one line of stdin)",
	NULL, 2, 2, add_run},
    {"account import", "FILE", "tell many secrets, from CSV (- = stdin)", NULL, 1, 1, import_run},
    {"account reveal", "ASSET ACCOUNT", "show an account's secret", reveal_options, 2, 2,
	reveal_run},
    {"account checkout", "ASSET ACCOUNT", "show an account's secret for a time, then rotate it",
	checkout_options, 2, 2, checkout_run},
    {"account checkin", "ASSET ACCOUNT", "give back what was checked out: it is rotated",
	checkin_options, 2, 2, checkin_run},
    {"account verify", "[ASSET|GLOB|NODE [ACCOUNT|GLOB]]",
	"see whether the kept secrets still open the accounts", NULL, 0, 2, verify_run},
    {"account restore", "ASSET ACCOUNT", "set an earlier version's secret again, and see it work",
	restore_options, 2, 2, restore_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *age_text(char out[LIST_TEXT_SIZE], const json_t *account)
{
	return format_age(out, text_of(account, "changed"), time(NULL));
}

static const char *declared_text(char out[LIST_TEXT_SIZE], const json_t *account)
{
	(void)out;
	return json_is_true(json_object_get(account, "declared")) ? "" : "kept, declared no more";
}

static const struct column account_columns[] = {
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {"state", "state", NULL, false},
    {"age", NULL, age_text, false},
    {"proof", "proof", NULL, false},
    {"kind", "kind", NULL, false},
    {"", NULL, declared_text, false},
    {NULL, "declared", NULL, false},
    {NULL, "current", NULL, false},
    {NULL, "pending", NULL, false},
    {NULL, "previous", NULL, false},
    {NULL, "changed", NULL, false},
    {NULL, "proved", NULL, false},
    {0},
};

/* ── list --out ──────────────────────────────────────────────────────────────────────────── */

static const char *until_text(char out[LIST_TEXT_SIZE], const json_t *checkout)
{
	return format_time(out, text_of(checkout, "until"));
}

/* Of one that is over, why it is there still. */
static const char *left_text(char out[LIST_TEXT_SIZE], const json_t *checkout)
{
	if (strcmp(text_of(checkout, "state"), "out") == 0)
		return "";
	if (text_of(checkout, "execution")[0] != '\0')
		snprintf(out, LIST_TEXT_SIZE, "not rotated yet: lockstep execution show %s",
		    text_of(checkout, "execution"));
	else
		snprintf(out, LIST_TEXT_SIZE, "not rotated yet: lockstep account checkin %s %s",
		    text_of(checkout, "asset"), text_of(checkout, "account"));
	return out;
}

static const struct column checkout_columns[] = {
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {"kind", "kind", NULL, false},
    {"who", "who", NULL, false},
    {"until", NULL, until_text, true},
    {"state", "state", NULL, false},
    {"why", "why", NULL, false},
    {"", NULL, left_text, true},
    {NULL, "version", NULL, false},
    {NULL, "since", NULL, false},
    {NULL, "until", NULL, false},
    {NULL, "tries", NULL, false},
    {NULL, "execution", NULL, false},
    {0},
};

static json_t *checkouts_of(const json_t *accounts)
{
	json_t *all = json_array();
	const json_t *account;
	size_t i;

	json_array_foreach(accounts, i, account)
	    json_array_extend(all, json_object_get(account, "checkouts"));
	return all;
}

static int list_out(struct cli *cli, int status, const json_t *accounts)
{
	json_t *checkouts = checkouts_of(accounts);

	status = list_print(cli, status, checkouts, checkout_columns, "nothing is checked out");
	json_decref(checkouts);
	return status;
}

static int list_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "assets", cli_args(cli));
	status = cli_call(cli, "account.list", params, &result);
	if (cli_flag(cli, "out") && !cli->json)
		status = list_out(cli, status, result);
	else
		status = list_print(cli, status, result, account_columns, "no accounts");
	json_decref(result);
	return status;
}

/* ── show ────────────────────────────────────────────────────────────────────────────────── */

static const char *created_text(char out[LIST_TEXT_SIZE], const json_t *version)
{
	return format_time(out, text_of(version, "created"));
}

static const char *proved_text(char out[LIST_TEXT_SIZE], const json_t *version)
{
	return format_time(out, text_of(version, "proved"));
}

static const struct column version_columns[] = {
    {"version", "number", NULL, true},
    {"stage", "stage", NULL, false},
    {"kind", "kind", NULL, false},
    {"made", NULL, created_text, true},
    {"proof", "proof", NULL, false},
    {"proved", NULL, proved_text, true},
    {"end", "end", NULL, false},
    {0},
};

static void print_account(const json_t *account)
{
	const json_t *versions = json_object_get(account, "versions");

	printf("%s on %s: %s%s\n", text_of(account, "account"), text_of(account, "asset"),
	    text_of(account, "state"),
	    json_is_true(json_object_get(account, "declared"))
		? ""
		: " (the policy declares it no more)");
	if (json_array_size(versions) > 0)
		list_write(stdout, terminal_width(STDOUT_FILENO), versions, version_columns);
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

/* ── history ─────────────────────────────────────────────────────────────────────────────── */

static const char *maker_text(char out[LIST_TEXT_SIZE], const json_t *version)
{
	const json_t *maker = json_object_get(version, "made_by");

	if (json_is_object(maker))
		snprintf(out, LIST_TEXT_SIZE, "task %s (%s)", text_of(maker, "task"),
		    text_of(maker, "trigger"));
	else if (json_is_string(json_object_get(version, "record")))
		return "a record that is not kept any more";
	else
		return "told";
	return out;
}

static const char *ending_text(char out[LIST_TEXT_SIZE], const json_t *version)
{
	static const char *const words[][2] = {
	    {"replaced", "a newer one works"},
	    {"not_live", "never became the account's"},
	    {"no_verdict", "nobody knows: it did not open"},
	};
	const char *end = text_of(version, "end"), *why = end;
	char when[FORMAT_SIZE];

	if (end[0] == '\0')
		return text_of(version, "stage");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], end) == 0)
			why = words[i][1];
	snprintf(out, LIST_TEXT_SIZE, "%s, %s", format_time(when, text_of(version, "ended")), why);
	return out;
}

/* What came of the record that made it, where that was no success. */
static const char *outcome_text(char out[LIST_TEXT_SIZE], const json_t *version)
{
	const json_t *maker = json_object_get(version, "made_by");
	const char *status = text_of(maker, "status"), *reason = text_of(maker, "reason");

	if (!json_is_object(maker))
		return "";
	if (reason[0] == '\0')
		reason = text_of(json_object_get(maker, "error"), "code");
	snprintf(out, LIST_TEXT_SIZE, "%s%s%s", status, reason[0] == '\0' ? "" : ": ", reason);
	return out;
}

static const struct column history_columns[] = {
    {"version", "number", NULL, true},
    {"kind", "kind", NULL, false},
    {"made", NULL, created_text, true},
    {"by", NULL, maker_text, false},
    {"record", "made_by.record", NULL, true},
    {"came of it", NULL, outcome_text, false},
    {"proof", "proof", NULL, false},
    {"proved", NULL, proved_text, true},
    {"now", NULL, ending_text, false},
    {NULL, "stage", NULL, false},
    {NULL, "created", NULL, false},
    {NULL, "made_by.task", NULL, false},
    {NULL, "made_by.execution", NULL, false},
    {NULL, "made_by.asset", NULL, false},
    {NULL, "made_by.status", NULL, false},
    {NULL, "proved", NULL, false},
    {NULL, "end", NULL, false},
    {NULL, "ended", NULL, false},
    {0},
};

static int history_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "account.history", account_params(cli), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else
		status = list_print(cli, status, json_object_get(result, "versions"),
		    history_columns, "no secret of it is kept");
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

static int add_run(struct cli *cli)
{
	char *whose = xasprintf("account \"%s\" on asset \"%s\"", cli->args[1], cli->args[0]);
	json_t *params, *result, *text = ask_secret("password", whose);
	int status;

	free(whose);
	if (text == NULL)
		return SERVICE_USAGE;
	params = account_params(cli);
	json_object_set_new(params, "password", text);
	status = cli_call(cli, "account.add", params, &result);
	status = print_told(cli, status, result);
	json_decref(result);
	return status;
}

/* ── verify ──────────────────────────────────────────────────────────────────────────────── */

static int verify_run(struct cli *cli)
{
	json_t *params = json_object(), *assets = json_array(), *result;
	enum service_end end;
	int status;

	if (cli->arg_count > 0)
		json_array_append_new(assets, json_text(cli->args[0]));
	json_object_set_new(params, "assets", assets);
	if (cli->arg_count > 1)
		json_object_set_new(params, "account", json_text(cli->args[1]));
	end = cli_call(cli, "account.verify", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}

/* ── restore ─────────────────────────────────────────────────────────────────────────────── */

static int restore_run(struct cli *cli)
{
	json_t *params = json_copy(cli->options), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "asset", json_text(cli->args[0]));
	json_object_set_new(params, "account", json_text(cli->args[1]));
	end = cli_call(cli, "account.restore", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}

/* ── checkin ─────────────────────────────────────────────────────────────────────────────── */

static int print_checked_in(const struct cli *cli, const json_t *result)
{
	const char *other = text_of(result, "waits_for");

	if (cli->json)
		return cli_print_json(result, SERVICE_OK);
	if (json_is_true(json_object_get(result, "forgotten")))
		printf("forgotten; what was shown may open it still\n");
	else if (other[0] != '\0')
		printf("checked in; %s has it out still, and it is rotated after that\n", other);
	else
		printf("checked in; it was rotated since\n");
	return SERVICE_OK;
}

static int checkin_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "asset", json_text(cli->args[0]));
	json_object_set_new(params, "account", json_text(cli->args[1]));
	end = cli_call(cli, "account.checkin", params, &result);
	if (end == SERVICE_OK && json_object_get(result, "waits_for") != NULL)
		status = print_checked_in(cli, result);
	else
		status = run_print(cli, end, result);
	json_decref(result);
	return status;
}
