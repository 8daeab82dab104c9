/*
 * Histories of the real rotation on the real vault, in a simulated world: crashes at any point,
 * lost links, late and cut changes, lying answers. Thousands more are tools/sim's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "history.h"

#define HISTORIES  3000
#define LONG_TIMES 20
#define HEAP_SIZE  ((size_t)1 << 20)

static struct cover cover;

/* LONG=1: many times as many histories. */
static uint32_t times(void)
{
	const char *word = getenv("LONG");

	return word != NULL && word[0] != '\0' ? LONG_TIMES : 1;
}

static void assert_seen(const char *what)
{
	if (cover_of(&cover, COVER_SEEN, what, MOMENT_PASSED) == 0)
		fail_msg("no history came across: %s", what);
}

static void assert_event(const char *what)
{
	if (cover_of(&cover, COVER_EVENT, what, MOMENT_PASSED) == 0)
		fail_msg("in no history happened: %s", what);
}

static void assert_state(const char *what)
{
	if (cover_of(&cover, COVER_STATE, what, MOMENT_PASSED) == 0)
		fail_msg("no record came to: %s", what);
}

static void test_histories(void **state)
{
	struct beginning beginning = {.seed = 1};

	(void)state;
	assert_true(histories(&beginning, times() * HISTORIES, &cover));
	cover_print(&cover, stdout);
	/* Every transition of a record's life was taken. */
	assert_state("ended: success");
	assert_state("ended: failed");
	assert_state("ended: unverified");
	assert_state("ended: skipped");
	assert_state("settled: success");
	assert_state("settled: failed");
	assert_state("settled: unverified");
	assert_seen("sent again");
	assert_seen("a change refused");
	assert_seen("a success after another try");
	assert_seen("a send arrives late");
	assert_seen("a gateway lost");
	assert_seen("a gateway to be opened anew in the slow lane");
	assert_seen("no proof asked for");
	assert_seen("a proof by hash");
	assert_seen("the old secret not known to work");
	assert_seen("a privileged account changed");
	assert_seen("an old secret put back");
	assert_seen("neither opens");
	assert_seen("no lifeline");
	assert_seen("by the next proof");
	assert_seen("a look");
	assert_seen("a mismatch found");
	assert_seen("paused for want of room");
	assert_seen("answered for a dead wire");
	assert_seen("a wire killed for its silence");
	assert_seen("wires that outlived the core waited for");
	assert_seen("an account changed by hand");
	assert_seen("a way in changed by hand");
	assert_seen("an asset restored from an image");
	assert_seen("another host key than the pinned one");
	assert_seen("a secret told meanwhile");
	assert_seen("not told, for a doubt");
	assert_seen("an earlier version ordered");
	assert_seen("a password too young to be changed");
	assert_seen("an old password refused");
	assert_seen("a replica that lags asked");
	assert_seen("an account set by a wire");
	assert_seen("canaries let the rest go on");
	assert_seen("a run stopped");
	assert_seen("a run cancelled");
	assert_seen("a ping answered");
	assert_seen("a ping not tried");
	assert_seen("begun by a schedule");
	assert_seen("a task paused");
	assert_seen("a task goes on");
	assert_seen("a policy loaded");
	assert_seen("a policy loaded at work");
	assert_event("doubts have another turn");
	assert_event("an asset falls silent");
	assert_event("the engine asked to end");
	assert_event("someone else orders");
	assert_event("the clock set forward");
	assert_event("the clock set back");
	assert_event("the change takes effect later");
	assert_event("the change takes effect at a try");
	assert_event("a wire lies");
	assert_event("a wire breaks the protocol");
}

/* A few histories again and again, each time cut one point later. */
static void cut_at_every_point(uint64_t seed, uint32_t seeds, const char *task, uint32_t points)
{
	memset(&cover, 0, sizeof(cover));
	for (uint32_t point = 1; point <= points; point++) {
		for (uint32_t i = 0; i < times(); i++) {
			struct beginning beginning = {
			    .seed = seed + (point + i) % (seeds * times()),
			    .crash_in = point,
			    .task = task,
			};

			assert_true(histories(&beginning, 1, &cover));
		}
	}
	assert_true(cover.crashes > points / 2);
}

static void test_crash_at_every_point(void **state)
{
	(void)state;
	cut_at_every_point(100000, 7, NULL, 300);
}

/* The same for the accounts that assets are entered with. */
static void test_crash_at_every_point_of_the_privileged(void **state)
{
	(void)state;
	cut_at_every_point(200000, 61, "entries", 400);
	assert_seen("a privileged account changed");
	assert_seen("an old secret put back");
	assert_seen("neither opens");
}

/* The same for keys, each time with one to replace. */
static void test_crash_at_every_point_of_keys(void **state)
{
	(void)state;
	cut_at_every_point(300000, 41, "keys", 300);
	assert_seen("a key's success");
	assert_seen("a key removed");
	assert_seen("not persisted");
}

/* A history replayed with the events that it had is the same history. */
static void test_replay_is_exact(void **state)
{
	uint64_t keys[1024];
	size_t some = 0;

	(void)state;
	for (uint64_t seed = 400000; seed < 400100; seed++) {
		struct beginning beginning = {.seed = seed};
		struct ending first, again;

		memset(&cover, 0, sizeof(cover));
		history(&beginning, &cover, &first);
		uint64_t steps = cover.steps;

		assert_true(first.event_count <= 1024);
		for (size_t i = 0; i < first.event_count; i++)
			keys[i] = first.events[i].key;
		beginning.only = keys;
		beginning.only_count = first.event_count;
		memset(&cover, 0, sizeof(cover));
		history(&beginning, &cover, &again);
		assert_int_equal(cover.steps, steps);
		assert_int_equal(again.event_count, first.event_count);
		for (size_t i = 0; i < again.event_count; i++)
			assert_int_equal(again.events[i].at_ms, first.events[i].at_ms);
		some += first.event_count;
		ending_clear(&first);
		ending_clear(&again);
	}
	assert_true(some > 100);
}

/* ── What was wrong once ── */

#define SCENARIO_EVENTS 4
#define SCENARIO_SEEDS	100 /* for all else: what comes first, what a cut send does */

struct scenario {
	const char *what;
	const char *asset, *task;
	struct {
		const char *name, *whose;
		uint32_t nth; /* time that it could happen, from 0 */
	} events[SCENARIO_EVENTS];
};

static const struct scenario scenarios[] = {
    {
	.what = "what makes a key permanent needs the attempt that its proof had",
	.asset = "keyed",
	.task = "entry_keys",
	.events = {{"the link lost after the send", "ops", 0}},
    },
    {
	.what = "a password that was never tried is given up",
	.asset = "keyed",
	.task = "entries",
	.events = {{"the link lost after the send", "ops", 0}, {"sudo is told to ask", "keyed", 1}},
    },
    {
	.what = "a key in doubt needs a password that may not be told for its sake",
	.asset = "keyed",
	.task = "entry_keys",
	.events = {{"the link lost after the send", "ops", 0}, {"sudo is told to ask", "keyed", 1}},
    },
    {
	.what = "one attempt a window is never left for what was refused",
	.asset = "keyed",
	.task = "entries",
	.events = {{"old passwords are refused", "keyed", 0},
	    {"the link lost after the send", "ops", 0}, {"the way in changed by hand", "", 40}},
    },
    {
	.what = "a sealed key is restored without its passphrase",
	.asset = "keyed",
	.task = "keys",
	.events = {{"someone else orders", "", 3}},
    },
    {
	.what = "a session ends as its proof's has to go by another of the gateway",
	.asset = "beside",
	.task = "login",
	.events = {{"no curve in common", "beside", 1}},
    },
    {
	.what = "a gateway's account is changed while someone is inside since before",
	.asset = "innermost",
	.task = "login",
	.events = {{"no curve in common", "inner", 1}, {"an asset is slow", "inner", 7}},
    },
};

static void run_scenario(const struct scenario *scenario)
{
	uint64_t only[SCENARIO_EVENTS];
	struct beginning beginning = {
	    .seed = 1, .task = scenario->task, .asset = scenario->asset, .only = only};

	while (beginning.only_count < SCENARIO_EVENTS &&
	       scenario->events[beginning.only_count].name != NULL) {
		size_t i = beginning.only_count++;

		only[i] = event_key(
		    scenario->events[i].name, scenario->events[i].whose, scenario->events[i].nth);
	}
	memset(&cover, 0, sizeof(cover));
	if (!histories(&beginning, SCENARIO_SEEDS, &cover))
		fail_msg("%s", scenario->what);
	for (size_t i = 0; i < beginning.only_count; i++)
		if (cover_of(&cover, COVER_EVENT, scenario->events[i].name, MOMENT_PASSED) == 0)
			fail_msg("never happened: %s", scenario->events[i].name);
}

static void test_what_was_wrong_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		run_scenario(&scenarios[i]);
}

/* AddressSanitizer makes it six times slower, and finds nothing in what the bugs stand between. */
#ifdef __SANITIZE_ADDRESS__
#define WITH_BUGS false
#else
#define WITH_BUGS true
#endif

static void test_bugs_are_caught(void **state)
{
	(void)state;
	if (!WITH_BUGS)
		skip();
	for (enum sim_bug bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
		struct beginning beginning = {.seed = 1, .task = sim_bug_task(bug)};
		struct ending ending = {.violation = NULL};

		if (sim_bug_rare(bug) && times() == 1)
			continue;
		sim_bug = bug;
		for (; beginning.seed <= BUG_HISTORIES && ending.violation == NULL;
		     beginning.seed++) {
			history(&beginning, &cover, &ending);
			ending_clear(&ending);
		}
		sim_bug = BUG_NONE;
		if (ending.violation == NULL)
			fail_msg("not caught: %s", sim_bug_name(bug));
		printf("%-44s caught by history %llu: %s\n", sim_bug_name(bug),
		    (unsigned long long)beginning.seed - 1, ending.violation);
	}
}

/* Valgrind is thirty times slower and looks for other things: a few histories are enough for it. */
static int run_under_valgrind(void)
{
	struct beginning beginning = {.seed = 1};

	return histories(&beginning, 40, &cover) ? 0 : 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_histories),
	    cmocka_unit_test(test_crash_at_every_point),
	    cmocka_unit_test(test_crash_at_every_point_of_the_privileged),
	    cmocka_unit_test(test_crash_at_every_point_of_keys),
	    cmocka_unit_test(test_replay_is_exact),
	    cmocka_unit_test(test_what_was_wrong_once),
	    cmocka_unit_test(test_bugs_are_caught),
	};
	struct error error;
	bool locked;
	int status;

	if (secret_heap_init(HEAP_SIZE, &locked, &error) != ERR_OK)
		return 1;
	grounds_load();
	grounds_make();
	if (getenv("VALGRIND") != NULL)
		status = run_under_valgrind();
	else
		status = cmocka_run_group_tests(tests, NULL, NULL);
	grounds_clear();
	return status;
}
