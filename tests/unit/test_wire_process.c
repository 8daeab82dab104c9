/*
 * A wire as a process: what it is given, how it is seen to end, and that it never outlives its
 * core.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire_core.h"

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
	wire_submit(session, &job, core_done, &answer);
	loop_run(core->loop);
	took_ms = clock_mono_ms(loop_clock(core->loop)) - start_ms;
	assert_in_range(took_ms, 5200, 9000);
	assert_int_equal(answer.result.fault, FAULT_WIRE);
	assert_true(answer.result.sent);
	assert_int_equal(answer.deaths, 1);
	assert_non_null(strstr(core->how, "without an answer"));
	wire_session_free(session);
}

/* A core that stood still, stopped by Ctrl-Z or by long work, blames no wire for it. */
static void test_core_stands_still(void **state)
{
	struct core *core = *state;
	struct wire_session *session;
	struct answer answer = {.core = core};
	struct wire_job job = {.kind = WIRE_CHANGE,
	    .timeout_ms = 200,
	    .platform = "linux",
	    .account = "answer",
	    .secret = core->secret};
	unsigned left = 1;

	answer.left = &left;
	core_start(core, 1, -1);
	change(core, "answer", &(struct answer){.count = 0});
	session = session_new(core, "a");
	wire_submit(session, &job, core_done, &answer);
	usleep(6000 * 1000);
	loop_run(core->loop);
	assert_int_equal(answer.result.fault, FAULT_NONE);
	assert_int_equal(answer.deaths, 0);
	wire_session_free(session);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, core_begin, core_finish)

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_wrong),
	    TEST(test_hang),
	    TEST(test_core_stands_still),
	    TEST(test_inherits),
	    TEST(test_core_dies),
	    TEST(test_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	return core_main(argc, argv, run);
}
