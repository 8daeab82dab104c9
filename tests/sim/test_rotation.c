/*
 * Histories of the real rotation on the real vault, in a simulated world: crashes at any step, lost
 * links, late and cut changes, lying answers.
 *
 *   test_rotation [--seed N] [--count N] [--task T] [--trace] [--bug N]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "sim.h"

#define HISTORIES     120
#define BUG_HISTORIES 400
#define STRIDE	      4 /* between the steps that a history is cut at; all of them with LONG=1 */

static char scratch[128];
static struct sim_place place = {.scratch = scratch};

/* ── Tests ── */

/* LONG=1: five times as many histories, and each step. */
static bool is_long(void)
{
	const char *word = getenv("LONG");

	return word != NULL && word[0] != '\0';
}

static uint32_t stride(void)
{
	return is_long() ? 1 : STRIDE;
}

static void test_histories(void **state)
{
	struct sim_stats stats = {0};
	uint64_t count = is_long() ? 5 * HISTORIES : HISTORIES;

	(void)state;
	sim_bug = BUG_NONE;
	for (uint64_t seed = 1; seed <= count; seed++)
		assert_true(history(&place, &(struct beginning){.seed = seed}, &stats));
	printf("%llu histories, %llu steps, %llu crashes, %llu late; success %llu failed %llu "
	       "unverified %llu "
	       "skipped %llu; settled: success %llu failed %llu mismatch %llu; resent %llu refused "
	       "%llu retried "
	       "%llu not asked %llu by hash %llu old unknown %llu gateways lost %llu\n",
	    (unsigned long long)stats.histories, (unsigned long long)stats.steps,
	    (unsigned long long)stats.crashes, (unsigned long long)stats.late,
	    (unsigned long long)stats.success, (unsigned long long)stats.failed,
	    (unsigned long long)stats.unverified, (unsigned long long)stats.skipped,
	    (unsigned long long)stats.settled_success, (unsigned long long)stats.settled_failed,
	    (unsigned long long)stats.settled_mismatch, (unsigned long long)stats.resent,
	    (unsigned long long)stats.refused, (unsigned long long)stats.retried,
	    (unsigned long long)stats.not_asked, (unsigned long long)stats.hash,
	    (unsigned long long)stats.old_unknown, (unsigned long long)stats.gateways_lost);
	printf("privileged %llu put back %llu of them lost %llu cut off %llu told %llu targeted "
	       "%llu by the next proof %llu\n",
	    (unsigned long long)stats.privileged, (unsigned long long)stats.put_back,
	    (unsigned long long)stats.put_back_lost, (unsigned long long)stats.cut_off,
	    (unsigned long long)stats.told, (unsigned long long)stats.targeted,
	    (unsigned long long)stats.by_next_proof);
	/* Every transition of a record's life was taken. */
	assert_true(
	    stats.success > 0 && stats.failed > 0 && stats.unverified > 0 && stats.skipped > 0);
	assert_true(
	    stats.settled_success > 0 && stats.settled_failed > 0 && stats.settled_mismatch > 0);
	assert_true(stats.resent > 0 && stats.refused > 0 && stats.retried > 0 && stats.late > 0);
	assert_true(stats.gateways_lost > 0);
	assert_true(stats.not_asked > 0 && stats.hash > 0 && stats.old_unknown > 0);
	assert_true(stats.privileged > 0 && stats.put_back > 0 && stats.cut_off > 0);
	assert_true(stats.targeted > 0 && stats.by_next_proof > 0);
	assert_true(stats.looks > 0 && stats.mismatches > 0);
}

/* The same history again and again, each time cut one step later. */
static void test_crash_at_every_step(void **state)
{
	(void)state;
	sim_bug = BUG_NONE;
	for (uint32_t step = 1; step <= 100; step += stride()) {
		struct sim_stats stats = {0};
		struct beginning beginning = {.seed = 100000 + step % 3, .crash_in = step};

		assert_true(history(&place, &beginning, &stats));
		assert_true(stats.crashes > 0);
	}
}

/* The same for the accounts that assets are entered with. */
static void test_crash_at_every_step_of_the_privileged(void **state)
{
	struct sim_stats stats = {0};

	(void)state;
	sim_bug = BUG_NONE;
	for (uint32_t step = 1; step <= 200; step += stride()) {
		struct beginning beginning = {
		    .seed = 200000 + step % 5,
		    .crash_in = 1 + step / 4,
		    .task = "entries",
		};

		assert_true(history(&place, &beginning, &stats));
	}
	assert_true(stats.privileged > 0 && stats.put_back > 0 && stats.cut_off > 0);
}

/* The same for keys, each time with one to replace. */
static void test_crash_at_every_step_of_keys(void **state)
{
	struct sim_stats stats = {0};

	(void)state;
	sim_bug = BUG_NONE;
	for (uint32_t step = 1; step <= 120; step += stride()) {
		struct beginning beginning = {
		    .seed = 300000 + step % 3, .crash_in = step, .task = "keys"};

		assert_true(history(&place, &beginning, &stats));
	}
	assert_true(stats.keys > 0 && stats.keys_removed > 0 && stats.not_persisted > 0);
}

static void test_bugs_are_caught(void **state)
{
	(void)state;
	for (enum sim_bug bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
		struct sim_stats stats = {0};
		/* The last of them are about the accounts that assets are entered with. */
		struct beginning beginning = {
		    .seed = 1,
		    .task = bug == BUG_PERSIST_UNSEEN  ? "keys"
			    : bug >= BUG_PUT_BACK_MUTE ? "entries"
						       : NULL,
		};

		sim_bug = bug;
		while (beginning.seed <= BUG_HISTORIES && history(&place, &beginning, &stats))
			beginning.seed++;
		sim_bug = BUG_NONE;
		if (beginning.seed > BUG_HISTORIES)
			fail_msg("not caught: %s", sim_bug_name(bug));
		printf("%-36s caught by history %llu\n", sim_bug_name(bug),
		    (unsigned long long)beginning.seed);
	}
}

/* ── One by hand ── */

/* Valgrind is thirty times slower and looks for other things: a few histories are enough for it. */
static int run_under_valgrind(void)
{
	struct sim_stats stats = {0};
	bool good = true;

	for (uint64_t seed = 1; seed <= 8; seed++)
		good = history(&place, &(struct beginning){.seed = seed}, &stats) && good;
	return good ? 0 : 1;
}

static int replay(int argc, char **argv)
{
	struct sim_stats stats = {0};
	uint64_t seed = 1, count = 1;
	bool trace = false, good = true;
	const char *task = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			trace = true;
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--task") == 0)
			task = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--count") == 0)
			count = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--bug") == 0)
			sim_bug = (enum sim_bug)strtoul(argv[++i], NULL, 10) % BUG_COUNT;
	}
	for (; count > 0; count--) {
		struct beginning beginning = {.seed = seed++, .task = task, .trace = trace};

		good = history(&place, &beginning, &stats) && good;
	}
	return good ? 0 : 1;
}

static void load_policy(void)
{
	const char *srcdir = getenv("srcdir");
	static struct problems errors, warnings;
	static char dir[4096], platforms[4096];
	struct policy *loaded;

	snprintf(dir, sizeof(dir), "%s/tests/sim/policy", srcdir ? srcdir : ".");
	snprintf(platforms, sizeof(platforms), "%s/policies/platforms", srcdir ? srcdir : ".");
	if (policy_load(&loaded,
		&(struct policy_config){
		    .dir = dir,
		    .platforms_dir = platforms,
		},
		&errors, &warnings) != ERR_OK) {
		fprintf(stderr, "%s\n", errors.count > 0 ? errors.items[0].text : "policy_load");
		exit(1);
	}
	place.policy = loaded;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_histories),
	    cmocka_unit_test(test_crash_at_every_step),
	    cmocka_unit_test(test_crash_at_every_step_of_the_privileged),
	    cmocka_unit_test(test_crash_at_every_step_of_keys),
	    cmocka_unit_test(test_bugs_are_caught),
	};
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	struct error error;
	bool locked;
	int status;

	if (secret_heap_init(1 << 20, &locked, &error) != ERR_OK)
		return 1;
	snprintf(scratch, sizeof(scratch), "%s/lockstep-sim-XXXXXX", tmp);
	if (mkdtemp(scratch) == NULL)
		return 1;
	load_policy();
	if (argc > 1)
		status = replay(argc, argv);
	else if (getenv("VALGRIND") != NULL)
		status = run_under_valgrind();
	else
		status = cmocka_run_group_tests(tests, NULL, NULL);
	policy_free((struct policy *)(uintptr_t)place.policy);
	rmdir(scratch);
	return status;
}
