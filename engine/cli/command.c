#include "cli/command.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/complete.h"
#include "cli/login.h"
#include "cli/passphrase.h"
#include "cli/progress.h"

#define PURPOSE_SIZE 200
#define WORDS_SIZE   32

enum { KEY_JSON = 0x100, KEY_VERSION, KEY_SERVER, KEY_CA, KEY_IDENTITY, KEY_TOKEN_FILE };

const struct command *const command_tables[] = {
    init_commands,
    check_commands,
    run_commands,
    task_commands,
    asset_commands,
    account_commands,
    overview_commands,
    execution_commands,
    record_commands,
    notice_commands,
    approval_commands,
    secret_commands,
    audit_commands,
    vault_commands,
    user_commands,
    token_commands,
    login_commands,
    whoami_commands,
    status_commands,
    reload_commands,
    diff_commands,
    completion_commands,
    NULL,
};

#define TABLE_COUNT (sizeof(command_tables) / sizeof(command_tables[0]) - 1)

/* ── Finding the command ─────────────────────────────────────────────────────────────────── */

/* How many of the arguments are the command's words; 0 = they are not. */
static int words_match(const char *words, char **args, int count)
{
	const char *space = strchr(words, ' ');
	size_t noun = space == NULL ? strlen(words) : (size_t)(space - words);

	if (count < 1 || strlen(args[0]) != noun || strncmp(args[0], words, noun) != 0)
		return 0;
	if (space == NULL)
		return 1;
	return count > 1 && strcmp(args[1], space + 1) == 0 ? 2 : 0;
}

static const struct command *command_find(char **args, int count, int *words)
{
	for (size_t t = 0; t < TABLE_COUNT; t++) {
		for (const struct command *c = command_tables[t]; c->words != NULL; c++) {
			*words = words_match(c->words, args, count);
			if (*words > 0)
				return c;
		}
	}
	return NULL;
}

static bool is_noun(const struct command *table, const char *word)
{
	size_t len = strlen(word);

	return strncmp(table->words, word, len) == 0 && table->words[len] == ' ';
}

/* The verbs of a noun, where it was given alone or with one that it does not have. */
static int say_verbs(const struct command *table, const char *noun, const char *verb)
{
	if (verb != NULL)
		fprintf(
		    stderr, "lockstep: there is no command \"%s %s\"; there are:\n", noun, verb);
	else
		fprintf(stderr, "lockstep: %s what?\n", noun);
	for (const struct command *c = table; c->words != NULL; c++)
		fprintf(stderr, "  lockstep %s %s\n", c->words, c->args);
	return SERVICE_USAGE;
}

/* The noun or command nearest to a word, in `out`; "" when none is near. */
static void noun_nearest(char *out, size_t size, const char *word)
{
	char nouns[TABLE_COUNT][WORDS_SIZE];
	const char *names[TABLE_COUNT], *nearest;

	for (size_t t = 0; t < TABLE_COUNT; t++) {
		const char *words = command_tables[t]->words;

		snprintf(nouns[t], sizeof(nouns[t]), "%.*s", (int)strcspn(words, " "), words);
		names[t] = nouns[t];
	}
	nearest = text_nearest(word, names, TABLE_COUNT);
	snprintf(out, size, "%s", nearest != NULL ? nearest : "");
}

static int command_unknown(char **args, int count)
{
	char shown[64] = "", nearest[WORDS_SIZE];

	for (size_t t = 0; t < TABLE_COUNT; t++) {
		if (!is_noun(command_tables[t], args[0]))
			continue;
		if (count > 1)
			text_escape(shown, sizeof(shown), args[1], strlen(args[1]));
		return say_verbs(command_tables[t], args[0], count > 1 ? shown : NULL);
	}
	text_escape(shown, sizeof(shown), args[0], strlen(args[0]));
	noun_nearest(nearest, sizeof(nearest), args[0]);
	if (nearest[0] != '\0')
		return cli_usage(
		    "there is no command \"%s\"; did you mean \"%s\"?", shown, nearest);
	return cli_usage(
	    "there is no command \"%s\"; lockstep --help tells which there are", shown);
}

/* ── Options ─────────────────────────────────────────────────────────────────────────────── */

const struct argp_option command_global_options[] = {
    {"directory", 'C', "DIR", 0, "the policy's directory (else LOCKSTEP_DIR, else /etc/lockstep)",
	-1},
    {"json", KEY_JSON, NULL, 0, "print the result as JSON", -1},
    {"server", KEY_SERVER, "URL", 0, "ask the engine at https://HOST:PORT", -1},
    {"ca", KEY_CA, "FILE", 0, "who vouches for it; else the system's certificates", -1},
    {"token-file", KEY_TOKEN_FILE, "FILE", 0, "what is shown to it; - is stdin (else it asks)", -1},
    {"identity", KEY_IDENTITY, "FILE", 0, "or: a certificate and its key", -1},
    {"quiet", 'q', NULL, 0, "no progress and no warnings", -1},
    {"verbose", 'v', NULL, 0, "tell more on stderr", -1},
    {0},
};

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case 'C': cli->dir = arg; return 0;
	case KEY_JSON: cli->json = true; return 0;
	case KEY_SERVER: cli->remote.server.url = arg; return 0;
	case KEY_CA: cli->remote.server.ca = arg; return 0;
	case KEY_IDENTITY: cli->remote.server.identity = arg; return 0;
	case KEY_TOKEN_FILE: cli->remote.token_file = arg; return 0;
	case 'q': cli->quiet = true; return 0;
	case 'v': cli->verbose = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp global_argp = {
    command_global_options, parse_global, NULL, NULL, NULL, NULL, NULL};
static const struct argp_child global_child[] = {{&global_argp, 0, NULL, -1}, {0}};

/* What a command's own parser works on. */
struct parsing {
	struct cli *cli;
	const struct command *command;
};

/* "ACCOUNT...": what may be given more than once is an array. */
static bool option_repeats(const struct argp_option *option)
{
	size_t len = option->arg == NULL ? 0 : strlen(option->arg);

	return len > 3 && strcmp(option->arg + len - 3, "...") == 0;
}

static void option_note(json_t *options, const struct argp_option *option, const char *arg)
{
	json_t *given = json_object_get(options, option->name);

	if (!option_repeats(option)) {
		json_object_set_new(
		    options, option->name, arg == NULL ? json_true() : json_text(arg));
		return;
	}
	if (given == NULL) {
		given = json_array();
		json_object_set_new(options, option->name, given);
	}
	json_array_append_new(given, json_text(arg));
}

static bool parse_own(struct parsing *parsing, int key, const char *arg)
{
	const struct argp_option *option = parsing->command->options;

	for (; option != NULL && option->name != NULL; option++) {
		if (option->key != key)
			continue;
		option_note(parsing->cli->options, option, arg);
		return true;
	}
	return false;
}

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	struct cli *cli = parsing->cli;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = cli; return 0;
	case ARGP_KEY_ARGS:
		cli->args = state->argv + state->next;
		cli->arg_count = state->argc - state->next;
		return 0;
	case ARGP_KEY_SUCCESS:
		if (cli->arg_count < parsing->command->least)
			argp_error(state, "%s is missing", parsing->command->args);
		if (parsing->command->most >= 0 && cli->arg_count > parsing->command->most)
			argp_error(state, "\"%s\" is one argument too many",
			    cli->args[parsing->command->most]);
		return 0;
	default: return parse_own(parsing, key, arg) ? 0 : ARGP_ERR_UNKNOWN;
	}
}

static void command_parse(struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct parsing parsing = {.cli = cli, .command = command};
	struct argp argp = {
	    .options = command->options,
	    .parser = parse_command,
	    .args_doc = command->args,
	    .doc = command->summary,
	    .children = global_child,
	};
	char *name = xasprintf("lockstep %s", command->words);

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &parsing);
	free(name);
}

/* ── The whole line ──────────────────────────────────────────────────────────────────────── */

struct line {
	struct cli *cli;
	char **args; /* from the command's first word on */
	int count;
};

static const struct argp_option line_options[] = {
    {"version", KEY_VERSION, NULL, 0, "print the version", -1},
    {0},
};

static error_t parse_line(int key, char *arg, struct argp_state *state)
{
	struct line *line = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = line->cli; return 0;
	case KEY_VERSION: printf("lockstep %s\n", PACKAGE_VERSION); exit(SERVICE_OK);
	case ARGP_KEY_ARG:
		line->args = state->argv + state->next - 1;
		line->count = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

/* The commands, under the options. */
static char *line_help(int key, const char *text, void *input)
{
	char *help, *longer;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	help = xstrdup("Commands (each has its own --help):\n");
	for (size_t t = 0; t < TABLE_COUNT; t++) {
		for (const struct command *c = command_tables[t]; c->words != NULL; c++) {
			longer = xasprintf("%s  %-16s %s\n", help, c->words, c->summary);
			free(help);
			help = longer;
		}
	}
	return help;
}

static const struct argp line_argp = {
    .options = line_options,
    .parser = parse_line,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = "Rotates the secrets of accounts on many machines at once, and never loses one.\v",
    .children = global_child,
    .help_filter = line_help,
};

static char *purpose_of(const struct command *command, const struct cli *cli)
{
	char purpose[PURPOSE_SIZE];
	size_t used = (size_t)snprintf(purpose, sizeof(purpose), "%s", command->words);

	for (int i = 0; i < cli->arg_count && used < sizeof(purpose); i++)
		used +=
		    (size_t)snprintf(purpose + used, sizeof(purpose) - used, " %s", cli->args[i]);
	return xstrdup(purpose);
}

/* What was printed must have arrived, else the command did not do what it was asked. */
static int flushed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return status == SERVICE_OK ? SERVICE_NO_ENGINE : status;
}

static int command_run(struct cli *cli, const struct command *command)
{
	char *purpose = purpose_of(command, cli);
	struct service_config config = {.dir = cli->dir, .purpose = purpose};
	int status;

	if (cli->json && cli_flag(cli, "csv")) {
		free(purpose);
		return cli_usage(
		    "--json and --csv are two forms of the same result: give one of them");
	}
	cli->progress = progress_new(cli->quiet, cli->json, cli->verbose);
	config.progress = progress_event;
	config.arg = cli->progress;
	config.ask_passphrase = passphrase_ask;
	config.server = cli->remote.server.url != NULL ? &cli->remote.server : NULL;
	cli->service = service_new(&config);
	if (cli->service == NULL) {
		fprintf(stderr, "lockstep: there is no event loop to be had\n");
		status = SERVICE_NO_ENGINE;
	} else {
		status = command->run(cli);
	}
	service_free(cli->service);
	progress_free(cli->progress);
	free(purpose);
	return flushed(status);
}

int command_main(int argc, char **argv)
{
	const char *dir = getenv("LOCKSTEP_DIR");
	struct cli cli = {.dir = dir != NULL && dir[0] != '\0' ? dir : DIR_DEFAULT};
	struct line line = {.cli = &cli};
	const struct command *command;
	int words, status;
	char name[] = "lockstep";

	setlocale(LC_CTYPE, "");
	remote_init(&cli.remote);
	if (argc > 1 && strcmp(argv[1], COMPLETE_ARGUMENT) == 0)
		return flushed(complete_main(argc - 2, argv + 2));
	argp_err_exit_status = SERVICE_USAGE;
	argv[0] = name;
	argp_parse(&line_argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
	if (line.count == 0) {
		argp_help(&line_argp, stderr, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, name);
		return SERVICE_USAGE;
	}
	command = command_find(line.args, line.count, &words);
	if (command == NULL)
		return command_unknown(line.args, line.count);
	cli.options = json_object();
	/* The last of its words stands where argp looks for the program's name. */
	command_parse(&cli, command, line.count - words + 1, line.args + words - 1);
	log_init(STDERR_FILENO, cli.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
	status = remote_prepare(&cli.remote, command->run == login_run) ? command_run(&cli, command)
									: SERVICE_USAGE;
	remote_clear(&cli.remote);
	json_decref(cli.options);
	return status;
}
