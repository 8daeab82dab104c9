#define _GNU_SOURCE /* environ, pipe2 */
#include "cli/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"

#define PAGER_DEFAULT	 "less"
#define STATUS_NOT_FOUND 127

FILE *pager_open(struct pager *pager)
{
	*pager = (struct pager){.out = NULL};
	pager->out = open_memstream(&pager->text, &pager->len);
	if (pager->out == NULL)
		pager->out = stdout; /* then it is not paged */
	return pager->out;
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		lines++;
	return lines;
}

/* "" and "cat" mean that there is to be none. */
static const char *pager_command(void)
{
	const char *command = getenv("PAGER");

	if (command == NULL)
		return PAGER_DEFAULT;
	return command[0] == '\0' || strcmp(command, "cat") == 0 ? NULL : command;
}

/* Starts it with `fd` as its stdin and the signals as they are by default. */
static int pager_spawn(const char *command, int fd, pid_t *pid)
{
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t usual;
	int rc;

	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGINT);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &usual);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A reader who has seen enough closes the pipe. */
static void write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

/* False when no pager showed it. Interrupts are the pager's while it runs. */
static bool pager_run(const char *command, const char *text, size_t len)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	int fds[2], status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	(void)setenv("LESS", "FRX", 0);
	sigaction(SIGINT, &ignore, &before);
	if (pager_spawn(command, fds[0], &pid) != 0) {
		close(fds[0]);
		close(fds[1]);
		sigaction(SIGINT, &before, NULL);
		return false;
	}
	close(fds[0]);
	write_all(fds[1], text, len);
	close(fds[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	sigaction(SIGINT, &before, NULL);
	return !WIFEXITED(status) || WEXITSTATUS(status) != STATUS_NOT_FOUND;
}

void pager_close(struct pager *pager)
{
	size_t height = terminal_height(STDOUT_FILENO);
	const char *command = pager_command();

	if (pager->out == stdout)
		return;
	if (fclose(pager->out) != 0 || pager->text == NULL)
		return;
	fflush(stdout);
	if (height == 0 || command == NULL || lines_of(pager->text) < height) {
		fwrite(pager->text, 1, pager->len, stdout);
	} else if (!pager_run(command, pager->text, pager->len)) {
		fwrite(pager->text, 1, pager->len, stdout);
	}
	free(pager->text);
}
