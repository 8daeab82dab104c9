#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "bad_wire.h"
#include "base/log.h"
#include "wire/message.h"
#include "wire/spawn.h"

extern char **environ;

static void wire_write(const struct buf *out)
{
	size_t done = 0;

	while (done < out->len) {
		ssize_t put = write(WIRE_SOCKET_FD, out->data + done, out->len - done);

		if (put < 0)
			_exit(50);
		done += (size_t)put;
	}
}

static void wire_read(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t got = read(WIRE_SOCKET_FD, at, len);

		if (got <= 0)
			_exit(0);
		at += got;
		len -= (size_t)got;
	}
}

static void wire_answer(const struct message *job, const struct wire_result *result)
{
	struct buf out;

	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_done(&out, job->session, job->number, result);
	wire_write(&out);
	buf_clear(&out);
}

static void wire_ready(enum err code, const char *text)
{
	struct error error;
	struct buf out;

	error_set(&error, code, "%s", text);
	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_ready(&out, &error);
	wire_write(&out);
	buf_clear(&out);
}

static void wire_begin(const struct message *job)
{
	struct buf out;

	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_begun(&out, job->session);
	wire_write(&out);
	buf_clear(&out);
}

/* What it was given, as one word each. */
static void wire_describe(char *text, size_t size)
{
	const char *file = "";
	char link[64];
	int fds = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir != NULL && readdir(dir) != NULL)
		fds++;
	if (dir != NULL)
		closedir(dir);
	if (fcntl(WIRE_LOCK_FD, F_GETFD) >= 0 && readlink("/proc/self/fd/4", link, 64) > 0)
		file = "lock";
	/* Less ".", ".." and the directory itself. */
	snprintf(text, size, "%d %s %s %s", fds - 3, file, environ[0],
	    environ[1] == NULL ? "alone" : "more");
}

static unsigned opens; /* so far */

static void wire_job(const struct message *job)
{
	struct wire_result result = {.fault = FAULT_NONE, .sent = true, .ended = true};
	const char *how = job->job.account;

	if (strcmp(how, "answer") == 0) {
		wire_answer(job, &result);
	} else if (strcmp(how, "lane") == 0) {
		result = (struct wire_result){.fault = FAULT_ALGORITHM, .slow_lane = true};
		wire_answer(job, &result);
	} else if (strcmp(how, "describe") == 0) {
		wire_describe(result.text, sizeof(result.text));
		wire_answer(job, &result);
	} else if (strcmp(how, "opens") == 0) {
		snprintf(result.text, sizeof(result.text), "%u", opens);
		wire_answer(job, &result);
	} else if (strcmp(how, "twice") == 0) {
		wire_answer(job, &result);
		wire_answer(job, &result);
	} else if (strcmp(how, "die") == 0) {
		_exit(3);
	} else if (strcmp(how, "crash") == 0) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	} else if (strcmp(how, "close") == 0) {
		close(WIRE_SOCKET_FD);
		for (;;)
			pause();
	} else if (strcmp(how, "hang") == 0) {
		for (;;)
			pause();
	} else if (strcmp(how, "garbage") == 0) {
		for (;;)
			(void)!write(WIRE_SOCKET_FD, "\0\0\0\5hello, hello", 16);
	} else if (strcmp(how, "flood") == 0) {
		for (;;)
			wire_answer(job, &result);
	} else if (strcmp(how, "chatter") == 0) {
		struct buf out;

		buf_init(&out, 1024);
		message_put_log(&out, LOG_LEVEL_DEBUG, "chatter");
		for (int i = 0; i < 100000; i++)
			wire_write(&out);
		wire_answer(job, &result);
	} else if (strcmp(how, "stranger") == 0) {
		struct message other = *job;

		other.session += 1000;
		wire_answer(&other, &result);
	} else if (strcmp(how, "late") == 0) {
		usleep(100 * 1000);
		wire_answer(job, &result);
	}
}

/* An open asks for a lie by the asset's name. */
static void wire_open(const struct message *job, bool slow_lane)
{
	struct wire_result result = {.fault = FAULT_NONE, .host_key_new = true};
	const char *asset = job->target.asset;

	opens++;
	if (strcmp(asset, "begins") == 0 || strcmp(asset, "twice") == 0)
		wire_begin(job);
	if (strcmp(asset, "twice") == 0)
		wire_begin(job);
	if (strcmp(asset, "begins") == 0 || strcmp(asset, "waits") == 0 ||
	    (strcmp(asset, "aged") == 0 && slow_lane))
		return;
	if (strcmp(asset, "left") == 0) {
		result.fault = FAULT_LOST;
		result.slow_lane = !slow_lane;
		wire_answer(job, &result);
		return;
	}
	if (strcmp(asset, "liar") == 0 || strcmp(asset, "aged") == 0 ||
	    (strcmp(asset, "old") == 0 && !slow_lane)) {
		result.fault = FAULT_ALGORITHM;
		result.slow_lane = true;
		wire_answer(job, &result);
		return;
	}
	snprintf(result.host_key.type, sizeof(result.host_key.type), "ssh-ed25519");
	memcpy(result.host_key.blob, "shown", 5);
	result.host_key.len = 5;
	if (strcmp(asset, "pinned") == 0)
		result.host_key_new = false;
	wire_answer(job, &result);
}

int bad_wire_run(void)
{
	bool slow_lane = false;
	struct error error;

	signal(SIGPIPE, SIG_IGN);
	if (secret_heap_init(1 << 20, NULL, &error) != ERR_OK)
		return 60;
	for (;;) {
		static uint8_t frame[MESSAGE_SIZE_MAX];
		struct message message;
		uint8_t length[4];
		size_t len;

		wire_read(length, 4);
		len = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 |
		      length[3];
		wire_read(frame, len);
		if (message_get(&message, frame, len) != ERR_OK)
			return 61;
		if (message.kind == MESSAGE_START)
			slow_lane = message.slow_lane;
		if (message.kind == MESSAGE_START)
			wire_ready(ERR_OK, "");
		else if (message.kind == MESSAGE_SCRIPTS)
			wire_ready(message.script_count == 13 ? ERR_INVALID : ERR_OK, "13 scripts");
		else if (message.kind == MESSAGE_JOB && message.job.kind == WIRE_OPEN)
			wire_open(&message, slow_lane);
		else if (message.kind == MESSAGE_JOB)
			wire_job(&message);
		message_clear(&message);
	}
}
