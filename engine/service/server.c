#include "service/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/answer.h"
#include "service/engine.h"
#include "service/http.h"
#include "service/metrics.h"
#include "service/peer.h"
#include "service/place.h"
#include "service/unix.h"

#define CONNS_MAX	 64
#define CONNS_OF_ONE_MAX 16 /* of a user who is not the owner */
#define REFUSED_MAX	 64 /* more of them, which are only told why not */
#define TICK_MS		 1000
#define REQUEST_MS	 20000 /* from the connection to the last byte of its request */
#define STALL_MS	 30000 /* an answer of which nothing is taken */
#define ALIVE_MS	 10000 /* a stream says that it is still there */
#define LINGER_MS	 2000  /* from the answer's last byte to the client's end */
#define MORE_SIZE	 1024  /* of lines in an answer's head */
#define VIEW_MAX	 (16UL * 1024 * 1024) /* of events that a client is behind */
#define READ_BYTES	 (64UL * 1024)
#define FULL_MS		 100 /* until it is looked again whether more can be taken */

#define PREFIX	    "/v1/"
#define TYPE_JSON   "application/json"
#define TYPE_STREAM "application/x-ndjson"

enum phase {
	PHASE_ASKING,	 /* its request is on the way */
	PHASE_WORKING,	 /* its request is in work */
	PHASE_ANSWERING, /* the answer is on the way */
	PHASE_LEAVING,	 /* all was taken: waits for its end */
};

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct server *server;
	struct bufferevent *bev;
	struct caller caller;
	enum phase phase;
	struct http_head head;
	struct buf in;
	struct request *request; /* while it is in work */
	bool told_to_go_on;
	bool streaming;	   /* the head of a stream was sent */
	uint64_t since_ms; /* of the phase; monotonic */
	uint64_t moved_ms; /* when some of the answer was taken last, or something was added to none
			    */
	struct timer tick;
};

struct server {
	struct service *service;
	char *path;
	char vault[VAULT_MARK_SIZE];
	struct evconnlistener *listener;
	struct timer rest;
	TAILQ_HEAD(, conn) conns;
	size_t count;
};

static uint64_t now_ms(const struct server *server)
{
	return clock_mono_ms(loop_clock(server->service->loop));
}

static struct evbuffer *output_of(const struct conn *conn)
{
	return bufferevent_get_output(conn->bev);
}

/* ── The end of a connection ─────────────────────────────────────────────────────────────── */

static void conn_free(struct conn *conn)
{
	struct server *server = conn->server;

	if (conn->request != NULL)
		request_forget(conn->request);
	timer_stop(&conn->tick);
	buf_clear(&conn->in);
	bufferevent_free(conn->bev);
	TAILQ_REMOVE(&server->conns, conn, entry);
	server->count--;
	free(conn);
	service_look(server->service);
}

static void conn_enter(struct conn *conn, enum phase phase)
{
	conn->phase = phase;
	conn->since_ms = conn->moved_ms = now_ms(conn->server);
}

/* The client closes first: what it may still be sending would make the kernel drop our answer. */
static void conn_answered(struct conn *conn)
{
	conn_enter(conn, PHASE_ANSWERING);
	buf_clear(&conn->in);
}

/* ── Answers ─────────────────────────────────────────────────────────────────────────────── */

static void answer_json(struct conn *conn, int status, const char *more, json_t *json)
{
	http_answer_head(output_of(conn), status, TYPE_JSON, more);
	answer_add(output_of(conn), json);
	json_decref(json);
	conn_answered(conn);
}

static void answer_refusal(
    struct conn *conn, int status, const char *more, const char *code, const char *why)
{
	bool not_now =
	    status == HTTP_UNAVAILABLE || status == HTTP_FORBIDDEN || status == HTTP_MISDIRECTED;
	json_int_t exit_status = not_now ? SERVICE_NO_ENGINE : SERVICE_USAGE;

	answer_json(conn, status, more,
	    json_pack(
		"{s:I, s:s, s:o}", "exit", exit_status, "code", code, "error", json_text(why)));
}

/* What never came to be a request. */
static void conn_refuse(struct conn *conn, int status, const char *why)
{
	answer_refusal(conn, status, "", "refused", why);
}

static void conn_put_off(struct conn *conn, const char *why)
{
	answer_refusal(conn, HTTP_UNAVAILABLE, "Retry-After: 1\r\n", HTTP_CODE_AGAIN, why);
}

static void stream_head(struct conn *conn)
{
	if (!conn->streaming)
		http_answer_head(output_of(conn), HTTP_OK, TYPE_STREAM, "");
	conn->streaming = true;
}

static void answer_stream(struct conn *conn, enum service_end end, json_t *result, const char *next,
    const struct error *error)
{
	json_t *json;
	json_int_t exit_status = end;

	stream_head(conn);
	if (answer_is_good(end))
		json = json_pack("{s:I, s:o}", "exit", exit_status, "result",
		    result == NULL ? json_null() : result);
	else
		json = answer_failure(end, result, error);
	json_object_set_new(json, "event", json_string("end"));
	if (next != NULL)
		json_object_set_new(json, "next", json_string(next));
	answer_add(output_of(conn), json);
	json_decref(json);
	conn_answered(conn);
}

static void conn_done(
    void *arg, enum service_end end, json_t *result, const char *next, const struct error *error)
{
	struct conn *conn = arg;
	char more[MORE_SIZE];

	conn->request = NULL;
	if (conn->head.streams) {
		answer_stream(conn, end, result, next, error);
	} else if (answer_is_good(end)) {
		snprintf(more, sizeof(more), "Lockstep-Exit: %d\r\n%s%s%s", end,
		    next != NULL ? "Lockstep-Next: " : "", next != NULL ? next : "",
		    next != NULL ? "\r\n" : "");
		answer_json(
		    conn, HTTP_OK, more, result == NULL ? json_null() : result /* transferred */);
	} else {
		answer_json(
		    conn, answer_status(end, error), "", answer_failure(end, result, error));
	}
}

/* A client that does not read loses its view, and nothing else. */
static void conn_progress(void *arg, const json_t *event)
{
	struct conn *conn = arg;

	if (!conn->head.streams || evbuffer_get_length(output_of(conn)) > VIEW_MAX)
		return;
	stream_head(conn);
	answer_add(output_of(conn), event);
}

/* ── Requests ────────────────────────────────────────────────────────────────────────────── */

/* Says where it is no JSON, and not near what: that may be a secret. */
static json_t *read_params(const struct conn *conn, char *why, size_t size)
{
	const char *body = (const char *)conn->in.data + conn->head.len;
	json_error_t error = {.line = 0};
	json_t *params;

	if (conn->head.body_len == 0)
		return json_object();
	params = json_loadb(body, conn->head.body_len, 0, &error);
	if (params == NULL)
		snprintf(why, size, "the body is no JSON (line %d, column %d)", error.line,
		    error.column);
	else if (!json_is_object(params))
		snprintf(why, size, "the body is no JSON object");
	else
		return params;
	explicit_bzero(&error, sizeof(error));
	json_decref(params);
	return NULL;
}

static void conn_begin(struct conn *conn)
{
	const struct listener listener = {
	    .progress = conn_progress, .done = conn_done, .arg = conn, .caller = conn->caller};
	const char *method = conn->head.path + strlen(PREFIX);
	char why[128];
	json_t *params = read_params(conn, why, sizeof(why));

	buf_clear(&conn->in);
	if (params == NULL) {
		conn_refuse(conn, HTTP_BAD, why);
		return;
	}
	conn_enter(conn, PHASE_WORKING);
	snprintf(why, sizeof(why), "%u", conn->caller.uid);
	log_event(LOG_LEVEL_DEBUG, "request", "method", method, "uid", why, NULL);
	conn->request = request_begin(conn->server->service, method, params, &listener);
}

static bool path_is_good(struct conn *conn)
{
	const char *path = conn->head.path;
	char why[256];

	if (strncmp(path, PREFIX, strlen(PREFIX)) == 0 && service_has_method(path + strlen(PREFIX)))
		return true;
	snprintf(why, sizeof(why), "there is no %s", path);
	conn_refuse(conn, HTTP_NOT_FOUND, why);
	return false;
}

/* Two policies may name one socket: a secret must never go to the other one's vault. */
static bool vault_is_ours(struct conn *conn)
{
	if (conn->head.vault[0] == '\0' || strcmp(conn->head.vault, conn->server->vault) == 0)
		return true;
	answer_refusal(conn, HTTP_MISDIRECTED, "", HTTP_CODE_AGAIN,
	    "the engine that listens here holds another vault");
	return false;
}

static bool conn_read_head(struct conn *conn)
{
	const char *why = "";
	int status;

	if (conn->head.len > 0)
		return true;
	status = http_head_read(&conn->head, (const char *)conn->in.data, conn->in.len, &why);
	if (status != 0 && status != HTTP_OK)
		conn_refuse(conn, status, why);
	return status == HTTP_OK && vault_is_ours(conn) && (conn->head.gets || path_is_good(conn));
}

static void conn_go_on(struct conn *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (conn->head.expects && !conn->told_to_go_on)
		evbuffer_add(output_of(conn), go_on, sizeof(go_on) - 1);
	conn->told_to_go_on = true;
}

static const struct policy *policy_of(const struct conn *conn)
{
	return conn->server->service->snapshot->policy;
}

static void conn_asking(struct conn *conn)
{
	if (!conn_read_head(conn))
		return;
	if (conn->head.gets && !caller_may(&conn->caller, policy_of(conn), PERMIT_VIEW)) {
		conn_refuse(conn, HTTP_FORBIDDEN, "your roles do not let you see all there is");
		return;
	}
	if (conn->head.gets) {
		metrics_answer(conn->server->service, output_of(conn));
		conn_answered(conn);
		return;
	}
	if (conn->in.len > conn->head.len + conn->head.body_len)
		conn_refuse(conn, HTTP_BAD, "more bytes came than Content-Length says");
	else if (conn->in.len == conn->head.len + conn->head.body_len)
		conn_begin(conn);
	else
		conn_go_on(conn);
}

/* Takes what came; what nobody asked for is dropped. */
static void conn_take(struct conn *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->bev);
	size_t len = evbuffer_get_length(input);
	uint8_t *at = conn->phase == PHASE_ASKING ? buf_reserve(&conn->in, len) : NULL;

	if (at != NULL)
		conn->in.len += (size_t)evbuffer_remove(input, at, len);
	else
		evbuffer_drain(input, len);
}

static void conn_read(struct bufferevent *bev, void *arg)
{
	struct conn *conn = arg;

	(void)bev;
	conn_take(conn);
	if (conn->phase == PHASE_ASKING && conn->in.len > 0)
		conn_asking(conn);
}

static void conn_written(struct bufferevent *bev, void *arg)
{
	struct conn *conn = arg;

	if (conn->phase != PHASE_ANSWERING || evbuffer_get_length(output_of(conn)) > 0)
		return;
	conn_enter(conn, PHASE_LEAVING);
	shutdown(bufferevent_getfd(bev), SHUT_WR);
	service_look(conn->server->service);
}

static void conn_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	conn_free(arg);
}

/* ── Time ────────────────────────────────────────────────────────────────────────────────── */

static void conn_moved(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *conn = arg;

	(void)buffer;
	if (info->n_deleted > 0 || info->orig_size == 0)
		conn->moved_ms = now_ms(conn->server);
}

/* An empty line tells a client that waits for the next event that there is still someone. */
static void conn_say_alive(struct conn *conn)
{
	if (!conn->head.streams || evbuffer_get_length(output_of(conn)) > 0)
		return;
	stream_head(conn);
	evbuffer_add(output_of(conn), "\n", 1);
}

static void conn_tick(void *arg)
{
	struct conn *conn = arg;
	uint64_t now = now_ms(conn->server);
	bool waits = evbuffer_get_length(output_of(conn)) > 0;
	bool late = conn->phase == PHASE_LEAVING ? now - conn->since_ms >= LINGER_MS
						 : waits && now - conn->moved_ms >= STALL_MS;

	if (late) {
		conn_free(conn);
		return;
	}
	if (conn->phase == PHASE_ASKING && now - conn->since_ms >= REQUEST_MS)
		conn_refuse(conn, HTTP_TIMEOUT, "the request did not come within 20 s");
	else if (conn->phase == PHASE_WORKING && now - conn->moved_ms >= ALIVE_MS)
		conn_say_alive(conn);
	timer_start(loop_clock(conn->server->service->loop), &conn->tick, TICK_MS);
}

/* ── Who is let in ───────────────────────────────────────────────────────────────────────── */

static struct conn *conn_new(struct server *server, evutil_socket_t fd)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->server = server;
	conn->bev =
	    bufferevent_socket_new(loop_base(server->service->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (conn->bev == NULL) {
		close(fd);
		free(conn);
		return NULL;
	}
	buf_init(&conn->in, HTTP_HEAD_MAX + HTTP_BODY_MAX + READ_BYTES);
	conn->tick = (struct timer){.fn = conn_tick, .arg = conn};
	TAILQ_INSERT_TAIL(&server->conns, conn, entry);
	server->count++;
	conn_enter(conn, PHASE_ASKING);
	bufferevent_setcb(conn->bev, conn_read, conn_written, conn_gone, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, READ_BYTES);
	evbuffer_add_cb(output_of(conn), conn_moved, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
	timer_start(loop_clock(server->service->loop), &conn->tick, TICK_MS);
	return conn;
}

/* How many connections of theirs there are, this one included. */
static size_t conns_of(const struct conn *conn)
{
	const struct conn *other;
	size_t count = 0;

	TAILQ_FOREACH (other, &conn->server->conns, entry)
		count += other->caller.uid == conn->caller.uid;
	return count;
}

static bool peer_is_welcome(struct conn *conn)
{
	char why[PEER_WHY_SIZE];

	if (!peer_identify(bufferevent_getfd(conn->bev), &conn->caller, policy_of(conn), why)) {
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
	bool full = server->count >= CONNS_MAX;
	struct conn *conn;

	conn = conn_new(server, fd);
	if (conn == NULL || !peer_is_welcome(conn))
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
	if (server->count >= CONNS_MAX + REFUSED_MAX)
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
	(void)vault_mark(policy_settings(service->snapshot->policy)->vault, server->vault);
	TAILQ_INIT(&server->conns);
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
	struct conn *conn;

	if (listener == NULL)
		return;
	timer_stop(&server->rest);
	unlink(server->path);
	server->listener = NULL;
	take_the_last(server, listener);
	evconnlistener_free(listener);
	TAILQ_FOREACH (conn, &server->conns, entry)
		if (conn->phase == PHASE_ASKING)
			conn_put_off(conn, "the engine ends: ask again");
}

bool server_is_quiet(const struct server *server)
{
	const struct conn *conn;

	TAILQ_FOREACH (conn, &server->conns, entry)
		if (conn->phase != PHASE_LEAVING)
			return false;
	return true;
}

void server_close(struct server *server)
{
	struct conn *conn;

	if (server == NULL)
		return;
	server_end(server);
	while ((conn = TAILQ_FIRST(&server->conns)) != NULL)
		conn_free(conn);
	free(server->path);
	free(server);
}
