#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/advice.h"
#include "cli/format.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

#define KEY_YES 0x1000

static int list_run(struct cli *);
static int ping_run(struct cli *);
static int trust_run(struct cli *);

static const struct argp_option trust_options[] = {
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    {0},
};

const struct command asset_commands[] = {
    {"asset list", "[ASSET|GLOB|NODE...]", "show assets with what they inherit", NULL, 0, -1,
	list_run},
    {"asset ping", "ASSET|GLOB|NODE...", "log in as the admin and elevate; change nothing", NULL, 1,
	-1, ping_run},
    {"asset trust", "ASSET", "pin the host key that the asset offers now", trust_options, 1, 1,
	trust_run},
    {0},
};

static json_t *assets_param(const struct cli *cli)
{
	json_t *params = json_object();

	json_object_set_new(params, "assets", cli_args(cli));
	return params;
}

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

static char *join(char *out, size_t size, const json_t *texts)
{
	size_t used = 0;
	const json_t *text;
	size_t i;

	out[0] = '\0';
	json_array_foreach(texts, i, text)
	{
		if (used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ",",
			    json_string_value(text));
	}
	return out;
}

static char *join_labels(char *out, size_t size, json_t *labels)
{
	size_t used = 0;
	const char *key;
	json_t *value;

	out[0] = '\0';
	json_object_foreach(labels, key, value)
	{
		const char *text = json_string_value(value);
		bool bare = strcmp(text, "true") == 0;

		if (used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s%s%s",
			    used == 0 ? "" : ",", key, bare ? "" : "=", bare ? "" : text);
	}
	return out;
}

static void print_assets(const json_t *assets)
{
	static const char *const titles[] = {"asset", "address", "platform", "node", "admin",
	    "become", "accounts", "labels", "host key", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *asset;
	size_t i;

	json_array_foreach(assets, i, asset)
	{
		char address[300], accounts[512], labels[512];
		bool pinned = json_array_size(json_object_get(asset, "host_keys")) > 0;

		snprintf(address, sizeof(address), "%s:%lld", text_of(asset, "address"),
		    (long long)number_of(asset, "port"));
		sheet_add(sheet,
		    (const char *const[]){
			text_of(asset, "name"),
			address,
			text_of(asset, "platform"),
			text_of(asset, "node"),
			text_of(asset, "admin"),
			text_of(asset, "become"),
			join(accounts, sizeof(accounts), json_object_get(asset, "accounts")),
			join_labels(labels, sizeof(labels), json_object_get(asset, "labels")),
			pinned ? "pinned" : "not seen",
		    });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static int list_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "asset.list", assets_param(cli), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_assets(result);
	json_decref(result);
	return status;
}

/* ── ping ────────────────────────────────────────────────────────────────────────────────── */

static void print_pings(const json_t *answers)
{
	static const char *const titles[] = {"asset", "", "took", "", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *answer;
	size_t i;

	json_array_foreach(answers, i, answer)
	{
		char took[FORMAT_SIZE];

		snprintf(took, sizeof(took), "%lld ms", (long long)number_of(answer, "elapsed_ms"));
		sheet_add(sheet, (const char *const[]){
				     text_of(answer, "asset"),
				     text_of(answer, "status"),
				     took,
				     advice_what(answer),
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

static int ping_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "asset.ping", assets_param(cli), &result);

	if (result != NULL && cli->json)
		status = cli_print_json(result, status);
	else if (result != NULL)
		print_pings(result);
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

static int trust_run(struct cli *cli)
{
	json_t *params = json_object(), *look;
	int status;

	if (!cli_flag(cli, "yes") && !terminal_is(STDIN_FILENO)) {
		json_decref(params);
		return cli_usage("stdin is no terminal, so nothing is asked: give --yes to trust "
				 "what the asset offers");
	}
	json_object_set_new(params, "asset", json_text(cli->args[0]));
	status = cli_call(cli, "asset.look", params, &look);
	if (status == SERVICE_SOME) {
		fprintf(stderr, "lockstep: asset \"%s\": %s\n", cli->args[0], advice_what(look));
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
