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

struct caller {
	LIST_ENTRY(caller) entry;
	struct scrape *scrape;
	struct bufferevent *bev;
	bool answered;
};

struct scrape {
	struct service *service;
	char *address; /* as the policy has it */
	struct evconnlistener *listener;
	LIST_HEAD(, caller) callers;
	size_t count;
};

/* ── One caller ──────────────────────────────────────────────────────────────────────────── */

static void caller_free(struct caller *caller)
{
	LIST_REMOVE(caller, entry);
	caller->scrape->count--;
	bufferevent_free(caller->bev);
	free(caller);
}

static void caller_refuse(struct caller *caller, int status, const char *why)
{
	struct evbuffer *out = bufferevent_get_output(caller->bev);

	http_answer_head(out, status, "text/plain", "");
	evbuffer_add_printf(out, "%s\n", why);
	caller->answered = true;
}

static void caller_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct caller *caller = arg;
	struct http_head head;
	const char *why = "";
	size_t len = evbuffer_get_length(in);
	int status = 0;

	if (!caller->answered)
		status = http_head_read(
		    &head, (const char *)evbuffer_pullup(in, (ev_ssize_t)len), len, &why);
	if (status == HTTP_OK && head.gets) {
		metrics_answer(caller->scrape->service, bufferevent_get_output(bev));
		caller->answered = true;
	} else if (status != 0)
		caller_refuse(caller, status == HTTP_OK ? HTTP_NOT_FOUND : status,
		    status == HTTP_OK ? "only GET " HTTP_METRICS " is answered here" : why);
	if (caller->answered)
		evbuffer_drain(in, len);
}

/* The caller closes first; one that does not is cut off by the timeout. */
static void caller_written(struct bufferevent *bev, void *arg)
{
	const struct caller *caller = arg;

	if (caller->answered)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void caller_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	caller_free(arg);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
    int from_len, void *arg)
{
	static const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct scrape *scrape = arg;
	struct event_base *base = loop_base(scrape->service->loop);
	struct bufferevent *bev = NULL;
	struct caller *caller;

	(void)listener;
	(void)from;
	(void)from_len;
	if (scrape->count < CONNS_MAX)
		bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		evutil_closesocket(fd);
		return;
	}
	caller = xcalloc(1, sizeof(*caller));
	caller->scrape = scrape;
	caller->bev = bev;
	LIST_INSERT_HEAD(&scrape->callers, caller, entry);
	scrape->count++;
	bufferevent_setcb(bev, caller_read, caller_written, caller_gone, caller);
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
	struct caller *caller;

	if (scrape == NULL)
		return;
	while ((caller = LIST_FIRST(&scrape->callers)) != NULL)
		caller_free(caller);
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
