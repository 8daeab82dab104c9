/*
 *	loop FIRST COUNT PORT WINDOW KEX HOST_KEY
 *
 * The yardstick: the least loop of libevent and libssh2 that sets a password and sees it work, as
 * one would write it without a vault, a policy or a doubt. An asset is called at 127.64.0.0 and its
 * number on; its rotation is a login as ops, `chpasswd` fed with the account's line, its exit
 * status, and a login by the new password over a second connection.
 *
 * Prints the assets, how many failed, the seconds of CPU and of the clock, and the KB of memory.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <libssh2.h>

#define FIRST_ADDRESS  0x7f400000u /* 127.64.0.0 */
#define FIRST_PASSWORD "First-Pass.1"
#define FILES_WANTED   32768

enum step { STEP_HANDSHAKE, STEP_LOGIN, STEP_OPEN, STEP_EXEC, STEP_WRITE, STEP_EOF, STEP_CLOSE };

struct bench {
	struct event_base *base;
	unsigned next, end; /* assets to be begun */
	unsigned count, done, failed;
	uint16_t port;
	const char *kex, *host_key;
};

struct rotation {
	struct bench *bench;
	unsigned number;
	bool proving;
	enum step step;
	int fd;
	LIBSSH2_SESSION *session;
	LIBSSH2_CHANNEL *channel;
	struct event *event;
	char line[64];
	size_t written;
};

static void rotation_next(struct bench *bench);

static void on_ready(evutil_socket_t fd, short what, void *arg);

static void rotation_wait(struct rotation *rotation, short events)
{
	event_assign(
	    rotation->event, rotation->bench->base, rotation->fd, events, on_ready, rotation);
	event_add(rotation->event, NULL);
}

static void rotation_connect(struct rotation *rotation)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET,
	    .sin_port = htons(rotation->bench->port),
	    .sin_addr.s_addr = htonl(FIRST_ADDRESS + rotation->number),
	};
	int one = 1;

	rotation->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(rotation->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)connect(rotation->fd, (struct sockaddr *)&at, sizeof(at));
	rotation->session = libssh2_session_init();
	libssh2_session_set_blocking(rotation->session, 0);
	libssh2_session_method_pref(rotation->session, LIBSSH2_METHOD_KEX, rotation->bench->kex);
	libssh2_session_method_pref(
	    rotation->session, LIBSSH2_METHOD_HOSTKEY, rotation->bench->host_key);
	rotation->step = STEP_HANDSHAKE;
	rotation_wait(rotation, EV_WRITE);
}

static void rotation_disconnect(struct rotation *rotation)
{
	libssh2_session_disconnect(rotation->session, "done");
	libssh2_session_free(rotation->session);
	close(rotation->fd);
	rotation->channel = NULL;
	rotation->session = NULL;
}

static void rotation_end(struct rotation *rotation, bool fine)
{
	struct bench *bench = rotation->bench;

	rotation_disconnect(rotation);
	event_free(rotation->event);
	free(rotation);
	bench->done++;
	if (!fine)
		bench->failed++;
	rotation_next(bench);
	if (bench->done == bench->count)
		event_base_loopbreak(bench->base);
}

static int login(struct rotation *rotation)
{
	const char *user = rotation->proving ? "app" : "ops";
	const char *password = rotation->proving ? rotation->line + 4 : FIRST_PASSWORD;

	return libssh2_userauth_password_ex(
	    rotation->session, user, 3, password, (unsigned)strcspn(password, "\n"), NULL);
}

static int open_channel(struct rotation *rotation)
{
	rotation->channel = libssh2_channel_open_session(rotation->session);
	if (rotation->channel != NULL)
		return 0;
	return libssh2_session_last_errno(rotation->session);
}

static int write_line(struct rotation *rotation)
{
	size_t len = strlen(rotation->line);
	ssize_t put = libssh2_channel_write(
	    rotation->channel, rotation->line + rotation->written, len - rotation->written);

	if (put < 0)
		return (int)put;
	rotation->written += (size_t)put;
	return rotation->written == len ? 0 : LIBSSH2_ERROR_EAGAIN;
}

static int rotation_do(struct rotation *rotation)
{
	switch (rotation->step) {
	case STEP_HANDSHAKE: return libssh2_session_handshake(rotation->session, rotation->fd);
	case STEP_LOGIN: return login(rotation);
	case STEP_OPEN: return open_channel(rotation);
	case STEP_EXEC: return libssh2_channel_exec(rotation->channel, "sudo chpasswd");
	case STEP_WRITE: return write_line(rotation);
	case STEP_EOF: return libssh2_channel_send_eof(rotation->channel);
	case STEP_CLOSE: return libssh2_channel_close(rotation->channel);
	}
	return -1;
}

static bool rotation_is_through(const struct rotation *rotation)
{
	return rotation->step > (rotation->proving ? STEP_LOGIN : STEP_CLOSE);
}

static void rotation_through(struct rotation *rotation)
{
	if (rotation->proving) {
		rotation_end(rotation, true);
	} else if (libssh2_channel_get_exit_status(rotation->channel) != 0) {
		rotation_end(rotation, false);
	} else {
		rotation_disconnect(rotation);
		rotation->proving = true;
		rotation_connect(rotation);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct rotation *rotation = arg;
	int rc = 0;

	(void)fd;
	(void)what;
	while (rc == 0 && !rotation_is_through(rotation)) {
		rc = rotation_do(rotation);
		if (rc == 0)
			rotation->step++;
	}
	if (rc == LIBSSH2_ERROR_EAGAIN) {
		int directions = libssh2_session_block_directions(rotation->session);

		rotation_wait(rotation,
		    (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? EV_WRITE : EV_READ);
	} else if (rc != 0) {
		rotation_end(rotation, false);
	} else {
		rotation_through(rotation);
	}
}

static void rotation_next(struct bench *bench)
{
	struct rotation *rotation;

	if (bench->next == bench->end)
		return;
	rotation = calloc(1, sizeof(*rotation));
	if (rotation == NULL)
		abort();
	rotation->bench = bench;
	rotation->number = bench->next++;
	rotation->event = event_new(bench->base, -1, 0, on_ready, rotation);
	snprintf(rotation->line, sizeof(rotation->line), "app:Loop-%u.%ld\n", rotation->number,
	    (long)time(NULL));
	rotation_connect(rotation);
}

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct bench *bench, double wall_s)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%u %u %.3f %.3f %ld\n", bench->count, bench->failed,
	    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
	    wall_s, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
	struct rlimit files = {.rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED};
	struct bench bench = {.done = 0};
	unsigned window;
	double begun;

	if (argc != 7) {
		fprintf(stderr, "usage: loop FIRST COUNT PORT WINDOW KEX HOST_KEY\n");
		return 2;
	}
	bench.next = (unsigned)strtoul(argv[1], NULL, 10);
	bench.count = (unsigned)strtoul(argv[2], NULL, 10);
	bench.end = bench.next + bench.count;
	bench.port = (uint16_t)strtoul(argv[3], NULL, 10);
	window = (unsigned)strtoul(argv[4], NULL, 10);
	bench.kex = argv[5];
	bench.host_key = argv[6];
	signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (libssh2_init(0) != 0)
		return 1;
	bench.base = event_base_new();
	begun = clock_s();
	for (unsigned i = 0; i < window && i < bench.count; i++)
		rotation_next(&bench);
	event_base_dispatch(bench.base);
	report(&bench, clock_s() - begun);
	return bench.failed == 0 ? 0 : 1;
}
