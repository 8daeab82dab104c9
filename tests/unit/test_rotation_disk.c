/* A disk that is full in truth, in the middle of a run. */
#define _GNU_SOURCE /* unshare */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/secret.h"
#include "engine_help.h"

#define ASSETS	   600
#define POLICY_MAX (256UL * 1024)

/* A small one, that no other process sees. The fixtures, which may lie below it, are still found.
 * False where that cannot be had. */
static bool small_disk(void)
{
	const char *source = getenv("srcdir");

	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(source != NULL ? source : ".", "/mnt", NULL, MS_BIND, NULL) == 0 &&
	       mount("tmpfs", "/tmp", "tmpfs", 0, "size=8m,mode=1777") == 0 &&
	       setenv("srcdir", "/mnt", 1) == 0;
}

static void fill(const char *path)
{
	static char zeros[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		continue;
	close(fd);
}

/* In the middle of a run: it pauses, sends nothing that was not kept, and goes on. */
static void a_full_disk_is_waited_for(void **state)
{
	struct engine engine;
	struct buf policy;
	size_t started;

	(void)state;
	if (!small_disk()) {
		print_message("skipped: a disk of its own cannot be mounted here\n");
		skip();
	}
	buf_init(&policy, POLICY_MAX);
	for (int i = 0; i < ASSETS; i++)
		buf_addf(&policy, "asset 'a%03d' { admin = 'root', accounts = 'app' }\n", i);
	buf_add_text(&policy, "task 't' { accounts = 'app', nodes = '/', verify = 'hash', "
			      "limits = { in_flight = 10 } }\n");
	engine_init(&engine, buf_text(&policy));
	buf_clear(&policy);
	engine_run(&engine, "t", "manual");
	engine_wait(&engine, 500);
	assert_in_range(engine.ended[STATUS_SUCCESS], 1, 300);
	fill("/tmp/filler");
	engine_wait(&engine, 60000);
	assert_non_null(strstr(engine.said, "paused\n"));
	assert_null(strstr(engine.said, "resumed"));
	started = engine.start_count;
	assert_in_range(started, 1, ASSETS - 1);
	engine_wait(&engine, 60000);
	assert_int_equal(engine.start_count, started);
	assert_int_equal(unlink("/tmp/filler"), 0);
	engine_finish(&engine);
	assert_non_null(strstr(engine.said, "resumed\nt ended\n"));
	assert_int_equal(engine.ended[STATUS_SUCCESS], ASSETS);
	engine_clear(&engine);
	assert_int_equal(umount2("/tmp", MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_full_disk_is_waited_for),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
