/*
 * The core's side of the wires, against wires that misbehave: this program again, which does what
 * the account of a job is called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "wire/message.h"
#include "wire/spawn.h"

extern char **environ;

/* ── The wire ────────────────────────────────────────────────────────────────────────────── */

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

static void wire_job(const struct message *job)
{
	struct wire_result result = {.fault = FAULT_NONE, .sent = true, .ended = true};
	const char *how = job->job.account;

	if (strcmp(how, "answer") == 0) {
		wire_answer(job, &result);
	} else if (strcmp(how, "describe") == 0) {
		wire_describe(result.text, sizeof(result.text));
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
static void wire_open(const struct message *job)
{
	struct wire_result result = {.fault = FAULT_NONE, .host_key_new = true};

	snprintf(result.host_key.type, sizeof(result.host_key.type), "ssh-ed25519");
	memcpy(result.host_key.blob, "shown", 5);
	result.host_key.len = 5;
	if (strcmp(job->target.asset, "pinned") == 0)
		result.host_key_new = false;
	wire_answer(job, &result);
}

static int wire_run(void)
{
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
			wire_ready(ERR_OK, "");
		else if (message.kind == MESSAGE_SCRIPTS)
			wire_ready(message.script_count == 13 ? ERR_INVALID : ERR_OK, "13 scripts");
		else if (message.kind == MESSAGE_JOB && message.job.kind == WIRE_OPEN)
			wire_open(&message);
		else if (message.kind == MESSAGE_JOB)
			wire_job(&message);
		message_clear(&message);
	}
}

/* ── The core ────────────────────────────────────────────────────────────────────────────── */

struct core {
	struct loop *loop;
	struct wires *wires;
	struct secret *secret;
	unsigned deaths;
	uint32_t last_dead;
	char how[256];
	bool stop_in_done;
};

struct answer {
	struct core *core;
	struct wire_result result;
	unsigned count;
	unsigned deaths; /* as of then */
	unsigned *left;	 /* the loop stops at 0 */
};

static void on_died(void *arg, uint32_t wire, const char *how)
{
	struct core *core = arg;

	core->deaths++;
	core->last_dead = wire;
	snprintf(core->how, sizeof(core->how), "%s", how);
	/* It was waited for: nobody is left who has ended. */
	assert_true(waitpid(-1, NULL, WNOHANG) <= 0);
}

static void core_start(struct core *core, uint32_t processes, int lock_fd)
{
	struct wires_config config = {
	    .loop = core->loop,
	    .processes = processes,
	    .lock_fd = lock_fd,
	    .sandbox = true,
	    .died = on_died,
	    .arg = core,
	};
	struct error error = {.code = ERR_OK};

	assert_int_equal(wires_start(&core->wires, &config, &error), ERR_OK);
}

static int begin(void **state)
{
	struct core *core = calloc(1, sizeof(*core));

	core->loop = loop_new();
	core->secret = secret_from("new", 3);
	*state = core;
	return 0;
}

static int finish(void **state)
{
	struct core *core = *state;

	wires_stop(core->wires);
	loop_free(core->loop);
	secret_free(core->secret);
	free(core);
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

static void on_done(void *arg, const struct wire_result *result)
{
	struct answer *answer = arg;

	answer->result = *result;
	answer->count++;
	answer->deaths = answer->core->deaths;
	if (answer->core->stop_in_done) {
		wires_stop(answer->core->wires);
		answer->core->wires = NULL;
	}
	if (--*answer->left == 0)
		loop_stop(answer->core->loop);
}

static struct wire_session *session_new(struct core *core, const char *asset)
{
	struct wire_target target = {.asset = asset, .address = "192.0.2.1", .port = 22};

	return wire_session_new(core->wires, &target);
}

static void submit(struct core *core, struct wire_session *session, enum wire_job_kind kind,
    const char *how, struct answer *answer, unsigned *left)
{
	struct wire_job job = {
	    .kind = kind,
	    .timeout_ms = 20000,
	    .platform = "linux",
	    .account = how,
	    .secret = core->secret,
	};

	*answer = (struct answer){.core = core, .left = left};
	wire_submit(session, &job, on_done, answer);
	assert_int_equal(answer->count, 0);
}

/* A change on a session of its own, to its answer. */
static void change(struct core *core, const char *how, struct answer *answer)
{
	struct wire_session *session = session_new(core, "asset");
	unsigned left = 1;

	submit(core, session, WIRE_CHANGE, how, answer, &left);
	loop_run(core->loop);
	assert_int_equal(answer->count, 1);
	wire_session_free(session);
}

static void test_answers(void **state)
{
	struct core *core = *state;
	struct answer answer;

	core_start(core, 1, -1);
	for (int i = 0; i < 3; i++) {
		change(core, "answer", &answer);
		assert_int_equal(answer.result.fault, FAULT_NONE);
		assert_true(answer.result.sent);
		assert_true(answer.result.ended);
		assert_int_equal(answer.result.wire, 1);
	}
	assert_int_equal(core->deaths, 0);
}

/* Each way to go wrong: the wire is dead before the answer, and the secret may have been sent. */
static void test_wrong(void **state)
{
	static const struct {
		const char *account, *how;
	} cases[] = {
	    {"die", "ended with status 3"},
	    {"crash", "signal 11"},
	    {"close", "closed its socket"},
	    {"garbage", "broke the protocol"},
	    {"stranger", "broke the protocol"},
	};
	struct core *core = *state;

	core_start(core, 1, -1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answer = {.count = 0};
		uint32_t wire = core->last_dead;

		/* Between two wires the answer is at once that there is none. */
		do {
			change(core, cases[i].account, &answer);
			assert_int_equal(answer.result.fault, FAULT_WIRE);
			assert_false(answer.result.ended);
			assert_int_equal(answer.result.sent, answer.result.wire != 0);
			if (answer.result.wire == 0)
				usleep(20 * 1000);
		} while (answer.result.wire == 0);
		assert_int_equal(answer.deaths, i + 1);
		assert_int_equal(core->last_dead, answer.result.wire);
		assert_true(answer.result.wire > wire);
		if (strstr(core->how, cases[i].how) == NULL)
			fail_msg("%s: %s", cases[i].account, core->how);
		assert_non_null(strstr(answer.result.text, cases[i].how));
	}
}

/* More answers than jobs: the first counts. */
static void test_flood(void **state)
{
	static const char *const hows[] = {"twice", "flood"};
	struct core *core = *state;

	for (size_t i = 0; i < 2; i++) {
		struct answer answer, other;
		struct wire_session *session, *beside;
		unsigned left = 2;

		core->deaths = 0;
		core_start(core, 1, -1);
		session = session_new(core, "a");
		beside = session_new(core, "b");
		submit(core, beside, WIRE_PROVE, "nothing", &other, &left);
		submit(core, session, WIRE_CHANGE, hows[i], &answer, &left);
		loop_run(core->loop);
		assert_int_equal(answer.count, 1);
		assert_int_equal(answer.result.fault, FAULT_NONE);
		assert_int_equal(answer.deaths, 0);
		assert_int_equal(other.count, 1);
		assert_int_equal(other.result.fault, FAULT_WIRE);
		assert_int_equal(other.deaths, 1);
		assert_false(other.result.sent);
		wires_stop(core->wires);
		core->wires = NULL;
	}
}

/* A wire that does not answer is killed when the job's time and the grace are over. */
static void test_hang(void **state)
{
	struct core *core = *state;
	struct wire_session *session;
	struct answer answer = {.core = core};
	struct wire_job job = {.kind = WIRE_CHANGE,
	    .timeout_ms = 200,
	    .platform = "linux",
	    .account = "hang",
	    .secret = core->secret};
	uint64_t start_ms = clock_mono_ms(loop_clock(core->loop)), took_ms;
	unsigned left = 1;

	answer.left = &left;
	core_start(core, 1, -1);
	session = session_new(core, "a");
	wire_submit(session, &job, on_done, &answer);
	loop_run(core->loop);
	took_ms = clock_mono_ms(loop_clock(core->loop)) - start_ms;
	assert_in_range(took_ms, 5200, 9000);
	assert_int_equal(answer.result.fault, FAULT_WIRE);
	assert_true(answer.result.sent);
	assert_int_equal(answer.deaths, 1);
	assert_non_null(strstr(core->how, "without an answer"));
	wire_session_free(session);
}

/* All sessions of the dead wire fail, later jobs too, though another wire lives. */
static void test_sessions_die_together(void **state)
{
	struct core *core = *state;
	struct wire_session *sessions[10];
	struct answer answers[10];
	unsigned left = 6, died = 0;

	core_start(core, 2, -1);
	for (size_t i = 0; i < 10; i++)
		sessions[i] = session_new(core, "a");
	/* Every other session is the first wire's: the one with the fewest is taken. */
	for (size_t i = 0; i < 4; i++)
		submit(core, sessions[i], WIRE_PROVE, "nothing", &answers[i], &left);
	submit(core, sessions[4], WIRE_CHECK, "die", &answers[4], &left);
	left = 3;
	loop_run(core->loop);
	assert_int_equal(core->deaths, 1);
	for (size_t i = 0; i < 5; i++) {
		died += answers[i].count;
		if (answers[i].count > 0)
			assert_false(answers[i].result.sent);
	}
	assert_int_equal(died, 3);
	left = 1;
	submit(core, sessions[4], WIRE_CHANGE, "answer", &answers[4], &left);
	loop_run(core->loop);
	assert_int_equal(answers[4].result.fault, FAULT_WIRE);
	assert_false(answers[4].result.sent);
	assert_int_equal(answers[4].result.wire, core->last_dead);
	left = 2;
	submit(core, sessions[5], WIRE_CHANGE, "answer", &answers[5], &left);
	submit(core, sessions[7], WIRE_CHANGE, "answer", &answers[7], &left);
	loop_run(core->loop);
	assert_int_equal(answers[5].result.fault, FAULT_NONE);
	for (size_t i = 0; i < 10; i++)
		wire_session_free(sessions[i]);
}

/* The answer of a job whose session is gone is nobody's, and no offence. */
static void test_freed_in_work(void **state)
{
	struct core *core = *state;
	struct wire_session *session;
	struct answer dropped, answer;
	unsigned left = 1;

	core_start(core, 1, -1);
	session = session_new(core, "a");
	submit(core, session, WIRE_PROVE, "late", &dropped, &left);
	wire_session_free(session);
	change(core, "answer", &answer);
	assert_int_equal(answer.result.fault, FAULT_NONE);
	assert_int_equal(dropped.count, 0);
	assert_int_equal(core->deaths, 0);
}

static void test_chatter(void **state)
{
	struct core *core = *state;
	struct answer answer;

	core_start(core, 1, -1);
	change(core, "chatter", &answer);
	assert_int_equal(answer.result.fault, FAULT_NONE);
}

static void test_stop_in_done(void **state)
{
	static const char *const hows[] = {"answer", "die"};
	struct core *core = *state;

	for (size_t i = 0; i < 2; i++) {
		struct answer answer;
		unsigned left = 1;

		core_start(core, 2, -1);
		core->stop_in_done = true;
		submit(core, session_new(core, "a"), WIRE_CHANGE, hows[i], &answer, &left);
		loop_run(core->loop);
		assert_int_equal(answer.count, 1);
		assert_null(core->wires);
	}
}

/* It has its socket, the lock and nothing else of ours. */
static void test_inherits(void **state)
{
	struct core *core = *state;
	char path[] = "/tmp/lockstep-lock-XXXXXX";
	int lock = mkstemp(path), other = open("/dev/null", O_RDONLY);
	struct answer answer;

	assert_true(lock >= 0 && other >= 0);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	core_start(core, 1, lock);
	change(core, "describe", &answer);
	assert_string_equal(answer.result.text, "5 lock LC_ALL=C alone");
	close(lock);
	/* Ours is closed: the wire holds the lock still. */
	lock = open(path, O_RDWR);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), -1);
	wires_stop(core->wires);
	core->wires = NULL;
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	close(lock);
	close(other);
	unlink(path);
}

/* A core that is killed takes its wires along. */
static void test_core_dies(void **state)
{
	char path[] = "/tmp/lockstep-lock-XXXXXX";
	int lock = mkstemp(path), ready[2], tries = 0;
	char byte;
	pid_t pid;

	(void)state;
	assert_true(lock >= 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct core core = {.loop = loop_new(), .secret = secret_from("new", 3)};
		struct answer answer;
		unsigned left = 2;

		if (flock(lock, LOCK_EX) != 0)
			_exit(1);
		core_start(&core, 1, lock);
		change(&core, "answer", &answer);
		submit(&core, session_new(&core, "a"), WIRE_CHANGE, "hang", &answer, &left);
		(void)!write(ready[1], "x", 1);
		loop_run(core.loop);
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(lock);
	lock = open(path, O_RDWR);
	while (flock(lock, LOCK_EX | LOCK_NB) != 0 && tries++ < 100)
		usleep(20 * 1000);
	assert_true(tries < 100);
	close(lock);
	close(ready[0]);
	close(ready[1]);
	unlink(path);
}

static void test_load(void **state)
{
	struct core *core = *state;
	struct wire_script scripts[13];
	struct error error;
	struct answer answer;

	for (size_t i = 0; i < 13; i++)
		scripts[i] = (struct wire_script){"p", "p.lua", "", 0};
	core_start(core, 1, -1);
	assert_int_equal(wires_load(core->wires, 1, scripts, 12, &error), ERR_OK);
	assert_int_equal(wires_load(core->wires, 2, scripts, 13, &error), ERR_INVALID);
	assert_string_equal(error.text, "13 scripts");
	for (uint32_t i = 3; i < 15; i++)
		assert_int_equal(wires_load(core->wires, i, scripts, 1, &error), ERR_OK);
	change(core, "answer", &answer);
	assert_int_equal(answer.result.fault, FAULT_NONE);
	assert_int_equal(core->deaths, 0);
}

static void test_does_not_start(void **state)
{
	struct core *core = *state;
	struct wires_config config = {
	    .loop = core->loop, .processes = 1, .lock_fd = -1, .exe = "/nonexistent/lockstep"};
	struct error error;

	assert_int_equal(wires_start(&core->wires, &config, &error), ERR_IO);
	assert_non_null(strstr(error.text, "could not be executed"));
	assert_null(core->wires);
	config.exe = "/bin/true";
	assert_int_equal(wires_start(&core->wires, &config, &error), ERR_IO);
	assert_null(core->wires);
}

/* What a wire says of a host key must fit what was pinned. */
static void test_host_key_lies(void **state)
{
	struct core *core = *state;
	struct wire_key right = {.type = "ssh-ed25519", .blob = "shown", .len = 5};
	struct wire_key wrong = {.type = "ssh-ed25519", .blob = "other", .len = 5};
	const struct {
		struct wire_target target;
		enum fault fault;
	} cases[] = {
	    {{.asset = "new", .address = "192.0.2.1"}, FAULT_NONE},
	    {{.asset = "pinned", .address = "192.0.2.1", .pins = &right, .pin_count = 1},
		FAULT_NONE},
	    {{.asset = "pinned", .address = "192.0.2.1"}, FAULT_WIRE},
	    {{.asset = "new", .address = "192.0.2.1", .known_only = true}, FAULT_WIRE},
	    {{.asset = "pinned", .address = "192.0.2.1", .pins = &wrong, .pin_count = 1},
		FAULT_WIRE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_session *session;
		struct answer answer;
		unsigned left = 1;

		core_start(core, 1, -1);
		session = wire_session_new(core->wires, &cases[i].target);
		submit(core, session, WIRE_OPEN, "", &answer, &left);
		loop_run(core->loop);
		assert_int_equal(answer.result.fault, cases[i].fault);
		wire_session_free(session);
		wires_stop(core->wires);
		core->wires = NULL;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answers),
	    TEST(test_wrong),
	    TEST(test_flood),
	    TEST(test_hang),
	    TEST(test_sessions_die_together),
	    TEST(test_freed_in_work),
	    TEST(test_chatter),
	    TEST(test_stop_in_done),
	    TEST(test_inherits),
	    TEST(test_core_dies),
	    TEST(test_load),
	    TEST(test_does_not_start),
	    TEST(test_host_key_lies),
	};
	struct error error;

	if (argc == 2 && strcmp(argv[1], WIRE_ARGUMENT) == 0)
		return wire_run();
	log_init(STDERR_FILENO, LOG_LEVEL_ERROR);
	if (secret_heap_init(1 << 20, NULL, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
