#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "base/mem.h"
#include "wire/tunnel.h"

#define WORK_PRIORITY 1

/*
 * libssh2 opens one channel at a time, and a target that does not answer holds it up. While others
 * wait it is given up for them after this long, and tried again behind them, four times as long.
 */
#define PATIENCE_MS	500
#define PATIENCE_MAX_MS 30000

#define ASK_MS	   5000
#define SILENCE_MS 6000

#define TICK_MS 250

/* All that the carrying link may take, whatever goes through it. */
#define GATEWAY_BLOCKS_MAX (64u * 1024 * 1024)

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

/*
 * A channel that runs nothing: by it the link is listened to, whether a tunnel is open or not.
 * Where the gateway allows none, the first tunnel does.
 */
enum err gateway_ready_step(struct link *link, struct outcome *outcome)
{
	int rc;

	if (link->idle != NULL)
		return ERR_OK;
	link_enter(link);
	link->idle = libssh2_channel_open_ex(
	    link->session, "session", strlen("session"), TUNNEL_WINDOW, TUNNEL_PACKET, NULL, 0);
	link_leave(link);
	if (link->idle != NULL)
		return ERR_OK;
	rc = libssh2_session_last_errno(link->session);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	if (rc == LIBSSH2_ERROR_CHANNEL_FAILURE)
		return ERR_OK;
	return link_fail(link, outcome, FAULT_LOST, "preparing to carry others");
}

static void gateway_on_turn(void *arg);

static void gateway_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	gateway_ask(arg);
}

struct gateway *gateway_new(const struct gateway_config *config, struct link *link)
{
	struct gateway *gateway = xcalloc(1, sizeof(*gateway));

	gateway->config = *config;
	if (gateway->config.ask_ms == 0)
		gateway->config.ask_ms = ASK_MS;
	if (gateway->config.silence_ms == 0)
		gateway->config.silence_ms = SILENCE_MS;
	gateway->asset = xstrdup(config->asset);
	gateway->link = link;
	gateway->heard_ms = now_ms();
	TAILQ_INIT(&gateway->tunnels);
	gateway->turn.fn = gateway_on_turn;
	gateway->turn.arg = gateway;
	gateway->event = event_new(config->base, -1, 0, gateway_on_event, gateway);
	if (gateway->event == NULL)
		abort();
	libssh2_keepalive_config(link->session, 1, 2);
	gateway_ask(gateway);
	return gateway;
}

void gateway_break(struct gateway *gateway, const struct outcome *why)
{
	struct link *link = gateway->link;
	bool held = gateway->holds > 0;
	struct tunnel *tunnel;

	if (link == NULL)
		return;
	event_del(gateway->event);
	turn_forget(gateway->config.turns, &gateway->turn);
	while ((tunnel = TAILQ_FIRST(&gateway->tunnels)) != NULL) {
		tunnel->outcome = *why;
		tunnel_leave(tunnel);
	}
	gateway->link = NULL;
	/* What a tunnel had under way goes with a reset. */
	link_hold(link, held);
	link_free(link);
}

void gateway_free(struct gateway *gateway)
{
	struct outcome why;

	if (gateway == NULL)
		return;
	(void)outcome_set(
	    &why, FAULT_LOST, "the gateway %s: its session was closed", gateway->asset);
	gateway_break(gateway, &why);
	event_free(gateway->event);
	free(gateway->asset);
	free(gateway);
}

bool gateway_broken(const struct gateway *gateway)
{
	return gateway->link == NULL;
}

void gateway_ask(struct gateway *gateway)
{
	if (gateway->link != NULL)
		turn_ask(gateway->config.turns, &gateway->turn);
}

bool gateway_has_room(struct gateway *gateway)
{
	return stream_room(&gateway->link->stream) >= GATEWAY_ROOM;
}

void gateway_count_hold(struct gateway *gateway, bool on)
{
	if (on && gateway->holds++ == 0)
		link_hold(gateway->link, true);
	else if (!on && --gateway->holds == 0)
		link_hold(gateway->link, false);
}

static enum err gateway_lost(struct gateway *gateway, struct outcome *outcome)
{
	struct outcome why;
	enum err err = link_fail(gateway->link, &why, FAULT_LOST, "carrying connections");

	(void)outcome_set(outcome, FAULT_LOST, "the gateway %s: %s", gateway->asset, why.text);
	return err;
}

/* ── Listening ───────────────────────────────────────────────────────────────────────────── */

static LIBSSH2_CHANNEL *gateway_listener(struct gateway *gateway)
{
	struct tunnel *tunnel;

	if (gateway->link->idle != NULL)
		return gateway->link->idle;
	TAILQ_FOREACH (tunnel, &gateway->tunnels, entry)
		if (tunnel->channel != NULL)
			return tunnel->channel;
	return NULL;
}

static void gateway_hear(struct gateway *gateway, size_t budget)
{
	if (gateway->link->stream.wake_left == budget)
		return;
	gateway->heard_ms = now_ms();
	gateway->asked_ms = 0;
}

/*
 * Lets libssh2 sort what came, as much as a wake-up may take. From then on in this turn the socket
 * is dry: a call that waits for an answer finds it sorted or not at all.
 */
static bool gateway_listen(struct gateway *gateway)
{
	struct stream *stream = &gateway->link->stream;
	LIBSSH2_CHANNEL *listener = gateway_listener(gateway);
	size_t before = stream->wake_left;
	ssize_t rc = LIBSSH2_ERROR_EAGAIN;
	char none;

	if (listener == NULL)
		return true;
	if (gateway_has_room(gateway))
		rc = libssh2_channel_read_ex(listener, 0, &none, 0);
	gateway_hear(gateway, before);
	stream->wake_left = 0;
	return rc >= 0 || rc == LIBSSH2_ERROR_EAGAIN;
}

void gateway_probe(struct gateway *gateway)
{
	if (gateway->asked_ms == 0)
		gateway->asked_ms = now_ms();
}

/* A gateway that hangs is told from one that has nothing to say. */
static enum err gateway_mind(struct gateway *gateway, struct outcome *outcome)
{
	uint64_t now = now_ms();
	int next;

	if (gateway->count == 0) {
		gateway->heard_ms = now;
		gateway->asked_ms = 0;
	} else if (now - gateway->heard_ms >= gateway->config.ask_ms) {
		gateway_probe(gateway);
	}
	if (gateway->asked_ms == 0)
		return ERR_OK;
	if (now - gateway->asked_ms >= gateway->config.silence_ms)
		return outcome_set(outcome, FAULT_LOST,
		    "the gateway %s: it has not answered for %.1f s", gateway->asset,
		    (double)gateway->config.silence_ms / 1000);
	/* Leaves every two seconds at most; the answer to one that has left will do. */
	if (gateway_has_room(gateway))
		(void)libssh2_keepalive_send(gateway->link->session, &next);
	return ERR_OK;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static LIBSSH2_CHANNEL *gateway_dial(struct gateway *gateway, const struct tunnel *tunnel)
{
	return libssh2_channel_open_ex(gateway->link->session, "direct-tcpip",
	    strlen("direct-tcpip"), TUNNEL_WINDOW, TUNNEL_PACKET,
	    (const char *)tunnel->request.data, (unsigned)tunnel->request.len);
}

/* Who was put off least, and waits longest. */
static struct tunnel *gateway_next(struct gateway *gateway)
{
	struct tunnel *tunnel, *next = NULL;

	TAILQ_FOREACH (tunnel, &gateway->tunnels, entry) {
		if (tunnel->phase != TUNNEL_WAITING)
			continue;
		if (next == NULL || tunnel->tries < next->tries ||
		    (tunnel->tries == next->tries && tunnel->order < next->order))
			next = tunnel;
	}
	return next;
}

static bool gateway_tires(struct gateway *gateway, const struct tunnel *tunnel)
{
	const struct tunnel *next = gateway_next(gateway);
	uint64_t patience_ms = PATIENCE_MS;

	if (!tunnel->carried)
		return true;
	if (next == NULL)
		return false;
	/* For one that was put off less often it makes room as early as a new one. */
	for (unsigned i = 0; i < tunnel->tries && next->tries >= tunnel->tries; i++)
		patience_ms = patience_ms < PATIENCE_MAX_MS ? patience_ms * 4 : PATIENCE_MAX_MS;
	return now_ms() - gateway->opening_ms >= patience_ms;
}

/* Behind the others; what the gateway answers later nobody waits for. */
static void gateway_put_off(struct gateway *gateway, struct tunnel *tunnel)
{
	gateway->opening = NULL;
	tunnel->phase = TUNNEL_WAITING;
	tunnel->tries++;
	tunnel->order = ++gateway->last_order;
	gateway_probe(gateway);
	if (!tunnel->carried)
		tunnel_leave(tunnel);
}

static bool said_of(const char *message, const char *word)
{
	return message != NULL && strstr(message, word) != NULL;
}

static void gateway_refused(struct gateway *gateway, struct tunnel *tunnel)
{
	struct outcome outcome;
	char *message = NULL;
	const char *name = gateway->asset;

	(void)libssh2_session_last_error(gateway->link->session, &message, NULL, 0);
	if (said_of(message, "prohibited") || said_of(message, "unknown channel"))
		(void)outcome_set(&outcome, FAULT_GATEWAY,
		    "the gateway %s does not forward to %s port %u for this account: its sshd "
		    "must allow it (AllowTcpForwarding, PermitOpen)",
		    name, tunnel->address, tunnel->port);
	else if (said_of(message, "shortage"))
		(void)outcome_set(&outcome, FAULT_CONNECT,
		    "the gateway %s has no room for another connection", name);
	else
		(void)outcome_set(&outcome, FAULT_CONNECT,
		    "the gateway %s cannot connect to %s port %u (no such name, refused, or no "
		    "route from there)",
		    name, tunnel->address, tunnel->port);
	tunnel_fail(tunnel, &outcome);
}

/* An answer to what was given up was taken for this one's: there was nobody to sort them. */
static bool gateway_out_of_step(struct gateway *gateway)
{
	return libssh2_session_last_errno(gateway->link->session) == LIBSSH2_ERROR_SOCKET_NONE;
}

enum dial { DIAL_DONE, DIAL_WAITS, DIAL_BROKEN };

static enum dial gateway_dial_step(struct gateway *gateway, struct tunnel *tunnel)
{
	struct stream *stream = &gateway->link->stream;
	LIBSSH2_CHANNEL *channel = gateway_dial(gateway, tunnel);

	if (channel == NULL &&
	    libssh2_session_last_errno(gateway->link->session) == LIBSSH2_ERROR_EAGAIN) {
		if (!gateway_tires(gateway, tunnel))
			return DIAL_WAITS;
		/* An error of one read, and libssh2 forgets what it waits for. */
		stream->interrupted = true;
		channel = gateway_dial(gateway, tunnel);
		stream->interrupted = false;
		if (channel == NULL) {
			gateway_put_off(gateway, tunnel);
			return DIAL_DONE;
		}
	}
	if (channel == NULL && (stream_broken(stream) || gateway_out_of_step(gateway)))
		return DIAL_BROKEN;
	gateway->opening = NULL;
	if (channel != NULL)
		tunnel_opened(tunnel, channel);
	else
		gateway_refused(gateway, tunnel);
	return DIAL_DONE;
}

static bool gateway_open_step(struct gateway *gateway)
{
	bool alone = gateway_listener(gateway) == NULL;

	while (gateway_has_room(gateway)) {
		enum dial dial;

		if (gateway->opening == NULL) {
			gateway->opening = gateway_next(gateway);
			gateway->opening_ms = now_ms();
		}
		if (gateway->opening == NULL)
			return true;
		gateway->opening->phase = TUNNEL_OPENING;
		dial = gateway_dial_step(gateway, gateway->opening);
		if (alone) /* it listens for itself */
			gateway_hear(gateway, STREAM_WAKE_MAX);
		if (dial != DIAL_DONE)
			return dial == DIAL_WAITS;
	}
	return true;
}

/* ── Turns ───────────────────────────────────────────────────────────────────────────────── */

static bool gateway_pump(struct gateway *gateway)
{
	struct tunnel *tunnel = TAILQ_FIRST(&gateway->tunnels);
	bool sound = true;

	while (tunnel != NULL && sound) {
		struct tunnel *next = TAILQ_NEXT(tunnel, entry);

		sound = tunnel_pump(tunnel);
		tunnel = next;
	}
	/* Another is the first next time: where room runs out it is not always for the same. */
	tunnel = TAILQ_FIRST(&gateway->tunnels);
	if (tunnel != NULL) {
		TAILQ_REMOVE(&gateway->tunnels, tunnel, entry);
		TAILQ_INSERT_TAIL(&gateway->tunnels, tunnel, entry);
	}
	return sound;
}

/* Memory runs short: who lets most of it lie is cut off, and not the others with it. */
static void gateway_relieve(struct gateway *gateway)
{
	struct blocks *blocks = &gateway->link->blocks;
	size_t size_max = BLOCKS_SIZE_MAX + gateway->count * TUNNEL_BLOCKS;
	unsigned long most = 0;
	struct tunnel *tunnel, *worst = NULL;

	blocks->size_max = size_max < GATEWAY_BLOCKS_MAX ? size_max : GATEWAY_BLOCKS_MAX;
	if (blocks->used < blocks->size_max / 4 * 3)
		return;
	TAILQ_FOREACH (tunnel, &gateway->tunnels, entry) {
		unsigned long waiting = 0;

		if (tunnel->phase == TUNNEL_OPEN)
			(void)libssh2_channel_window_read_ex(tunnel->channel, &waiting, NULL);
		if (waiting > most) {
			most = waiting;
			worst = tunnel;
		}
	}
	if (worst != NULL)
		tunnel_end(worst);
}

static void gateway_wait(struct gateway *gateway)
{
	struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct tunnel *tunnel;
	short events = EV_READ;

	TAILQ_FOREACH (tunnel, &gateway->tunnels, entry)
		tunnel_wait(tunnel);
	if (stream_unsent(&gateway->link->stream))
		events |= EV_WRITE;
	if (!gateway_has_room(gateway))
		events = EV_WRITE;
	event_del(gateway->event);
	event_assign(gateway->event, gateway->config.base, gateway->link->net.fd, events,
	    gateway_on_event, gateway);
	event_priority_set(gateway->event, WORK_PRIORITY);
	event_add(gateway->event, gateway->count > 0 ? &tick : NULL);
	if (gateway->more)
		gateway_ask(gateway);
}

static void gateway_on_turn(void *arg)
{
	struct gateway *gateway = arg;
	struct link *link = gateway->link;
	struct outcome outcome;
	enum err err = ERR_OK;
	bool sound;

	gateway->more = false;
	link_enter(link);
	gateway_relieve(gateway);
	sound = gateway_listen(gateway) && gateway_open_step(gateway) && gateway_pump(gateway);
	if (sound)
		err = gateway_mind(gateway, &outcome);
	link_leave(link);
	if (err == ERR_OK && (!sound || stream_broken(&link->stream)))
		err = gateway_lost(gateway, &outcome);
	if (err == ERR_OK)
		gateway_wait(gateway);
	else
		gateway_break(gateway, &outcome);
}
