/*
 * The log: one line an event, `time level=… event=… key=value …`, to stderr, a descriptor or
 * syslog.
 *
 * Owns the process's one log (the only global). Never holds a secret: nothing that is passed to
 * it may come from a struct secret, and asset text is passed through text_escape first, which
 * log_event does for every value.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target {
	LOG_TO_FD,
	LOG_TO_JOURNAL, /* to the descriptor, for systemd's: its priority in front, and no time */
	LOG_TO_SYSLOG,	/* the descriptor is not used */
};

/* Lines above `level` are dropped. `fd` is where lines go; it stays the caller's. */
void log_init(int fd, enum log_level level);
void log_open(enum log_target, int fd, enum log_level level);

/* True when a line of this level would be written. */
bool log_wants(enum log_level level);

/*
 * Writes one line. `event` is a fixed word; then pairs of `const char *key, const char *value`,
 * ended by a NULL key. A NULL value prints as `-`. Values are escaped and quoted where needed and
 * cut at 1 KB each.
 *
 *     log_event(LOG_LEVEL_WARN, "wire_died", "wire", "2", "signal", "9", NULL);
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
