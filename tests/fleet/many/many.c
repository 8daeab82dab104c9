/*
 *	many --control PATH [--port N] [--first ADDRESS] [--login-ms N] [--command-ms N]
 *	     [--middle-ms N] [--host-key ed25519|ecdsa|rsa] [--kex LIST]
 *
 * Asset N is called at ADDRESS + N (127.64.0.0 + N), all of them at one port. Prints that port when
 * it is ready, and stays until it is ended. control.h has what it can be told.
 */
#include "many.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <event2/listener.h>

#include "control.h"
#include "keys.h"

#define FIRST_PASSWORD "First-Pass.1"
#define BACKLOG	       16384
#define FILES_WANTED   65536

static void on_connection(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	struct fleet *fleet = arg;
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t at_len = sizeof(at);
	struct asset *asset = NULL;
	int one = 1;

	(void)listener;
	(void)from;
	(void)len;
	if (getsockname(fd, (struct sockaddr *)&at, &at_len) == 0)
		asset = store_asset(
		    &fleet->store, ntohl(at.sin_addr.s_addr) - ntohl(fleet->config.first.s_addr));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (asset == NULL)
		evutil_closesocket(fd);
	else if (!raw_new(fleet, fd, asset))
		guest_new(fleet, fd, asset);
}

/* All addresses of this machine's own network, and none of another. */
static bool fleet_listen(struct fleet *fleet)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET,
	    .sin_port = htons(fleet->config.port),
	    .sin_addr.s_addr = htonl(INADDR_ANY),
	};
	socklen_t len = sizeof(at);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct evconnlistener *listener = NULL;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		listener = evconnlistener_new(fleet->base, on_connection, fleet,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (listener == NULL || getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		fprintf(stderr, "many: cannot listen at port %u: %s\n", fleet->config.port,
		    strerror(errno));
		return false;
	}
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
	return true;
}

static void take_files(void)
{
	struct rlimit files = {.rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED};

	/* Without the right to more than there are, all that there are. */
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static bool read_options(struct config *config, int argc, char **argv)
{
	enum { PORT, FIRST, CONTROL, LOGIN_MS, COMMAND_MS, MIDDLE_MS, HOST_KEY, KEX };
	static const struct option options[] = {
	    {"port", required_argument, NULL, PORT},
	    {"first", required_argument, NULL, FIRST},
	    {"control", required_argument, NULL, CONTROL},
	    {"login-ms", required_argument, NULL, LOGIN_MS},
	    {"command-ms", required_argument, NULL, COMMAND_MS},
	    {"middle-ms", required_argument, NULL, MIDDLE_MS},
	    {"host-key", required_argument, NULL, HOST_KEY},
	    {"kex", required_argument, NULL, KEX},
	    {NULL, 0, NULL, 0},
	};
	int which;

	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long number = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;

		switch (which) {
		case PORT: config->port = (uint16_t)number; break;
		case FIRST:
			if (inet_pton(AF_INET, optarg, &config->first) != 1)
				return false;
			break;
		case CONTROL: config->control = optarg; break;
		case LOGIN_MS: config->login_ms = (uint32_t)number; break;
		case COMMAND_MS: config->command_ms = (uint32_t)number; break;
		case MIDDLE_MS: config->middle_ms = (uint32_t)number; break;
		case HOST_KEY: config->host_key = optarg; break;
		case KEX: config->kex = optarg; break;
		default: return false;
		}
	}
	return optind == argc && config->control != NULL;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

int main(int argc, char **argv)
{
	struct fleet fleet = {
	    .config =
		{
		    .first.s_addr = htonl(0x7f400000), /* 127.64.0.0 */
		    .middle_ms = 300,
		    .host_key = "ed25519",
		},
	    .store.first_password = FIRST_PASSWORD,
	};
	struct event *ended;

	if (!read_options(&fleet.config, argc, argv)) {
		fprintf(stderr,
		    "many --control PATH [--port N] [--first ADDRESS] [--login-ms N] "
		    "[--command-ms N] [--middle-ms N] [--host-key TYPE] [--kex LIST]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	take_files();
	fleet.base = event_base_new();
	fleet.keys = keys_new(&fleet.config);
	if (fleet.keys == NULL || !control_listen(&fleet) || !fleet_listen(&fleet))
		return 1;
	ended = evsignal_new(fleet.base, SIGTERM, on_signal, fleet.base);
	event_add(ended, NULL);
	event_base_dispatch(fleet.base);
	return 0;
}
