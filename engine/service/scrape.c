#include "service/scrape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <event2/util.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/engine.h"
#include "service/http.h"
#include "service/metrics.h"

#define CONNS_MAX 16
#define TIMEOUT_S 10

struct visitor {
	LIST_ENTRY(visitor) entry;
	struct scrape *scrape;
	struct bufferevent *bev;
	bool answered;
};

struct scrape {
	struct service *service;
	char *address; /* as the policy has it */
	struct evconnlistener *listener;
	LIST_HEAD(, visitor) visitors;
	size_t count;
};

/* ── One visitor ──────────────────────────────────────────────────────────────────────────── */

static void visitor_free(struct visitor *visitor)
{
	LIST_REMOVE(visitor, entry);
	visitor->scrape->count--;
	bufferevent_free(visitor->bev);
	free(visitor);
}

static void visitor_refuse(struct visitor *visitor, int status, const char *why)
{
	struct evbuffer *out = bufferevent_get_output(visitor->bev);

	http_answer_head(out, status, "text/plain", "");
	evbuffer_add_printf(out, "%s\n", why);
	visitor->answered = true;
}

static void visitor_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct visitor *visitor = arg;
	struct http_head head;
	const char *why = "";
	size_t len = evbuffer_get_length(in);
	int status = 0;

	if (!visitor->answered)
		status = http_head_read(
		    &head, (const char *)evbuffer_pullup(in, (ev_ssize_t)len), len, &why);
	if (status == HTTP_OK && head.gets) {
		metrics_answer(visitor->scrape->service, bufferevent_get_output(bev));
		visitor->answered = true;
	} else if (status != 0)
		visitor_refuse(visitor, status == HTTP_OK ? HTTP_NOT_FOUND : status,
		    status == HTTP_OK ? "only GET " HTTP_METRICS " is answered here" : why);
	if (visitor->answered)
		evbuffer_drain(in, len);
}

/* The visitor closes first; one that does not is cut off by the timeout. */
static void visitor_written(struct bufferevent *bev, void *arg)
{
	const struct visitor *visitor = arg;

	if (visitor->answered)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void visitor_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	visitor_free(arg);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
    int from_len, void *arg)
{
	static const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct scrape *scrape = arg;
	struct event_base *base = loop_base(scrape->service->loop);
	struct bufferevent *bev = NULL;
	struct visitor *visitor;

	(void)listener;
	(void)from;
	(void)from_len;
	if (scrape->count < CONNS_MAX)
		bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		evutil_closesocket(fd);
		return;
	}
	visitor = xcalloc(1, sizeof(*visitor));
	visitor->scrape = scrape;
	visitor->bev = bev;
	LIST_INSERT_HEAD(&scrape->visitors, visitor, entry);
	scrape->count++;
	bufferevent_setcb(bev, visitor_read, visitor_written, visitor_gone, visitor);
	bufferevent_setwatermark(bev, EV_READ, 0, HTTP_HEAD_MAX);
	bufferevent_set_timeouts(bev, &timeout, &timeout);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static void scrape_open(struct service *service, const char *address)
{
	struct scrape *scrape = xcalloc(1, sizeof(*scrape));
	struct sockaddr_storage place;
	int len = sizeof(place);

	service->scrape = scrape;
	scrape->service = service;
	scrape->address = xstrdup(address);
	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&place, &len) == 0)
		scrape->listener = evconnlistener_new_bind(loop_base(service->loop), accepted,
		    scrape, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 16,
		    (struct sockaddr *)&place, len);
	if (scrape->listener == NULL)
		log_event(LOG_LEVEL_WARN, "metrics_not_served", "address", address, "why",
		    strerror(errno), NULL);
}

void scrape_free(struct scrape *scrape)
{
	struct visitor *visitor;

	if (scrape == NULL)
		return;
	while ((visitor = LIST_FIRST(&scrape->visitors)) != NULL)
		visitor_free(visitor);
	if (scrape->listener != NULL)
		evconnlistener_free(scrape->listener);
	free(scrape->address);
	free(scrape);
}

void scrape_update(struct service *service)
{
	const char *address = policy_settings(service->snapshot->policy)->metrics;
	const struct scrape *before = service->scrape;

	if (before != NULL && address != NULL && before->listener != NULL &&
	    strcmp(before->address, address) == 0)
		return;
	scrape_free(service->scrape);
	service->scrape = NULL;
	if (address != NULL)
		scrape_open(service, address);
}
