#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "base/loop.h"
#include "wire/frame.h"

#define SIZE_LIMIT 100000

/* A stream under test, and the other end of its socket in raw bytes. */
struct end {
	struct loop *loop;
	struct frames *frames;
	int peer;
	size_t count, bytes; /* frames that came */
	size_t stop_after;   /* frames; 0 = never */
	enum err answer;     /* what the callback says */
	bool free_in_frame, free_in_lost;
	enum err lost;
	unsigned lost_count;
	struct timer timer; /* armed by the first frame */
	size_t count_at_timer;
};

static void on_timer(void *arg)
{
	struct end *end = arg;

	end->count_at_timer = end->count;
}

static enum err on_frame(void *arg, const uint8_t *bytes, size_t len)
{
	struct end *end = arg;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], (uint8_t)len);
	if (end->count++ == 0)
		timer_start(loop_clock(end->loop), &end->timer, 0);
	end->bytes += len;
	if (end->count == end->stop_after)
		loop_stop(end->loop);
	if (end->free_in_frame) {
		frames_free(end->frames);
		end->frames = NULL;
		loop_stop(end->loop);
	}
	return end->answer;
}

static void on_lost(void *arg, enum err why)
{
	struct end *end = arg;

	end->lost = why;
	end->lost_count++;
	loop_stop(end->loop);
	if (end->free_in_lost) {
		frames_free(end->frames);
		end->frames = NULL;
	}
}

static int begin(void **state)
{
	struct end *end = calloc(1, sizeof(*end));
	struct frames_config config = {
	    .size_max = SIZE_LIMIT, .priority = 1, .frame = on_frame, .lost = on_lost, .arg = end};
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	end->loop = loop_new();
	end->timer.fn = on_timer;
	end->timer.arg = end;
	end->peer = sockets[1];
	end->frames = frames_new(loop_base(end->loop), sockets[0], &config);
	*state = end;
	return 0;
}

static int finish(void **state)
{
	struct end *end = *state;

	frames_free(end->frames);
	if (end->peer >= 0)
		close(end->peer);
	loop_free(end->loop);
	free(end);
	return 0;
}

static size_t put_frame(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < 4; i++)
		out[i] = (uint8_t)(len >> (24 - 8 * i));
	memset(out + 4, (uint8_t)len, len);
	return len + 4;
}

static void send_raw(struct end *end, const void *bytes, size_t len)
{
	assert_int_equal(send(end->peer, bytes, len, 0), len);
}

/* What can be done at once. */
static void turn(struct end *end)
{
	event_base_loop(loop_base(end->loop), EVLOOP_NONBLOCK);
}

static void test_pieces(void **state)
{
	struct end *end = *state;
	uint8_t bytes[64];
	size_t len = put_frame(bytes, 5);

	len += put_frame(bytes + len, 0);
	len += put_frame(bytes + len, 9);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(end->count, i >= len - 13 ? 2 : i >= 9 ? 1 : 0);
		send_raw(end, bytes + i, 1);
		turn(end);
	}
	assert_int_equal(end->count, 3);
	assert_int_equal(end->bytes, 14);
}

static void test_many_at_once(void **state)
{
	struct end *end = *state;
	uint8_t bytes[5000 * 5];
	size_t len = 0;

	for (size_t i = 0; i < 5000; i++)
		len += put_frame(bytes + len, 1);
	send_raw(end, bytes, len);
	end->stop_after = 5000;
	loop_run(end->loop);
	assert_int_equal(end->count, 5000);
	/* A turn is bounded: others came between. */
	assert_in_range(end->count_at_timer, 1, 1000);
}

static void test_largest(void **state)
{
	struct end *end = *state;
	uint8_t *bytes = malloc(SIZE_LIMIT + 4);

	end->stop_after = 1;
	send_raw(end, bytes, put_frame(bytes, SIZE_LIMIT));
	loop_run(end->loop);
	assert_int_equal(end->bytes, SIZE_LIMIT);
	free(bytes);
}

static void test_too_large(void **state)
{
	struct end *end = *state;
	static const uint8_t length[] = {0x00, 0x01, 0x86, 0xa1}; /* one more */

	send_raw(end, length, sizeof(length));
	loop_run(end->loop);
	assert_int_equal(end->lost, ERR_PROTOCOL);
	assert_int_equal(end->count, 0);
}

static void test_eof_after_frames(void **state)
{
	struct end *end = *state;
	uint8_t bytes[600 * 5];
	size_t len = 0;

	for (size_t i = 0; i < 600; i++)
		len += put_frame(bytes + len, 1);
	send_raw(end, bytes, len);
	close(end->peer);
	end->peer = -1;
	loop_run(end->loop);
	assert_int_equal(end->count, 600);
	assert_int_equal(end->lost, ERR_LINK);
	assert_int_equal(end->lost_count, 1);
}

static void test_refused_frame(void **state)
{
	struct end *end = *state;
	uint8_t bytes[64];
	size_t len = put_frame(bytes, 1);

	len += put_frame(bytes + len, 1);
	end->answer = ERR_PROTOCOL;
	end->free_in_lost = true;
	send_raw(end, bytes, len);
	loop_run(end->loop);
	assert_int_equal(end->count, 1);
	assert_int_equal(end->lost, ERR_PROTOCOL);
	assert_int_equal(end->lost_count, 1);
}

static void test_freed_in_frame(void **state)
{
	struct end *end = *state;
	uint8_t bytes[64];
	size_t len = put_frame(bytes, 1);

	len += put_frame(bytes + len, 1);
	end->free_in_frame = true;
	send_raw(end, bytes, len);
	loop_run(end->loop);
	assert_int_equal(end->count, 1);
	assert_int_equal(end->lost_count, 0);
}

/* More than the socket takes at once arrives whole and in order, once the peer reads. */
static void test_sends(void **state)
{
	struct end *end = *state;
	size_t len = 3000000, got = 0;
	uint8_t *bytes = malloc(len), *back = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	buf_add(frames_out(end->frames), bytes, len);
	frames_send(end->frames);
	while (got < len) {
		ssize_t n;

		turn(end);
		n = recv(end->peer, back + got, len - got, MSG_DONTWAIT);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(bytes, back, len);
	assert_int_equal(frames_out(end->frames)->len, 0);
	free(bytes);
	free(back);
}

static void test_peer_gone(void **state)
{
	struct end *end = *state;

	close(end->peer);
	end->peer = -1;
	buf_add(frames_out(end->frames), "x", 1);
	frames_send(end->frames);
	loop_run(end->loop);
	assert_int_equal(end->lost, ERR_LINK);
	assert_int_equal(end->lost_count, 1);
}

/* A peer that never reads cannot make us hold more than the cap. */
static void test_flooded_out(void **state)
{
	struct end *end = *state;
	uint8_t *bytes = calloc(1, 1 << 20);
	size_t count = 0;

	while (count < 64 && buf_add(frames_out(end->frames), bytes, 1 << 20))
		count++;
	assert_in_range(count, 8, 63);
	frames_send(end->frames);
	loop_run(end->loop);
	assert_int_equal(end->lost, ERR_FULL);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_pieces, begin, finish),
	    cmocka_unit_test_setup_teardown(test_many_at_once, begin, finish),
	    cmocka_unit_test_setup_teardown(test_largest, begin, finish),
	    cmocka_unit_test_setup_teardown(test_too_large, begin, finish),
	    cmocka_unit_test_setup_teardown(test_eof_after_frames, begin, finish),
	    cmocka_unit_test_setup_teardown(test_refused_frame, begin, finish),
	    cmocka_unit_test_setup_teardown(test_freed_in_frame, begin, finish),
	    cmocka_unit_test_setup_teardown(test_sends, begin, finish),
	    cmocka_unit_test_setup_teardown(test_peer_gone, begin, finish),
	    cmocka_unit_test_setup_teardown(test_flooded_out, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
