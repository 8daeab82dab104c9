#include "cli/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"

#define SCHEME	  "https://"
#define TOKEN_MAX 256

void remote_init(struct remote *remote)
{
	*remote = (struct remote){.token_file = NULL};
	buf_init(&remote->token, TOKEN_MAX);
}

void remote_clear(struct remote *remote)
{
	buf_clear(&remote->token);
}

/* ── Where ───────────────────────────────────────────────────────────────────────────────── */

static bool url_is_good(const char *url)
{
	size_t len = strlen(SCHEME), host;

	if (strncmp(url, SCHEME, len) != 0)
		return false;
	host = strcspn(url + len, "/");
	return host > 0 && strcspn(url + len, "@?#\\ ") >= host &&
	       (url[len + host] == '\0' || url[len + host + 1] == '\0');
}

/* ── What is shown ───────────────────────────────────────────────────────────────────────── */

static int token_problem(const char *path, const char *what, const char *next)
{
	/* Whoever gave the token itself has shown it to all who can list processes. */
	if (strncmp(path, "lst_", 4) == 0 || strncmp(path, "lss_", 4) == 0)
		return cli_usage(
		    "--token-file takes the name of a file, and no token: others can see "
		    "arguments, so revoke that one (lockstep token revoke)");
	return cli_usage("--token-file %s: %s: %s", path, what, next);
}

static bool file_is_private(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		token_problem(path, "it is no file", "give one with the token in a line, or -");
	else if ((st.st_mode & 077) != 0)
		token_problem(path, "it is open to others", "close it with chmod 600");
	else
		return true;
	return false;
}

/* Up to the end of the file, or what has no room: then it is no token. */
static bool read_file(const char *path, struct buf *token)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t got = 1;
	uint8_t *room;

	if (fd < 0) {
		token_problem(path, strerror(errno), "give a file with the token in a line, or -");
		return false;
	}
	if (!file_is_private(path, fd)) {
		close(fd);
		return false;
	}
	while (got > 0 && token->len < TOKEN_MAX) {
		room = buf_reserve(token, TOKEN_MAX - token->len);
		got = room == NULL ? -1 : read(fd, room, TOKEN_MAX - token->len);
		token->len += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	return true;
}

static bool token_is_plain(struct buf *token)
{
	while (token->len > 0 && strchr("\r\n", token->data[token->len - 1]) != NULL)
		token->len--;
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] <= ' ' || token->data[i] >= 0x7f)
			return false;
	return token->len > 0 && token->len < TOKEN_MAX;
}

static bool read_token(struct remote *remote)
{
	const char *path = remote->token_file;
	bool asks = path == NULL || strcmp(path, "-") == 0;

	if (path == NULL && !terminal_is(STDIN_FILENO)) {
		cli_usage(
		    "--server takes a token: give the file that has it (--token-file=FILE, - for "
		    "standard input), or a certificate (--identity=FILE)");
		return false;
	}
	if (asks)
		(void)terminal_read_secret("token: ", &remote->token);
	else if (!read_file(path, &remote->token))
		return false;
	if (token_is_plain(&remote->token))
		return true;
	token_problem(path == NULL ? "-" : path, "there is no token in it",
	    "it takes the line that lockstep token create or lockstep login printed");
	return false;
}

static bool options_are_good(const struct remote *remote)
{
	const struct service_server *server = &remote->server;

	if (server->url == NULL && (server->ca || server->identity || remote->token_file))
		cli_usage("--ca, --identity and --token-file are for --server: name that too");
	else if (server->url != NULL && !url_is_good(server->url))
		cli_usage("--server names no engine: give one as https://HOST:PORT");
	else
		return true;
	return false;
}

bool remote_prepare(struct remote *remote, bool is_login)
{
	struct service_server *server = &remote->server;

	if (!options_are_good(remote))
		return false;
	if (server->url == NULL || is_login ||
	    (server->identity != NULL && remote->token_file == NULL))
		return true;
	if (!read_token(remote))
		return false;
	server->token = buf_text(&remote->token);
	return true;
}
