#include "wire/process.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "wire/frame.h"
#include "wire/spawn.h"

/* From the start until it must have said that it is ready. */
#define READY_MS 10000

#define LOOK_MS 10

/* Behind timers and signals: a wire that floods us must not hold them up. */
#define STREAM_PRIORITY 1

/* A wire that went wrong must not fill the log: lines in each window. */
#define LOG_LINES     20
#define LOG_WINDOW_MS 1000

struct process {
	struct process_config config;
	struct frames *frames; /* NULL once it is being ended */
	pid_t pid;
	int pidfd;
	struct event *exited; /* NULL: `look` asks every LOOK_MS instead */
	struct timer look;
	struct timer ready;
	bool is_ready;
	char reason[PROCESS_HOW_SIZE]; /* why it was killed; "" = it was not */
	uint64_t log_window_ms;
	uint32_t log_lines;
};

static struct clock *process_clock(const struct process *process)
{
	return loop_clock(process->config.loop);
}

void process_kill(struct process *process, const char *fmt, ...)
{
	va_list args;

	if (process->frames == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(process->reason, sizeof(process->reason), fmt, args);
	va_end(args);
	timer_stop(&process->ready);
	/* It was not waited for yet: the number is still its own. */
	kill(process->pid, SIGKILL);
	frames_free(process->frames);
	process->frames = NULL;
}

/* The reason is ours only where our signal ended it. */
static void process_how(const struct process *process, int status, char *how)
{
	int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (signo == SIGKILL && process->reason[0] != '\0')
		snprintf(how, PROCESS_HOW_SIZE, "was killed: %.200s", process->reason);
	else if (signo == SIGSYS)
		snprintf(how, PROCESS_HOW_SIZE, "made a system call that the sandbox forbids");
	else if (signo != 0)
		snprintf(how, PROCESS_HOW_SIZE, "was killed by signal %d", signo);
	else if (WEXITSTATUS(status) == SPAWN_FAILED)
		snprintf(how, PROCESS_HOW_SIZE, "could not be executed");
	else
		snprintf(how, PROCESS_HOW_SIZE, "ended with status %d", WEXITSTATUS(status));
}

/* False while it lives. Where it had ended the process may be freed on return. */
static bool process_ended(struct process *process)
{
	char how[PROCESS_HOW_SIZE];
	int status = 0;

	if (waitpid(process->pid, &status, WNOHANG) == 0)
		return false;
	if (process->exited != NULL)
		event_del(process->exited);
	timer_stop(&process->ready);
	frames_free(process->frames);
	process->frames = NULL;
	process->pid = -1;
	process_how(process, status, how);
	process->config.ended(process->config.arg, how);
	return true;
}

static void process_on_exit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	process_ended(arg);
}

static void process_on_look(void *arg)
{
	struct process *process = arg;

	if (!process_ended(process))
		timer_start(process_clock(process), &process->look, LOOK_MS);
}

/* Learns of its end, however the kernel can tell. */
static void process_watch(struct process *process)
{
	struct event_base *base = loop_base(process->config.loop);

	if (process->pidfd < 0) {
		process->look.fn = process_on_look;
		process->look.arg = process;
		timer_start(process_clock(process), &process->look, LOOK_MS);
		return;
	}
	process->exited =
	    event_new(base, process->pidfd, EV_READ | EV_PERSIST, process_on_exit, process);
	if (process->exited == NULL)
		abort();
	event_add(process->exited, NULL);
}

static void process_on_late(void *arg)
{
	process_kill(arg, "not ready within %d s", READY_MS / 1000);
}

static void process_log(struct process *process, const struct message *message)
{
	uint64_t now_ms = clock_mono_ms(process_clock(process));
	enum log_level level = message->level;
	char number[16];

	if (now_ms - process->log_window_ms >= LOG_WINDOW_MS) {
		process->log_window_ms = now_ms;
		process->log_lines = 0;
	}
	if (process->log_lines++ >= LOG_LINES)
		return;
	if (level > LOG_LEVEL_DEBUG)
		level = LOG_LEVEL_DEBUG;
	snprintf(number, sizeof(number), "%u", process->config.number);
	log_event(level, "wire", "wire", number, "text", message->error->text, NULL);
}

static enum err process_take(struct process *process, const struct message *message)
{
	switch (message->kind) {
	case MESSAGE_READY:
		process->is_ready = true;
		timer_stop(&process->ready);
		return process->config.message(process->config.arg, message);
	case MESSAGE_LOG: process_log(process, message); return ERR_OK;
	case MESSAGE_BEGUN:
	case MESSAGE_DONE:
		if (process->is_ready)
			return process->config.message(process->config.arg, message);
		return ERR_PROTOCOL;
	default: return ERR_PROTOCOL;
	}
}

static enum err process_on_frame(void *arg, const uint8_t *bytes, size_t len)
{
	struct message message;
	enum err err = message_get(&message, bytes, len);

	if (err == ERR_OK)
		err = process_take(arg, &message);
	message_clear(&message);
	return err;
}

static void process_on_lost(void *arg, enum err why)
{
	struct process *process = arg;

	if (why == ERR_LINK)
		process_kill(process, "it closed its socket");
	else if (why == ERR_FULL)
		process_kill(process, "it does not read what it is sent");
	else
		process_kill(process, "it broke the protocol");
}

enum err process_new(struct process **out, const struct process_config *config, struct error *error)
{
	struct spawn_config how = {
	    .exe = config->exe,
	    .lock_fd = config->lock_fd,
	    /* Unconfined it could write anywhere; then its last words are worth having. */
	    .keep_stderr = !config->sandbox,
	};
	struct event_base *base = loop_base(config->loop);
	struct frames_config stream = {
	    .size_max = MESSAGE_UP_SIZE_MAX,
	    .priority = STREAM_PRIORITY,
	    .frame = process_on_frame,
	    .lost = process_on_lost,
	};
	struct process *process;
	struct spawned spawned;
	enum err err;

	*out = NULL;
	err = spawn_wire(&spawned, &how, error);
	if (err != ERR_OK)
		return err;
	process = xcalloc(1, sizeof(*process));
	process->config = *config;
	process->pid = spawned.pid;
	process->pidfd = spawned.pidfd;
	stream.arg = process;
	process->frames = frames_new(base, spawned.socket, &stream);
	process_watch(process);
	process->ready.fn = process_on_late;
	process->ready.arg = process;
	timer_start(process_clock(process), &process->ready, READY_MS);
	message_put_start(frames_out(process->frames), config->sandbox, config->slow_lane);
	frames_send(process->frames);
	*out = process; /* transferred */
	return ERR_OK;
}

void process_free(struct process *process)
{
	if (process == NULL)
		return;
	process_kill(process, "stopped");
	if (process->pid > 0) {
		while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	timer_stop(&process->look);
	if (process->exited != NULL)
		event_free(process->exited);
	if (process->pidfd >= 0)
		close(process->pidfd);
	free(process);
}

struct buf *process_out(struct process *process)
{
	return process->frames != NULL ? frames_out(process->frames) : NULL;
}

void process_send(struct process *process)
{
	if (process->frames != NULL)
		frames_send(process->frames);
}
