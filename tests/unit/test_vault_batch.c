#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault_help.h"

#define ASSET "web01.example.com"
#define JOBS  64

struct gate {
	enum err answer;
	uint64_t takes_ms; /* as a slow disk does */
	size_t asked;
	size_t done_before; /* how many were told when it was asked last */
};

struct fixture {
	struct place place;
	struct gate gate;
	size_t done; /* in all, in order */
	size_t made;
	size_t order[JOBS];
	struct vault *vault;
};

enum manner { GOOD, FAIL_FIRST, FAIL_AFTER, READ_ONLY };

struct task {
	struct fixture *fixture;
	size_t index;
	enum manner manner;
	size_t size; /* of what it writes, in records */
	size_t applied;
	bool told;
	enum err result;
	struct error error;
};

static enum err gate_ask(void *arg)
{
	struct fixture *fixture = arg;

	fixture->gate.asked++;
	fixture->place.clock.mono_ms += fixture->gate.takes_ms;
	fixture->gate.done_before = fixture->done;
	return fixture->gate.answer;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	place_setup(&fixture->place);
	fixture->place.config.commit_gate = gate_ask;
	fixture->place.config.gate_arg = fixture;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)umount2(
	    fixture->place.root, MNT_DETACH); /* of the test with a full disk, if it failed */
	place_teardown(&fixture->place);
	free(fixture);
	return 0;
}

/* Each pins host keys of an asset of its own: 4 KB a piece. */
static enum err task_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	static struct host_key pin = {.type = "ssh-rsa", .len = HOST_KEY_SIZE, .how = "trust"};
	struct task *task = arg;
	char asset[64];
	enum err err = ERR_OK;

	task->applied++;
	if (task->manner == FAIL_FIRST)
		return error_set(error, ERR_EXISTS, "task %zu does not want to", task->index);
	for (size_t i = 0; err == ERR_OK && task->manner != READ_ONLY && i < task->size; i++) {
		snprintf(asset, sizeof(asset), "asset-%zu-%zu", task->index, i);
		err = host_key_pin(txn, asset, &pin);
	}
	if (err == ERR_OK && task->manner == FAIL_AFTER)
		return ERR_REFUSED; /* without a text */
	return err;
}

static void task_done(void *arg, enum err result, const struct error *error)
{
	struct task *task = arg;

	assert_false(task->told);
	task->told = true;
	task->result = result;
	task->error = *error;
	task->fixture->order[task->fixture->done++] = task->index;
}

static void submit(struct fixture *fixture, struct task *tasks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		tasks[i].fixture = fixture;
		tasks[i].index = i;
		if (tasks[i].size == 0)
			tasks[i].size = 1;
		vault_submit(fixture->vault, task_apply, task_done, &tasks[i]);
	}
}

static bool is_kept(struct vault *vault, size_t index)
{
	static struct host_key keys[HOST_KEYS_MAX];
	struct vault_txn *txn = vault_read(vault);
	char asset[64];
	size_t count;

	snprintf(asset, sizeof(asset), "asset-%zu-0", index);
	count = host_key_list(txn, asset, keys);
	vault_read_end(txn);
	return count == 1;
}

/* ── One commit for all ──────────────────────────────────────────────────────────────────── */

static void test_group_commit(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[JOBS] = {{.index = 0}};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, tasks, JOBS);
	assert_int_equal(fixture->done, 0);
	assert_int_equal(tasks[0].applied, 0);
	assert_int_equal(fixture->place.clock.count, 1);
	place_turn(&fixture->place);
	assert_int_equal(fixture->gate.asked, 1);
	assert_int_equal(fixture->gate.done_before, 0); /* told only after the commit */
	assert_int_equal(fixture->done, JOBS);
	for (size_t i = 0; i < JOBS; i++) {
		assert_int_equal(fixture->order[i], i);
		assert_int_equal(tasks[i].applied, 1);
		assert_int_equal(tasks[i].result, ERR_OK);
	}
	assert_int_equal(fixture->place.clock.count, 0);
	vault_close(fixture->vault);
	fixture->vault = must_open(&fixture->place);
	for (size_t i = 0; i < JOBS; i++)
		assert_true(is_kept(fixture->vault, i));
	vault_close(fixture->vault);
}

static void test_nothing_is_visible_before(void **state)
{
	struct fixture *fixture = *state;
	struct task task = {.index = 0};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, &task, 1);
	assert_false(is_kept(fixture->vault, 0));
	place_turn(&fixture->place);
	assert_true(is_kept(fixture->vault, 0));
	vault_close(fixture->vault);
}

static void test_close_drops_what_waits(void **state)
{
	struct fixture *fixture = *state;
	struct task task = {.index = 0};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, &task, 1);
	vault_close(fixture->vault);
	assert_int_equal(fixture->place.clock.count, 0);
	assert_false(task.told);
	fixture->vault = must_open(&fixture->place);
	assert_false(is_kept(fixture->vault, 0));
	vault_close(fixture->vault);
}

/* ── A slow disk ─────────────────────────────────────────────────────────────────────────── */

/* How long `count` jobs wait until they are committed, which then takes so long. */
static uint64_t waited_ms(struct fixture *fixture, size_t count, uint64_t takes_ms)
{
	struct task tasks[JOBS] = {{.index = 0}};

	fixture->gate.takes_ms = takes_ms;
	submit(fixture, tasks, count);
	for (size_t i = 0; i < count; i++)
		tasks[i].index = fixture->made++; /* so that there is something to commit */
	place_turn(&fixture->place);
	fixture->done = 0;
	return fixture->place.clock.delay_ms;
}

static void test_a_slow_disk_is_left_alone(void **state)
{
	struct fixture *fixture = *state;

	fixture->vault = must_create(&fixture->place);
	assert_int_equal(waited_ms(fixture, 5, 10), 0);
	assert_int_equal(waited_ms(fixture, 5, 10), 10);
	fixture->place.clock.mono_ms += 4;
	assert_int_equal(waited_ms(fixture, 5, 10), 6);
	assert_int_equal(fixture->gate.asked, 3);
	fixture->place.clock.mono_ms += 10;
	assert_int_equal(waited_ms(fixture, 5, 3000), 0);
	assert_int_equal(waited_ms(fixture, 5, 0), 20);
	assert_int_equal(waited_ms(fixture, 5, 0), 0);
	vault_close(fixture->vault);
}

static void test_one_by_one_nothing_waits(void **state)
{
	struct fixture *fixture = *state;

	fixture->vault = must_create(&fixture->place);
	assert_int_equal(waited_ms(fixture, 1, 10), 0);
	assert_int_equal(waited_ms(fixture, 1, 10), 0);
	assert_int_equal(waited_ms(fixture, 2, 10), 0);
	assert_int_equal(waited_ms(fixture, 1, 10), 10);
	fixture->place.clock.mono_ms += 10;
	assert_int_equal(waited_ms(fixture, 1, 10), 0);
	vault_close(fixture->vault);
}

/* What a done submits goes with the next turn, not this one. */
static void chain_done(void *arg, enum err result, const struct error *error)
{
	struct task *tasks = arg;

	task_done(&tasks[0], result, error);
	vault_submit(tasks[0].fixture->vault, task_apply, task_done, &tasks[1]);
}

static void test_done_may_submit(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[2] = {
	    {.fixture = fixture, .index = 0, .size = 1},
	    {.fixture = fixture, .index = 1, .size = 1},
	};

	fixture->vault = must_create(&fixture->place);
	vault_submit(fixture->vault, task_apply, chain_done, tasks);
	place_turn(&fixture->place);
	assert_true(tasks[0].told);
	assert_false(tasks[1].told);
	assert_int_equal(fixture->gate.asked, 1);
	place_turn(&fixture->place);
	assert_true(tasks[1].told);
	assert_int_equal(fixture->gate.asked, 2);
	vault_close(fixture->vault);
}

/* ── A function that fails ───────────────────────────────────────────────────────────────── */

static void test_failed_ones_leave_no_trace(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[5] = {{.manner = GOOD}, {.manner = FAIL_FIRST}, {.manner = FAIL_AFTER},
	    {.manner = GOOD}, {.manner = FAIL_AFTER}};
	static const enum err results[] = {ERR_OK, ERR_EXISTS, ERR_REFUSED, ERR_OK, ERR_REFUSED};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, tasks, 5);
	place_turn(&fixture->place);
	assert_int_equal(fixture->gate.asked, 1);
	assert_int_equal(fixture->done, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(fixture->order[i], i);
		assert_int_equal(tasks[i].result, results[i]);
		assert_int_equal(tasks[i].error.code, results[i]);
		assert_int_equal(is_kept(fixture->vault, i), results[i] == ERR_OK);
	}
	assert_string_equal(tasks[1].error.text, "task 1 does not want to");
	assert_int_equal(tasks[0].applied, 3); /* twice begun again */
	assert_int_equal(tasks[2].applied, 1);
	vault_close(fixture->vault);
}

static void test_nothing_to_commit(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[2] = {{.manner = READ_ONLY}, {.manner = FAIL_FIRST}};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, tasks, 2);
	place_turn(&fixture->place);
	assert_int_equal(fixture->gate.asked, 0);
	assert_int_equal(tasks[0].result, ERR_OK);
	assert_int_equal(tasks[1].result, ERR_EXISTS);
	vault_close(fixture->vault);
}

/* ── A commit that fails ─────────────────────────────────────────────────────────────────── */

static void test_failed_commit_ends_the_vault(void **state)
{
	struct fixture *fixture = *state;
	struct task before = {.index = 0}, tasks[2] = {{.index = 0}}, later = {.index = 0};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, &before, 1);
	place_turn(&fixture->place);
	fixture->gate.answer = ERR_CORRUPT;
	tasks[0].manner = READ_ONLY;
	submit(fixture, tasks, 2);
	place_turn(&fixture->place);
	assert_int_equal(tasks[0].result, ERR_IO); /* nobody can say what it saw is so */
	assert_int_equal(tasks[1].result, ERR_IO);

	fixture->gate.answer = ERR_OK;
	submit(fixture, &later, 1);
	assert_false(later.told); /* from the loop, as always */
	place_turn(&fixture->place);
	assert_true(later.told);
	assert_int_equal(later.result, ERR_IO);
	assert_int_equal(later.applied, 0);
	assert_null(vault_read(fixture->vault));
	assert_int_equal(tell(&fixture->place, fixture->vault, ASSET, "app", "x"), ERR_IO);
	vault_close(fixture->vault);

	fixture->vault = must_open(&fixture->place);
	assert_true(is_kept(fixture->vault, 0));
	assert_false(is_kept(fixture->vault, 1));
	vault_close(fixture->vault);
}

static void test_full_disk_passes(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[2] = {{.index = 0}}, again[2] = {{.index = 0}};

	fixture->vault = must_create(&fixture->place);
	fixture->gate.answer = ERR_FULL;
	submit(fixture, tasks, 2);
	place_turn(&fixture->place);
	assert_int_equal(tasks[0].result, ERR_FULL);
	assert_int_equal(tasks[1].result, ERR_FULL);
	assert_false(is_kept(fixture->vault, 0));
	fixture->gate.answer = ERR_OK;
	submit(fixture, again, 2);
	place_turn(&fixture->place);
	assert_int_equal(again[0].result, ERR_OK);
	assert_true(is_kept(fixture->vault, 1));
	vault_close(fixture->vault);
}

/* ── The map ─────────────────────────────────────────────────────────────────────────────── */

static void test_map_grows(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[4] = {{.size = 10}, {.size = 2000}, {.size = 10}, {.size = 10}};
	struct stat st;

	fixture->place.config.no_sync = true;
	fixture->vault = must_create(&fixture->place);
	submit(fixture, tasks, 4);
	place_turn(&fixture->place);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(tasks[i].result, ERR_OK);
		assert_true(is_kept(fixture->vault, i));
	}
	assert_true(tasks[0].applied > 1);
	assert_int_equal(stat(vault_file(&fixture->place, "data.mdb"), &st), 0);
	assert_true(st.st_size >= (off_t)16 << 20);
	assert_int_equal(st.st_size & (st.st_size - 1), 0);
	vault_close(fixture->vault);
	fixture->vault = must_open(&fixture->place);
	assert_true(is_kept(fixture->vault, 1));
	vault_close(fixture->vault);
}

static void test_map_at_its_cap(void **state)
{
	struct fixture *fixture = *state;
	struct task small = {.size = 1}, huge[2] = {{.size = 1}, {.size = 2000}};
	struct task after = {.size = 20};

	fixture->place.config.no_sync = true;
	fixture->place.config.map_max_bytes = 3 << 20;
	fixture->vault = must_create(&fixture->place);
	submit(fixture, &small, 1);
	place_turn(&fixture->place);
	submit(fixture, huge, 2);
	place_turn(&fixture->place);
	assert_int_equal(huge[0].result, ERR_FULL);
	assert_int_equal(huge[1].result, ERR_FULL);
	assert_non_null(strstr(huge[1].error.text, "3145728"));
	submit(fixture, &after, 1);
	place_turn(&fixture->place);
	assert_int_equal(after.result, ERR_OK);
	assert_false(is_kept(fixture->vault, 1));
	vault_close(fixture->vault);
	fixture->vault = must_open(&fixture->place);
	assert_true(is_kept(fixture->vault, 0));
	vault_close(fixture->vault);
}

/* ── At once ─────────────────────────────────────────────────────────────────────────────── */

static void test_write_flushes_what_waits(void **state)
{
	struct fixture *fixture = *state;
	struct task tasks[2] = {{.index = 0}};

	fixture->vault = must_create(&fixture->place);
	submit(fixture, tasks, 2);
	assert_int_equal(tell(&fixture->place, fixture->vault, ASSET, "app", "x"), ERR_OK);
	assert_int_equal(fixture->gate.asked, 1);
	assert_true(tasks[1].told);
	assert_int_equal(fixture->place.clock.count, 0);
	assert_int_equal(
	    promote(&fixture->place, fixture->vault, ASSET, "app", PROOF_LOGIN), ERR_NOT_FOUND);
	assert_string_equal(
	    fixture->place.error.text, "app of " ASSET ": none of its versions is pending");
	vault_close(fixture->vault);
}

static enum err nested_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct fixture *fixture = arg;

	(void)txn;
	(void)error;
	return tell(&fixture->place, fixture->vault, ASSET, "app", "x");
}

static void test_write_inside_a_transaction_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct vault_txn *txn;

	fixture->vault = must_create(&fixture->place);
	assert_int_equal(vault_write(fixture->vault, nested_apply, fixture, NULL), ERR_REFUSED);
	txn = vault_read(fixture->vault);
	assert_int_equal(tell(&fixture->place, fixture->vault, ASSET, "app", "x"), ERR_REFUSED);
	vault_read_end(txn);
	assert_int_equal(tell(&fixture->place, fixture->vault, ASSET, "app", "x"), ERR_OK);
	vault_close(fixture->vault);
}

/* ── A disk that is full in truth ────────────────────────────────────────────────────────── */

static void fill(const char *path)
{
	static char zeros[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		continue;
	close(fd);
}

static void test_disk_full(void **state)
{
	struct fixture *fixture = *state;
	struct place *place = &fixture->place;
	struct task first = {.index = 0}, tasks[2] = {{.size = 100}, {.size = 100}};
	struct task again = {.size = 50};
	char filler[320];

	if (geteuid() != 0 || mount("tmpfs", place->root, "tmpfs", 0, "size=4m,mode=0700") != 0) {
		print_message("skipped: a tmpfs of its own cannot be mounted here\n");
		skip();
	}
	snprintf(filler, sizeof(filler), "%s/filler", place->root);
	fixture->vault = must_create(place);
	submit(fixture, &first, 1);
	place_turn(place);
	fill(filler);
	submit(fixture, tasks, 2);
	place_turn(place);
	assert_int_equal(tasks[0].result, ERR_FULL);
	assert_int_equal(tasks[1].result, ERR_FULL);
	assert_true(is_kept(fixture->vault, 0));

	/* Part of the room that it needs: LMDB's write is cut short, and that is no EIO of the
	 * disk. */
	assert_int_equal(truncate(filler, 3 << 20), 0);
	fill(filler);
	assert_int_equal(truncate(filler, (4 << 20) - (400 << 10)), 0);
	tasks[0].told = tasks[1].told = false;
	fixture->done = 0;
	submit(fixture, tasks, 2);
	place_turn(place);
	assert_int_equal(tasks[0].result, ERR_FULL);

	assert_int_equal(unlink(filler), 0);
	submit(fixture, &again, 1);
	place_turn(place);
	assert_int_equal(again.result, ERR_OK);
	vault_close(fixture->vault);
	fixture->vault = must_open(place);
	assert_true(is_kept(fixture->vault, 0));
	vault_close(fixture->vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_group_commit),
	    TEST(test_nothing_is_visible_before),
	    TEST(test_close_drops_what_waits),
	    TEST(test_a_slow_disk_is_left_alone),
	    TEST(test_one_by_one_nothing_waits),
	    TEST(test_done_may_submit),
	    TEST(test_failed_ones_leave_no_trace),
	    TEST(test_nothing_to_commit),
	    TEST(test_failed_commit_ends_the_vault),
	    TEST(test_full_disk_passes),
	    TEST(test_map_grows),
	    TEST(test_map_at_its_cap),
	    TEST(test_write_flushes_what_waits),
	    TEST(test_write_inside_a_transaction_is_refused),
	    TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
