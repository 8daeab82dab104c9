#include "wire/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

/* Length 12, padding 10, message 21. */
static const uint8_t parting[16] = {0, 0, 0, 12, 10, 21};

void stream_init(struct stream *stream, int fd)
{
	*stream = (struct stream){.fd = fd, .early_left = STREAM_EARLY_MAX};
	buf_init(&stream->out, STREAM_OUT_MAX);
	greeting_init(&stream->greeting);
}

void stream_clear(struct stream *stream)
{
	buf_clear(&stream->out);
	greeting_clear(&stream->greeting);
	free(stream->ahead);
	stream->ahead = NULL;
	stream->ahead_at = stream->ahead_len = 0;
}

void stream_wake(struct stream *stream)
{
	stream->wake_left = STREAM_WAKE_MAX;
	stream->dry = false;
}

void stream_greeted(struct stream *stream)
{
	if (stream->ahead_at < stream->ahead_len)
		return;
	free(stream->ahead);
	stream->ahead = NULL;
}

void stream_trust(struct stream *stream)
{
	stream->trusted = true;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Reads from the socket within the budgets. */
static ssize_t stream_pull(struct stream *stream, void *out, size_t len)
{
	ssize_t got;

	if (stream->wake_left == 0 || stream->dry)
		return -EAGAIN;
	if (!stream->trusted && stream->early_left == 0) {
		stream->over = true;
		return -ECONNABORTED;
	}
	len = smaller(len, stream->wake_left);
	if (!stream->trusted)
		len = smaller(len, stream->early_left);
	do
		got = recv(stream->fd, out, len, 0);
	while (got < 0 && errno == EINTR);
	stream->dry = got != 0 && got < (ssize_t)len;
	if (got < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return -EAGAIN;
		stream->error = errno;
		return -stream->error;
	}
	if (got == 0)
		stream->end = true;
	stream->wake_left -= (size_t)got;
	if (!stream->trusted)
		stream->early_left -= (size_t)got;
	greeting_feed(&stream->greeting, out, (size_t)got);
	return got;
}

static ssize_t stream_take_ahead(struct stream *stream, void *out, size_t len)
{
	len = smaller(len, stream->ahead_len - stream->ahead_at);
	memcpy(out, stream->ahead + stream->ahead_at, len);
	stream->ahead_at += len;
	return (ssize_t)len;
}

static ssize_t stream_part(struct stream *stream, void *out, size_t len)
{
	len = smaller(len, sizeof(parting) - stream->parting_at);
	if (len == 0)
		return -ECONNRESET;
	memcpy(out, parting + stream->parting_at, len);
	stream->parting_at += len;
	return (ssize_t)len;
}

ssize_t stream_recv(struct stream *stream, void *out, size_t len)
{
	ssize_t got;

	if (stream->cut)
		return stream_part(stream, out, len);
	if (stream->interrupted)
		return -ECANCELED;
	if (stream->ahead_at < stream->ahead_len)
		return stream_take_ahead(stream, out, len);
	if (len >= STREAM_AHEAD_SIZE)
		return stream_pull(stream, out, len);
	/* A banner is asked for byte by byte. */
	if (stream->ahead == NULL)
		stream->ahead = xcalloc(1, STREAM_AHEAD_SIZE);
	got = stream_pull(stream, stream->ahead, STREAM_AHEAD_SIZE);
	if (got <= 0)
		return got;
	stream->ahead_at = 0;
	stream->ahead_len = (size_t)got;
	return stream_take_ahead(stream, out, len);
}

ssize_t stream_send(struct stream *stream, const void *bytes, size_t len)
{
	if (stream->cut || stream->mute)
		return -ECONNABORTED;
	if (stream->error != 0)
		return -stream->error;
	if (len > STREAM_OUT_MAX - stream->out.len) {
		stream_flush(stream);
		if (len > STREAM_OUT_MAX - stream->out.len)
			return stream->error != 0 ? -stream->error : -EAGAIN;
	}
	/* All or nothing: what was accepted here is one whole packet. */
	if (!buf_add(&stream->out, bytes, len)) {
		stream->error = ENOMEM;
		return -ENOMEM;
	}
	stream->total += len;
	return (ssize_t)len;
}

void stream_flush(struct stream *stream)
{
	size_t sent = 0;

	while (sent < stream->out.len && stream->error == 0) {
		ssize_t put =
		    send(stream->fd, stream->out.data + sent, stream->out.len - sent, MSG_NOSIGNAL);

		if (put >= 0)
			sent += (size_t)put;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			stream->error = errno;
	}
	/* Nothing lies here most of the time, and not in a buffer as large as the largest was. */
	if (stream->error != 0 || sent == stream->out.len)
		buf_clear(&stream->out);
	else
		buf_drop(&stream->out, sent);
}

size_t stream_room(const struct stream *stream)
{
	return STREAM_OUT_MAX - stream->out.len;
}

bool stream_unsent(const struct stream *stream)
{
	return stream->out.len > 0;
}

bool stream_broken(const struct stream *stream)
{
	return stream->end || stream->error != 0;
}

void stream_cut(struct stream *stream)
{
	size_t rest = greeting_rest(&stream->greeting);

	stream->cut = true;
	/* The server's own may have been cut within; another message must not be completed. */
	stream->parting_at = smaller(rest, sizeof(parting));
}
