#include "service/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/listener.h>
#include <event2/util.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/bearer.h"
#include "service/conn.h"
#include "service/tls.h"

#define CONNS_MAX	  64
#define GREETINGS_MAX	  32 /* of these, whose TLS is not set up yet */
#define CONNS_OF_ADDRESS  16
#define CONNS_OF_USER	  16
#define GREETINGS_PER_S	  50   /* one takes some 0.5 ms of the loop, and 2 ms by a key of RSA */
#define LOGIN_BYTES	  4096 /* of a body of someone who is not known */
#define TURN_MS		  100
#define GREETINGS_OF_TURN (GREETINGS_PER_S * TURN_MS / 1000)
#define ACCEPTS_OF_TURN	  200 /* with those that are cut off at once */
#define BACKLOG		  128

struct listening {
	struct service *service;
	struct conns conns;
	struct evconnlistener *listener; /* NULL = nowhere */
	struct tls *tls;
	char *address;	/* as the policy has it */
	size_t came;	/* in this turn */
	size_t greeted; /* of these, whom TLS was begun with */
	bool is_full;	/* of this turn */
	struct timer turn;
};

/* ── Who is let in ───────────────────────────────────────────────────────────────────────── */

static size_t conns_of(const struct conn *conn)
{
	const struct conn *other;
	size_t count = 0;

	TAILQ_FOREACH (other, &conn->conns->list, entry)
		count += other->phase != PHASE_LEAVING &&
			 strcmp(other->caller.user, conn->caller.user) == 0;
	return count;
}

static bool refuse(struct conn *conn, const char *why)
{
	log_event(LOG_LEVEL_WARN, "not_let_in", "address", conn->caller.address, "why", why, NULL);
	conn_refuse(conn, HTTP_UNKNOWN, why);
	return false;
}

/* It stays unknown, and so has to go before others do. */
static bool identify_nobody(struct conn *conn)
{
	conn->caller.nobody = true;
	if (conn->head.body_len <= LOGIN_BYTES)
		return true;
	conn_refuse(conn, HTTP_TOO_LARGE, "to log in takes less than that");
	return false;
}

static bool identify_certificate(struct conn *conn)
{
	const struct user *user;
	uint8_t digest[DIGEST_SIZE];

	if (!tls_certificate(conn->bev, digest))
		return refuse(conn, "it was not said who asks: \"Authorization: Bearer TOKEN\" "
				    "does (lockstep token "
				    "create, lockstep login), or a certificate");
	user = policy_user_of_certificate(conn_policy(conn), digest);
	if (user == NULL)
		return refuse(conn, "the policy declares no user for that certificate: user "
				    "\"NAME\" { certificate = "
				    "\"SHA256:…\" }");
	conn->caller.certificate = true;
	snprintf(conn->caller.user, sizeof(conn->caller.user), "%s", user->name);
	return true;
}

static bool identify_bearer(struct conn *conn)
{
	const struct http_head *head = &conn->head;
	char why[WHY_SIZE];

	if (bearer_identify(
		conn->conns->service, head->bearer, head->bearer_len, &conn->caller, why))
		return true;
	return refuse(conn, why);
}

/* Nothing that is asked here is taken up before it is known who asks. */
static bool identify(struct conn *conn)
{
	const struct http_head *head = &conn->head;

	if (head->bearer == NULL && strcmp(head->path, HTTP_LOGIN) == 0 && !head->gets)
		return identify_nobody(conn);
	if (head->bearer == NULL ? !identify_certificate(conn) : !identify_bearer(conn))
		return false;
	conn->known = true;
	if (conns_of(conn) <= CONNS_OF_USER)
		return true;
	conn_put_off(conn, "too many requests of yours at once: ask again in a moment");
	return false;
}

static void address_of(const struct sockaddr *from, char out[CALLER_ADDRESS_SIZE])
{
	const void *at =
	    from->sa_family == AF_INET
		? (const void *)&((const struct sockaddr_in *)(const void *)from)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;

	if (inet_ntop(from->sa_family, at, out, CALLER_ADDRESS_SIZE) == NULL)
		out[0] = '\0';
}

/* ── Room ────────────────────────────────────────────────────────────────────────────────── */

struct crowd {
	size_t greetings, of_address;
	struct conn *greeting, *unknown; /* the first that came of those; NULL = none is */
};

static struct crowd crowd_of(struct listening *listening, const char *address)
{
	struct crowd crowd = {.greetings = 0};
	struct conn *conn;

	TAILQ_FOREACH (conn, &listening->conns.list, entry) {
		bool greets = conn->phase == PHASE_GREETING;

		crowd.greetings += greets;
		crowd.of_address += strcmp(conn->caller.address, address) == 0;
		if (greets && crowd.greeting == NULL)
			crowd.greeting = conn;
		if (!conn->known && crowd.unknown == NULL)
			crowd.unknown = conn;
	}
	return crowd;
}

/* Where all places are taken, whoever has waited longest without saying who it is has to go. */
static bool make_room(struct listening *listening, const char *address)
{
	struct crowd crowd = crowd_of(listening, address);

	if (crowd.of_address >= CONNS_OF_ADDRESS)
		return false;
	if (crowd.greetings >= GREETINGS_MAX)
		conn_free(crowd.greeting);
	else if (listening->conns.count >= CONNS_MAX && crowd.unknown != NULL)
		conn_free(crowd.unknown);
	return listening->conns.count < CONNS_MAX;
}

/* Whoever comes now waits in the kernel's queue for the next turn. */
static void rest(struct listening *listening)
{
	listening->is_full = true;
	evconnlistener_disable(listening->listener);
}

static void on_turn(void *arg)
{
	struct listening *listening = arg;

	listening->came = listening->greeted = 0;
	if (listening->is_full && listening->listener != NULL)
		evconnlistener_enable(listening->listener);
	listening->is_full = false;
}

/* The turn is as long, whoever comes in it. */
static void count_one(struct listening *listening)
{
	if (listening->came++ == 0)
		timer_start(loop_clock(listening->service->loop), &listening->turn, TURN_MS);
	if (listening->came >= ACCEPTS_OF_TURN)
		rest(listening);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
    int from_len, void *arg)
{
	struct listening *listening = arg;
	char address[CALLER_ADDRESS_SIZE];
	struct bufferevent *bev;
	struct conn *conn;

	(void)listener;
	(void)from_len;
	count_one(listening);
	address_of(from, address);
	if (!make_room(listening, address)) {
		log_event(LOG_LEVEL_DEBUG, "tls_full", "address", address, NULL);
		evutil_closesocket(fd);
		return;
	}
	if (++listening->greeted >= GREETINGS_OF_TURN)
		rest(listening);
	bev = tls_take(listening->tls, loop_base(listening->service->loop), fd);
	if (bev == NULL)
		return;
	conn = conn_new(&listening->conns, bev);
	conn->caller.tls = true;
	memcpy(conn->caller.address, address, sizeof(address));
}

/* Most likely there are no more file descriptors. */
static void on_no_accept(struct evconnlistener *listener, void *arg)
{
	struct listening *listening = arg;

	(void)listener;
	if (listening->came == 0)
		count_one(listening);
	rest(listening);
}

/* ── Changes ─────────────────────────────────────────────────────────────────────────────── */

static bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static int bound(const char *address)
{
	struct sockaddr_storage place;
	int len = sizeof(place), on = 1, fd, number;

	errno = EINVAL;
	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&place, &len) != 0)
		return -1;
	fd = socket(place.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)&place, (socklen_t)len) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	number = errno;
	close(fd);
	errno = number;
	return -1;
}

enum err listen_prepare(struct listening *listening, const struct settings *settings,
    struct listen_change *change, struct error *error)
{
	const struct listen *listen = &settings->listen;
	enum err err;

	*change = (struct listen_change){.fd = -1};
	if (listen->address == NULL)
		return ERR_OK;
	err = tls_new(&change->tls, listen, error);
	if (err != ERR_OK || same(listening->address, listen->address))
		return err;
	change->fd = bound(listen->address);
	if (change->fd >= 0)
		return ERR_OK;
	err = error_set(error, ERR_IO, "listen: the address %s cannot be listened at: %s%s",
	    listen->address, strerror(errno),
	    errno == EADDRINUSE && listening->address != NULL
		? ", perhaps by this engine, at another address of that port: take another port, "
		  "or restart it"
		: ": name one of this machine's, and a port that is free");
	listen_drop(change);
	return err;
}

void listen_drop(struct listen_change *change)
{
	tls_free(change->tls);
	if (change->fd >= 0)
		close(change->fd);
	*change = (struct listen_change){.fd = -1};
}

static void stop(struct listening *listening)
{
	if (listening->listener != NULL)
		evconnlistener_free(listening->listener);
	listening->listener = NULL;
	free(listening->address);
	listening->address = NULL;
}

static void start(struct listening *listening, const char *address, int fd)
{
	stop(listening);
	listening->listener = evconnlistener_new(loop_base(listening->service->loop), on_accept,
	    listening, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listening->listener == NULL) {
		close(fd);
		log_event(LOG_LEVEL_ERROR, "not_listening", "error", "there is no memory", NULL);
		return;
	}
	evconnlistener_set_error_cb(listening->listener, on_no_accept);
	listening->address = xstrdup(address);
	if (listening->is_full)
		evconnlistener_disable(listening->listener);
	log_event(LOG_LEVEL_INFO, "listening", "address", address, NULL);
}

void listen_take(
    struct listening *listening, const struct settings *settings, struct listen_change *change)
{
	if (change->tls == NULL)
		stop(listening);
	else if (change->fd >= 0)
		start(listening, settings->listen.address, change->fd);
	tls_free(listening->tls);
	listening->tls = change->tls; /* transferred */
	*change = (struct listen_change){.fd = -1};
}

/* ── Its life ────────────────────────────────────────────────────────────────────────────── */

struct listening *listening_new(struct service *service)
{
	struct listening *listening = xcalloc(1, sizeof(*listening));

	listening->service = service;
	listening->turn = (struct timer){.fn = on_turn, .arg = listening};
	conns_init(&listening->conns, service);
	listening->conns.identify = identify;
	return listening;
}

const char *listening_at(const struct listening *listening)
{
	return listening == NULL ? NULL : listening->address;
}

void listening_warning(const struct listening *listening, char *out, size_t size)
{
	out[0] = '\0';
	if (listening->tls != NULL)
		tls_warning(listening->tls, out, size);
}

void listening_end(struct listening *listening)
{
	stop(listening);
	conns_end(&listening->conns);
}

bool listening_is_quiet(const struct listening *listening)
{
	return conns_are_quiet(&listening->conns);
}

void listening_free(struct listening *listening)
{
	if (listening == NULL)
		return;
	stop(listening);
	timer_stop(&listening->turn);
	conns_clear(&listening->conns);
	tls_free(listening->tls);
	free(listening);
}
