#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/text.h"

#define VALUE_SIZE     1024
#define LINE_MAX_BYTES (16 * 1024)

static struct {
	enum log_target target;
	int fd;
	enum log_level level;
} the_log = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

void log_open(enum log_target target, int fd, enum log_level level)
{
	the_log.target = target;
	the_log.fd = fd;
	the_log.level = level;
	if (target == LOG_TO_SYSLOG)
		openlog("lockstepd", LOG_PID, LOG_DAEMON);
}

void log_init(int fd, enum log_level level)
{
	log_open(LOG_TO_FD, fd, level);
}

bool log_wants(enum log_level level)
{
	return level <= the_log.level;
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {
	    [LOG_LEVEL_ERROR] = "error",
	    [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_DEBUG] = "debug",
	};

	return names[level];
}

/* True when the value could not be told from what stands around it. */
static bool needs_quotes(const char *value)
{
	if (*value == '\0')
		return true;
	for (; *value != '\0'; value++) {
		if (*value <= ' ' || *value > '~' || strchr("\"\\=", *value) != NULL)
			return true;
	}
	return false;
}

static void line_add_pair(struct buf *line, const char *key, const char *value)
{
	char text[VALUE_SIZE];
	const char *quote;

	if (value == NULL) {
		buf_addf(line, " %s=-", key);
		return;
	}
	quote = needs_quotes(value) ? "\"" : "";
	escape_copy(text, sizeof(text), value, strlen(value), ESCAPE_QUOTED);
	buf_addf(line, " %s=%s%s%s", key, quote, text, quote);
}

/* As syslog and the journal know it (syslog(3)). */
static int priority(enum log_level level)
{
	static const int priorities[] = {
	    [LOG_LEVEL_ERROR] = LOG_ERR,
	    [LOG_LEVEL_WARN] = LOG_WARNING,
	    [LOG_LEVEL_INFO] = LOG_INFO,
	    [LOG_LEVEL_DEBUG] = LOG_DEBUG,
	};

	return priorities[level];
}

static void line_add_head(struct buf *line, enum log_level level, const char *event)
{
	struct timespec now;
	char time[32];

	if (the_log.target == LOG_TO_JOURNAL)
		buf_addf(line, "<%d>", priority(level));
	if (the_log.target != LOG_TO_FD) {
		buf_addf(line, "level=%s event=%s", level_name(level), event);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	text_rfc3339(time,
	    (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000);
	buf_addf(line, "%s level=%s event=%s", time, level_name(level), event);
}

/* A log that cannot be written must not stop the work: the line is lost. */
static void line_write(const struct buf *line, enum log_level level)
{
	ssize_t written;

	if (the_log.target == LOG_TO_SYSLOG) {
		syslog(priority(level), "%.*s", (int)line->len, (const char *)line->data);
		return;
	}
	do {
		written = write(the_log.fd, line->data, line->len);
	} while (written < 0 && errno == EINTR);
}

void log_event(enum log_level level, const char *event, ...)
{
	struct buf line;
	va_list args;
	const char *key;
	int saved = errno;

	if (!log_wants(level))
		return;
	buf_init(&line, LINE_MAX_BYTES);
	line_add_head(&line, level, event);
	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL)
		line_add_pair(&line, key, va_arg(args, const char *));
	va_end(args);
	/* Past the cap what was whole is kept; the line still ends. */
	line.failed = false;
	line.size_max++;
	buf_add(&line, "\n", 1);
	line_write(&line, level);
	buf_clear(&line);
	errno = saved;
}
