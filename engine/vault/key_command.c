#define _GNU_SOURCE /* pipe2 */

#include "vault/key_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct running {
	const char *program;
	pid_t pid;
	int fd; /* what it prints */
	uint64_t until_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In a group of its own, so that what it started ends with it. What it says on stderr is shown. */
static int spawn(struct running *running, const char *const *argv, int output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t usual;
	int rc;

	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &usual);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(
	    &running->pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static enum err start(struct running *running, const char *const *argv, struct error *error)
{
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set(error, ERR_IO, "no pipe for \"%s\": %s", argv[0], strerror(errno));
	rc = spawn(running, argv, ends[1]);
	close(ends[1]);
	running->fd = ends[0];
	if (rc == 0)
		return ERR_OK;
	close(ends[0]);
	return error_set(error, rc == ENOENT ? ERR_NOT_FOUND : ERR_IO,
	    "\"%s\", which is to print the master key, cannot be run: %s; name a program that can",
	    argv[0], strerror(rc));
}

static enum err too_late(const struct running *running, struct error *error)
{
	return error_set(error, ERR_LIMIT,
	    "\"%s\" has not printed the master key in its time: see what it waits for, or give it "
	    "more by timeout",
	    running->program);
}

/* ERR_AGAIN: there may be more. */
static enum err take(const struct running *running, struct buf *out, struct error *error)
{
	size_t room_len = out->size_max - out->len;
	uint8_t *room;
	ssize_t got;

	if (room_len == 0)
		return error_set(error, ERR_LIMIT,
		    "\"%s\" prints more than a master key: let it print 64 hex digits alone",
		    running->program);
	room = buf_reserve(out, room_len);
	got = room == NULL ? -1 : read(running->fd, room, room_len);
	if (got < 0 && errno != EINTR)
		return error_set(error, ERR_IO, "what \"%s\" prints cannot be read: %s",
		    running->program, strerror(errno));
	out->len += got > 0 ? (size_t)got : 0;
	return got == 0 ? ERR_OK : ERR_AGAIN;
}

static enum err read_all(const struct running *running, struct buf *out, struct error *error)
{
	enum err err = ERR_AGAIN;

	while (err == ERR_AGAIN) {
		struct pollfd wait = {.fd = running->fd, .events = POLLIN};
		uint64_t now = now_ms();

		if (now >= running->until_ms)
			return too_late(running, error);
		if (poll(&wait, 1, (int)(running->until_ms - now)) > 0)
			err = take(running, out, error);
	}
	return err;
}

/* It may have closed its output and go on. */
static enum err wait_end(const struct running *running, struct error *error)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(running->pid, &status, WNOHANG)) == 0 ||
	       (ended < 0 && errno == EINTR)) {
		if (now_ms() >= running->until_ms) {
			kill(-running->pid, SIGKILL);
			waitpid(running->pid, &status, 0);
			return too_late(running, error);
		}
		(void)poll(NULL, 0, 5);
	}
	if (ended < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return ERR_OK;
	return error_set(error, ERR_REFUSED,
	    "\"%s\", which is to print the master key, ended with %s %d: run it by hand to see why",
	    running->program, WIFEXITED(status) ? "status" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

enum err key_command_run(
    const char *const *argv, uint64_t timeout_ms, struct buf *out, struct error *error)
{
	struct running running = {.program = argv[0], .until_ms = now_ms() + timeout_ms};
	struct error none;
	enum err err = start(&running, argv, error);

	if (err != ERR_OK)
		return err;
	err = read_all(&running, out, error);
	close(running.fd);
	if (err == ERR_OK)
		return wait_end(&running, error);
	kill(-running.pid, SIGKILL);
	(void)wait_end(&running, &none);
	return err;
}
