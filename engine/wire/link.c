#include "wire/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/gateway.h"
#include "wire/hostkey.h"

/* ── What libssh2 calls ──────────────────────────────────────────────────────────────────── */

static LIBSSH2_ALLOC_FUNC(session_alloc)
{
	struct link *link = *abstract;

	return blocks_alloc(&link->blocks, count);
}

static LIBSSH2_REALLOC_FUNC(session_realloc)
{
	struct link *link = *abstract;

	return blocks_realloc(&link->blocks, ptr, count);
}

static LIBSSH2_FREE_FUNC(session_free)
{
	struct link *link = *abstract;

	blocks_free(&link->blocks, ptr);
}

static LIBSSH2_RECV_FUNC(session_recv)
{
	struct link *link = *abstract;

	(void)socket;
	(void)flags;
	return stream_recv(&link->stream, buffer, length);
}

static LIBSSH2_SEND_FUNC(session_send)
{
	struct link *link = *abstract;

	(void)socket;
	(void)flags;
	return stream_send(&link->stream, buffer, length);
}

static LIBSSH2_DISCONNECT_FUNC(session_disconnected)
{
	struct link *link = *abstract;

	(void)session;
	(void)language;
	(void)language_len;
	if (message_len > 0)
		text_escape(link->farewell, sizeof(link->farewell), message, (size_t)message_len);
	/* Left without a word it has left all the same. */
	else
		snprintf(link->farewell, sizeof(link->farewell), "reason %d of RFC 4253", reason);
}

static void session_hook(LIBSSH2_SESSION *session)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
	libssh2_session_callback_set2(
	    session, LIBSSH2_CALLBACK_DISCONNECT, (libssh2_cb_generic *)session_disconnected);
	libssh2_session_callback_set2(
	    session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)session_recv);
	libssh2_session_callback_set2(
	    session, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)session_send);
#else
	libssh2_session_callback_set(
	    session, LIBSSH2_CALLBACK_DISCONNECT, (void *)session_disconnected);
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)session_recv);
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, (void *)session_send);
#endif
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

struct link *link_new(const struct link_config *config, const struct wire_target *target)
{
	struct link *link = xcalloc(1, sizeof(*link));

	link->config = *config;
	link->address = xstrdup(target->address);
	link->port = target->port;
	link->known_only = target->known_only;
	link->pin_count = target->pin_count;
	if (target->pin_count > 0) {
		link->pins = xcalloc(target->pin_count, sizeof(*link->pins));
		memcpy(link->pins, target->pins, target->pin_count * sizeof(*link->pins));
	}
	link->net.fd = -1;
	stream_init(&link->stream, -1);
	if (config->gateway != NULL)
		link->tunnel = tunnel_new(
		    config->gateway, target->address, target->port, config->wake, config->arg);
	return link;
}

/* A word of farewell keeps the asset's log quiet; where a secret may be under way, silence. */
static void link_part(struct link *link)
{
	if (link->phase != LINK_OPEN || link->held || stream_broken(&link->stream))
		return;
	link_enter(link);
	(void)libssh2_session_disconnect(link->session, "done");
	stream_flush(&link->stream);
}

static void link_end_session(struct link *link)
{
	link_part(link);
	stream_wake(&link->stream);
	stream_cut(&link->stream);
	link->blocks.ending = true;
	/* What stands in the middle must run out, or its numbers and keys are forgotten. */
	if (link->phase == LINK_HANDSHAKE)
		(void)libssh2_session_handshake(link->session, link->net.fd);
	(void)libssh2_session_free(link->session);
	blocks_clear(&link->blocks);
}

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	if (link->session != NULL)
		link_end_session(link);
	channel_abandon(link->opening);
	auth_clear(&link->auth);
	offer_clear(&link->offer);
	stream_clear(&link->stream);
	net_clear(&link->net);
	tunnel_free(link->tunnel);
	free(link->pins);
	free(link->address);
	free(link);
}

void link_enter(struct link *link)
{
	if (!link->in_turn)
		stream_wake(&link->stream);
}

void link_leave(struct link *link)
{
	if (!link->in_turn)
		stream_flush(&link->stream);
}

void link_turn_begin(struct link *link, bool dry)
{
	stream_wake(&link->stream);
	link->stream.dry = dry;
	link->in_turn = true;
}

bool link_turn_end(struct link *link)
{
	link->in_turn = false;
	stream_flush(&link->stream);
	return link->stream.dry;
}

bool link_is_connected(const struct link *link)
{
	return link->phase != LINK_CONNECT;
}

void link_hold(struct link *link, bool on)
{
	link->held = on;
	if (link->tunnel != NULL)
		tunnel_hold(link->tunnel, on);
	else
		net_hold(&link->net, on);
}

uint64_t link_acked(const struct link *link)
{
	const struct stream *stream = &link->stream;

	if (link->tunnel != NULL)
		return tunnel_acked(link->tunnel);
	return stream->total - stream->out.len - net_waiting(&link->net);
}

bool link_gateway_lost(const struct link *link)
{
	struct outcome ignored;

	return link->tunnel != NULL && tunnel_lost(link->tunnel, &ignored);
}

void link_wait(const struct link *link, int *fd, short *events)
{
	int directions;

	*fd = link->net.fd;
	*events = 0;
	if (link->phase == LINK_CONNECT) {
		if (*fd >= 0)
			*events = EV_WRITE;
		return;
	}
	directions = libssh2_session_block_directions(link->session);
	if (directions != LIBSSH2_SESSION_BLOCK_OUTBOUND)
		*events |= EV_READ;
	if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 || stream_unsent(&link->stream))
		*events |= EV_WRITE;
}

/* ── What went wrong ─────────────────────────────────────────────────────────────────────── */

static enum err link_no_banner(struct link *link, struct outcome *outcome)
{
	const struct greeting *greeting = &link->stream.greeting;
	char shown[GREETING_FIRST_SIZE];

	if (greeting->first_len == 0)
		return outcome_set(outcome, FAULT_LOST, "it closed the connection without a word");
	text_escape(shown, sizeof(shown), greeting->first, greeting->first_len);
	return outcome_set(
	    outcome, FAULT_BANNER, "what answers is not an SSH server: \"%s\"", shown);
}

enum err link_fail(struct link *link, struct outcome *outcome, enum fault fault, const char *what)
{
	const struct stream *stream = &link->stream;
	char *message = NULL;
	char shown[256];
	int rc = libssh2_session_last_error(link->session, &message, NULL, 0);

	if (link->tunnel != NULL && tunnel_lost(link->tunnel, outcome))
		return ERR_LINK;
	if (!stream->greeting.banner)
		return link_no_banner(link, outcome);
	if (stream->over)
		return outcome_set(outcome, FAULT_LIMIT, "it sent more than %d KB before the login",
		    STREAM_EARLY_MAX / 1024);
	if (link->blocks.over)
		return outcome_set(outcome, FAULT_LIMIT, "%s: more than %d KB of memory", what,
		    BLOCKS_SIZE_MAX / 1024);
	if (link->farewell[0] != '\0')
		return outcome_set(outcome, FAULT_LOST,
		    "%s: the asset closed the connection: \"%s\"", what, link->farewell);
	if (stream->error != 0)
		return outcome_set(outcome, FAULT_LOST, "%s: %s", what, strerror(stream->error));
	if (stream->end || rc == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
	    rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_SEND)
		return outcome_set(
		    outcome, FAULT_LOST, "%s: the asset closed the connection", what);
	text_escape(shown, sizeof(shown), message, message != NULL ? strlen(message) : 0);
	return outcome_set(outcome, fault, "%s: %s", what, shown);
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static enum err link_begin(struct link *link, struct outcome *outcome)
{
	struct offer_config offered;

	link->stream.fd = link->net.fd;
	link->session = libssh2_session_init_ex(session_alloc, session_free, session_realloc, link);
	if (link->session == NULL)
		return outcome_set(outcome, FAULT_LIMIT, "no memory for a session");
	libssh2_session_set_blocking(link->session, 0);
	session_hook(link->session);
	offered = (struct offer_config){
	    .pins = link->pins,
	    .pin_count = link->pin_count,
	    .slow_lane = link->config.slow_lane,
	};
	return offer_make(&link->offer, link->session, &offered, outcome);
}

static enum err link_tunnel_step(struct link *link, struct outcome *outcome)
{
	struct net *net = &link->net;
	enum err err = tunnel_step(link->tunnel, &net->fd, outcome);

	/* A name stays a name: each session has it resolved again. */
	if (err == ERR_OK && strlen(link->address) < sizeof(net->numeric))
		memcpy(net->numeric, link->address, strlen(link->address) + 1);
	return err;
}

static enum err link_connect_step(struct link *link, struct outcome *outcome)
{
	enum err err = link->tunnel != NULL ? link_tunnel_step(link, outcome)
					    : net_step(&link->net, &link->config, link->address,
						  link->port, outcome);

	if (err != ERR_OK)
		return err;
	err = link_begin(link, outcome);
	link->phase = err == ERR_OK ? LINK_HANDSHAKE : LINK_FAILED;
	return err;
}

/* libssh2 keeps it as long as the session. */
static bool link_key(const struct link *link, struct wire_key *key)
{
	size_t len = 0;
	int type;
	const char *blob = libssh2_session_hostkey(link->session, &len, &type);

	return blob != NULL && hostkey_read(key, blob, len);
}

static enum err link_see_key(struct link *link, struct outcome *outcome)
{
	struct wire_key key;
	enum err err;

	if (!link_key(link, &key))
		return outcome_set(outcome, FAULT_ALGORITHM, "its host key cannot be read");
	err = hostkey_check(&key, link->pins, link->pin_count, link->known_only, outcome);
	free(link->pins);
	link->pins = NULL;
	return err;
}

/*
 * It was told what an ordinary wire offers, and left without its own lists and without a word:
 * libssh does that, and what it has may be groups. Not behind a gateway: all else behind it would
 * move with one asset that is merely broken.
 */
static bool link_is_left(const struct link *link, const struct outcome *outcome)
{
	struct names theirs[LIST_COUNT];

	return outcome->fault == FAULT_LOST && link->stream.greeting.banner &&
	       link->farewell[0] == '\0' && !link->config.slow_lane && link->tunnel == NULL &&
	       !greeting_lists(&link->stream.greeting, theirs);
}

static enum err link_handshake_failed(struct link *link, struct outcome *outcome)
{
	enum err err =
	    offer_compare(&link->offer, &link->stream.greeting, &link->wants_slow_lane, outcome);

	if (err != ERR_OK)
		return err;
	err = link_fail(link, outcome, FAULT_ALGORITHM, "key exchange");
	link->wants_slow_lane = link_is_left(link, outcome);
	return err;
}

static enum err link_handshake_step(struct link *link, struct outcome *outcome)
{
	enum err err;
	int rc;

	link_enter(link);
	rc = libssh2_session_handshake(link->session, link->net.fd);
	link_leave(link);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	link->phase = LINK_FAILED;
	if (rc != 0)
		return link_handshake_failed(link, outcome);
	offer_clear(&link->offer);
	buf_clear(&link->stream.greeting.packets);
	link->stream.greeting.done = true;
	stream_greeted(&link->stream);
	err = link_see_key(link, outcome);
	if (err == ERR_OK)
		link->phase = LINK_OPEN;
	return err;
}

enum err link_open_step(struct link *link, struct outcome *outcome)
{
	enum err err = ERR_OK;

	if (link->phase == LINK_CONNECT)
		err = link_connect_step(link, outcome);
	if (err == ERR_OK && link->phase == LINK_HANDSHAKE)
		err = link_handshake_step(link, outcome);
	if (err == ERR_OK && link->phase == LINK_FAILED)
		err = outcome_set(outcome, FAULT_LOST, "the link has failed before");
	return err;
}

bool link_wants_slow_lane(const struct link *link)
{
	return link->wants_slow_lane;
}

void link_peer(
    const struct link *link, struct wire_key *key, bool *new_key, char address[WIRE_ADDRESS_SIZE])
{
	if (!link_key(link, key))
		*key = (struct wire_key){.len = 0};
	*new_key = link->pin_count == 0;
	memcpy(address, link->net.numeric, WIRE_ADDRESS_SIZE);
}
