#include "service/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/answer.h"
#include "service/metrics.h"
#include "service/scope.h"
#include "service/tls.h"

#define TICK_MS	    1000
#define GREETING_MS 5000		 /* from the connection to TLS */
#define UNKNOWN_MS  5000		 /* from there until it is said who it is */
#define REQUEST_MS  20000		 /* and to the last byte of its request */
#define STALL_MS    30000		 /* an answer of which nothing is taken */
#define ALIVE_MS    10000		 /* a stream says that it is still there */
#define LINGER_MS   2000		 /* from the answer's last byte to the client's end */
#define MORE_SIZE   1024		 /* of lines in an answer's head */
#define VIEW_MAX    (16UL * 1024 * 1024) /* of events that a client is behind */
#define READ_BYTES  (64UL * 1024)

#define PREFIX	    "/v1/"
#define TYPE_JSON   "application/json"
#define TYPE_STREAM "application/x-ndjson"

static struct service *service_of(const struct conn *conn)
{
	return conn->conns->service;
}

static uint64_t now_ms(const struct conn *conn)
{
	return clock_mono_ms(loop_clock(service_of(conn)->loop));
}

static struct evbuffer *output_of(const struct conn *conn)
{
	return bufferevent_get_output(conn->bev);
}

/* ── The end of a connection ─────────────────────────────────────────────────────────────── */

void conn_free(struct conn *conn)
{
	struct conns *conns = conn->conns;

	if (conn->request != NULL)
		request_forget(conn->request);
	scope_drop(conn->caller.scope);
	timer_stop(&conn->tick);
	buf_clear(&conn->in);
	bufferevent_free(conn->bev);
	TAILQ_REMOVE(&conns->list, conn, entry);
	conns->count--;
	free(conn);
	service_look(conns->service);
}

static void conn_enter(struct conn *conn, enum phase phase)
{
	conn->phase = phase;
	conn->since_ms = conn->moved_ms = now_ms(conn);
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
	bool not_now = status == HTTP_UNAVAILABLE || status == HTTP_FORBIDDEN ||
		       status == HTTP_MISDIRECTED || status == HTTP_UNKNOWN;
	json_int_t exit_status = not_now ? SERVICE_NO_ENGINE : SERVICE_USAGE;

	answer_json(conn, status, more,
	    json_pack(
		"{s:I, s:s, s:o}", "exit", exit_status, "code", code, "error", json_text(why)));
}

void conn_refuse(struct conn *conn, int status, const char *why)
{
	answer_refusal(conn, status,
	    status == HTTP_UNKNOWN ? "WWW-Authenticate: Bearer realm=\"lockstep\"\r\n" : "",
	    "refused", why);
}

void conn_put_off(struct conn *conn, const char *why)
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
	log_event(LOG_LEVEL_DEBUG, "request", "method", method, conn->caller.tls ? "user" : "uid",
	    conn->caller.tls ? conn->caller.user : why, NULL);
	conn->request = request_begin(service_of(conn), method, params, &listener);
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
	if (conn->head.vault[0] == '\0' || strcmp(conn->head.vault, conn->conns->vault) == 0)
		return true;
	answer_refusal(conn, HTTP_MISDIRECTED, "", HTTP_CODE_AGAIN,
	    "the engine that listens here holds another vault");
	return false;
}

static bool is_let_in(struct conn *conn)
{
	return conn->conns->identify == NULL || conn->conns->identify(conn);
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
	return status == HTTP_OK && is_let_in(conn) && vault_is_ours(conn) &&
	       (conn->head.gets || path_is_good(conn));
}

static void conn_go_on(struct conn *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (conn->head.expects && !conn->told_to_go_on)
		evbuffer_add(output_of(conn), go_on, sizeof(go_on) - 1);
	conn->told_to_go_on = true;
}

const struct policy *conn_policy(const struct conn *conn)
{
	return service_of(conn)->snapshot->policy;
}

static void conn_asking(struct conn *conn)
{
	if (!conn_read_head(conn))
		return;
	if (conn->head.gets && !caller_may(&conn->caller, conn_policy(conn), PERMIT_VIEW)) {
		conn_refuse(conn, HTTP_FORBIDDEN, "your roles do not let you see all there is");
		return;
	}
	if (conn->head.gets) {
		metrics_answer(service_of(conn), output_of(conn));
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
	tls_end(bev);
	shutdown(bufferevent_getfd(bev), SHUT_WR);
	service_look(service_of(conn));
}

static void conn_happened(struct bufferevent *bev, short what, void *arg)
{
	struct conn *conn = arg;

	if ((what & BEV_EVENT_CONNECTED) == 0) {
		conn_free(conn);
		return;
	}
	tls_begun(bev);
	conn_enter(conn, PHASE_ASKING);
}

/* ── Time ────────────────────────────────────────────────────────────────────────────────── */

static void conn_moved(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *conn = arg;

	(void)buffer;
	if (info->n_deleted > 0 || info->orig_size == 0)
		conn->moved_ms = now_ms(conn);
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
	uint64_t now = now_ms(conn);
	bool waits = evbuffer_get_length(output_of(conn)) > 0;
	uint64_t lasts = now - conn->since_ms;
	bool late = waits && now - conn->moved_ms >= STALL_MS;

	if (conn->phase == PHASE_GREETING || conn->phase == PHASE_LEAVING)
		late = lasts >= (conn->phase == PHASE_GREETING ? GREETING_MS : LINGER_MS);
	if (late) {
		conn_free(conn);
		return;
	}
	if (conn->phase == PHASE_ASKING && !conn->known && lasts >= UNKNOWN_MS)
		conn_refuse(conn, HTTP_TIMEOUT, "it was not said within 5 s who asks");
	else if (conn->phase == PHASE_ASKING && lasts >= REQUEST_MS)
		conn_refuse(conn, HTTP_TIMEOUT, "the request did not come within 20 s");
	else if (conn->phase == PHASE_WORKING && now - conn->moved_ms >= ALIVE_MS)
		conn_say_alive(conn);
	timer_start(loop_clock(service_of(conn)->loop), &conn->tick, TICK_MS);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

struct conn *conn_new(struct conns *conns, struct bufferevent *bev)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));
	bool greets = tls_is(bev);

	conn->conns = conns;
	conn->bev = bev; /* transferred */
	conn->known = conns->identify == NULL;
	buf_init(&conn->in, HTTP_HEAD_MAX + HTTP_BODY_MAX + READ_BYTES);
	conn->tick = (struct timer){.fn = conn_tick, .arg = conn};
	TAILQ_INSERT_TAIL(&conns->list, conn, entry);
	conns->count++;
	conn_enter(conn, greets ? PHASE_GREETING : PHASE_ASKING);
	bufferevent_setcb(bev, conn_read, conn_written, conn_happened, conn);
	bufferevent_setwatermark(bev, EV_READ, 0, READ_BYTES);
	evbuffer_add_cb(output_of(conn), conn_moved, conn);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	timer_start(loop_clock(conns->service->loop), &conn->tick, TICK_MS);
	return conn;
}

void conns_init(struct conns *conns, struct service *service)
{
	*conns = (struct conns){.service = service};
	(void)vault_mark(policy_settings(service->snapshot->policy)->vault, conns->vault);
	TAILQ_INIT(&conns->list);
}

void conns_end(struct conns *conns)
{
	struct conn *conn = TAILQ_FIRST(&conns->list), *next;

	for (; conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (conn->phase == PHASE_GREETING)
			conn_free(conn);
		else if (conn->phase == PHASE_ASKING)
			conn_put_off(conn, "the engine ends: ask again");
	}
}

bool conns_are_quiet(const struct conns *conns)
{
	const struct conn *conn;

	TAILQ_FOREACH (conn, &conns->list, entry)
		if (conn->phase != PHASE_LEAVING)
			return false;
	return true;
}

void conns_clear(struct conns *conns)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&conns->list)) != NULL)
		conn_free(conn);
}
