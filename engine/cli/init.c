#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static int init_run(struct cli *);

const struct command init_commands[] = {
    {"init", "[DIR]", "make a policy directory with its vault and master key", NULL, 0, 1,
	init_run},
    {0},
};

static const char *what_is(const char *name)
{
	static const struct {
		const char *name, *what;
	} known[] = {
	    {"lockstep.lua", "settings and what to include"},
	    {"inventory/assets.csv", "your assets (two examples inside)"},
	    {"rules/passwords.lua", "how new passwords are made"},
	    {"tasks/linux-weekly.lua", "what is rotated"},
	    {".gitignore", "keeps vault and master key out of version control"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].what;
	return "";
}

static void print_made(const char *dir, const json_t *made)
{
	const json_t *item;
	size_t i;

	json_array_foreach(made, i, item)
	{
		const char *name = json_string_value(item);

		if (strchr(name, '.') != NULL)
			printf("%s/%-24s %s\n", dir, name, what_is(name));
	}
}

static int init_run(struct cli *cli)
{
	const char *dir = cli->arg_count > 0 ? cli->args[0] : cli->dir;
	struct error error;
	json_t *result;
	enum service_end end;

	if (cli->remote.server.url != NULL)
		return cli_usage(
		    "a policy is made where its engine is to run: do it there, without --server");
	end = service_init(dir, &result, &error);
	if (end != SERVICE_OK) {
		fprintf(stderr, "lockstep: %s\n", error.text);
		return end;
	}
	if (cli->json) {
		end = cli_print_json(result, end);
	} else {
		print_made(dir, json_object_get(result, "made"));
		printf("%s  created, sealed by %s (0400) — back both up, apart from each other\n",
		    text_of(result, "vault"), text_of(result, "master_key"));
		printf("Next: edit inventory/assets.csv, then  lockstep -C %s check\n", dir);
	}
	json_decref(result);
	return end;
}
