#include "wire/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/mem.h"

#define WORK_PRIORITY 1

/* What lies between the link and the pump: little, so that what is cut is little. */
#define PAIR_SIZE (32 * 1024)

#define REQUEST_MAX 1024

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

static void put_number(struct buf *out, uint32_t number)
{
	uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
	    (uint8_t)(number >> 8), (uint8_t)number};

	buf_add(out, bytes, sizeof(bytes));
}

static void put_text(struct buf *out, const char *text)
{
	put_number(out, (uint32_t)strlen(text));
	buf_add_text(out, text);
}

static void tunnel_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd;
	(void)what;
	tunnel->armed = 0;
	gateway_ask(tunnel->gateway);
}

struct tunnel *tunnel_new(
    struct gateway *gateway, const char *address, uint16_t port, void (*wake)(void *arg), void *arg)
{
	struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));

	tunnel->gateway = gateway;
	tunnel->carried = true;
	tunnel->address = xstrdup(address);
	tunnel->port = port;
	tunnel->fd = tunnel->other_fd = -1;
	tunnel->wake = wake;
	tunnel->arg = arg;
	buf_init(&tunnel->up, TUNNEL_PIECE);
	buf_init(&tunnel->down, TUNNEL_PIECE);
	buf_init(&tunnel->request, REQUEST_MAX);
	put_text(&tunnel->request, address);
	put_number(&tunnel->request, port);
	put_text(&tunnel->request, "127.0.0.1"); /* who asks: nobody looks at it */
	put_number(&tunnel->request, 0);
	tunnel->event = event_new(gateway->config.base, -1, 0, tunnel_on_event, tunnel);
	if (tunnel->event == NULL)
		abort();
	tunnel->order = ++gateway->last_order;
	TAILQ_INSERT_TAIL(&gateway->tunnels, tunnel, entry);
	gateway->count++;
	gateway_ask(gateway);
	return tunnel;
}

static void tunnel_destroy(struct tunnel *tunnel)
{
	if (tunnel->other_fd >= 0)
		close(tunnel->other_fd);
	event_free(tunnel->event);
	buf_clear(&tunnel->up);
	buf_clear(&tunnel->down);
	buf_clear(&tunnel->request);
	free(tunnel->address);
	free(tunnel);
}

/* Our end of the pair: the link sees the end of its connection. */
static void tunnel_close_pair(struct tunnel *tunnel)
{
	event_del(tunnel->event);
	tunnel->armed = 0;
	if (tunnel->fd >= 0)
		close(tunnel->fd);
	tunnel->fd = -1;
	buf_reset(&tunnel->up);
	buf_reset(&tunnel->down);
}

void tunnel_end(struct tunnel *tunnel)
{
	tunnel_close_pair(tunnel);
	tunnel->phase = TUNNEL_CLOSING;
}

void tunnel_leave(struct tunnel *tunnel)
{
	struct gateway *gateway = tunnel->gateway;
	bool connected = tunnel->fd >= 0 && tunnel->other_fd < 0;

	tunnel_close_pair(tunnel);
	if (tunnel->held)
		gateway_count_hold(gateway, false);
	tunnel->held = false;
	if (gateway->opening == tunnel)
		gateway->opening = NULL;
	TAILQ_REMOVE(&gateway->tunnels, tunnel, entry);
	gateway->count--;
	tunnel->gateway = NULL;
	tunnel->channel = NULL; /* the session's own */
	tunnel->phase = TUNNEL_ENDED;
	if (!tunnel->carried)
		tunnel_destroy(tunnel);
	else if (!connected)
		tunnel->wake(tunnel->arg);
}

/* ── The carried link's side ─────────────────────────────────────────────────────────────── */

enum err tunnel_step(struct tunnel *tunnel, int *fd, struct outcome *outcome)
{
	if (tunnel->other_fd >= 0) {
		*fd = tunnel->other_fd;
		tunnel->other_fd = -1;
		return ERR_OK;
	}
	if (tunnel->phase != TUNNEL_ENDED)
		return ERR_AGAIN;
	*outcome = tunnel->outcome;
	return ERR_LINK;
}

bool tunnel_lost(const struct tunnel *tunnel, struct outcome *outcome)
{
	if (tunnel->gateway != NULL || tunnel->outcome.fault != FAULT_LOST)
		return false;
	*outcome = tunnel->outcome;
	return true;
}

void tunnel_hold(struct tunnel *tunnel, bool on)
{
	if (tunnel->gateway == NULL || tunnel->held == on)
		return;
	tunnel->held = on;
	gateway_count_hold(tunnel->gateway, on);
}

uint64_t tunnel_acked(struct tunnel *tunnel)
{
	uint64_t acked;
	size_t done = 0;

	if (tunnel->gateway == NULL)
		return tunnel->handed;
	acked = link_acked(tunnel->gateway->link);
	while (done < tunnel->mark_count && tunnel->marks[done].carried <= acked)
		tunnel->acked = tunnel->marks[done++].handed;
	tunnel->mark_count -= done;
	memmove(tunnel->marks, tunnel->marks + done, tunnel->mark_count * sizeof(struct mark));
	return tunnel->acked;
}

/* Where there are too many marks the last one stands for what follows it too. */
static void tunnel_mark(struct tunnel *tunnel, size_t len)
{
	tunnel->handed += len;
	if (tunnel->mark_count == TUNNEL_MARKS)
		(void)tunnel_acked(tunnel);
	if (tunnel->mark_count == TUNNEL_MARKS)
		tunnel->mark_count--;
	tunnel->marks[tunnel->mark_count++] = (struct mark){
	    .handed = tunnel->handed,
	    .carried = tunnel->gateway->link->stream.total,
	};
}

/* It was cut with a secret under way. What waits here is dropped; what was handed on cannot be. */
static void tunnel_cut(struct tunnel *tunnel)
{
	struct gateway *gateway = tunnel->gateway;
	struct outcome why;

	tunnel_end(tunnel);
	if (tunnel_acked(tunnel) == tunnel->handed) {
		gateway_probe(gateway);
		return;
	}
	(void)outcome_set(&why, FAULT_LOST,
	    "the gateway %s: closed, since a change through it was cut and it had not taken all",
	    gateway->asset);
	gateway_break(gateway, &why);
}

void tunnel_free(struct tunnel *tunnel)
{
	struct gateway *gateway;

	if (tunnel == NULL)
		return;
	gateway = tunnel->gateway;
	tunnel->carried = false;
	if (gateway == NULL) {
		tunnel_destroy(tunnel);
		return;
	}
	if (tunnel->other_fd >= 0)
		close(tunnel->other_fd);
	tunnel->other_fd = -1;
	gateway_ask(gateway);
	if (tunnel->phase == TUNNEL_WAITING)
		tunnel_leave(tunnel);
	else if (tunnel->held)
		tunnel_cut(tunnel);
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static bool pair_make(int pair[2])
{
	int size = PAIR_SIZE;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

void tunnel_opened(struct tunnel *tunnel, LIBSSH2_CHANNEL *channel)
{
	int pair[2] = {-1, -1};

	tunnel->channel = channel;
	tunnel->phase = TUNNEL_CLOSING;
	if (!tunnel->carried)
		return;
	if (pair_make(pair)) {
		tunnel->phase = TUNNEL_OPEN;
		tunnel->fd = pair[0];
		tunnel->other_fd = pair[1];
	} else {
		(void)outcome_set(&tunnel->outcome, FAULT_LIMIT,
		    "no descriptor for a connection through the gateway %s: %s",
		    tunnel->gateway->asset, strerror(errno));
	}
	tunnel->wake(tunnel->arg);
}

void tunnel_fail(struct tunnel *tunnel, const struct outcome *outcome)
{
	tunnel->outcome = *outcome;
	tunnel_leave(tunnel);
}

/* ── Pumping ─────────────────────────────────────────────────────────────────────────────── */

/* Hands to the link what came, as far as it takes it; false when it is gone. */
static bool tunnel_flush(struct tunnel *tunnel)
{
	while (tunnel->down.len > 0) {
		ssize_t put = send(tunnel->fd, tunnel->down.data, tunnel->down.len, MSG_NOSIGNAL);

		if (put >= 0)
			buf_drop(&tunnel->down, (size_t)put);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

/* From the asset to the link: one piece a turn. */
static bool tunnel_pull(struct tunnel *tunnel)
{
	struct gateway *gateway = tunnel->gateway;
	ssize_t got;

	if (!tunnel_flush(tunnel)) {
		tunnel_end(tunnel);
		return true;
	}
	if (tunnel->down.len > 0)
		return true;
	got = libssh2_channel_read_ex(tunnel->channel, 0, (char *)gateway->piece, TUNNEL_PIECE);
	if (got < 0 && got != LIBSSH2_ERROR_EAGAIN)
		return false;
	if (got > 0) {
		gateway->more = gateway->more || got == TUNNEL_PIECE;
		buf_add(&tunnel->down, gateway->piece, (size_t)got);
		if (!tunnel_flush(tunnel))
			tunnel_end(tunnel);
	} else if (libssh2_channel_eof(tunnel->channel) != 0) {
		/* A server of SSH that ends one way ends both. */
		tunnel_end(tunnel);
	}
	if (tunnel->down.len == 0)
		buf_clear(&tunnel->down);
	return true;
}

/* Takes from the link what the channel has room for. */
static void tunnel_take(struct tunnel *tunnel)
{
	uint8_t *piece = tunnel->gateway->piece;
	ssize_t got;

	if (tunnel->up.len > 0 || tunnel->up_end ||
	    libssh2_channel_window_write_ex(tunnel->channel, NULL) == 0)
		return;
	do
		got = recv(tunnel->fd, piece, TUNNEL_PIECE, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		buf_add(&tunnel->up, piece, (size_t)got);
	else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		tunnel->up_end = true;
}

/* From the link to the asset: one piece a turn. */
static bool tunnel_push(struct tunnel *tunnel)
{
	tunnel_take(tunnel);
	while (tunnel->up.len > 0 && gateway_has_room(tunnel->gateway)) {
		size_t window = libssh2_channel_window_write_ex(tunnel->channel, NULL);
		size_t len = tunnel->up.len < window ? tunnel->up.len : window;
		ssize_t put;

		if (len == 0 && !tunnel->carried) /* nobody waits for the asset to take it */
			tunnel_end(tunnel);
		if (len == 0)
			return true;
		put = libssh2_channel_write_ex(
		    tunnel->channel, 0, (const char *)tunnel->up.data, len);
		if (put == LIBSSH2_ERROR_EAGAIN)
			return true;
		if (put < 0)
			return false;
		tunnel_mark(tunnel, (size_t)put);
		buf_drop(&tunnel->up, (size_t)put);
	}
	if (tunnel->up.len == 0)
		buf_clear(&tunnel->up);
	if (tunnel->up_end && tunnel->up.len == 0)
		tunnel_end(tunnel);
	return true;
}

/* The session keeps what is still to come for it, and forgets it with the channel. */
static void tunnel_finish(struct tunnel *tunnel)
{
	if (libssh2_channel_free(tunnel->channel) == LIBSSH2_ERROR_EAGAIN)
		return;
	tunnel_leave(tunnel);
}

bool tunnel_pump(struct tunnel *tunnel)
{
	bool sound = true;

	if (!gateway_has_room(tunnel->gateway))
		return true;
	if (tunnel->phase == TUNNEL_OPEN)
		sound = tunnel_pull(tunnel);
	if (sound && tunnel->phase == TUNNEL_OPEN)
		sound = tunnel_push(tunnel);
	if (sound && tunnel->phase == TUNNEL_CLOSING && gateway_has_room(tunnel->gateway))
		tunnel_finish(tunnel);
	return sound;
}

void tunnel_wait(struct tunnel *tunnel)
{
	short wanted = 0;

	if (tunnel->phase != TUNNEL_OPEN)
		return;
	if (tunnel->down.len > 0)
		wanted |= EV_WRITE;
	if (tunnel->up.len == 0 && !tunnel->up_end && gateway_has_room(tunnel->gateway) &&
	    libssh2_channel_window_write_ex(tunnel->channel, NULL) > 0)
		wanted |= EV_READ;
	if (wanted == tunnel->armed)
		return;
	event_del(tunnel->event);
	tunnel->armed = wanted;
	if (wanted == 0)
		return;
	event_assign(tunnel->event, tunnel->gateway->config.base, tunnel->fd, wanted,
	    tunnel_on_event, tunnel);
	event_priority_set(tunnel->event, WORK_PRIORITY);
	event_add(tunnel->event, NULL);
}
