#include "cli/reload.h"

#include <stdio.h>
#include <string.h>

#include "base/format.h"

static int status_run(struct cli *);
static int reload_run(struct cli *);

const struct command status_commands[] = {
    {"status", "", "tell what runs: the engine, its policy and its executions", NULL, 0, 0,
	status_run},
    {0},
};

const struct command reload_commands[] = {
    {"reload", "", "let lockstepd load the policy anew", NULL, 0, 0, reload_run},
    {0},
};

/* ── status ──────────────────────────────────────────────────────────────────────────────── */

static void print_reload(const json_t *reload)
{
	const json_t *errors = json_object_get(reload, "errors"), *error;
	char at[FORMAT_SIZE];
	size_t i;

	if (!json_is_object(reload))
		return;
	format_time(at, text_of(reload, "at"));
	if (json_is_true(json_object_get(reload, "ok"))) {
		printf("reload    ok at %s\n", at);
		return;
	}
	printf("reload    REFUSED at %s, and the policy from before is still in force\n", at);
	json_array_foreach(errors, i, error) printf("%s\n", text_of(error, "text"));
}

static void print_executions(const json_t *executions)
{
	const json_t *execution;
	size_t i;

	json_array_foreach(executions, i, execution)
	{
		const json_t *counts = json_object_get(execution, "counts");
		json_int_t total = number_of(execution, "total");
		json_int_t left = number_of(counts, "planned") + number_of(counts, "staged");
		char since[FORMAT_SIZE], done[FORMAT_SIZE], all[FORMAT_SIZE];

		printf("  %s  %s  %s of %s, since %s\n", text_of(execution, "short"),
		    text_of(execution, "task"), format_count(done, (uint64_t)(total - left)),
		    format_count(all, (uint64_t)total),
		    format_time(since, text_of(execution, "started")));
	}
}

static void print_engine(const json_t *status)
{
	const json_t *policy = json_object_get(status, "policy");
	bool secure = json_is_true(json_object_get(status, "secure_mode"));
	bool sandbox = json_is_true(json_object_get(status, "sandbox"));
	char since[FORMAT_SIZE], loaded[FORMAT_SIZE], assets[FORMAT_SIZE];

	printf("engine    %s %s, process %lld, since %s%s\n", text_of(status, "purpose"),
	    text_of(status, "version"), (long long)number_of(status, "pid"),
	    format_time(since, text_of(status, "since")),
	    json_is_true(json_object_get(status, "stopping")) ? ", stopping" : "");
	printf("policy    %s, loaded %s: assets %s, tasks %lld\n", text_of(policy, "dir"),
	    format_time(loaded, text_of(policy, "loaded")),
	    format_count(assets, (uint64_t)number_of(policy, "assets")),
	    (long long)number_of(policy, "tasks"));
	print_reload(json_object_get(status, "reload"));
	printf("mode      secure mode %s, sandbox %s\n", secure ? "on" : "OFF",
	    sandbox ? "on" : "OFF");
}

static void print_work(const json_t *status)
{
	const json_t *executions = json_object_get(status, "executions");
	char count[FORMAT_SIZE], flight[FORMAT_SIZE], doubts[FORMAT_SIZE];

	printf("work      executions %s, assets in flight %s, accounts in doubt %s\n",
	    format_count(count, json_array_size(executions)),
	    format_count(flight, (uint64_t)number_of(status, "in_flight")),
	    format_count(doubts, (uint64_t)number_of(status, "doubts")));
	print_executions(executions);
}

/* Only where there is something: most often all was sent. */
static void print_notices(const json_t *notices)
{
	char waiting[FORMAT_SIZE], given_up[FORMAT_SIZE];

	if (number_of(notices, "waiting") + number_of(notices, "given_up") == 0)
		return;
	printf("notices   waiting %s, given up %s: lockstep notice list\n",
	    format_count(waiting, (uint64_t)number_of(notices, "waiting")),
	    format_count(given_up, (uint64_t)number_of(notices, "given_up")));
}

static int status_run(struct cli *cli)
{
	json_t *status;
	int end = cli_call(cli, "status", json_object(), &status);

	if (status == NULL)
		return end;
	if (cli->json) {
		end = cli_print_json(status, end);
	} else {
		if (json_is_true(json_object_get(status, "running")))
			print_engine(status);
		else
			printf("engine    none runs\n");
		print_work(status);
		print_notices(json_object_get(status, "notices"));
	}
	json_decref(status);
	return end;
}

/* ── reload ──────────────────────────────────────────────────────────────────────────────── */

void reload_print(const struct cli *cli, const json_t *result)
{
	char assets[FORMAT_SIZE];

	printf("reloaded: assets %s, tasks %lld\n",
	    format_count(assets, (uint64_t)number_of(result, "assets")),
	    (long long)number_of(result, "tasks"));
	fflush(stdout);
	if (!cli->quiet)
		cli_problems(json_object_get(result, "warnings"), "warning: ");
}

static int reload_run(struct cli *cli)
{
	json_t *result;
	int end = cli_call(cli, "reload", json_object(), &result);

	if (result == NULL)
		return end;
	if (cli->json) {
		end = cli_print_json(result, end);
	} else {
		reload_print(cli, result);
	}
	json_decref(result);
	return end;
}
