#include "service/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/conn.h"
#include "service/peer.h"
#include "service/unix.h"

#define CONNS_MAX	 64
#define CONNS_OF_ONE_MAX 16  /* of a user who is not the owner */
#define REFUSED_MAX	 64  /* more of them, which are only told why not */
#define FULL_MS		 100 /* until it is looked again whether more can be taken */

struct server {
	struct service *service;
	char *path;
	struct evconnlistener *listener;
	struct timer rest;
	struct conns conns;
};

/* ── Who is let in ───────────────────────────────────────────────────────────────────────── */

/* How many connections of theirs there are, this one included. */
static size_t conns_of(const struct conn *conn)
{
	const struct conn *other;
	size_t count = 0;

	TAILQ_FOREACH (other, &conn->conns->list, entry)
		count += other->caller.uid == conn->caller.uid;
	return count;
}

static bool peer_is_welcome(struct conn *conn)
{
	char why[PEER_WHY_SIZE];

	if (!peer_identify(bufferevent_getfd(conn->bev), &conn->caller, conn_policy(conn), why)) {
		conn_refuse(conn, HTTP_FORBIDDEN, why);
		return false;
	}
	if (conn->caller.owner || conns_of(conn) <= CONNS_OF_ONE_MAX)
		return true;
	conn_put_off(conn, "too many requests of yours at once: ask again in a moment");
	return false;
}

static void server_take(struct server *server, evutil_socket_t fd)
{
	struct event_base *base = loop_base(server->service->loop);
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bool full = server->conns.count >= CONNS_MAX;
	struct conn *conn;

	if (bev == NULL) {
		close(fd);
		return;
	}
	conn = conn_new(&server->conns, bev);
	if (!peer_is_welcome(conn))
		return;
	if (server->listener == NULL)
		conn_put_off(conn, "the engine ends: ask again");
	else if (full)
		conn_put_off(conn, "too many requests at once: ask again in a moment");
}

/* Whoever comes now waits in the kernel's queue: who is cut off would think that the engine died.
 */
static void server_rest(struct server *server)
{
	evconnlistener_disable(server->listener);
	timer_start(loop_clock(server->service->loop), &server->rest, FULL_MS);
}

static void server_go_on(void *arg)
{
	const struct server *server = arg;

	evconnlistener_enable(server->listener);
}

/* Most likely there are no more file descriptors. */
static void server_cannot_accept(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	server_rest(arg);
}

static void server_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *address, int len, void *arg)
{
	struct server *server = arg;

	(void)listener;
	(void)address;
	(void)len;
	server_take(server, fd);
	if (server->conns.count >= CONNS_MAX + REFUSED_MAX)
		server_rest(server);
}

/* ── Whom the policy declares ────────────────────────────────────────────────────────────── */

void server_follow(struct server *server)
{
	mode_t mode = peers_are_let_in(server->service->snapshot->policy) ? 0666 : 0600;

	if (server->listener != NULL && chmod(server->path, mode) != 0)
		log_event(LOG_LEVEL_WARN, "socket_mode", "socket", server->path, NULL);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

enum err server_open(
    struct server **out, struct service *service, const char *path, struct error *error)
{
	struct server *server;
	int fd;
	enum err err = unix_listen(path, &fd, error);

	*out = NULL;
	if (err != ERR_OK)
		return err;
	server = xcalloc(1, sizeof(*server));
	server->service = service;
	server->rest = (struct timer){.fn = server_go_on, .arg = server};
	server->path = xstrdup(path);
	conns_init(&server->conns, service);
	server->listener = evconnlistener_new(loop_base(service->loop), server_accept, server,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (server->listener == NULL) {
		close(fd);
		server_close(server);
		return error_set(error, ERR_IO, "socket %s cannot be served", path);
	}
	evconnlistener_set_error_cb(server->listener, server_cannot_accept);
	server_follow(server);
	*out = server; /* transferred */
	return ERR_OK;
}

/* Whoever connected before the socket was gone still gets an answer. Who found it and has not yet
 * connected is refused by the kernel from now on, as where nobody listens. */
static void take_the_last(struct server *server, struct evconnlistener *listener)
{
	int listening = evconnlistener_get_fd(listener), fd;

	shutdown(listening, SHUT_RD);
	while ((fd = accept(listening, NULL, NULL)) >= 0) {
		evutil_make_socket_nonblocking(fd);
		evutil_make_socket_closeonexec(fd);
		server_take(server, fd);
	}
}

void server_end(struct server *server)
{
	struct evconnlistener *listener = server->listener;

	if (listener == NULL)
		return;
	timer_stop(&server->rest);
	unlink(server->path);
	server->listener = NULL;
	take_the_last(server, listener);
	evconnlistener_free(listener);
	conns_end(&server->conns);
}

bool server_is_quiet(const struct server *server)
{
	return conns_are_quiet(&server->conns);
}

void server_close(struct server *server)
{
	if (server == NULL)
		return;
	server_end(server);
	conns_clear(&server->conns);
	free(server->path);
	free(server);
}
