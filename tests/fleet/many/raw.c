/* Assets that never come to speak SSH: they say one thing, and then another again and again. */
#define _GNU_SOURCE
#include "many.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define BANNER "SSH-2.0-OpenSSH_9.2p1-many\r\n"

#define REASON_COUNT 15
#define CHUNK_SIZE   16384
#define DRIP_S	     1

struct raw {
	int fd;
	struct event *readable, *due;
	struct buf opening; /* said once */
	struct buf again;   /* said over and over; empty = silence */
	size_t piece;	    /* bytes at once */
	bool leaves;	    /* after the opening */
};

/* A plain packet without anything of worth: length, padding, message, padding of zeros. */
static void packet_add(struct buf *out, const uint8_t *payload, size_t len)
{
	uint8_t packet[256] = {0};
	size_t padding = 8 - (5 + len) % 8 + 4;
	size_t whole = 1 + len + padding;

	if ((5 + len + padding) % 8 != 0)
		padding = 8 - (5 + len) % 8 + 8, whole = 1 + len + padding;
	packet[3] = (uint8_t)whole;
	packet[4] = (uint8_t)padding;
	memcpy(packet + 5, payload, len);
	buf_add(out, packet, 4 + whole);
}

/* SSH_MSG_DISCONNECT with an empty text. */
static void disconnect_add(struct buf *out, uint32_t reason)
{
	uint8_t payload[13] = {1, 0, 0, 0, (uint8_t)reason};

	packet_add(out, payload, sizeof(payload));
}

/* Longer than any banner, and shorter than one with lists behind it. */
#define LISTS_FROM 200

void raw_await_lists(int fd)
{
	int least = LISTS_FROM;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
}

static void lists_add(struct buf *out)
{
	static const char *const lists[] = {DH_GROUPS, "ssh-ed25519", "aes128-ctr", "aes128-ctr",
	    "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""};
	uint8_t kexinit[17] = {20}, rest[5] = {0};
	struct buf payload;

	buf_init(&payload, 256);
	buf_add(&payload, kexinit, sizeof(kexinit));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		uint8_t len[4] = {0, 0, 0, (uint8_t)strlen(lists[i])};

		buf_add(&payload, len, sizeof(len));
		buf_add_text(&payload, lists[i]);
	}
	buf_add(&payload, rest, sizeof(rest));
	packet_add(out, payload.data, payload.len);
	buf_clear(&payload);
}

bool raw_decline(int fd)
{
	char bytes[4096];
	int least = 1;
	ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct buf lists;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
	if (got < LISTS_FROM || memmem(bytes, (size_t)got, "diffie-hellman", 14) != NULL)
		return false;
	/* Read, so that the end is no reset. */
	(void)recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	buf_init(&lists, 512);
	lists_add(&lists);
	(void)send(fd, lists.data, lists.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_clear(&lists);
	return true;
}

static void fill(struct buf *out, const void *bytes, size_t len)
{
	while (out->len + len <= CHUNK_SIZE)
		buf_add(out, bytes, len);
}

static void raw_free(struct raw *raw)
{
	event_free(raw->readable);
	event_free(raw->due);
	close(raw->fd);
	buf_clear(&raw->opening);
	buf_clear(&raw->again);
	free(raw);
}

/* Says some more; false when nobody listens any more, or all was said. */
static bool raw_say(struct raw *raw)
{
	struct buf *from = raw->opening.len > 0 ? &raw->opening : &raw->again;
	size_t len = from->len < raw->piece ? from->len : raw->piece;
	ssize_t put = send(raw->fd, from->data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (from == &raw->opening && put > 0)
		buf_drop(&raw->opening, (size_t)put);
	return put > 0 && !(raw->leaves && raw->opening.len == 0);
}

static void raw_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct raw *raw = arg;

	(void)fd;
	(void)what;
	if (!raw_say(raw))
		raw_free(raw);
}

static void raw_on_readable(evutil_socket_t fd, short what, void *arg)
{
	char bytes[4096];

	(void)what;
	if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0)
		raw_free(arg);
}

static void raw_say_what(struct raw *raw, const struct asset *asset)
{
	static const uint8_t ignored[] = {2, 0, 0, 0, 4, 'm', 'a', 'n', 'y'};
	static const char line[] = "there is no end to what stands before the banner\r\n";
	struct buf packet;

	raw->piece = CHUNK_SIZE;
	switch (asset->trouble) {
	case TROUBLE_BANNER: fill(&raw->again, line, strlen(line)); break;
	case TROUBLE_DRIP:
		raw->piece = 1;
		buf_add_text(&raw->again, "x");
		break;
	case TROUBLE_FLOOD:
		buf_add_text(&raw->opening, BANNER);
		buf_init(&packet, 64);
		packet_add(&packet, ignored, sizeof(ignored));
		fill(&raw->again, packet.data, packet.len);
		buf_clear(&packet);
		break;
	case TROUBLE_DISCONNECT:
		buf_add_text(&raw->opening, BANNER);
		disconnect_add(&raw->opening, 1 + asset->number % REASON_COUNT);
		raw->leaves = true;
		break;
	default: break;
	}
}

static void raw_start(struct raw *raw, struct event_base *base)
{
	struct timeval pace = {.tv_sec = DRIP_S};
	bool drips = raw->piece == 1;

	raw->readable = event_new(base, raw->fd, EV_READ | EV_PERSIST, raw_on_readable, raw);
	raw->due = event_new(base, drips ? -1 : raw->fd,
	    (short)(EV_PERSIST | (drips ? EV_TIMEOUT : EV_WRITE)), raw_on_due, raw);
	event_add(raw->readable, NULL);
	if (raw->opening.len > 0 || raw->again.len > 0)
		event_add(raw->due, drips ? &pace : NULL);
}

static void reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

bool raw_new(struct fleet *fleet, int fd, struct asset *asset)
{
	struct raw *raw;

	if (asset->trouble == TROUBLE_RESET) {
		reset(fd);
		return true;
	}
	if (asset->trouble < TROUBLE_SILENT || asset->trouble > TROUBLE_DISCONNECT)
		return false;
	raw = xcalloc(1, sizeof(*raw));
	raw->fd = fd;
	buf_init(&raw->opening, CHUNK_SIZE);
	buf_init(&raw->again, CHUNK_SIZE);
	raw_say_what(raw, asset);
	raw_start(raw, fleet->base);
	return true;
}
