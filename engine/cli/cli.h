/*
 * The command line: what every command has at hand, and the tables of commands.
 *
 * Owns options, printing and asking. Never opens a policy, a vault or a connection: that is the
 * service's, which each command calls.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <argp.h>
#include <stdbool.h>

#include <jansson.h>

#include "base/json.h"
#include "cli/remote.h"
#include "service.h"

struct progress;

struct cli {
	const char *dir;
	struct remote remote; /* the engine on another machine, where --server names one */
	bool json;
	bool quiet;
	bool verbose;
	char **args; /* behind the command's words and options */
	int arg_count;
	json_t *options; /* the command's own that were given: name to text, to true, or where one
			    may be given several times, to an array of texts */
	struct service *service;
	struct progress *progress;
};

struct command {
	const char *words; /* "asset list"; NULL ends a table */
	const char *args;  /* "ASSET ACCOUNT" */
	const char *summary;
	const struct argp_option *options; /* NULL = none of its own */
	int least, most;		   /* arguments; most below 0 = any number */
	int (*run)(struct cli *);	   /* returns the exit status */
};

extern const struct command init_commands[];
extern const struct command check_commands[];
extern const struct command asset_commands[];
extern const struct command account_commands[];
extern const struct command run_commands[];
extern const struct command overview_commands[];
extern const struct command task_commands[];
extern const struct command execution_commands[];
extern const struct command record_commands[];
extern const struct command secret_commands[];
extern const struct command audit_commands[];
extern const struct command notice_commands[];
extern const struct command approval_commands[];
extern const struct command vault_commands[];
extern const struct command user_commands[];
extern const struct command login_commands[];
extern const struct command token_commands[];
extern const struct command whoami_commands[];
extern const struct command completion_commands[];
extern const struct command status_commands[];
extern const struct command reload_commands[];
extern const struct command diff_commands[];

/* ── main's ── */

/* Reads the command line, runs its command, returns the exit status. */
int command_main(int argc, char **argv);

/* ── For commands ── */

/* An option of the command: its text, or NULL; whether it was given. */
const char *cli_option(const struct cli *, const char *name);
bool cli_flag(const struct cli *, const char *name);

/* The command's options as parameters: `--in-doubt` is "in_doubt". */
json_t *cli_params(const struct cli *);

/* All arguments as an array of texts. */
json_t *cli_args(const struct cli *);

/* Says what is wrong, and returns the exit status for it. */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Calls the service and says what is wrong where something is. `params` becomes the service's; the
 * result is the caller's, and NULL unless OK or SOME.
 */
enum service_end cli_call(struct cli *, const char *method, json_t *params, json_t **result);

/* Prints {file, line, text} problems; those of `word` begin with it ("warning: "). */
void cli_problems(const json_t *problems, const char *word);

/* Prints a result as JSON. Returns `status`, or 3 when it could not be written. */
int cli_print_json(const json_t *result, int status);

#endif
