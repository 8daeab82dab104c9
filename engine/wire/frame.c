#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/mem.h"

#define LENGTH_SIZE 4
#define READ_SIZE   (64 * 1024)
#define OUT_MAX	    (48u * 1024 * 1024)

/* In one turn of the loop. */
#define TURN_FRAMES    64
#define TURN_WRITE_MAX (256 * 1024)

struct frames {
	struct frames_config config;
	int fd;
	struct event *readable, *writable;
	struct event *again;	/* a whole frame is left over from the last turn */
	struct event *gathered; /* what is to be sent leaves in the next turn */
	struct buf in, out;
	bool calling; /* a callback is under way: the memory must stay */
	bool freed;   /* … and was asked to go meanwhile */
};

static void frames_destroy(struct frames *frames)
{
	buf_clear(&frames->in);
	buf_clear(&frames->out);
	free(frames);
}

static void frames_close(struct frames *frames)
{
	if (frames->readable != NULL)
		event_free(frames->readable);
	if (frames->writable != NULL)
		event_free(frames->writable);
	if (frames->again != NULL)
		event_free(frames->again);
	if (frames->gathered != NULL)
		event_free(frames->gathered);
	frames->readable = frames->writable = frames->again = frames->gathered = NULL;
	if (frames->fd >= 0)
		close(frames->fd);
	frames->fd = -1;
}

/* Told before it is closed: the peer must not see the end and act on it first. */
static void frames_lose(struct frames *frames, enum err why)
{
	frames->calling = true;
	frames->config.lost(frames->config.arg, why);
	frames->calling = false;
	if (frames->freed)
		frames_destroy(frames);
	else
		frames_close(frames);
}

/* The length that the frame at `at` bears; false when it has not come yet. */
static bool frame_length(const struct buf *in, size_t at, size_t *len)
{
	if (in->len - at < LENGTH_SIZE)
		return false;
	*len = 0;
	for (size_t i = 0; i < LENGTH_SIZE; i++)
		*len = *len << 8 | in->data[at + i];
	return true;
}

/*
 * Hands over the whole frames that are there, as many as a turn allows; `*more` when one is left.
 * ERR_CANCELED when the stream was freed meanwhile.
 */
static enum err frames_deliver(struct frames *frames, bool *more)
{
	size_t at = 0, len, count = 0;
	enum err err = ERR_OK;

	*more = false;
	frames->calling = true;
	while (err == ERR_OK && frame_length(&frames->in, at, &len)) {
		if (len > frames->config.size_max) {
			err = ERR_PROTOCOL;
			break;
		}
		if (frames->in.len - at - LENGTH_SIZE < len)
			break;
		if (count++ == TURN_FRAMES) {
			*more = true;
			break;
		}
		at += LENGTH_SIZE;
		err = frames->config.frame(frames->config.arg, frames->in.data + at, len);
		at += len;
		if (frames->freed)
			err = ERR_CANCELED;
	}
	frames->calling = false;
	buf_drop(&frames->in, at);
	return err;
}

static enum err frames_read(struct frames *frames)
{
	uint8_t *room = buf_reserve(&frames->in, READ_SIZE);
	ssize_t got;

	if (room == NULL)
		return ERR_FULL;
	got = recv(frames->fd, room, READ_SIZE, 0);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_OK : ERR_LINK;
	if (got == 0)
		return ERR_LINK;
	frames->in.len += (size_t)got;
	return ERR_OK;
}

static bool frames_has_whole(const struct frames *frames)
{
	size_t len;

	return frame_length(&frames->in, 0, &len) && frames->in.len - LENGTH_SIZE >= len;
}

static void frames_on_readable(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval next_turn;
	struct frames *frames = arg;
	enum err err = ERR_OK;
	bool more = false;

	(void)fd;
	(void)what;
	if (!frames_has_whole(frames))
		err = frames_read(frames);
	if (err == ERR_OK)
		err = frames_deliver(frames, &more);
	if (frames->freed)
		frames_destroy(frames);
	else if (err != ERR_OK)
		frames_lose(frames, err);
	else if (more)
		event_add(frames->again, &next_turn);
}

static enum err frames_write(struct frames *frames)
{
	size_t done = 0, len = frames->out.len;
	ssize_t put = 0;

	if (buf_failed(&frames->out))
		return ERR_FULL;
	if (len > TURN_WRITE_MAX)
		len = TURN_WRITE_MAX;
	while (done < len) {
		put = send(frames->fd, frames->out.data + done, len - done, MSG_NOSIGNAL);
		if (put < 0)
			break;
		done += (size_t)put;
	}
	if (put < 0 && errno != EAGAIN && errno != EINTR)
		return ERR_LINK;
	buf_drop(&frames->out, done);
	return ERR_OK;
}

static void frames_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct frames *frames = arg;
	enum err err = frames_write(frames);

	(void)fd;
	(void)what;
	if (err != ERR_OK)
		frames_lose(frames, err);
	else if (frames->out.len > 0)
		event_add(frames->writable, NULL);
}

static struct event *frames_event(
    struct frames *frames, struct event_base *base, int fd, short what, event_callback_fn fn)
{
	struct event *event = event_new(base, fd, what, fn, frames);

	if (event == NULL)
		abort();
	event_priority_set(event, frames->config.priority);
	return event;
}

struct frames *frames_new(struct event_base *base, int fd, const struct frames_config *config)
{
	struct frames *frames = xcalloc(1, sizeof(*frames));

	frames->config = *config;
	frames->fd = fd;
	evutil_make_socket_nonblocking(fd);
	buf_init(&frames->in, LENGTH_SIZE + config->size_max + READ_SIZE);
	buf_init(&frames->out, OUT_MAX);
	frames->readable = frames_event(frames, base, fd, EV_READ | EV_PERSIST, frames_on_readable);
	frames->writable = frames_event(frames, base, fd, EV_WRITE, frames_on_writable);
	frames->again = frames_event(frames, base, -1, 0, frames_on_readable);
	frames->gathered = frames_event(frames, base, -1, 0, frames_on_writable);
	event_add(frames->readable, NULL);
	return frames;
}

void frames_free(struct frames *frames)
{
	if (frames == NULL)
		return;
	frames_close(frames);
	if (frames->calling)
		frames->freed = true;
	else
		frames_destroy(frames);
}

struct buf *frames_out(struct frames *frames)
{
	return &frames->out;
}

void frames_send(struct frames *frames)
{
	static const struct timeval next_turn;

	/* Most often there is room: the kernel is asked for it only where there was none. */
	if (frames->writable != NULL && !event_pending(frames->writable, EV_WRITE, NULL) &&
	    !event_pending(frames->gathered, EV_TIMEOUT, NULL))
		event_add(frames->gathered, &next_turn);
}
