/*
 * A connection: libssh's server side, told by our own loop when there is something to read. A login
 * and the end of a command are answered after the latency that was chosen.
 */
#include "keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libssh/callbacks.h>

#include "base/mem.h"

struct guest;

/* A channel on which something runs. */
struct seat {
	LIST_ENTRY(seat) entry;
	struct guest *guest;
	ssh_channel channel;
	struct ssh_channel_callbacks_struct callbacks;
	struct buf in, input;
	struct task task;
	size_t lines_left; /* of input for the task */
	bool begun;	   /* something runs */
	bool fed;	   /* its input has ended */
	bool shell;
	bool busy; /* an answer is on its way */
	struct answer answer;
	struct event *due;
};

struct guest {
	struct fleet *fleet;
	struct asset *asset;
	struct account *account; /* logged in */
	ssh_session session;
	struct event *ready;
	short awaited;
	ssh_message login; /* to be answered when it is due */
	struct event *login_due;
	LIST_HEAD(, seat) seats;
	bool over;
	bool unheard; /* it may decline */
};

static struct timeval after_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void guest_go_on(struct guest *guest);

/* ── What runs ───────────────────────────────────────────────────────────────────────────── */

static void seat_free(struct seat *seat)
{
	LIST_REMOVE(seat, entry);
	event_free(seat->due);
	buf_clear(&seat->in);
	buf_clear(&seat->input);
	buf_clear(&seat->answer.out);
	buf_clear(&seat->answer.err);
	free(seat);
}

static void seat_end(struct seat *seat)
{
	ssh_channel_request_send_exit_status(seat->channel, seat->answer.status);
	ssh_channel_send_eof(seat->channel);
	ssh_channel_close(seat->channel);
}

static void seat_run(struct seat *seat);
static void seat_go_on(struct seat *seat);

/* Takes lines as long as none is being answered. */
static void seat_take_lines(struct seat *seat)
{
	const uint8_t *end;

	while (!seat->busy && seat->in.len > 0 &&
	       (end = memchr(seat->in.data, '\n', seat->in.len)) != NULL) {
		size_t len = (size_t)(end - seat->in.data) + 1;

		if (seat->lines_left > 0) {
			buf_add(&seat->input, seat->in.data, len);
			seat->lines_left--;
		} else {
			task_read_line(&seat->task, buf_text(&seat->in));
			seat->lines_left = seat->task.lines;
			if (seat->task.go)
				ssh_channel_write(seat->channel, "go-", 3);
			if (seat->task.go) {
				ssh_channel_write(seat->channel, seat->task.nonce,
				    (uint32_t)strlen(seat->task.nonce));
				ssh_channel_write(seat->channel, "\n", 1);
			}
		}
		buf_drop(&seat->in, len);
		if (seat->lines_left == 0)
			seat_run(seat);
	}
}

static void seat_speak(struct seat *seat)
{
	struct answer *answer = &seat->answer;
	size_t out_len = answer->out.len;

	if (answer->ending == ENDING_DROP) {
		seat->guest->over = true;
		return;
	}
	if (answer->ending == ENDING_MUTE)
		return;
	if (answer->ending == ENDING_HALF)
		out_len /= 2;
	if (out_len > 0)
		ssh_channel_write(seat->channel, answer->out.data, (uint32_t)out_len);
	if (answer->ending == ENDING_HALF)
		return;
	if (answer->err.len > 0)
		ssh_channel_write_stderr(
		    seat->channel, answer->err.data, (uint32_t)answer->err.len);
	buf_reset(&answer->out);
	buf_reset(&answer->err);
	seat->busy = false;
	if (seat->shell)
		seat_go_on(seat);
	else
		seat_end(seat);
}

static void seat_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct seat *seat = arg;

	(void)fd;
	(void)what;
	seat_speak(seat);
	guest_go_on(seat->guest);
}

static void seat_run(struct seat *seat)
{
	struct guest *guest = seat->guest;
	struct timeval in = after_ms(guest->fleet->config.command_ms);

	seat->busy = true;
	seat->answer.status = 0;
	seat->answer.ending = ENDING_ANSWER;
	task_run(&seat->task, guest->fleet, guest->asset, buf_text(&seat->input), &seat->answer);
	buf_reset(&seat->input);
	if (evutil_timerisset(&in))
		evtimer_add(seat->due, &in);
	else
		seat_speak(seat);
}

/* What came may have come before the command did: clients do not wait. */
static void seat_go_on(struct seat *seat)
{
	if (!seat->begun || seat->busy)
		return;
	if (seat->shell)
		seat_take_lines(seat);
	if (!seat->fed || seat->busy)
		return;
	if (seat->shell) {
		seat_end(seat);
	} else if (seat->task.until_end) {
		buf_add(&seat->input, seat->in.data, seat->in.len);
		buf_reset(&seat->in);
		seat_run(seat);
	}
}

static int seat_on_data(
    ssh_session session, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
	struct seat *seat = arg;

	(void)session;
	(void)channel;
	(void)is_stderr;
	buf_add(&seat->in, data, len);
	seat_go_on(seat);
	return (int)len;
}

static void seat_on_eof(ssh_session session, ssh_channel channel, void *arg)
{
	struct seat *seat = arg;

	(void)session;
	(void)channel;
	seat->fed = true;
	seat_go_on(seat);
}

static void seat_exec(struct seat *seat, const char *command)
{
	seat->begun = true;
	task_read_exec(&seat->task, command);
	seat->shell = seat->task.kind == TASK_SHELL;
	if (seat->task.until_end)
		seat_go_on(seat);
	else
		seat_run(seat);
}

static void seat_new(struct guest *guest, ssh_channel channel)
{
	struct seat *seat = xcalloc(1, sizeof(*seat));

	seat->guest = guest;
	seat->channel = channel;
	buf_init(&seat->in, LINE_MAX_SIZE);
	buf_init(&seat->input, LINE_MAX_SIZE);
	buf_init(&seat->answer.out, LINE_MAX_SIZE);
	buf_init(&seat->answer.err, LINE_MAX_SIZE);
	seat->due = evtimer_new(guest->fleet->base, seat_on_due, seat);
	seat->callbacks.userdata = seat;
	seat->callbacks.channel_data_function = seat_on_data;
	seat->callbacks.channel_eof_function = seat_on_eof;
	ssh_callbacks_init(&seat->callbacks);
	ssh_set_channel_callbacks(channel, &seat->callbacks);
	LIST_INSERT_HEAD(&guest->seats, seat, entry);
}

static struct seat *guest_seat(const struct guest *guest, ssh_channel channel)
{
	struct seat *seat;

	LIST_FOREACH (seat, &guest->seats, entry)
		if (seat->channel == channel)
			break;
	return seat;
}

/* ── Logging in ──────────────────────────────────────────────────────────────────────────── */

static void guest_judge_login(struct guest *guest, ssh_message message)
{
	struct fleet *fleet = guest->fleet;
	struct account *account =
	    store_account(&fleet->store, guest->asset, ssh_message_auth_user(message));
	const char *password;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	/* What replaces it would have to answer at once. */
	password = ssh_message_auth_password(message);
#pragma GCC diagnostic pop
	if (password == NULL || !account_opens(account, &fleet->store, guest->asset, password)) {
		account->refused++;
		fleet->stats.refused++;
		ssh_message_auth_set_methods(message, SSH_AUTH_METHOD_PASSWORD);
		ssh_message_reply_default(message);
		return;
	}
	account->logins++;
	fleet->stats.logins++;
	if (strcmp(password, account->password) == 0)
		account->proven = true;
	guest->account = account;
	ssh_message_auth_reply_success(message, 0);
	if (guest->asset->trouble == TROUBLE_LEAVE) {
		ssh_disconnect(guest->session);
		guest->over = true;
	}
}

static void login_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct guest *guest = arg;

	(void)fd;
	(void)what;
	guest_judge_login(guest, guest->login);
	ssh_message_free(guest->login);
	guest->login = NULL;
	guest_go_on(guest);
}

/* True where the message is kept until it is answered. */
static bool guest_log_in(struct guest *guest, ssh_message message)
{
	struct timeval in = after_ms(guest->fleet->config.login_ms);

	if (ssh_message_subtype(message) != SSH_AUTH_METHOD_PASSWORD) {
		ssh_message_auth_set_methods(message, SSH_AUTH_METHOD_PASSWORD);
		ssh_message_reply_default(message);
		return false;
	}
	if (guest->login == NULL && evutil_timerisset(&in)) {
		guest->login = message; /* transferred */
		evtimer_add(guest->login_due, &in);
		return true;
	}
	guest_judge_login(guest, message);
	return false;
}

/* ── Messages ────────────────────────────────────────────────────────────────────────────── */

static void guest_open(struct guest *guest, ssh_message message)
{
	ssh_channel channel = NULL;

	if (ssh_message_subtype(message) == SSH_CHANNEL_SESSION && guest->account != NULL)
		channel = ssh_message_channel_request_open_reply_accept(message);
	if (channel != NULL)
		seat_new(guest, channel);
	else
		ssh_message_reply_default(message);
}

static void guest_request(struct guest *guest, ssh_message message)
{
	struct seat *seat = guest_seat(guest, ssh_message_channel_request_channel(message));

	switch (ssh_message_subtype(message)) {
	case SSH_CHANNEL_REQUEST_EXEC:
		if (seat == NULL || seat->begun)
			break;
		ssh_message_channel_request_reply_success(message);
		seat_exec(seat, ssh_message_channel_request_command(message));
		return;
	case SSH_CHANNEL_REQUEST_ENV:
	case SSH_CHANNEL_REQUEST_PTY: ssh_message_channel_request_reply_success(message); return;
	default: break;
	}
	ssh_message_reply_default(message);
}

/* True where the message is kept. */
static bool guest_take(struct guest *guest, ssh_message message)
{
	switch (ssh_message_type(message)) {
	case SSH_REQUEST_SERVICE: ssh_message_service_reply_success(message); break;
	case SSH_REQUEST_AUTH: return guest_log_in(guest, message);
	case SSH_REQUEST_CHANNEL_OPEN: guest_open(guest, message); break;
	case SSH_REQUEST_CHANNEL: guest_request(guest, message); break;
	default: ssh_message_reply_default(message); break;
	}
	return false;
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

static void guest_free(struct guest *guest)
{
	struct seat *seat;

	while ((seat = LIST_FIRST(&guest->seats)) != NULL) {
		ssh_remove_channel_callbacks(seat->channel, &seat->callbacks);
		seat_free(seat);
	}
	event_free(guest->ready);
	event_free(guest->login_due);
	if (guest->login != NULL)
		ssh_message_free(guest->login);
	ssh_free(guest->session);
	guest->fleet->stats.sessions--;
	free(guest);
}

static void guest_await(struct guest *guest)
{
	short awaited = EV_READ | EV_PERSIST;

	if ((ssh_get_poll_flags(guest->session) & SSH_WRITE_PENDING) != 0)
		awaited |= EV_WRITE;
	if (guest->awaited == awaited)
		return;
	guest->awaited = awaited;
	event_del(guest->ready);
	event_assign(guest->ready, guest->fleet->base, ssh_get_fd(guest->session), awaited,
	    event_get_callback(guest->ready), guest);
	event_add(guest->ready, NULL);
}

/* After anything was done: what libssh read on the way is taken, and it may have ended. */
static void guest_go_on(struct guest *guest)
{
	ssh_message message;

	while (!guest->over && (message = ssh_message_get(guest->session)) != NULL)
		if (!guest_take(guest, message))
			ssh_message_free(message);
	if (guest->over || !ssh_is_connected(guest->session) ||
	    (ssh_get_status(guest->session) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0)
		guest_free(guest);
	else if (guest->asset->trouble == TROUBLE_HANG)
		event_del(guest->ready);
	else
		guest_await(guest);
}

static void guest_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct guest *guest = arg;
	bool unheard = guest->unheard;

	(void)what;
	guest->unheard = false;
	if (unheard && raw_decline(fd))
		guest_free(guest);
	else
		guest_go_on(guest);
}

void guest_new(struct fleet *fleet, int fd, struct asset *asset)
{
	struct guest *guest = xcalloc(1, sizeof(*guest));
	struct stats *stats = &fleet->stats;

	guest->fleet = fleet;
	guest->asset = asset;
	guest->session = ssh_new();
	LIST_INIT(&guest->seats);
	if (guest->session == NULL || ssh_bind_accept_fd(keys_door(fleet->keys, asset->trouble),
					  guest->session, fd) != SSH_OK) {
		ssh_free(guest->session);
		free(guest);
		close(fd);
		return;
	}
	ssh_set_blocking(guest->session, 0);
	ssh_set_auth_methods(guest->session, SSH_AUTH_METHOD_PASSWORD);
	guest->ready = event_new(fleet->base, fd, EV_READ | EV_PERSIST, guest_on_ready, guest);
	guest->login_due = evtimer_new(fleet->base, login_on_due, guest);
	stats->begun++;
	stats->sessions++;
	if (stats->sessions > stats->most_sessions)
		stats->most_sessions = stats->sessions;
	guest->unheard = asset->trouble == TROUBLE_DH;
	if (guest->unheard)
		raw_await_lists(fd);
	(void)ssh_handle_key_exchange(guest->session);
	guest_await(guest);
}
