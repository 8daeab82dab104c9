#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "base/id.h"
#include "base/loop.h"
#include "base/random.h"

static bool id_before(const struct id *a, const struct id *b)
{
	return memcmp(a->bytes, b->bytes, ID_SIZE) < 0;
}

static void ids_go_forward(void **state)
{
	static const uint64_t walls[] = {
	    1000, 1000, 1000, 999, 1001, 5, 1ull << 47, 0, UINT64_MAX, UINT64_MAX, 7};
	struct id last = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
		struct id id = id_make(walls[i]);

		assert_true(id_before(&last, &id));
		last = id;
	}
}

static void a_seed_gives_the_same_ids(void **state)
{
	struct id a, b, next;

	(void)state;
	random_seed(3);
	a = id_make(5000);
	next = id_make(5000);
	assert_true(id_before(&a, &next));
	random_seed(3);
	b = id_make(5000);
	assert_true(id_equal(&a, &b));
	random_seed(4);
	b = id_make(5000);
	assert_false(id_equal(&a, &b));
	assert_memory_equal(a.bytes, b.bytes, 6);
	random_unseed();
}

static void id_texts(void **state)
{
	struct id id = {{0x01, 0x93, 0x5d, 0x0f, 0x2a, 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
	struct id ones, low, high;
	char text[ID_TEXT_SIZE];

	(void)state;
	memset(&ones, 0xff, sizeof(ones));
	assert_string_equal(id_text(&ones, text), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
	assert_string_equal(id_text(&id, text), "01JDEGYAP0041061050R3GG28A");
	assert_true(id_range(text, &low, &high));
	assert_true(id_equal(&low, &id));
	assert_true(id_equal(&high, &id));
	assert_true(id_range("7zzzzzzzzzzzzzzzzzzzzzzzzz", &low, &high));
	assert_true(id_equal(&high, &ones));
	assert_false(id_is_none(&id));
}

static void id_prefixes(void **state)
{
	struct id low, high, id;
	char text[ID_TEXT_SIZE];

	(void)state;
	assert_true(id_range("01jdeg", &low, &high));
	assert_string_equal(id_text(&low, text), "01JDEG00000000000000000000");
	assert_string_equal(id_text(&high, text), "01JDEGZZZZZZZZZZZZZZZZZZZZ");
	assert_true(id_range("oi", &low, &high));
	assert_string_equal(id_text(&low, text), "01000000000000000000000000");
	assert_false(id_range("", &low, &high));
	assert_false(id_range("8", &low, &high));
	assert_false(id_range("0U", &low, &high));
	assert_false(id_range("0-", &low, &high));
	assert_false(id_range("000000000000000000000000000", &low, &high));
	id = id_make(1795513267120ull);
	id_text(&id, text);
	for (size_t len = 1; len < ID_TEXT_SIZE; len++) {
		char prefix[ID_TEXT_SIZE] = "";

		memcpy(prefix, text, len);
		assert_true(id_range(prefix, &low, &high));
		assert_false(id_before(&id, &low));
		assert_false(id_before(&high, &id));
	}
}

/* What happened in the loop, in order. */
static struct {
	struct loop *loop;
	char seen[64];
	size_t count;
} played;

struct player {
	struct timer timer;
	char name;
	struct player *starts; /* armed with 0 when this one fires */
	struct player *stops;
	bool ends; /* the loop */
};

static void play(void *arg)
{
	struct player *player = arg;

	if (played.count < sizeof(played.seen) - 1)
		played.seen[played.count++] = player->name;
	if (player->starts != NULL)
		timer_start(loop_clock(played.loop), &player->starts->timer, 0);
	if (player->stops != NULL)
		timer_stop(&player->stops->timer);
	if (player->ends)
		loop_stop(played.loop);
}

static void arm(struct player *player, char name, uint64_t delay_ms)
{
	player->name = name;
	player->timer.fn = play;
	player->timer.arg = player;
	timer_start(loop_clock(played.loop), &player->timer, delay_ms);
}

static int start_loop(void **state)
{
	(void)state;
	memset(&played, 0, sizeof(played));
	played.loop = loop_new();
	return played.loop == NULL ? -1 : 0;
}

static int end_loop(void **state)
{
	(void)state;
	loop_free(played.loop);
	return 0;
}

static uint64_t mono_ms(void)
{
	return clock_mono_ms(loop_clock(played.loop));
}

/* The order is sure only where arming took less time than lies between any two of them. */
static void timers_fire_in_order(void **state)
{
	struct player players[8];
	uint64_t before;

	(void)state;
	memset(players, 0, sizeof(players));
	do {
		before = mono_ms();
		arm(&players[0], 'a', 20);
		arm(&players[1], 'b', 0);
		arm(&players[2], 'c', 10);
		arm(&players[3], 'd', 0);
		arm(&players[4], 'e', 0);
		arm(&players[5], 'f', 15);
		arm(&players[1], 'b', 30);
	} while (mono_ms() - before >= 5);
	assert_string_equal(played.seen, "");
	loop_run(played.loop);
	assert_string_equal(played.seen, "decfab");
}

static void many_timers_fire_in_order(void **state)
{
	struct player players[50];
	uint64_t before, took;

	(void)state;
	memset(players, 0, sizeof(players));
	do {
		before = mono_ms();
		for (size_t i = 0; i < 50; i++)
			arm(&players[i], (char)('0' + i * 7 % 50), i * 7 % 50 * 4);
	} while (mono_ms() - before >= 4);
	for (size_t i = 0; i < 50; i += 3)
		timer_stop(&players[i].timer);
	loop_run(played.loop);
	took = mono_ms() - before;
	assert_int_equal(played.count, 33);
	for (size_t i = 1; i < played.count; i++)
		assert_true(played.seen[i - 1] < played.seen[i]);
	assert_in_range(took, 49 * 4, 5000);
}

static void timers_due_together_fire_as_armed(void **state)
{
	struct player players[50];

	(void)state;
	memset(players, 0, sizeof(players));
	for (size_t i = 0; i < 50; i++)
		arm(&players[i], (char)('0' + i), 0);
	loop_run(played.loop);
	assert_int_equal(played.count, 50);
	for (size_t i = 1; i < played.count; i++)
		assert_true(played.seen[i - 1] < played.seen[i]);
}

static void a_timer_waits_its_time(void **state)
{
	struct clock *clock = loop_clock(played.loop);
	uint64_t before = clock_mono_ms(clock);
	struct player player = {.ends = true};

	(void)state;
	arm(&player, 'a', 30);
	loop_run(played.loop);
	assert_in_range(clock_mono_ms(clock) - before, 30, 5000);
	assert_true(clock_wall_ms(clock) > 1600000000000ull);
	/* It is armed no more. */
	loop_run(played.loop);
	assert_string_equal(played.seen, "a");
}

static void a_stopped_timer_is_silent(void **state)
{
	struct player first, second, third;

	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	memset(&third, 0, sizeof(third));
	first.stops = &second;
	timer_stop(&third.timer);
	arm(&first, '1', 0);
	arm(&second, '2', 0);
	arm(&third, '3', 0);
	loop_run(played.loop);
	assert_string_equal(played.seen, "13");
	timer_stop(&second.timer);
	timer_stop(&first.timer);
}

static void what_a_timer_arms_comes_after(void **state)
{
	struct player first, second, third;

	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	memset(&third, 0, sizeof(third));
	first.starts = &third;
	third.name = '3';
	third.timer.fn = play;
	third.timer.arg = &third;
	arm(&first, '1', 0);
	arm(&second, '2', 0);
	loop_run(played.loop);
	assert_string_equal(played.seen, "123");
}

static void play_read(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	played.seen[played.count++] = 'r';
	loop_stop(played.loop);
}

/* A timer that arms itself for ever must not keep a descriptor waiting. */
static void timers_do_not_starve_descriptors(void **state)
{
	struct player player = {.starts = &player};
	struct event *event;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	event = event_new(loop_base(played.loop), fds[0], EV_READ, play_read, NULL);
	assert_int_equal(event_priority_set(event, 1), 0);
	event_add(event, NULL);
	arm(&player, 't', 0);
	loop_run(played.loop);
	assert_non_null(strchr(played.seen, 'r'));
	assert_true(played.count < 10);
	timer_stop(&player.timer);
	event_free(event);
	close(fds[0]);
	close(fds[1]);
}

static void a_timer_fires_once_a_turn(void **state)
{
	struct player player = {.starts = &player};

	(void)state;
	arm(&player, 't', 0);
	assert_int_equal(event_base_loop(loop_base(played.loop), EVLOOP_ONCE), 0);
	assert_string_equal(played.seen, "t");
	timer_stop(&player.timer);
}

static void play_signal(void *arg, int signo)
{
	played.seen[played.count++] = signo == SIGUSR1 ? '1' : '2';
	*(int *)arg += 1;
	if (played.count == 2)
		loop_stop(played.loop);
	else
		raise(SIGUSR2);
}

static void signals_come_through_the_loop(void **state)
{
	int caught = 0;

	(void)state;
	loop_signal(played.loop, SIGUSR1, play_signal, &caught);
	loop_signal(played.loop, SIGUSR2, play_signal, &caught);
	raise(SIGUSR1);
	assert_int_equal(caught, 0);
	loop_run(played.loop);
	assert_int_equal(caught, 2);
	assert_string_equal(played.seen, "12");
}

static void a_loop_may_go_before_its_timers(void **state)
{
	struct loop *loop = loop_new();
	struct player player = {.name = 'x'};

	(void)state;
	timer_start(loop_clock(loop), &player.timer, 1000);
	loop_free(loop);
	timer_stop(&player.timer);
	loop_free(NULL);
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, start_loop, end_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids_go_forward),
	    cmocka_unit_test(a_seed_gives_the_same_ids),
	    cmocka_unit_test(id_texts),
	    cmocka_unit_test(id_prefixes),
	    LOOP_TEST(timers_fire_in_order),
	    LOOP_TEST(many_timers_fire_in_order),
	    LOOP_TEST(timers_due_together_fire_as_armed),
	    LOOP_TEST(a_timer_waits_its_time),
	    LOOP_TEST(a_stopped_timer_is_silent),
	    LOOP_TEST(what_a_timer_arms_comes_after),
	    LOOP_TEST(timers_do_not_starve_descriptors),
	    LOOP_TEST(a_timer_fires_once_a_turn),
	    LOOP_TEST(signals_come_through_the_loop),
	    cmocka_unit_test(a_loop_may_go_before_its_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
