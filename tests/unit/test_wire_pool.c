/*
 * The core's side of the wires, against wires that misbehave: which answer counts, and whose jobs
 * and sessions fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire_core.h"

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

static struct wire_result opened(struct core *core, struct wire_session *session)
{
	struct answer answer;
	unsigned left = 1;

	submit(core, session, WIRE_OPEN, "", &answer, &left);
	loop_run(core->loop);
	return answer.result;
}

/* What an ordinary wire cannot open is opened by one more; and what was there once goes there. */
static void test_slow_lane(void **state)
{
	struct core *core = *state;
	struct wire_session *first, *second, *other;
	struct wire_result result;

	core_start(core, 2, -1);
	other = session_new(core, "new");
	assert_int_equal(opened(core, other).fault, FAULT_NONE);
	assert_int_equal(wires_alive(core->wires), 2);
	first = session_new(core, "old");
	result = opened(core, first);
	assert_int_equal(result.fault, FAULT_NONE);
	assert_int_equal(result.wire, 3);
	assert_false(result.slow_lane);
	assert_int_equal(wires_alive(core->wires), 3);
	second = session_new(core, "old");
	assert_int_equal(opened(core, second).wire, 3);
	wire_session_free(other);
	/* It has the fewest, and is none of the ordinary ones. */
	wire_session_free(second);
	wire_session_free(first);
	first = session_new(core, "new");
	second = session_new(core, "other");
	assert_true(opened(core, first).wire < 3);
	assert_true(opened(core, second).wire < 3);
	wire_session_free(first);
	wire_session_free(second);
	assert_int_equal(core->deaths, 0);
}

/* It dies like another, and is started again. */
static void test_slow_lane_dies(void **state)
{
	struct core *core = *state;
	struct wire_session *session;
	struct wire_result result;
	struct answer answer;
	unsigned left = 1;

	core_start(core, 1, -1);
	session = session_new(core, "old");
	assert_int_equal(opened(core, session).wire, 2);
	submit(core, session, WIRE_CHANGE, "die", &answer, &left);
	loop_run(core->loop);
	assert_int_equal(answer.result.fault, FAULT_WIRE);
	assert_true(answer.result.sent);
	assert_int_equal(core->last_dead, 2);
	assert_int_equal(wires_alive(core->wires), 1);
	do {
		wire_session_free(session);
		session = session_new(core, "old");
		result = opened(core, session);
		assert_int_not_equal(result.wire, 1);
	} while (result.fault == FAULT_WIRE);
	assert_int_equal(result.wire, 3);
	wire_session_free(session);
	assert_int_equal(core->deaths, 1);
}

/* Who leaves there, too, is not remembered for it. */
static void test_slow_lane_left(void **state)
{
	struct core *core = *state;
	struct wire_session *other, *left;
	struct answer answer;
	unsigned count = 1;

	core_start(core, 1, -1);
	other = session_new(core, "new");
	assert_int_equal(opened(core, other).wire, 1);
	for (size_t i = 0; i < 2; i++) {
		left = session_new(core, "left");
		assert_int_equal(opened(core, left).fault, FAULT_LOST);
		wire_session_free(left);
	}
	submit(core, other, WIRE_PROVE, "opens", &answer, &count);
	loop_run(core->loop);
	assert_string_equal(answer.result.text, "3");
	wire_session_free(other);
	assert_int_equal(core->deaths, 0);
}

/* There is no lane behind the slow one. */
static void test_slow_lane_lies(void **state)
{
	struct core *core = *state;
	struct wire_session *session;

	core_start(core, 1, -1);
	session = session_new(core, "liar");
	assert_int_equal(opened(core, session).fault, FAULT_WIRE);
	assert_int_equal(core->last_dead, 2);
	wire_session_free(session);
}

/* ── What is held back ───────────────────────────────────────────────────────────────────── */

#define OPENS	100
#define UNBEGUN 64 /* that a wire may have */
#define SLOW	16 /* … the slow lane's */

struct opens {
	struct wire_session *sessions[OPENS];
	struct answer answers[OPENS];
	unsigned left;
};

static void opens_begin(struct core *core, struct opens *opens, const char *asset)
{
	opens->left = OPENS;
	for (size_t i = 0; i < OPENS; i++) {
		opens->sessions[i] = session_new(core, asset);
		submit(core, opens->sessions[i], WIRE_OPEN, "", &opens->answers[i], &opens->left);
	}
}

static void opens_end(struct opens *opens)
{
	for (size_t i = 0; i < OPENS; i++)
		wire_session_free(opens->sessions[i]);
}

/* How many a wire was sent; other jobs are not held back. */
static unsigned core_opens(struct core *core)
{
	struct answer answer;

	change(core, "opens", &answer);
	return (unsigned)strtoul(answer.result.text, NULL, 10);
}

/* A wire that does not begin what it has is given no more, but what is urgent. */
static void test_held_back(void **state)
{
	struct wire_target urgent = {.asset = "waits", .address = "192.0.2.1", .urgent = true};
	struct core *core = *state;
	struct wire_session *session;
	struct opens opens;
	struct answer answer;
	unsigned left = 1;

	core_start(core, 1, -1);
	opens_begin(core, &opens, "waits");
	assert_int_equal(core_opens(core), UNBEGUN);
	session = wire_session_new(core->wires, &urgent);
	submit(core, session, WIRE_OPEN, "", &answer, &left);
	assert_int_equal(core_opens(core), UNBEGUN + 1);
	wire_session_free(session);
	assert_int_equal(core_opens(core), UNBEGUN + 1);
	/* The place of one that is closed is another's. */
	wire_session_free(opens.sessions[0]);
	assert_int_equal(core_opens(core), UNBEGUN + 2);
	opens.sessions[0] = session_new(core, "waits");
	submit(core, opens.sessions[0], WIRE_OPEN, "", &opens.answers[0], &opens.left);
	/* One that waits leaves without a word. */
	wire_session_free(opens.sessions[OPENS - 1]);
	opens.sessions[OPENS - 1] = NULL;
	assert_int_equal(core_opens(core), UNBEGUN + 2);
	assert_int_equal(opens.left, OPENS);
	opens_end(&opens);
	assert_int_equal(core->deaths, 0);
}

static void test_begun_makes_room(void **state)
{
	static const char *const assets[] = {"begins", "new"};
	struct core *core = *state;
	struct opens opens;

	for (size_t i = 0; i < 2; i++) {
		core_start(core, 1, -1);
		opens_begin(core, &opens, assets[i]);
		if (i == 1) /* it is answered, too */
			loop_run(core->loop);
		else
			while (core_opens(core) < OPENS)
				;
		assert_int_equal(core_opens(core), OPENS);
		opens_end(&opens);
		assert_int_equal(core->deaths, 0);
		wires_stop(core->wires);
		core->wires = NULL;
	}
}

static void test_held_back_in_the_slow_lane(void **state)
{
	struct wire_target urgent = {.asset = "old", .address = "192.0.2.1", .urgent = true};
	struct core *core = *state;
	struct wire_session *old;
	struct opens opens;
	struct answer answer;
	unsigned left = 1;
	char shown[16];

	core_start(core, 1, -1);
	opens_begin(core, &opens, "aged");
	old = wire_session_new(core->wires, &urgent);
	assert_int_equal(opened(core, old).wire, 2);
	submit(core, old, WIRE_PROVE, "opens", &answer, &left);
	loop_run(core->loop);
	snprintf(shown, sizeof(shown), "%d", SLOW + 1);
	assert_string_equal(answer.result.text, shown);
	wire_session_free(old);
	opens_end(&opens);
	assert_int_equal(core->deaths, 0);
}

/* What was held back for a wire that died is answered with the rest. */
static void test_held_back_dies(void **state)
{
	struct core *core = *state;
	struct wire_session *session;
	struct opens opens;
	struct answer answer;

	core_start(core, 1, -1);
	opens_begin(core, &opens, "waits");
	opens.left = OPENS + 1;
	session = session_new(core, "new");
	submit(core, session, WIRE_CHANGE, "die", &answer, &opens.left);
	loop_run(core->loop);
	for (size_t i = 0; i < OPENS; i++) {
		assert_int_equal(opens.answers[i].count, 1);
		assert_int_equal(opens.answers[i].result.fault, FAULT_WIRE);
	}
	wire_session_free(session);
	opens_end(&opens);
}

static void test_begun_twice(void **state)
{
	struct core *core = *state;
	struct wire_session *session;

	core_start(core, 1, -1);
	session = session_new(core, "twice");
	assert_int_equal(opened(core, session).fault, FAULT_WIRE);
	assert_int_equal(core->deaths, 1);
	wire_session_free(session);
}

/* Nothing but an OPEN is done again there: of a change that would be to forget that it was sent. */
static void test_slow_lane_for_another_job(void **state)
{
	struct core *core = *state;
	struct answer answer;

	core_start(core, 1, -1);
	change(core, "lane", &answer);
	assert_int_equal(answer.result.fault, FAULT_WIRE);
	assert_true(answer.result.sent);
	assert_int_equal(core->last_dead, 1);
	assert_int_equal(wires_alive(core->wires), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, core_begin, core_finish)

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answers),
	    TEST(test_flood),
	    TEST(test_sessions_die_together),
	    TEST(test_freed_in_work),
	    TEST(test_chatter),
	    TEST(test_stop_in_done),
	    TEST(test_load),
	    TEST(test_host_key_lies),
	    TEST(test_slow_lane),
	    TEST(test_slow_lane_dies),
	    TEST(test_slow_lane_left),
	    TEST(test_slow_lane_lies),
	    TEST(test_slow_lane_for_another_job),
	    TEST(test_held_back),
	    TEST(test_begun_makes_room),
	    TEST(test_held_back_in_the_slow_lane),
	    TEST(test_held_back_dies),
	    TEST(test_begun_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	return core_main(argc, argv, run);
}
