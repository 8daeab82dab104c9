#include "cli/task_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/editor.h"
#include "cli/reload.h"
#include "cli/terminal.h"

#define TEXT_MAX (1024UL * 1024)

enum {
	KEY_ACCOUNTS = 0x1000,
	KEY_ASSETS,
	KEY_NODES,
	KEY_NOT_ACCOUNTS,
	KEY_NOT_ASSETS,
	KEY_NOT_NODES,
	KEY_KIND,
	KEY_RULE,
	KEY_SPECIFIED,
	KEY_SSH_KEY,
	KEY_REPLACE,
	KEY_VERIFY,
	KEY_PARAM,
	KEY_IN_FLIGHT,
	KEY_PER_SECOND,
	KEY_PER_NODE,
	KEY_PER_GATEWAY,
	KEY_CANARY,
	KEY_STOP_AFTER,
	KEY_RETRIES,
	KEY_PRIORITY,
	KEY_CRON,
	KEY_EVERY,
	KEY_AT,
	KEY_ZONE,
	KEY_WINDOW,
	KEY_JITTER,
	KEY_CATCH_UP,
	KEY_MAX_AGE,
	KEY_RECIPIENTS,
	KEY_INACTIVE,
	KEY_COMMENT,
	KEY_RELOAD,
	KEY_PRINT,
	KEY_YES,
};

#define OPTION_RELOAD                                                                              \
	{                                                                                          \
		"reload", KEY_RELOAD, NULL, 0, "let lockstepd load the policy anew", 0             \
	}
#define OPTION_PRINT                                                                               \
	{                                                                                          \
		"print", KEY_PRINT, NULL, 0, "print the file, and write nothing", 0                \
	}

const struct argp_option task_create_options[] = {
    {"accounts", KEY_ACCOUNTS, "NAME...", 0, "which accounts; * stands for any characters", 0},
    {"assets", KEY_ASSETS, "ASSET...", 0, "of which assets", 0},
    {"nodes", KEY_NODES, "NODE...", 0, "and of those at and below which nodes", 0},
    {"exclude-accounts", KEY_NOT_ACCOUNTS, "NAME...", 0, "but not these accounts", 0},
    {"exclude-assets", KEY_NOT_ASSETS, "ASSET...", 0, "but not these assets", 0},
    {"exclude-nodes", KEY_NOT_NODES, "NODE...", 0, "but not what is below these nodes", 0},
    {"kind", KEY_KIND, "change|verify", 0, "set new secrets, or only see whether they work", 0},
    {"rule", KEY_RULE, "RULE", 0, "new passwords by this rule", 0},
    {"specified", KEY_SPECIFIED, "SECRET", 0, "the password that the vault holds so named", 0},
    {"ssh-key", KEY_SSH_KEY, "ed25519|ecdsa|rsa", 0, "new SSH keys", 0},
    {"replace", KEY_REPLACE, "add|ours|all", 0, "which keys they replace", 0},
    {"verify", KEY_VERIFY, "login|su|hash|false", 0, "the proof; several by commas", 0},
    {"param", KEY_PARAM, "NAME=VALUE...", 0, "a parameter of the platform", 0},
    {"in-flight", KEY_IN_FLIGHT, "N", 0, "accounts at once", 0},
    {"per-second", KEY_PER_SECOND, "N", 0, "assets begun with in a second", 0},
    {"per-node", KEY_PER_NODE, "N", 0, "assets at once that have the same node", 0},
    {"per-gateway", KEY_PER_GATEWAY, "N", 0, "assets at once through the same gateway", 0},
    {"canary", KEY_CANARY, "N|PERCENT", 0, "so many are tried first, such as 1%", 0},
    {"stop-after", KEY_STOP_AFTER, "N|PERCENT", 0, "end when so many went wrong", 0},
    {"retries", KEY_RETRIES, "N", 0, "repetitions after errors that sent nothing", 0},
    {"priority", KEY_PRIORITY, "low|normal|high", 0, "beside other runs", 0},
    {"cron", KEY_CRON, "FIELDS", 0, "run it by itself, such as \"0 3 * * sun\"", 0},
    {"every", KEY_EVERY, "DURATION", 0, "run it each time that so much has passed", 0},
    {"at", KEY_AT, "TIME", 0, "run it once, such as \"2027-01-01 03:00\"", 0},
    {"zone", KEY_ZONE, "ZONE", 0, "of these times, such as Europe/Berlin", 0},
    {"window", KEY_WINDOW, "FROM-TO", 0, "but only between these, such as 02:00-05:00", 0},
    {"jitter", KEY_JITTER, "DURATION", 0, "up to so much later", 0},
    {"catch-up", KEY_CATCH_UP, "DURATION|false", 0, "make up for what was missed", 0},
    {"max-age", KEY_MAX_AGE, "DURATION", 0, "older secrets are overdue", 0},
    {"recipients", KEY_RECIPIENTS, "ADDRESS...", 0, "who is told how it went", 0},
    {"inactive", KEY_INACTIVE, NULL, 0, "do not follow its schedule yet", 0},
    {"comment", KEY_COMMENT, "TEXT", 0, "for people", 0},
    OPTION_RELOAD,
    OPTION_PRINT,
    {0},
};

const struct argp_option task_edit_options[] = {OPTION_RELOAD, {0}};
const struct argp_option task_copy_options[] = {OPTION_RELOAD, OPTION_PRINT, {0}};
const struct argp_option task_rename_options[] = {{0}};
const struct argp_option task_delete_options[] = {
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    OPTION_RELOAD,
    {0},
};

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

/* What it would select, and when it would be run. */
static void print_checked(const json_t *task)
{
	char accounts[FORMAT_SIZE], assets[FORMAT_SIZE];

	if (!json_is_object(task))
		return;
	printf(": accounts %s, assets %s",
	    format_count(accounts, (uint64_t)number_of(task, "accounts")),
	    format_count(assets, (uint64_t)number_of(task, "assets")));
	if (text_of(task, "next_local")[0] != '\0')
		printf(", next %s", text_of(task, "next_local"));
}

static void print_engine(const json_t *result)
{
	const char *engine = text_of(result, "engine");

	if (strcmp(engine, "lockstepd") == 0)
		printf("lockstepd goes on with the policy that it has: lockstep reload\n");
	else if (engine[0] != '\0')
		printf("\"%s\" is at work and goes on with the policy that it has\n", engine);
}

/* "reload" in the result is what came of it. */
static int reload_after(struct cli *cli, json_t *result)
{
	json_t *reloaded;
	int status = cli_call(cli, "reload", json_object(), &reloaded);

	if (status == SERVICE_OK)
		json_object_set_new(result, "reload", reloaded);
	return status;
}

static void print_change(struct cli *cli, const json_t *result, const char *done)
{
	const json_t *reloaded = json_object_get(result, "reload");

	printf("%s  %s", text_of(result, "file"), done);
	print_checked(json_object_get(result, "checked"));
	printf("\n");
	fflush(stdout);
	if (!cli->quiet)
		cli_problems(json_object_get(result, "warnings"), "warning: ");
	if (reloaded != NULL)
		reload_print(cli, reloaded);
	else
		print_engine(result);
}

/* What to change by hand, where the file is not in the form that Lockstep writes. */
static void print_patch(const json_t *result, const char *task)
{
	printf("%s", text_of(result, "patch"));
	fflush(stdout);
	fprintf(stderr,
	    "lockstep: %s holds more than task \"%s\" and was left alone: apply this patch, then "
	    "lockstep check\n",
	    text_of(result, "file"), task);
}

/* `status` of the call; `result` is dropped. */
static int end_change(struct cli *cli, int status, json_t *result, const char *done)
{
	bool written = json_is_true(json_object_get(result, "written"));

	if (status == SERVICE_OK && written && cli_flag(cli, "reload"))
		status = reload_after(cli, result);
	if (result != NULL && cli->json)
		status = cli_print_json(result, status);
	else if (json_object_get(result, "text") != NULL)
		printf("%s", text_of(result, "text"));
	else if (text_of(result, "patch")[0] != '\0')
		print_patch(result, cli->args[0]);
	else if (result != NULL)
		print_change(cli, result, done);
	json_decref(result);
	return status;
}

/* ── create, copy ────────────────────────────────────────────────────────────────────────── */

int task_create_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "task", json_text(cli->args[0]));
	status = cli_call(cli, "task.file.create", params, &result);
	return end_change(cli, status, result, "created");
}

int task_copy_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "task", json_text(cli->args[0]));
	json_object_set_new(params, "to", json_text(cli->args[1]));
	status = cli_call(cli, "task.file.copy", params, &result);
	return end_change(cli, status, result, "created");
}

/* ── edit ────────────────────────────────────────────────────────────────────────────────── */

/* One turn of editing. */
enum turn { TURN_TAKEN, TURN_SAME, TURN_REFUSED };

struct editing {
	const json_t *source; /* what was read */
	struct editor editor;
	struct buf text;
	int status;
	json_t *result;
};

static enum turn edit_once(struct cli *cli, struct editing *editing)
{
	const char *was = text_of(editing->source, "text");
	const char *now;

	editing->status = SERVICE_USAGE;
	if (!editor_run(&editing->editor, &editing->text))
		return TURN_REFUSED;
	now = buf_text(&editing->text);
	editing->status = SERVICE_OK;
	if (strcmp(now, was) == 0)
		return TURN_SAME;
	if (!text_is_utf8(now, editing->text.len)) {
		editing->status =
		    cli_usage("what was written is no UTF-8 text without NUL; nothing was changed");
		return TURN_REFUSED;
	}
	editing->status = cli_call(cli, "task.file.write",
	    json_pack("{s:s, s:s, s:s}", "task", text_of(editing->source, "task"), "was", was,
		"text", now),
	    &editing->result);
	return editing->status == SERVICE_OK ? TURN_TAKEN : TURN_REFUSED;
}

static bool wants_again(void)
{
	return terminal_is(STDIN_FILENO) && terminal_ask("Edit it again?");
}

static int edit_text(struct cli *cli, struct editing *editing)
{
	enum turn turn;

	do {
		turn = edit_once(cli, editing);
	} while (turn == TURN_REFUSED && wants_again());
	if (turn == TURN_REFUSED)
		fprintf(stderr, "your text is kept in %s\n", editing->editor.path);
	editor_close(&editing->editor, turn == TURN_REFUSED);
	if (turn == TURN_SAME)
		fprintf(stderr, "nothing was changed\n");
	return turn == TURN_SAME ? SERVICE_OK
				 : end_change(cli, editing->status, editing->result, "changed");
}

int task_edit_run(struct cli *cli)
{
	struct editing editing = {.result = NULL};
	json_t *source;
	const char *slash;
	int status = cli_call(
	    cli, "task.file.read", json_pack("{s:o}", "task", json_text(cli->args[0])), &source);

	if (status != SERVICE_OK)
		return status;
	slash = strrchr(text_of(source, "file"), '/');
	editing.source = source;
	buf_init(&editing.text, TEXT_MAX);
	status = SERVICE_NO_ENGINE;
	if (editor_open(&editing.editor, slash != NULL ? slash + 1 : text_of(source, "file"),
		text_of(source, "text")))
		status = edit_text(cli, &editing);
	buf_clear(&editing.text);
	json_decref(source);
	return status;
}

/* ── rename ──────────────────────────────────────────────────────────────────────────────── */

static json_t *names_of(const struct cli *cli)
{
	return json_pack(
	    "{s:o, s:o}", "task", json_text(cli->args[0]), "to", json_text(cli->args[1]));
}

/* What the vault keeps follows, once the engine that holds it has the new name. */
static int move_kept(struct cli *cli, json_t *result)
{
	json_t *moved = NULL;
	int status = SERVICE_OK;

	if (strcmp(text_of(result, "engine"), "lockstepd") == 0)
		status = reload_after(cli, result);
	if (status == SERVICE_OK)
		status = cli_call(cli, "task.rename", names_of(cli), &moved);
	if (status == SERVICE_OK)
		json_object_set(result, "moved", json_object_get(moved, "moved"));
	else
		fprintf(stderr,
		    "lockstep: the policy has the new name, but what is kept of the task (pause, "
		    "how far its schedule was followed) does not yet: lockstep task rename %s %s "
		    "again\n",
		    cli->args[0], cli->args[1]);
	json_decref(moved);
	return status;
}

int task_rename_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "task.file.rename", names_of(cli), &result);
	bool written = json_is_true(json_object_get(result, "written"));

	if (status == SERVICE_OK)
		status = move_kept(cli, result);
	return end_change(cli, status, result, written ? "renamed" : "has that name already");
}

/* ── delete ──────────────────────────────────────────────────────────────────────────────── */

static bool agreed(const struct cli *cli)
{
	char question[200];

	if (cli_flag(cli, "yes"))
		return true;
	snprintf(question, sizeof(question),
	    "Take task \"%.120s\" out of the policy? Its history stays.", cli->args[0]);
	return terminal_ask(question);
}

int task_delete_run(struct cli *cli)
{
	json_t *result;
	int status;

	if (!cli_flag(cli, "yes") && !terminal_is(STDIN_FILENO))
		return cli_usage("task \"%s\": stdin is no terminal, so nothing is asked: give "
				 "--yes to take it out of the policy",
		    cli->args[0]);
	if (!agreed(cli)) {
		fprintf(stderr, "nothing was changed\n");
		return SERVICE_OK;
	}
	status = cli_call(
	    cli, "task.file.delete", json_pack("{s:o}", "task", json_text(cli->args[0])), &result);
	return end_change(cli, status, result, "deleted; its history stays");
}
