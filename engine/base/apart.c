#define _GNU_SOURCE 1

#include "base/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child writes, and behind it the result. */
struct answer {
	enum err err;
	struct error error;
};

static bool write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_all(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* Its crash is told by whoever waits: no handler, no core file. */
static void child_prepare(unsigned cpu_s)
{
	const struct rlimit cpu = {cpu_s, cpu_s}, core = {0, 0};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &core);
	if (cpu_s > 0)
		(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)signal(SIGSEGV, SIG_DFL);
	(void)signal(SIGBUS, SIG_DFL);
	(void)signal(SIGABRT, SIG_DFL);
}

static enum err ended_badly(int status, struct error *error)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (number == SIGXCPU || number == SIGKILL)
		return error_set(error, ERR_CORRUPT, "it did not come to an end");
	if (number != 0)
		return error_set(error, ERR_CORRUPT, "it was ended by signal %d (%s)", number,
		    strsignal(number));
	return error_set(error, ERR_CORRUPT, "it ended without an answer");
}

static enum err wait_for(
    pid_t pid, int fd, void *result, size_t size, bool *answered, struct error *error)
{
	struct answer answer;
	int status = 0;

	*answered = read_all(fd, &answer, sizeof(answer)) && read_all(fd, result, size);

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!*answered)
		return ended_badly(status, error);
	if (answer.err != ERR_OK && error != NULL)
		*error = answer.error;
	return answer.err;
}

enum err apart_run(apart_fn fn, void *arg, void *result, size_t size, unsigned cpu_s,
    bool *answered, struct error *error)
{
	struct answer answer = {.err = ERR_OK};
	int ends[2];
	enum err err;
	pid_t pid;

	*answered = true;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set(error, ERR_IO, "there is no pipe: %s", strerror(errno));
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child_prepare(cpu_s);
		answer.err = fn(arg, result, &answer.error);
		_exit(
		    write_all(ends[1], &answer, sizeof(answer)) && write_all(ends[1], result, size)
			? 0
			: 1);
	}
	close(ends[1]);
	if (pid < 0)
		err =
		    error_set(error, ERR_IO, "there can be no more processes: %s", strerror(errno));
	else
		err = wait_for(pid, ends[0], result, size, answered, error);
	close(ends[0]);
	return err;
}
