#include "wire/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* Two full outputs and more; what a hostile asset may make us queue. */
#define CHANNEL_WINDOW (256 * 1024)
#define CHANNEL_PACKET (32 * 1024)

#define PIECE_MAX (16 * 1024)
#define READ_MAX  (8 * 1024)

#define TERMINAL_COLUMNS 80
#define TERMINAL_ROWS	 24

enum channel_phase { CHANNEL_OPENING, CHANNEL_TERMINAL, CHANNEL_STARTING, CHANNEL_RUNNING };

/*
 * What a terminal has switched off to change nothing, as RFC 4254 numbers it. ECHO (53 to 56), or a
 * secret would come back; ICANON (51), or a line would be cut at 4096 bytes; ISIG, IEXTEN and the
 * flow controls (50, 59 to 61, 38 to 40), or a byte of a secret would be one; and all that
 * translates or drops bytes on their way in (30 to 37) and out (70 to 75).
 */
static const uint8_t modes_off[] = {30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 50, 51, 53, 54, 55,
    56, 59, 60, 61, 70, 71, 72, 73, 74, 75};
#define MODE_SIZE      5 /* its number, its value in four bytes */
#define MODES_OFF_SIZE (sizeof(modes_off) * MODE_SIZE)
static const char modes_on[] = {91, 0, 0, 0, 1, 0}; /* CS8; the end of all */

struct channel {
	struct link *link;
	LIBSSH2_CHANNEL *channel; /* the session frees it at last */
	enum channel_phase phase;
};

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static enum err channel_open(struct channel *channel, bool terminal, struct outcome *outcome)
{
	struct link *link = channel->link;

	channel->channel = libssh2_channel_open_ex(
	    link->session, "session", strlen("session"), CHANNEL_WINDOW, CHANNEL_PACKET, NULL, 0);
	if (channel->channel != NULL) {
		channel->phase = terminal ? CHANNEL_TERMINAL : CHANNEL_STARTING;
		return ERR_OK;
	}
	if (libssh2_session_last_errno(link->session) == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	return link_fail(link, outcome, FAULT_NO_SHELL, "the asset opens no channel");
}

static enum err channel_terminal(struct channel *channel, struct outcome *outcome)
{
	static const char type[] = "dumb";
	char modes[MODES_OFF_SIZE + sizeof(modes_on)] = {0};
	int rc;

	for (size_t i = 0; i < sizeof(modes_off); i++)
		modes[i * MODE_SIZE] = (char)modes_off[i];
	memcpy(modes + MODES_OFF_SIZE, modes_on, sizeof(modes_on));
	rc = libssh2_channel_request_pty_ex(channel->channel, type, sizeof(type) - 1, modes,
	    sizeof(modes), TERMINAL_COLUMNS, TERMINAL_ROWS, 0, 0);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	if (rc != 0)
		return link_fail(
		    channel->link, outcome, FAULT_NO_SHELL, "the asset gives no terminal");
	channel->phase = CHANNEL_STARTING;
	return ERR_OK;
}

static enum err channel_start(struct channel *channel, const char *command, struct outcome *outcome)
{
	int rc = libssh2_channel_process_startup(
	    channel->channel, "exec", strlen("exec"), command, (unsigned)strlen(command));

	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	if (rc != 0)
		return link_fail(
		    channel->link, outcome, FAULT_NO_SHELL, "the asset runs no command");
	channel->phase = CHANNEL_RUNNING;
	return ERR_OK;
}

enum err channel_exec_step(struct link *link, struct channel **out, const char *command,
    bool terminal, struct outcome *outcome)
{
	struct channel *channel = link->opening;
	enum err err = ERR_OK;

	if (channel == NULL) {
		channel = xcalloc(1, sizeof(*channel));
		channel->link = link;
		link->opening = channel;
	}
	link_enter(link);
	if (channel->phase == CHANNEL_OPENING)
		err = channel_open(channel, terminal, outcome);
	if (err == ERR_OK && channel->phase == CHANNEL_TERMINAL)
		err = channel_terminal(channel, outcome);
	if (err == ERR_OK)
		err = channel_start(channel, command, outcome);
	link_leave(link);
	if (err == ERR_OK) {
		link->opening = NULL;
		*out = channel; /* transferred */
	}
	return err;
}

void channel_abandon(struct channel *channel)
{
	free(channel);
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

/* Lets libssh2 see what came, a wider window among it, without taking any of the output. */
static bool channel_pump(struct channel *channel)
{
	char none;
	ssize_t rc = libssh2_channel_read_ex(channel->channel, 0, &none, 0);

	return rc >= 0 || rc == LIBSSH2_ERROR_EAGAIN;
}

static enum err channel_write_piece(
    struct channel *channel, const char *bytes, size_t len, bool *touched, struct outcome *outcome)
{
	struct link *link = channel->link;
	ssize_t rc;

	if (!channel_pump(channel))
		return link_fail(link, outcome, FAULT_LOST, "writing");
	if (libssh2_channel_eof(channel->channel) != 0 || stream_broken(&link->stream))
		return outcome_set(outcome, FAULT_LOST, "writing: the asset closed the channel");
	if (libssh2_channel_window_write_ex(channel->channel, NULL) < len)
		return ERR_AGAIN;
	*touched = true;
	rc = libssh2_channel_write_ex(channel->channel, 0, bytes, len);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	if (rc < 0)
		return link_fail(link, outcome, FAULT_LOST, "writing");
	/* The asset takes smaller packets only: the rest must not follow as another. */
	if ((size_t)rc != len)
		return outcome_set(
		    outcome, FAULT_LIMIT, "the asset takes no packet of %zu bytes", len);
	return ERR_OK;
}

enum err channel_write_step(struct channel *channel, const void *bytes, size_t len, size_t *written,
    bool *touched, struct outcome *outcome)
{
	enum err err = ERR_OK;

	link_enter(channel->link);
	while (*written < len && err == ERR_OK) {
		size_t piece = len - *written < PIECE_MAX ? len - *written : PIECE_MAX;

		err = channel_write_piece(
		    channel, (const char *)bytes + *written, piece, touched, outcome);
		if (err == ERR_OK)
			*written += piece;
	}
	link_leave(channel->link);
	return err;
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

/*
 * Reads one stream until nothing is there; BUFFER_TOO_SMALL when it does not fit. `*got` counts up.
 * Most commands say a line: memory is had for what came, and not for what might.
 */
static ssize_t channel_pull(struct channel *channel, int stream, struct buf *out, size_t *got)
{
	char piece[READ_MAX];
	ssize_t rc;

	while ((rc = libssh2_channel_read_ex(channel->channel, stream, piece, sizeof(piece))) > 0) {
		bool fits = (size_t)rc <= out->size_max - out->len;
		bool kept = fits && buf_add(out, piece, (size_t)rc);

		explicit_bzero(piece, (size_t)rc);
		if (!kept)
			return fits ? LIBSSH2_ERROR_ALLOC : LIBSSH2_ERROR_BUFFER_TOO_SMALL;
		*got += (size_t)rc;
	}
	return rc == LIBSSH2_ERROR_EAGAIN ? 0 : rc;
}

static enum err channel_read(struct channel *channel, struct buf *out, struct buf *err_out,
    bool *end, struct outcome *outcome)
{
	size_t got = 0;
	ssize_t rc = channel_pull(channel, 0, out, &got);

	if (rc == 0)
		rc = channel_pull(channel, SSH_EXTENDED_DATA_STDERR, err_out, &got);
	if (rc == LIBSSH2_ERROR_BUFFER_TOO_SMALL)
		return outcome_set(
		    outcome, FAULT_OUTPUT, "more than %zu bytes of output", out->size_max);
	/* What came before the link broke is given first. */
	if (rc < 0 && got == 0)
		return link_fail(channel->link, outcome, FAULT_LOST, "reading");
	*end = libssh2_channel_eof(channel->channel) != 0;
	if (got > 0 || *end)
		return ERR_OK;
	if (stream_broken(&channel->link->stream))
		return link_fail(channel->link, outcome, FAULT_LOST, "reading");
	return ERR_AGAIN;
}

enum err channel_read_step(struct channel *channel, struct buf *out, struct buf *err_out, bool *end,
    struct outcome *outcome)
{
	enum err err;

	link_enter(channel->link);
	err = channel_read(channel, out, err_out, end, outcome);
	link_leave(channel->link);
	return err;
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

enum err channel_eof_step(struct channel *channel, struct outcome *outcome)
{
	int rc;

	link_enter(channel->link);
	rc = libssh2_channel_send_eof(channel->channel);
	link_leave(channel->link);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	return rc == 0 ? ERR_OK : link_fail(channel->link, outcome, FAULT_LOST, "closing");
}

static void channel_status(struct channel *channel, int *status, struct outcome *outcome)
{
	char *signal = NULL;

	*status = libssh2_channel_get_exit_status(channel->channel);
	libssh2_channel_get_exit_signal(channel->channel, &signal, NULL, NULL, NULL, NULL, NULL);
	if (signal == NULL)
		return;
	*status = -1;
	text_escape(outcome->text, sizeof(outcome->text), signal, strlen(signal));
	libssh2_free(channel->link->session, signal);
}

enum err channel_close_step(struct channel *channel, int *status, struct outcome *outcome)
{
	int rc;

	link_enter(channel->link);
	rc = libssh2_channel_close(channel->channel);
	link_leave(channel->link);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return ERR_AGAIN;
	if (rc != 0)
		return link_fail(channel->link, outcome, FAULT_LOST, "closing");
	channel_status(channel, status, outcome);
	return ERR_OK;
}

void channel_free(struct channel *channel)
{
	if (channel == NULL)
		return;
	/* It may wait for the asset's own close; the session frees what is left then. */
	link_enter(channel->link);
	(void)libssh2_channel_free(channel->channel);
	link_leave(channel->link);
	free(channel);
}
