#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "wire/sandbox.h"

#define EXIT_NO_SANDBOX 40
#define EXIT_WRONG	41

/* Runs `body` in a child, within the sandbox; returns its wait status. */
static int confined(void (*body)(void))
{
	pid_t child = fork();
	struct error error;
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (sandbox_enter(&error) != ERR_OK)
			_exit(EXIT_NO_SANDBOX);
		body();
		_exit(EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* ── Forbidden ───────────────────────────────────────────────────────────────────────────── */

static void open_to_read(void)
{
	(void)open("/etc/hosts", O_RDONLY);
}

static void open_to_write(void)
{
	(void)open("/tmp/lockstep-sandbox-test", O_WRONLY | O_CREAT, 0600);
}

static void execute(void)
{
	char name[] = "true";
	char *argv[] = {name, NULL};

	execv("/bin/true", argv);
}

static void fork_once(void)
{
	(void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void socket_unix(void)
{
	(void)socket(AF_UNIX, SOCK_STREAM, 0);
}

static void socket_netlink(void)
{
	(void)socket(AF_NETLINK, SOCK_RAW, 0);
}

static void kill_parent(void)
{
	(void)kill(getppid(), 0);
}

static void tgkill_parent(void)
{
	(void)syscall(SYS_tgkill, 1, 1, 0);
}

static void trace(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static void map_code(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void listen_on(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in any = {.sin_family = AF_INET};

	(void)bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static void become_dumpable(void)
{
	(void)syscall(SYS_prctl, 4, 1, 0, 0, 0);
}

static void test_forbidden(void **state)
{
	static void (*const bodies[])(void) = {open_to_read, open_to_write, execute, fork_once,
	    socket_unix, socket_netlink, kill_parent, tgkill_parent, trace, map_code, make_code,
	    listen_on, become_dumpable};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		int status = confined(bodies[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("forbidden call %zu: status %#x", i, (unsigned)status);
	}
}

/* ── Threads ─────────────────────────────────────────────────────────────────────────────── */

static int thread_pipe[2];

static void *thread_opens(void *arg)
{
	char byte;

	(void)arg;
	if (read(thread_pipe[0], &byte, 1) == 1)
		open_to_read();
	return NULL;
}

/* A thread that was there before is confined too. */
static void test_thread(void **state)
{
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(pipe(thread_pipe), 0);
	child = fork();
	if (child == 0) {
		struct error error;
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_opens, NULL) != 0)
			_exit(EXIT_WRONG);
		if (sandbox_enter(&error) != ERR_OK)
			_exit(EXIT_NO_SANDBOX);
		if (write(thread_pipe[1], "x", 1) == 1)
			for (;;)
				poll(NULL, 0, 1000);
		_exit(EXIT_WRONG);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	close(thread_pipe[0]);
	close(thread_pipe[1]);
}

/* ── Allowed ─────────────────────────────────────────────────────────────────────────────── */

static void work(void)
{
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
	struct linger linger = {1, 0};
	struct timespec now;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM, 0);
	char *blocks[64];

	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || (fd6 < 0 && errno != EAFNOSUPPORT) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		_exit(EXIT_WRONG);
	(void)connect(fd, (struct sockaddr *)&nobody, sizeof(nobody));
	close(fd);
	for (size_t i = 0; i < 64; i++) {
		blocks[i] = malloc(1 << 20);
		memset(blocks[i], 1, 1 << 20);
	}
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
}

static void test_allowed(void **state)
{
	int status;

	(void)state;
	status = confined(work);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

/* An assertion that fails still shows as what it is. */
static void test_abort(void **state)
{
	int status;

	(void)state;
	status = confined(abort);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forbidden),
	    cmocka_unit_test(test_thread),
	    cmocka_unit_test(test_allowed),
	    cmocka_unit_test(test_abort),
	};

	if (getenv("VALGRIND") != NULL) {
		puts("valgrind makes system calls that the sandbox forbids");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
