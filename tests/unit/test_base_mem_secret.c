#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif

static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 48, 100, 1000, 4096, 5000, 40000, 65536,
    131056, 131057, 131072, 1 << 20, 3 << 20};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void blocks_are_apart(void **state)
{
	uint8_t *blocks[SIZES * 3];
	size_t before = mem_used(), count = SIZES * 3;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		blocks[i] = mem_alloc(sizes[i % SIZES]);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		memset(blocks[i], (int)i + 1, sizes[i % SIZES]);
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < sizes[i % SIZES]; at++) {
			if (blocks[i][at] != i + 1)
				fail_msg("block %zu has another's byte at %zu", i, at);
		}
		mem_free(blocks[i]);
	}
	assert_int_equal(mem_used(), before);
	mem_free(NULL);
}

static void blocks_are_used_again(void **state)
{
	void *first = mem_alloc(300);

	(void)state;
	mem_free(first);
	assert_ptr_equal(mem_alloc(300), first);
	mem_free(first);
}

/* A large one also for what is a little smaller, but not for what would leave most of it idle. */
static void large_blocks_are_used_again(void **state)
{
	void *first = mem_alloc(90000), *other;

	(void)state;
	mem_free(first);
	assert_ptr_equal(mem_alloc(80000), first);
	mem_free(first);
	other = mem_alloc(50000);
	assert_ptr_not_equal(other, first);
	mem_free(other);
}

static void too_much_is_refused(void **state)
{
	void *block;

	(void)state;
	assert_null(mem_alloc(SIZE_MAX));
	assert_null(mem_alloc(64 * 1024 * 1024 + 1));
	block = mem_alloc(64 * 1024 * 1024);
	assert_non_null(block);
	assert_null(mem_realloc(block, SIZE_MAX));
	mem_free(block);
}

static void realloc_keeps_the_content(void **state)
{
	size_t before = mem_used();
	uint8_t *block = NULL;
	size_t last = 0;

	(void)state;
	for (size_t i = 0; i < SIZES * 2; i++) {
		size_t size = i < SIZES ? sizes[i] : sizes[SIZES * 2 - 1 - i];
		size_t kept = size < last ? size : last;

		block = mem_realloc(block, size);
		assert_non_null(block);
		for (size_t at = 0; at < kept; at++) {
			if (block[at] != (uint8_t)(at * 7))
				fail_msg("a byte is lost at %zu of %zu", at, size);
		}
		for (size_t at = kept; at < size; at++)
			block[at] = (uint8_t)(at * 7);
		last = size;
	}
	mem_free(block);
	assert_int_equal(mem_used(), before);
}

#ifdef WITH_ASAN

static void touch_past_the_end(void)
{
	volatile uint8_t *block = mem_alloc(100);

	block[100] = 1;
}

static void touch_after_free(void)
{
	volatile uint8_t *block = mem_alloc(100);

	mem_free((void *)(uintptr_t)block);
	block[50] = 1;
}

static void touch_what_was_given_back(void)
{
	volatile uint8_t *block = mem_alloc(100);

	block = mem_realloc((void *)(uintptr_t)block, 90);
	block[95] = 1;
}

#else

static bool is_wiped(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* The pages of small blocks stay mapped, so that what was freed can be looked at. */
static void freed_blocks_are_wiped(void **state)
{
	uint8_t *block = mem_alloc(1000), *moved;

	(void)state;
	memset(block, 's', 1000);
	assert_ptr_equal(mem_realloc(block, 900), block);
	assert_true(is_wiped(block + 900, 100));
	moved = mem_realloc(block, 50000);
	assert_ptr_not_equal(moved, block);
	assert_true(is_wiped(block, 900));
	assert_int_equal(moved[899], 's');
	mem_free(moved);
	assert_true(is_wiped(moved, 900));
}

#endif

static void free_twice(void)
{
	void *block = mem_alloc(100);

	mem_free(block);
	mem_free(block);
}

/* The function must end its process, by a signal or the sanitizer's exit. */
static void check_dies(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fclose(stderr);
		close(STDERR_FILENO);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_not_equal(status, 0);
}

static void misuse_is_found(void **state)
{
	(void)state;
	/* A death of abort must not be caught by cmocka's own handler. */
	signal(SIGABRT, SIG_DFL);
	check_dies(free_twice);
#ifdef WITH_ASAN
	check_dies(touch_past_the_end);
	check_dies(touch_after_free);
	check_dies(touch_what_was_given_back);
#endif
}

/* The word of the mapping's VmFlags that keeps it out of a core file. */
static void pages_are_not_dumped(void **state)
{
	uint8_t *small = mem_alloc(100), *large = mem_alloc(1 << 20);
	unsigned long from, to;
	bool here = false;
	int found = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/smaps", "r");

	(void)state;
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = ((uintptr_t)small >= from && (uintptr_t)small < to) ||
			       ((uintptr_t)large >= from && (uintptr_t)large < to);
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			assert_non_null(strstr(line, " dd"));
			found++;
		}
	}
	fclose(maps);
	assert_in_range(found, 1, 2);
	mem_free(small);
	mem_free(large);
}

static void xmem(void **state)
{
	char *text = xasprintf("%s-%d", "a", 7);
	char *zeros = xcalloc(3, 5);

	(void)state;
	assert_string_equal(text, "a-7");
	for (size_t i = 0; i < 15; i++)
		assert_int_equal(zeros[i], 0);
	zeros = xrealloc(zeros, 100);
	free(zeros);
	free(text);
	text = xstrndup("abcdef", 3);
	assert_string_equal(text, "abc");
	free(text);
	text = xstrdup("abc");
	assert_string_equal(text, "abc");
	free(text);
	free(xcalloc(0, 0));
}

static void buf_grows_to_its_cap(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_string_equal(buf_text(&buf), "");
	for (size_t i = 0; i < 10; i++)
		assert_true(buf_add(&buf, "0123456789", 10));
	assert_int_equal(buf.len, 100);
	assert_int_equal(strlen(buf_text(&buf)), 100);
	assert_false(buf_failed(&buf));
	assert_false(buf_add(&buf, "x", 1));
	assert_true(buf_failed(&buf));
	assert_int_equal(buf.len, 100);
	/* Once failed there is a hole: nothing goes behind it. */
	buf_drop(&buf, 50);
	assert_false(buf_add(&buf, "x", 1));
	buf_reset(&buf);
	assert_false(buf_failed(&buf));
	assert_true(buf_addf(&buf, "%s=%d", "a", 5));
	assert_string_equal(buf_text(&buf), "a=5");
	assert_null(buf_reserve(&buf, 98));
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_clear(&buf);
	assert_null(buf.data);
	assert_true(buf_add_text(&buf, "again"));
	assert_string_equal(buf_text(&buf), "again");
	buf_clear(&buf);
}

static void buf_drop_wipes(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	buf_add_text(&buf, "secretrest");
	buf_drop(&buf, 6);
	assert_string_equal(buf_text(&buf), "rest");
	assert_memory_equal(buf.data, "rest\0\0\0\0\0\0", 10);
	buf_drop(&buf, 100);
	assert_int_equal(buf.len, 0);
	buf_clear(&buf);
}

static void buf_without_limit_does_not_wrap(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, SIZE_MAX);
	assert_true(buf_add_text(&buf, "abc"));
	assert_null(buf_reserve(&buf, SIZE_MAX - 3));
	assert_true(buf_failed(&buf));
	assert_string_equal(buf_text(&buf), "abc");
	buf_clear(&buf);
}

static void random_is_seeded_for_tests(void **state)
{
	uint8_t a[100], b[100], c[100];

	(void)state;
	random_seed(7);
	random_bytes(a, sizeof(a));
	random_seed(7);
	random_bytes(b, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	random_seed(8);
	random_bytes(c, sizeof(c));
	assert_memory_not_equal(a, c, sizeof(a));
	random_unseed();
	random_bytes(b, sizeof(b));
	random_bytes(c, sizeof(c));
	assert_memory_not_equal(b, c, sizeof(b));
}

static void secrets_need_the_heap(void **state)
{
	struct error error;
	bool locked;

	(void)state;
	assert_null(secret_new(8));
	assert_int_equal(secret_heap_init(100000, &locked, &error), ERR_OK);
	assert_int_equal(secret_heap_free(), 131072);
	assert_int_equal(secret_heap_init(100000, &locked, &error), ERR_EXISTS);
}

static void secrets_hold_bytes(void **state)
{
	struct secret *secret = secret_from("hunter2", 7);
	struct secret *copy = secret_copy(secret);
	struct secret *zeros = secret_new(7);
	struct secret *none = secret_from(NULL, 0);

	(void)state;
	assert_int_equal(secret_len(secret), 7);
	assert_string_equal(secret_data(copy), "hunter2");
	assert_memory_equal(secret_data(zeros), "\0\0\0\0\0\0\0\0", 8);
	assert_true(secret_equal(secret, copy));
	assert_false(secret_equal(secret, zeros));
	secret_bytes(copy)[6] = '3';
	assert_false(secret_equal(secret, copy));
	assert_false(secret_equal(secret, none));
	assert_string_equal(secret_data(none), "");
	assert_true(secret_heap_free() < 131072);
	secret_free(secret);
	secret_free(copy);
	secret_free(zeros);
	secret_free(none);
	secret_free(NULL);
	assert_int_equal(secret_heap_free(), 131072);
}

static void secrets_are_wiped(void **state)
{
	struct secret *secret = secret_from("hunter2 hunter2 hunter2 hunter2", 31);
	const char *bytes = secret_data(secret);

	(void)state;
	secret_free(secret);
	/* The heap's own list stands at the block's begin. */
	assert_memory_equal(bytes + 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
}

static void secrets_fill_the_heap(void **state)
{
	struct secret *secrets[64];
	size_t count = 0;

	(void)state;
	assert_null(secret_new(SECRET_SIZE_MAX + 1));
	while (count < 64 && (secrets[count] = secret_new(SECRET_SIZE_MAX)) != NULL)
		count++;
	assert_in_range(count, 1, 8);
	while (count > 0)
		secret_free(secrets[--count]);
	assert_int_equal(secret_heap_free(), 131072);
}

static void hardened_process_leaves_no_core(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct rlimit limit;

		process_harden();
		getrlimit(RLIMIT_CORE, &limit);
		_exit(limit.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks_are_apart),
	    cmocka_unit_test(blocks_are_used_again),
	    cmocka_unit_test(large_blocks_are_used_again),
	    cmocka_unit_test(too_much_is_refused),
	    cmocka_unit_test(realloc_keeps_the_content),
#ifndef WITH_ASAN
	    cmocka_unit_test(freed_blocks_are_wiped),
#endif
	    cmocka_unit_test(misuse_is_found),
	    cmocka_unit_test(pages_are_not_dumped),
	    cmocka_unit_test(xmem),
	    cmocka_unit_test(buf_grows_to_its_cap),
	    cmocka_unit_test(buf_drop_wipes),
	    cmocka_unit_test(buf_without_limit_does_not_wrap),
	    cmocka_unit_test(random_is_seeded_for_tests),
	    cmocka_unit_test(secrets_need_the_heap),
	    cmocka_unit_test(secrets_hold_bytes),
	    cmocka_unit_test(secrets_are_wiped),
	    cmocka_unit_test(secrets_fill_the_heap),
	    cmocka_unit_test(hardened_process_leaves_no_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
