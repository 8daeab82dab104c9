#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/text.h"

#define VALUE_SIZE     1024
#define LINE_MAX_BYTES (16 * 1024)

static struct {
	int fd;
	enum log_level level;
} the_log = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

void log_init(int fd, enum log_level level)
{
	the_log.fd = fd;
	the_log.level = level;
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

static void line_add_head(struct buf *line, enum log_level level, const char *event)
{
	struct timespec now;
	char time[32];

	clock_gettime(CLOCK_REALTIME, &now);
	text_rfc3339(time,
	    (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000);
	buf_addf(line, "%s level=%s event=%s", time, level_name(level), event);
}

/* A log that cannot be written must not stop the work: the line is lost. */
static void line_write(const struct buf *line)
{
	ssize_t written;

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
	line_write(&line);
	buf_clear(&line);
	errno = saved;
}
