#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#define ANSWER_MAX (1024u * 1024 * 1024)

static void tell_stats(const struct fleet *fleet, struct buf *out)
{
	const struct stats *stats = &fleet->stats;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	buf_addf(out,
	    "begun %llu\nsessions %llu\nmost_sessions %llu\nlogins %llu\nrefused %llu\nchanges "
	    "%llu\n"
	    "unknown %llu\n",
	    (unsigned long long)stats->begun, (unsigned long long)stats->sessions,
	    (unsigned long long)stats->most_sessions, (unsigned long long)stats->logins,
	    (unsigned long long)stats->refused, (unsigned long long)stats->changes,
	    (unsigned long long)stats->unknown);
	buf_addf(out, "cpu_ms %llu\nmemory_kb %ld\n",
	    (unsigned long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
		(unsigned long long)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000,
	    usage.ru_maxrss);
}

static void set_trouble(struct fleet *fleet, const char *line, struct buf *out)
{
	unsigned first, last;
	char word[32];
	enum trouble trouble;

	if (sscanf(line, "trouble %u %u %31s", &first, &last, word) != 3 || last >= ASSETS_MAX ||
	    (trouble = trouble_by_name(word)) == TROUBLE_COUNT) {
		buf_add_text(out, "many: trouble FIRST LAST WORD\n");
		return;
	}
	for (uint32_t number = first; number <= last; number++)
		store_asset(&fleet->store, number)->trouble = trouble;
	buf_add_text(out, "ok\n");
}

static void control_do(struct fleet *fleet, const char *line, struct buf *out)
{
	unsigned login_ms, command_ms;

	if (strcmp(line, "judge") == 0) {
		store_tell(&fleet->store, out);
	} else if (strcmp(line, "stats") == 0) {
		tell_stats(fleet, out);
	} else if (sscanf(line, "latency %u %u", &login_ms, &command_ms) == 2) {
		fleet->config.login_ms = login_ms;
		fleet->config.command_ms = command_ms;
		buf_add_text(out, "ok\n");
	} else {
		set_trouble(fleet, line, out);
	}
}

static void on_written(struct bufferevent *event, void *arg)
{
	(void)arg;
	bufferevent_free(event);
}

static void on_ended(struct bufferevent *event, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(event);
}

static void on_line(struct bufferevent *event, void *arg)
{
	char *line = evbuffer_readln(bufferevent_get_input(event), NULL, EVBUFFER_EOL_LF);
	struct buf out;

	if (line == NULL)
		return;
	buf_init(&out, ANSWER_MAX);
	control_do(arg, line, &out);
	bufferevent_setcb(event, NULL, on_written, on_ended, arg);
	bufferevent_write(event, out.data, out.len);
	buf_clear(&out);
	free(line);
}

static void on_connection(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	struct fleet *fleet = arg;
	struct bufferevent *event = bufferevent_socket_new(fleet->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)from;
	(void)len;
	bufferevent_setcb(event, on_line, NULL, on_ended, fleet);
	bufferevent_enable(event, EV_READ | EV_WRITE);
}

bool control_listen(struct fleet *fleet)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *path = fleet->config.control;
	struct evconnlistener *listener = NULL;

	if (strlen(path) < sizeof(at.sun_path)) {
		strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
		unlink(path);
		umask(077);
		listener = evconnlistener_new_bind(fleet->base, on_connection, fleet,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, (struct sockaddr *)&at,
		    sizeof(at));
	}
	if (listener == NULL)
		fprintf(stderr, "many: cannot listen at %s\n", path);
	return listener != NULL;
}
