#define _GNU_SOURCE /* memmem */
#include "cli/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/command.h"

#define ARGS_MAX   16
#define TOKEN_SIZE 64

/* The line so far, and the word that is being typed. */
struct typing {
	const char *dir;
	const char *noun;	       /* NULL = none yet */
	const struct command *command; /* NULL = not whole yet */
	const char *args[ARGS_MAX];
	int arg_count;
	const struct argp_option *value_of; /* the option whose value is being typed; NULL = none */
	const char *prefix; /* of the word: "" or "--status=", which stays in front */
	const char *word;
};

static void say(const struct typing *typing, const char *word, const char *what)
{
	if (strncmp(word, typing->word, strlen(typing->word)) != 0)
		return;
	printf("%s%s%s%s\n", typing->prefix, word, what[0] != '\0' ? "\t" : "", what);
}

/* ── Names of the policy ─────────────────────────────────────────────────────────────────── */

static void say_names(const struct typing *typing, const char *kind)
{
	struct service_config config = {.dir = typing->dir, .purpose = "complete"};
	struct service *service = service_new(&config);
	struct error error;
	json_t *result = NULL, *params;

	if (service == NULL)
		return;
	params = json_pack(
	    "{s:s, s:s?}", "kind", kind, "asset", typing->arg_count > 0 ? typing->args[0] : NULL);
	if (service_call(service, "complete", params, &result, &error) == SERVICE_OK)
		for (size_t i = 0; i < json_array_size(result); i++)
			say(typing, json_string_value(json_array_get(result, i)), "");
	json_decref(result);
	json_decref(params);
	service_free(service);
}

/* "bash|zsh|fish": what may stand there, as it is. */
static void say_choices(const struct typing *typing, const char *token)
{
	for (; *token != '\0'; token += strcspn(token, "|"), token += *token == '|') {
		char choice[TOKEN_SIZE];

		snprintf(choice, sizeof(choice), "%.*s", (int)strcspn(token, "|"), token);
		say(typing, choice, "");
	}
}

/* "ASSET|GLOB|NODE": the first name of a placeholder says what it takes. */
static void say_placeholder(const struct typing *typing, const char *token)
{
	static const char *const statuses[] = {
	    "success", "failed", "unverified", "skipped", "planned", "staged"};
	static const char *const kinds[] = {"password", "key"};

	if (strncmp(token, "ASSET", 5) == 0 || strcmp(token, "OLD") == 0 ||
	    strcmp(token, "NEW") == 0)
		say_names(typing, "asset");
	else if (strncmp(token, "TASK", 4) == 0)
		say_names(typing, "task");
	else if (strcmp(token, "USER") == 0)
		say_names(typing, "user");
	else if (strncmp(token, "ACCOUNT", 7) == 0)
		say_names(typing, "account");
	else if (strcmp(token, "FILE") == 0 || strcmp(token, "DIR") == 0)
		puts(COMPLETE_FILES);
	else if (strcmp(token, "STATUS") == 0)
		for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
			say(typing, statuses[i], "");
	else if (strcmp(token, "KIND") == 0)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			say(typing, kinds[i], "");
	else if (strchr(token, '|') != NULL)
		say_choices(typing, token);
}

/* ── Arguments and options ───────────────────────────────────────────────────────────────── */

/* The placeholder of argument `at`; the last one repeats where it ends in dots. False = none. */
static bool token_at(const char *args, int at, char out[TOKEN_SIZE])
{
	bool found = false;

	for (int i = 0; *args != '\0' && i <= at; i++) {
		size_t len = strcspn(args, " ");
		bool repeats = len > 3 && memmem(args, len, "...", 3) != NULL;

		found = i == at || repeats;
		args += strspn(args, "[");
		snprintf(out, TOKEN_SIZE, "%.*s", (int)strcspn(args, " ]."), args);
		args += strcspn(args, " ");
		args += strspn(args, " ");
	}
	return found;
}

static void say_args(const struct typing *typing)
{
	char token[TOKEN_SIZE];

	if (token_at(typing->command->args, typing->arg_count, token))
		say_placeholder(typing, token);
}

static void say_options(const struct typing *typing, const struct argp_option *option)
{
	for (; option != NULL && option->name != NULL; option++) {
		char word[TOKEN_SIZE];

		snprintf(
		    word, sizeof(word), "--%s%s", option->name, option->arg != NULL ? "=" : "");
		say(typing, word, option->doc);
	}
}

static void say_common(const struct typing *typing)
{
	say_options(typing, command_global_options);
	say(typing, "--help", "what the command does, and its options");
}

/* A word once, however many commands begin with it. */
static void say_nouns(const struct typing *typing)
{
	for (size_t t = 0; command_tables[t] != NULL; t++) {
		const struct command *first = command_tables[t];
		char noun[TOKEN_SIZE];

		snprintf(noun, sizeof(noun), "%.*s", (int)strcspn(first->words, " "), first->words);
		say(typing, noun, strchr(first->words, ' ') == NULL ? first->summary : "");
	}
}

static void say_verbs(const struct typing *typing)
{
	size_t len = strlen(typing->noun);

	for (size_t t = 0; command_tables[t] != NULL; t++)
		for (const struct command *c = command_tables[t]; c->words != NULL; c++)
			if (strncmp(c->words, typing->noun, len) == 0 && c->words[len] == ' ')
				say(typing, c->words + len + 1, c->summary);
}

/* ── Reading the line ────────────────────────────────────────────────────────────────────── */

static const struct argp_option *option_in(
    const struct argp_option *option, const char *word, size_t len)
{
	for (; option != NULL && option->name != NULL; option++) {
		bool letter = option->key > 0 && option->key < 128 && len == 2 && word[0] == '-' &&
			      word[1] == option->key;
		bool whole = len > 2 && strncmp(word, "--", 2) == 0 &&
			     strlen(option->name) == len - 2 &&
			     strncmp(option->name, word + 2, len - 2) == 0;

		if (letter || whole)
			return option;
	}
	return NULL;
}

static const struct argp_option *option_of(
    const struct typing *typing, const char *word, size_t len)
{
	const struct argp_option *option = option_in(command_global_options, word, len);

	if (option == NULL && typing->command != NULL)
		option = option_in(typing->command->options, word, len);
	return option;
}

static const struct command *command_named(const char *noun, const char *verb)
{
	for (size_t t = 0; command_tables[t] != NULL; t++) {
		for (const struct command *c = command_tables[t]; c->words != NULL; c++) {
			size_t len = strlen(noun);

			if (strncmp(c->words, noun, len) != 0)
				continue;
			if (verb == NULL
				? c->words[len] == '\0'
				: c->words[len] == ' ' && strcmp(c->words + len + 1, verb) == 0)
				return c;
		}
	}
	return NULL;
}

static void take_word(struct typing *typing, const char *word)
{
	if (typing->noun == NULL) {
		typing->noun = word;
		typing->command = command_named(word, NULL);
	} else if (typing->command == NULL) {
		typing->command = command_named(typing->noun, word);
	} else if (typing->arg_count < ARGS_MAX) {
		typing->args[typing->arg_count++] = word;
	}
}

static void take_value(struct typing *typing, const char *value)
{
	if (typing->value_of->key == 'C')
		typing->dir = value;
	typing->value_of = NULL;
}

/* An option before the word: its value is behind `=`, or is the next word. */
static void take_option(struct typing *typing, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct argp_option *option = option_of(typing, word, len);

	if (option == NULL || option->arg == NULL)
		return;
	typing->value_of = option;
	if (word[len] == '=')
		take_value(typing, word + len + 1);
}

/* bash gives a `=` as a word of its own: what is behind it is the option's value. */
static void take(struct typing *typing, const char *word)
{
	if (strcmp(word, "=") == 0)
		return;
	if (typing->value_of != NULL)
		take_value(typing, word);
	else if (word[0] == '-' && word[1] != '\0')
		take_option(typing, word);
	else
		take_word(typing, word);
}

/* "--status=fa" as one word: its value is typed, and what is before it stays. */
static char *split_value(struct typing *typing)
{
	size_t len = strcspn(typing->word, "=");
	const struct argp_option *option = option_of(typing, typing->word, len);
	char *prefix;

	if (typing->word[0] != '-' || typing->word[len] != '=' || option == NULL)
		return NULL;
	typing->value_of = option;
	prefix = xstrndup(typing->word, len + 1);
	typing->prefix = prefix;
	typing->word += len + 1;
	return prefix;
}

int complete_main(int count, char **words)
{
	const char *dir = getenv("LOCKSTEP_DIR");
	struct typing typing = {.dir = dir != NULL && dir[0] != '\0' ? dir : DIR_DEFAULT};
	char *split = NULL;

	typing.prefix = typing.word = "";
	for (int i = 0; i + 1 < count; i++)
		take(&typing, words[i]);
	if (count > 0 && strcmp(words[count - 1], "=") != 0)
		typing.word = words[count - 1];
	if (typing.value_of == NULL)
		split = split_value(&typing);
	if (typing.value_of != NULL)
		say_placeholder(&typing, typing.value_of->arg);
	else if (typing.word[0] == '-' && typing.command != NULL)
		say_options(&typing, typing.command->options);
	else if (typing.command != NULL)
		say_args(&typing);
	else if (typing.word[0] != '-' && typing.noun != NULL)
		say_verbs(&typing);
	else if (typing.word[0] != '-')
		say_nouns(&typing);
	if (typing.word[0] == '-' && typing.value_of == NULL)
		say_common(&typing);
	free(split);
	return SERVICE_OK;
}
