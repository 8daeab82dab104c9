#include "cli/reveal.h"
#include "cli/run.h"

#include <stdio.h>

#include "base/json.h"
#include "service/advice.h"
#include "base/format.h"
#include "cli/list.h"

#define LIST_LIMIT 1000 /* the service's, of all executions */

enum {
	KEY_EXECUTION = 0x1000,
	KEY_STATUS,
	KEY_TASK,
	KEY_ASSET,
	KEY_ACCOUNT,
	KEY_REASON,
	KEY_SINCE,
	KEY_LIMIT,
	KEY_IGNORED,
	KEY_WHY
};

static int list_run(struct cli *);
static int show_run(struct cli *);
static int retry_run(struct cli *);
static int ignore_run(struct cli *);
static int unignore_run(struct cli *);
static int restore_run(struct cli *);

#define FILTER_OPTIONS                                                                             \
	{"execution", KEY_EXECUTION, "ID", 0, "only of this execution", 0},                        \
	    {"status", KEY_STATUS, "STATUS", 0,                                                    \
		"only success, failed, unverified, skipped, planned or staged", 0},                \
	    {"task", KEY_TASK, "TASK|GLOB", 0, "only of this task", 0},                            \
	    {"asset", KEY_ASSET, "ASSET|GLOB|NODE", 0, "only of these assets", 0},                 \
	    {"account", KEY_ACCOUNT, "ACCOUNT|GLOB", 0, "only of these accounts", 0},              \
	    {"reason", KEY_REASON, "WORD", 0, "only with this reason or error", 0},                \
	{                                                                                          \
		"since", KEY_SINCE, "WHEN", 0,                                                     \
		    "only of executions since then: 2d ago, or \"2026-11-24 09:41\"", 0            \
	}

static const struct argp_option list_options[] = {
    FILTER_OPTIONS,
    {"ignored", KEY_IGNORED, NULL, 0, "of those that failed, also the ignored ones", 0},
    {"limit", KEY_LIMIT, "N", 0, "at most N (of all executions: 1000)", 0},
    LIST_CSV,
    {0},
};

static const struct argp_option reveal_options[] = {
    {"reason", KEY_REASON, "TEXT", 0, "why, where the policy asks for it", 0},
    {0},
};

static const struct argp_option retry_options[] = {FILTER_OPTIONS, {0}};

static const struct argp_option ignore_options[] = {
    {"why", KEY_WHY, "TEXT", 0, "the reason, for whoever finds the record later", 0},
    FILTER_OPTIONS,
    {0},
};

const struct command record_commands[] = {
    {"record list", "", "show what came of each account", list_options, 0, 0, list_run},
    {"record show", "ID", "show one record, and what to do next", NULL, 1, 1, show_run},
    {"record retry", "[ID...]", "run the accounts of records again, as the policy says now",
	retry_options, 0, -1, retry_run},
    {"record ignore", "[ID...]", "say of records that failed that they are no concern any more",
	ignore_options, 0, -1, ignore_run},
    {"record unignore", "[ID...]", "take that back", retry_options, 0, -1, unignore_run},
    {"record restore", "ID", "set again the secret that was there before this record", NULL, 1, 1,
	restore_run},
    {"record reveal", "ID", "show the old and the new secret of a record", reveal_options, 1, 1,
	reveal_record_run},
    {0},
};

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *short_text(char out[LIST_TEXT_SIZE], const json_t *record)
{
	(void)out;
	return text_of(record, "short");
}

static const char *ended_text(char out[LIST_TEXT_SIZE], const json_t *record)
{
	return format_time(out, text_of(record, "ended"));
}

static const char *why_text(char out[LIST_TEXT_SIZE], const json_t *record)
{
	const json_t *ignored = json_object_get(record, "ignored");

	if (!json_is_object(ignored))
		return advice_what(out, LIST_TEXT_SIZE, record);
	snprintf(out, LIST_TEXT_SIZE, "ignored by %s: %s", text_of(ignored, "by"),
	    text_of(ignored, "why"));
	return out;
}

static const struct column record_columns[] = {
    {"record", NULL, short_text, true},
    {NULL, "id", NULL, false},
    {NULL, "execution", NULL, false},
    {NULL, "task", NULL, false},
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {NULL, "kind", NULL, false},
    {"status", "status", NULL, false},
    {"ended", NULL, ended_text, true},
    {"why", NULL, why_text, false},
    {NULL, "reason", NULL, false},
    {NULL, "error.class", NULL, false},
    {NULL, "error.code", NULL, false},
    {NULL, "error.message", NULL, false},
    {NULL, "ignored.by", NULL, false},
    {NULL, "ignored.at", NULL, false},
    {NULL, "ignored.why", NULL, false},
    {NULL, "proof", NULL, false},
    {NULL, "attempts", NULL, false},
    {NULL, "sends", NULL, false},
    {NULL, "planned", NULL, false},
    {NULL, "sent", NULL, false},
    {NULL, "proved", NULL, false},
    {NULL, "ended", NULL, false},
    {0},
};

/* A list that ends where it does for no reason of its own says so. */
static void say_limit(const struct cli *cli, const json_t *records)
{
	bool chosen = cli_flag(cli, "limit") || cli_flag(cli, "execution");

	if (!chosen && !cli->quiet && json_array_size(records) >= LIST_LIMIT)
		fprintf(stderr, "these are the newest %d; more with --limit N\n", LIST_LIMIT);
}

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "record.list", cli_params(cli), &result);

	status = list_print(cli, status, result, record_columns, "no records");
	say_limit(cli, result);
	json_decref(result);
	return status;
}

/* ── show ────────────────────────────────────────────────────────────────────────────────── */

static void print_text(const char *word, const char *text)
{
	if (text[0] != '\0')
		printf("%-12s %s\n", word, text);
}

static void print_time(const char *word, const json_t *record, const char *key)
{
	char text[FORMAT_SIZE];

	print_text(word, format_time(text, text_of(record, key)));
}

static void print_versions(const json_t *record)
{
	json_int_t before = number_of(record, "old_version");
	json_int_t made = number_of(record, "new_version");

	if (made > 0)
		printf("%-12s %lld\n", "version", (long long)made);
	if (before > 0)
		printf("%-12s %lld\n", "before it", (long long)before);
}

static void print_ignored(const json_t *ignored)
{
	char text[FORMAT_SIZE];

	if (json_is_object(ignored))
		printf("%-12s by %s at %s: %s\n", "ignored", text_of(ignored, "by"),
		    format_time(text, text_of(ignored, "at")), text_of(ignored, "why"));
}

static void print_record(const json_t *record)
{
	const json_t *error = json_object_get(record, "error");
	char next[512], what[512];

	print_text("record", text_of(record, "id"));
	print_text("execution", text_of(record, "execution"));
	print_text("task", text_of(record, "task"));
	print_text("asset", text_of(record, "asset"));
	print_text("account", text_of(record, "account"));
	print_text("kind", text_of(record, "kind"));
	print_text("status", text_of(record, "status"));
	print_text("reason", text_of(record, "reason"));
	print_text("what", advice_what(what, sizeof(what), record));
	if (json_is_object(error))
		printf("%-12s %s (%s)\n", "error", text_of(error, "code"), text_of(error, "class"));
	print_text("proof", text_of(record, "proof"));
	print_versions(record);
	printf("%-12s %lld\n", "visits", (long long)number_of(record, "attempts"));
	printf("%-12s %lld\n", "sends", (long long)number_of(record, "sends"));
	print_time("planned", record, "planned");
	print_time("staged", record, "staged");
	print_time("sent", record, "sent");
	print_time("proved", record, "proved");
	print_time("ended", record, "ended");
	print_ignored(json_object_get(record, "ignored"));
	if (text_of(record, "status")[0] != 's' || text_of(record, "status")[1] != 'u')
		print_text("next", advice_next(next, sizeof(next), record));
}

static int show_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	int status;

	json_object_set_new(params, "record", json_text(cli->args[0]));
	status = cli_call(cli, "record.show", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_record(result);
	json_decref(result);
	return status;
}

/* ── retry ───────────────────────────────────────────────────────────────────────────────── */

static int retry_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "records", cli_args(cli));
	end = cli_call(cli, "record.retry", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}

/* ── ignore ──────────────────────────────────────────────────────────────────────────────── */

static int ignoring_run(struct cli *cli, const char *method, const char *word)
{
	json_t *params = cli_params(cli), *result;
	char count[FORMAT_SIZE];
	int status;

	json_object_set_new(params, "records", cli_args(cli));
	status = cli_call(cli, method, params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		printf("records that are %s: %s\n", word,
		    format_count(count, (uint64_t)number_of(result, "records")));
	json_decref(result);
	return status;
}

static int ignore_run(struct cli *cli)
{
	return ignoring_run(cli, "record.ignore", "ignored now");
}

static int unignore_run(struct cli *cli)
{
	return ignoring_run(cli, "record.unignore", "ignored no more");
}

/* ── restore ─────────────────────────────────────────────────────────────────────────────── */

static int restore_run(struct cli *cli)
{
	json_t *params = json_object(), *result;
	enum service_end end;
	int status;

	json_object_set_new(params, "record", json_text(cli->args[0]));
	end = cli_call(cli, "record.restore", params, &result);
	status = run_print(cli, end, result);
	json_decref(result);
	return status;
}
