#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/format.h"
#include "cli/list.h"

enum {
	KEY_SINCE = 0x1000,
	KEY_WHO,
	KEY_WHAT,
	KEY_ASSET,
	KEY_ACCOUNT,
	KEY_TASK,
	KEY_LIMIT,
	KEY_KEY
};

static int list_run(struct cli *);
static int export_run(struct cli *);
static int verify_run(struct cli *);
static int key_run(struct cli *);

static const struct argp_option list_options[] = {
    {"since", KEY_SINCE, "WHEN", 0, "only from then on: 7d, or a day or moment in UTC", 0},
    {"who", KEY_WHO, "USER", 0, "only what this user did", 0},
    {"what", KEY_WHAT, "WORD", 0, "only such: reveal, run, policy …", 0},
    {"asset", KEY_ASSET, "ASSET", 0, "only of this asset", 0},
    {"account", KEY_ACCOUNT, "ACCOUNT", 0, "only of accounts of this name", 0},
    {"task", KEY_TASK, "TASK", 0, "only of this task", 0},
    {"limit", KEY_LIMIT, "N", 0, "at most so many, the newest", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option export_options[] = {
    {"since", KEY_SINCE, "WHEN", 0, "only from then on: 7d, or a day or moment in UTC", 0},
    {0},
};

static const struct argp_option verify_options[] = {
    {"key", KEY_KEY, "KEY", 0, "the public key that audit key has printed", 0},
    {0},
};

const struct command audit_commands[] = {
    {"audit list", "", "show who did what and when, the newest first", list_options, 0, 0,
	list_run},
    {"audit export", "", "print the log as JSON lines that audit verify checks", export_options, 0,
	0, export_run},
    {"audit verify", "[FILE]", "see that the log or an export is as it was written", verify_options,
	0, 1, verify_run},
    {"audit key", "", "print the key that signs the log: keep it elsewhere", NULL, 0, 0, key_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *at_text(char out[LIST_TEXT_SIZE], const json_t *entry)
{
	return format_time(out, text_of(entry, "at"));
}

static const char *who_text(char out[LIST_TEXT_SIZE], const json_t *entry)
{
	const char *user = text_of(entry, "user");

	if (user[0] != '\0' && text_of(entry, "address")[0] != '\0') {
		snprintf(out, LIST_TEXT_SIZE, "%s from %s", user, text_of(entry, "address"));
		return out;
	}
	if (user[0] != '\0')
		return user;
	if (json_object_get(entry, "uid") == NULL)
		return text_of(entry, "origin");
	snprintf(out, LIST_TEXT_SIZE, "uid %lld", (long long)number_of(entry, "uid"));
	return out;
}

static void add_word(char out[LIST_TEXT_SIZE], const char *before, const char *word)
{
	size_t used = strlen(out);

	if (word[0] != '\0')
		snprintf(
		    out + used, LIST_TEXT_SIZE - used, "%s%s%s", used > 0 ? " " : "", before, word);
}

/* What it is about, in the order in which one looks for it. */
static const char *about_text(char out[LIST_TEXT_SIZE], const json_t *entry)
{
	char version[24] = "";

	out[0] = '\0';
	if (number_of(entry, "version") != 0)
		snprintf(version, sizeof(version), "v%lld", (long long)number_of(entry, "version"));
	add_word(out, "", text_of(entry, "task"));
	add_word(out, "", text_of(entry, "asset"));
	add_word(out, "", text_of(entry, "account"));
	add_word(out, "", version);
	add_word(out, "", text_of(entry, "object"));
	add_word(out, "— ", text_of(entry, "detail"));
	return out;
}

static const struct column columns[] = {
    {"number", "number", NULL, true},
    {"at", NULL, at_text, true},
    {"who", NULL, who_text, true},
    {"what", "what", NULL, true},
    {"outcome", "outcome", NULL, true},
    {"about", NULL, about_text, false},
    {NULL, "origin", NULL, false},
    {NULL, "uid", NULL, false},
    {NULL, "user", NULL, false},
    {NULL, "address", NULL, false},
    {NULL, "token", NULL, false},
    {NULL, "task", NULL, false},
    {NULL, "asset", NULL, false},
    {NULL, "account", NULL, false},
    {NULL, "object", NULL, false},
    {NULL, "version", NULL, false},
    {NULL, "execution", NULL, false},
    {NULL, "detail", NULL, false},
    {NULL, "hash", NULL, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "audit.list", cli_params(cli), &result);

	status = list_print(cli, status, result, columns, "the audit log has no such entry");
	json_decref(result);
	return status;
}

/* ── export ──────────────────────────────────────────────────────────────────────────────── */

static int export_run(struct cli *cli)
{
	const json_t *line;
	json_t *result;
	size_t i;
	int status = cli_call(cli, "audit.export", cli_params(cli), &result);

	json_array_foreach(result, i, line) printf("%s\n", json_string_value(line));
	json_decref(result);
	return status;
}

/* ── verify ──────────────────────────────────────────────────────────────────────────────── */

static void print_report(const json_t *report)
{
	char at[LIST_TEXT_SIZE];
	long long last = (long long)number_of(report, "last");
	long long signed_to = (long long)number_of(report, "signed_to");

	printf("the audit log of vault %s is as it was written: %lld entries, %lld to %lld\n",
	    text_of(report, "vault"), (long long)number_of(report, "entries"),
	    (long long)number_of(report, "first"), last);
	if (signed_to > 0)
		printf("signed up to entry %lld, %s\n", signed_to,
		    format_time(at, text_of(report, "signed_at")));
	if (signed_to < last)
		printf("the %lld behind it are not signed yet, so that whoever writes to the vault "
		       "could cut them off\n",
		    last - signed_to);
}

static int verify_end(struct cli *cli, int status, json_t *result)
{
	if (result != NULL && cli->json)
		status = cli_print_json(result, status);
	else if (result != NULL)
		print_report(result);
	json_decref(result);
	return status;
}

static int verify_file(struct cli *cli, const char *key)
{
	struct error error;
	json_t *result;
	int status = service_audit_verify(cli->args[0], key, &result, &error);

	if (status != SERVICE_OK)
		fprintf(stderr, "lockstep: %s\n", error.text);
	return verify_end(cli, status, result);
}

static int verify_run(struct cli *cli)
{
	const char *key = cli_option(cli, "key");
	json_t *result;
	int status;

	if (cli->arg_count > 0 && key == NULL)
		return cli_usage("--key is missing: give the public key that lockstep audit key "
				 "printed, and that you kept elsewhere");
	if (cli->arg_count > 0)
		return verify_file(cli, key);
	if (key != NULL)
		return cli_usage(
		    "--key is for a file: without one the vault's own log is looked at");
	status = cli_call(cli, "audit.verify", json_object(), &result);
	return verify_end(cli, status, result);
}

/* ── key ─────────────────────────────────────────────────────────────────────────────────── */

static int key_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "audit.key", json_object(), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("%s\n", text_of(result, "key"));
	json_decref(result);
	return status;
}
