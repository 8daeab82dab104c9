#define _GNU_SOURCE /* close_range */

#include "wire/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "wire.h"

/* Above all that the child puts in place, so that no dup2 closes what a later one needs. */
#define FD_ASIDE 16

static int fd_aside(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD, FD_ASIDE);
}

/* Puts the descriptors in place and closes all others but the program's, which the exec closes. */
static bool child_descriptors(const struct spawn_config *config, int socket, int exe)
{
	unsigned first_closed = config->lock_fd < 0 ? WIRE_LOCK_FD : WIRE_LOCK_FD + 1;
	int lock = fd_aside(config->lock_fd);
	int null = fd_aside(open("/dev/null", O_RDWR));

	socket = fd_aside(socket);
	if (socket < 0 || null < 0 || (config->lock_fd >= 0 && lock < 0))
		return false;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return false;
	if (!config->keep_stderr && dup2(null, STDERR_FILENO) < 0)
		return false;
	if (dup2(socket, WIRE_SOCKET_FD) < 0 || (lock >= 0 && dup2(lock, WIRE_LOCK_FD) < 0))
		return false;
	return close_range(first_closed, (unsigned)exe - 1, 0) == 0 &&
	       close_range((unsigned)exe + 1, ~0u, 0) == 0;
}

/* Between fork and exec: only calls that are safe there. */
static void __attribute__((noreturn))
child_run(const struct spawn_config *config, int socket, pid_t parent)
{
	const char *path = config->exe != NULL ? config->exe : "/proc/self/exe";
	int file = open(path, O_RDONLY | O_CLOEXEC);
	int exe = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, FD_ASIDE);
	char name[] = "lockstep", argument[] = WIRE_ARGUMENT, locale[] = "LC_ALL=C";
	char *argv[] = {name, argument, NULL};
	char *env[] = {locale, CRASH_VARIABLE, NULL};
	sigset_t none;

	/* A group of its own: what is typed at the terminal is for the core, which ends us. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Whoever started us may have died before this took hold. */
	if (exe >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
	    child_descriptors(config, socket, exe))
		fexecve(exe, argv, env);
	_exit(SPAWN_FAILED);
}

enum err spawn_wire(struct spawned *spawned, const struct spawn_config *config, struct error *error)
{
	pid_t parent = getpid();
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
		return error_set(error, ERR_IO, "no socket for a wire: %s", strerror(errno));
	spawned->pid = fork();
	if (spawned->pid == 0)
		child_run(config, sockets[1], parent);
	close(sockets[1]);
	if (spawned->pid < 0) {
		close(sockets[0]);
		return error_set(error, ERR_IO, "no process for a wire: %s", strerror(errno));
	}
	spawned->socket = sockets[0];
	spawned->pidfd = pidfd_open(spawned->pid, 0);
	if (spawned->pidfd < 0 && errno != ENOSYS) {
		error_set(error, ERR_IO, "a wire cannot be watched: %s", strerror(errno));
		close(sockets[0]);
		kill(spawned->pid, SIGKILL);
		waitpid(spawned->pid, NULL, 0);
		return ERR_IO;
	}
	return ERR_OK;
}
