/* The engine that goes on: holds the vault and serves its socket until it is told to end. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/start.h"

#define LOG_MODE 0600

enum { KEY_LOG = 0x100, KEY_LOG_LEVEL };

struct options {
	const char *dir;
	const char *log; /* "stderr", "journal", "syslog", or a file */
	enum log_level level;
	int fd; /* of the file */
};

static const struct argp_option options_known[] = {
    {"directory", 'C', "DIR", 0, "the policy's directory (else LOCKSTEP_DIR, else /etc/lockstep)",
	0},
    {"log", KEY_LOG, "WHERE", 0, "stderr (the default), journal, syslog, or a file", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warn, info (the default) or debug", 0},
    {"version", 'V', NULL, 0, "print the version", 0},
    {0},
};

static enum log_level level_read(const char *word, struct argp_state *state)
{
	static const char *const words[] = {
	    [LOG_LEVEL_ERROR] = "error",
	    [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_DEBUG] = "debug",
	};

	for (int level = 0; level <= LOG_LEVEL_DEBUG; level++)
		if (strcmp(words[level], word) == 0)
			return (enum log_level)level;
	argp_error(state, "--log-level is error, warn, info or debug, not \"%s\"", word);
	return LOG_LEVEL_INFO;
}

static error_t option_read(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'C': options->dir = arg; return 0;
	case KEY_LOG: options->log = arg; return 0;
	case KEY_LOG_LEVEL: options->level = level_read(arg, state); return 0;
	case 'V': printf("lockstepd %s\n", PACKAGE_VERSION); exit(SERVICE_OK);
	case ARGP_KEY_ARG: argp_error(state, "\"%s\" is one argument too many", arg); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
    .options = options_known,
    .parser = option_read,
    .doc = "Holds the vault, carries out what commands ask through its socket, and settles doubts.",
};

/* ── The log ─────────────────────────────────────────────────────────────────────────────── */

static bool log_file_open(struct options *options)
{
	int fd = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);

	if (fd < 0)
		return false;
	log_open(LOG_TO_FD, fd, options->level);
	if (options->fd >= 0)
		close(options->fd);
	options->fd = fd;
	return true;
}

static bool log_begin(struct options *options)
{
	if (strcmp(options->log, "stderr") == 0)
		log_open(LOG_TO_FD, STDERR_FILENO, options->level);
	else if (strcmp(options->log, "journal") == 0)
		log_open(LOG_TO_JOURNAL, STDERR_FILENO, options->level);
	else if (strcmp(options->log, "syslog") == 0)
		log_open(LOG_TO_SYSLOG, -1, options->level);
	else
		return log_file_open(options);
	return true;
}

/* The old file stays open where the new one cannot be had. */
static void log_again(void *arg)
{
	struct options *options = arg;

	if (options->fd >= 0 && !log_file_open(options))
		log_event(LOG_LEVEL_ERROR, "log_not_reopened", "file", options->log, "error",
		    strerror(errno), NULL);
}

/* ── The life ────────────────────────────────────────────────────────────────────────────── */

static int serve(struct options *options)
{
	struct service_config config = {.dir = options->dir, .purpose = "lockstepd"};
	struct service_daemon daemon = {.reopen_log = log_again, .arg = options};
	struct service *service = service_new(&config);
	struct error error = {.code = ERR_OK};
	json_t *result = NULL;
	enum service_end end;

	if (service == NULL) {
		fprintf(stderr, "lockstepd: there is no event loop to be had\n");
		return SERVICE_NO_ENGINE;
	}
	end = service_serve(service, &daemon, &result, &error);
	if (end != SERVICE_OK) {
		cli_problems(json_object_get(result, "errors"), "");
		fprintf(stderr, "lockstepd: %s\n", error.text);
		log_event(LOG_LEVEL_ERROR, "ended", "error", error.text, NULL);
	}
	json_decref(result);
	service_free(service);
	return end;
}

int main(int argc, char **argv)
{
	const char *dir = getenv("LOCKSTEP_DIR");
	struct options options = {
	    .dir = dir != NULL && dir[0] != '\0' ? dir : DIR_DEFAULT,
	    .log = "stderr",
	    .level = LOG_LEVEL_INFO,
	    .fd = -1,
	};
	int status;

	if (start(argc, argv, &status))
		return status;
	argp_err_exit_status = SERVICE_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (log_begin(&options))
		return serve(&options);
	fprintf(stderr, "lockstepd: %s cannot be opened for the log: %s\n", options.log,
	    strerror(errno));
	return SERVICE_USAGE;
}
