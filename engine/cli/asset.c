#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "service/advice.h"
#include "cli/list.h"
#include "cli/terminal.h"

#define KEY_YES 0x1000

static int list_run(struct cli *);
static int ping_run(struct cli *);
static int trust_run(struct cli *);
static int rename_run(struct cli *);

static const struct argp_option trust_options[] = {
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    {0},
};

static const struct argp_option rename_options[] = {
    {"yes", KEY_YES, NULL, 0, "also when another asset of the policy has the old name now", 0},
    {0},
};

static const struct argp_option list_options[] = {LIST_CSV, {0}};

const struct command asset_commands[] = {
    {"asset list", "[ASSET|GLOB|NODE...]", "show assets with what they inherit", list_options, 0,
	-1, list_run},
    {"asset ping", "ASSET|GLOB|NODE...", "log in as the admin and elevate; change nothing", NULL, 1,
	-1, ping_run},
    {"asset trust", "ASSET", "pin the host key that the asset offers now", trust_options, 1, 1,
	trust_run},
    {"asset rename", "OLD NEW", "move what is kept of an asset to its new name", rename_options, 2,
	2, rename_run},
    {0},
};

static json_t *assets_param(const struct cli *cli)
{
	json_t *params = json_object();

	json_object_set_new(params, "assets", cli_args(cli));
	return params;
}

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static const char *address_text(char out[LIST_TEXT_SIZE], const json_t *asset)
{
	snprintf(out, LIST_TEXT_SIZE, "%s:%lld", text_of(asset, "address"),
	    (long long)number_of(asset, "port"));
	return out;
}

static const char *pinned_text(char out[LIST_TEXT_SIZE], const json_t *asset)
{
	(void)out;
	return json_array_size(json_object_get(asset, "host_keys")) > 0 ? "pinned" : "not seen";
}

static const struct column asset_columns[] = {
    {"asset", "name", NULL, true},
    {"address", NULL, address_text, false},
    {NULL, "address", NULL, false},
    {NULL, "port", NULL, false},
    {"platform", "platform", NULL, false},
    {"node", "node", NULL, false},
    {"admin", "admin", NULL, false},
    {"become", "become", NULL, false},
    {"accounts", "accounts", NULL, false},
    {"labels", "labels", NULL, false},
    {"host key", NULL, pinned_text, false},
    {0},
};

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "asset.list", assets_param(cli), &result);

	status = list_print(cli, status, result, asset_columns, "no assets");
	json_decref(result);
	return status;
}

/* ── ping ────────────────────────────────────────────────────────────────────────────────── */

static const char *took_text(char out[LIST_TEXT_SIZE], const json_t *answer)
{
	snprintf(out, LIST_TEXT_SIZE, "%lld ms", (long long)number_of(answer, "elapsed_ms"));
	return out;
}

static const char *what_text(char out[LIST_TEXT_SIZE], const json_t *answer)
{
	return advice_what(out, LIST_TEXT_SIZE, answer);
}

static const char *next_text(char out[LIST_TEXT_SIZE], const json_t *answer)
{
	if (strcmp(text_of(answer, "status"), "ok") == 0)
		return "";
	return advice_next(out, LIST_TEXT_SIZE, answer);
}

static const struct column ping_columns[] = {
    {"asset", "asset", NULL, true},
    {"", "status", NULL, false},
    {"took", NULL, took_text, false},
    {"", NULL, what_text, false},
    {"", NULL, next_text, false},
    {0},
};

static int ping_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "asset.ping", assets_param(cli), &result);

	if (result != NULL && cli->json)
		status = cli_print_json(result, status);
	else if (result != NULL)
		list_write(stdout, terminal_width(STDOUT_FILENO), result, ping_columns);
	json_decref(result);
	return status;
}

/* ── trust ───────────────────────────────────────────────────────────────────────────────── */

static void print_key(FILE *out, const char *word, const json_t *key)
{
	fprintf(out, "%-8s %s  %s\n", word, text_of(key, "fingerprint"), text_of(key, "type"));
}

static bool is_pinned(const json_t *look, const char *fingerprint)
{
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(look, "pinned"), i,
	    key) if (strcmp(text_of(key, "fingerprint"), fingerprint) == 0) return true;
	return false;
}

/* To stderr: with --json, stdout is the result's. */
static void print_look(const json_t *look)
{
	const json_t *pins = json_object_get(look, "pinned"), *key;
	size_t i;

	json_array_foreach(pins, i, key) print_key(stderr, "pinned", key);
	if (json_array_size(pins) == 0)
		fprintf(stderr, "pinned   none\n");
	print_key(stderr, "offered", json_object_get(look, "offered"));
}

static bool agreed(struct cli *cli, const json_t *look)
{
	const char *fingerprint = text_of(json_object_get(look, "offered"), "fingerprint");
	char question[160];

	if (cli_flag(cli, "yes"))
		return true;
	if (is_pinned(look, fingerprint))
		snprintf(question, sizeof(question), "It is pinned already. Forget the others?");
	else
		snprintf(question, sizeof(question), "Trust the offered key of %.100s?",
		    text_of(look, "asset"));
	return terminal_ask(question);
}

static int pin(struct cli *cli, const json_t *look)
{
	const json_t *offered = json_object_get(look, "offered");
	json_t *result;
	int status = cli_call(cli, "asset.trust",
	    json_pack("{s:s, s:s}", "asset", text_of(look, "asset"), "fingerprint",
		text_of(offered, "fingerprint")),
	    &result);

	if (result != NULL && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_key(stdout, "trusted", json_object_get(result, "trusted"));
	json_decref(result);
	return status;
}

/* As a trust that found no key, which is what it would be. */
static int say_not_offered(struct cli *cli, json_t *look)
{
	char what[LIST_TEXT_SIZE], next[LIST_TEXT_SIZE];

	fprintf(stderr, "lockstep: asset \"%s\": %s: %s\n", cli->args[0],
	    advice_what(what, sizeof(what), look), advice_next(next, sizeof(next), look));
	if (!cli->json)
		return SERVICE_SOME;
	json_object_del(look, "offered");
	json_object_set_new(look, "pinned", json_null());
	json_object_set_new(look, "trusted", json_null());
	return cli_print_json(look, SERVICE_SOME);
}

static int trust_run(struct cli *cli)
{
	json_t *params = json_object(), *look;
	int status;

	if (!cli_flag(cli, "yes") && !terminal_is(STDIN_FILENO)) {
		json_decref(params);
		return cli_usage("asset \"%s\": stdin is no terminal, so nothing is asked: give "
				 "--yes to trust what it offers",
		    cli->args[0]);
	}
	json_object_set_new(params, "asset", json_text(cli->args[0]));
	status = cli_call(cli, "asset.look", params, &look);
	if (status == SERVICE_SOME) {
		status = say_not_offered(cli, look);
	} else if (status == SERVICE_OK) {
		print_look(look);
		if (agreed(cli, look))
			status = pin(cli, look);
		else
			fprintf(stderr, "nothing was changed\n");
	}
	json_decref(look);
	return status;
}

/* ── rename ──────────────────────────────────────────────────────────────────────────────── */

static void print_renamed(const json_t *result)
{
	json_int_t secrets = number_of(result, "secrets"), keys = number_of(result, "host_keys");

	printf("moved from \"%s\" to \"%s\": %lld secret%s, %lld host key%s\n",
	    text_of(result, "asset"), text_of(result, "to"), (long long)secrets,
	    secrets == 1 ? "" : "s", (long long)keys, keys == 1 ? "" : "s");
}

static int rename_run(struct cli *cli)
{
	json_t *params = cli_params(cli), *result;
	int status;

	json_object_set_new(params, "asset", json_text(cli->args[0]));
	json_object_set_new(params, "to", json_text(cli->args[1]));
	status = cli_call(cli, "asset.rename", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_renamed(result);
	json_decref(result);
	return status;
}
