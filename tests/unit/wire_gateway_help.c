#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <event2/event.h>

#include "wire/turn.h"
#include "wire_gateway_help.h"

struct event_base *base;
struct turns *turns;

/* ── Driving ─────────────────────────────────────────────────────────────────────────────── */

static void nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void turn(void)
{
	static const struct timeval soon = {.tv_usec = 2000};

	event_base_once(base, -1, EV_TIMEOUT, nothing, NULL, &soon);
	event_base_loop(base, EVLOOP_ONCE);
}

static void on_wake(void *arg)
{
	(void)arg;
}

/* ── Links ───────────────────────────────────────────────────────────────────────────────── */

struct link *connected(struct gateway *through, uint16_t port)
{
	struct wire_target target = {.asset = "inner", .address = "127.0.0.1", .port = port};
	struct link_config config = {.gateway = through, .wake = on_wake};
	struct link *link = link_new(&config, &target);
	struct outcome outcome;

	if (STEP(60000, link_open_step(link, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	return link;
}

void log_in(struct link *link, const char *user)
{
	struct secret *secret = secret_from(ASSET_PASSWORD, strlen(ASSET_PASSWORD));
	struct login login = {.user = user, .secret = secret};
	struct outcome outcome;

	if (STEP(60000, link_login_step(link, &login, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	secret_free(secret);
}

struct gateway *gateway_at(struct gateway *through, const char *user)
{
	struct gateway_config config = {.base = base, .turns = turns, .asset = "gw"};
	struct link *link = connected(through, asset.port);
	struct outcome outcome;

	log_in(link, user);
	if (STEP(5000, gateway_ready_step(link, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	return gateway_new(&config, link);
}

/* ── Targets that are not SSH ────────────────────────────────────────────────────────────── */

int listener(uint16_t *port, int backlog)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

struct tunnel *tunnel_to(struct gateway *gateway, uint16_t port)
{
	return tunnel_new(gateway, "127.0.0.1", port, on_wake, NULL);
}

static int accepted(int fd)
{
	int far = -1;

	(void)UNTIL((far = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0, 5000);
	assert_true(far >= 0);
	return far;
}

void ends_open(struct ends *ends, struct gateway *gateway, int fd, uint16_t port)
{
	struct outcome outcome;

	ends->tunnel = tunnel_to(gateway, port);
	if (STEP(5000, tunnel_step(ends->tunnel, &ends->near, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	ends->far = accepted(fd);
}

void ends_close(struct ends *ends)
{
	if (ends->near >= 0)
		close(ends->near);
	if (ends->far >= 0)
		close(ends->far);
	tunnel_free(ends->tunnel);
}

int gateway_begin(void **state)
{
	base = event_base_new();
	event_base_priority_init(base, 2);
	turns = turns_new(base, NULL);
	return asset_begin(state);
}

int gateway_end(void **state)
{
	turns_free(turns);
	event_base_free(base);
	return asset_end(state);
}
