/* What commands share: their options, calling the service, and printing what comes back. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/ask.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#define NAME_SIZE 32 /* of an option */

const char *cli_option(const struct cli *cli, const char *name)
{
	return json_string_value(json_object_get(cli->options, name));
}

bool cli_flag(const struct cli *cli, const char *name)
{
	return json_object_get(cli->options, name) != NULL;
}

/* `--in-doubt` is "in_doubt". */
static const char *param_of(const char *option, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s", option);
	for (char *dash = name; (dash = strchr(dash, '-')) != NULL;)
		*dash = '_';
	return name;
}

json_t *cli_params(const struct cli *cli)
{
	json_t *params = json_object(), *value;
	const char *option;
	char name[NAME_SIZE];

	json_object_foreach(cli->options, option, value)
	    json_object_set(params, param_of(option, name), value);
	return params;
}

json_t *cli_args(const struct cli *cli)
{
	json_t *array = json_array();

	for (int i = 0; i < cli->arg_count; i++)
		json_array_append_new(array, json_text(cli->args[i]));
	return array;
}

int cli_usage(const char *fmt, ...)
{
	char raw[ERROR_TEXT_SIZE];
	struct error error;
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	/* Escapes what came in through the arguments. */
	error_set(&error, ERR_INVALID, "%s", raw);
	fprintf(stderr, "lockstep: %s\n", error.text);
	return SERVICE_USAGE;
}

void cli_problems(const json_t *problems, const char *word)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	    fprintf(stderr, "%s%s\n", word, text_of(problem, "text"));
}

/* Whether the error says what its only problem does. */
static bool is_said(const json_t *problems, const char *error)
{
	return json_array_size(problems) == 1 &&
	       strcmp(text_of(json_array_get(problems, 0), "text"), error) == 0;
}

static bool needs_code(enum service_end end, const json_t *result)
{
	return end == SERVICE_USAGE && strcmp(text_of(result, "needs"), "code") == 0;
}

/* Once more, with a code of the second factor. */
static enum service_end call_with_code(
    struct cli *cli, const char *method, json_t *params, json_t **result, struct error *error)
{
	json_t *code = ask_code();

	if (code == NULL) {
		error->text[0] = '\0';
		return SERVICE_USAGE;
	}
	json_object_set_new(params, "code", code);
	json_decref(*result);
	return service_call(cli->service, method, params, result, error);
}

/* Options that are about what becomes of the answer are not the method's. */
static void drop_own_options(const struct cli *cli, const char *method, json_t *params)
{
	char name[NAME_SIZE];
	const char *option;
	json_t *value;

	json_object_foreach(
	    cli->options, option, value) if (!service_takes(method, param_of(option, name)))
	    json_object_del(params, name);
}

enum service_end cli_call(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	struct error error = {.code = ERR_OK};
	enum service_end end;
	const json_t *problems;

	drop_own_options(cli, method, params);
	end = service_call(cli->service, method, params, result, &error);
	if (needs_code(end, *result))
		end = call_with_code(cli, method, params, result, &error);
	json_decref(params);
	progress_end(cli->progress);
	if (end == SERVICE_OK || end == SERVICE_SOME)
		return end;
	problems = json_object_get(*result, "errors");
	if (!is_said(problems, error.text))
		cli_problems(problems, "");
	if (error.text[0] != '\0')
		fprintf(stderr, "lockstep: %s\n", error.text);
	json_decref(*result);
	*result = NULL;
	return end;
}

int cli_print_json(const json_t *result, int status)
{
	fflush(stdout);
	if (json_write(STDOUT_FILENO, result, terminal_is(STDOUT_FILENO)) == ERR_OK)
		return status;
	return SERVICE_NO_ENGINE;
}
