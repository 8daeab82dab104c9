#include "cli/editor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static const char *env_of(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

bool editor_open(struct editor *editor, const char *name, const char *text)
{
	const char *place = env_of("TMPDIR");
	struct error error;

	editor->path = NULL;
	editor->dir = xasprintf("%s/lockstep-edit.XXXXXX", place != NULL ? place : "/tmp");
	if (mkdtemp(editor->dir) == NULL) {
		fprintf(stderr,
		    "lockstep: a directory for what is edited cannot be made (%s): %s\n",
		    editor->dir, strerror(errno));
		free(editor->dir);
		editor->dir = NULL;
		return false;
	}
	editor->path = xasprintf("%s/%s", editor->dir, name);
	if (file_write(editor->path, text, strlen(text), 0600, 0, &error) == ERR_OK)
		return true;
	fprintf(stderr, "lockstep: %s\n", error.text);
	editor_close(editor, false);
	return false;
}

/* As a shell would run it: people have options there. */
static _Noreturn void child(const char *command, const char *path)
{
	char *script = xasprintf("%s \"$1\"", command);

	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", script, "sh", path, (char *)NULL);
	_exit(127);
}

/* What is typed into the editor to interrupt it is not meant for us. */
static int wait_for(pid_t pid)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
	int status;

	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	return status;
}

bool editor_run(const struct editor *editor, struct buf *text)
{
	const char *command = env_of("VISUAL");
	struct error error;
	int status;
	pid_t pid;

	if (command == NULL)
		command = env_of("EDITOR");
	if (command == NULL)
		command = "vi";
	pid = fork();
	if (pid == 0)
		child(command, editor->path);
	status = pid < 0 ? -1 : wait_for(pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr,
		    "lockstep: the editor \"%s\" did not end well: set VISUAL or EDITOR; nothing "
		    "was changed\n",
		    command);
		return false;
	}
	buf_reset(text);
	if (file_read(editor->path, text, &error) == ERR_OK)
		return true;
	fprintf(stderr, "lockstep: %s\n", error.text);
	return false;
}

void editor_close(struct editor *editor, bool keep)
{
	if (!keep && editor->path != NULL) {
		(void)unlink(editor->path);
		(void)rmdir(editor->dir);
	}
	free(editor->path);
	free(editor->dir);
}
