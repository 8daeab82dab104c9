/*
 * Tunnels through a real sshd to targets that are not SSH: what passes, what holds back, and what
 * one of them does to the others.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "wire_gateway_help.h"

static char pattern(size_t at)
{
	return (char)(at * 31 + at / 251);
}

/* Writes and reads what can be, and checks what came. */
struct stream_test {
	int from, to;
	size_t sent, got, size, slice;
};

static bool passed(struct stream_test *test)
{
	char bytes[8192];
	size_t len = test->size - test->sent < test->slice ? test->size - test->sent : test->slice;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(test->sent + i);
	n = len > 0 ? write(test->from, bytes, len) : 0;
	test->sent += n > 0 ? (size_t)n : 0;
	n = read(test->to, bytes, test->slice);
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], pattern(test->got + (size_t)i));
	test->got += n > 0 ? (size_t)n : 0;
	return test->got == test->size;
}

/* Each goes on, whatever the other does. */
static bool both_passed(struct stream_test *one, struct stream_test *other)
{
	bool first = passed(one);

	return passed(other) && first;
}

static void hands_on_every_byte(void **state)
{
	struct stream_test out, in;
	struct gateway *gateway;
	struct ends ends;
	uint16_t port;
	int fd;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	fd = listener(&port, 5);
	ends_open(&ends, gateway, fd, port);
	out =
	    (struct stream_test){.from = ends.near, .to = ends.far, .size = 1000003, .slice = 8000};
	in = (struct stream_test){.from = ends.far, .to = ends.near, .size = 700001, .slice = 777};
	assert_true(UNTIL(both_passed(&out, &in), 60000));
	ends_close(&ends);
	close(fd);
	assert_true(UNTIL(gateway->count == 0, 5000));
	gateway_free(gateway);
}

/* What came before the end is given first, then the end; in both directions. */
static void hands_on_the_end(void **state)
{
	struct gateway *gateway;
	struct ends ends;
	uint16_t port;
	char bytes[64];
	ssize_t n = -1;
	int fd;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	fd = listener(&port, 5);
	ends_open(&ends, gateway, fd, port);
	assert_int_equal(write(ends.near, "last words", 10), 10);
	close(ends.near);
	ends.near = -1;
	tunnel_free(ends.tunnel);
	ends.tunnel = NULL;
	assert_true(UNTIL((n = read(ends.far, bytes, sizeof(bytes))) >= 0, 5000));
	assert_int_equal(n, 10);
	assert_true(UNTIL((n = read(ends.far, bytes, sizeof(bytes))) >= 0, 5000));
	assert_int_equal(n, 0);
	ends_close(&ends);

	ends_open(&ends, gateway, fd, port);
	assert_int_equal(write(ends.far, "farewell", 8), 8);
	close(ends.far);
	ends.far = -1;
	assert_true(UNTIL((n = read(ends.near, bytes, sizeof(bytes))) >= 0, 5000));
	assert_int_equal(n, 8);
	assert_true(UNTIL((n = read(ends.near, bytes, sizeof(bytes))) >= 0, 5000));
	assert_int_equal(n, 0);
	ends_close(&ends);
	assert_true(UNTIL(gateway->count == 0, 5000));
	close(fd);
	gateway_free(gateway);
}

static void expect_no_tunnel(struct gateway *gateway, uint16_t port, enum fault fault)
{
	struct tunnel *tunnel = tunnel_to(gateway, port);
	struct outcome outcome = {.fault = FAULT_NONE};
	int fd;

	assert_int_not_equal(STEP(5000, tunnel_step(tunnel, &fd, &outcome)), ERR_OK);
	assert_int_equal(outcome.fault, fault);
	assert_non_null(strstr(outcome.text, "the gateway gw"));
	assert_false(tunnel_lost(tunnel, &outcome));
	tunnel_free(tunnel);
}

static void says_why_it_cannot(void **state)
{
	struct gateway *gateway;
	struct ends ends;
	uint16_t port;
	int fd;

	(void)state;
	NEED_ASSET();
	fd = listener(&port, 5);
	gateway = gateway_at(NULL, "none");
	expect_no_tunnel(gateway, port, FAULT_GATEWAY);
	gateway_free(gateway);

	gateway = gateway_at(NULL, "plain");
	ends_open(&ends, gateway, fd, port);
	close(fd);
	expect_no_tunnel(gateway, port, FAULT_CONNECT);
	/* The others are not touched by it. */
	assert_int_equal(write(ends.near, "x", 1), 1);
	assert_true(UNTIL(read(ends.far, &port, 1) == 1, 2000));
	ends_close(&ends);
	gateway_free(gateway);
}

/* ── Who misbehaves, and the others ──────────────────────────────────────────────────────── */

static uint64_t echo_ms(struct ends *ends)
{
	uint64_t start_ms = mono_ms();
	char byte = 'x';

	assert_int_equal(write(ends->near, &byte, 1), 1);
	assert_true(UNTIL(read(ends->far, &byte, 1) == 1, 5000));
	assert_int_equal(write(ends->far, &byte, 1), 1);
	assert_true(UNTIL(read(ends->near, &byte, 1) == 1, 5000));
	return mono_ms() - start_ms;
}

/* A target that floods, and nobody reads what it sends: it stands still, in bounded memory. */
static void holds_back_a_flood(void **state)
{
	struct ends flood, other;
	struct gateway *gateway;
	static char bytes[65536];
	size_t sent = 0;
	uint16_t port;
	int fd;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	fd = listener(&port, 5);
	ends_open(&flood, gateway, fd, port);
	ends_open(&other, gateway, fd, port);
	for (int i = 0; i < 300; i++) {
		ssize_t n = write(flood.far, bytes, sizeof(bytes));

		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	assert_true(gateway->link->blocks.used < 512 * 1024);
	assert_true(flood.tunnel->down.len <= TUNNEL_PIECE);
	assert_true(echo_ms(&other) < 1000);
	/* Nothing of it is lost when it is read at last. */
	for (size_t got = 0; got < sent;) {
		ssize_t n = 0;

		assert_true(UNTIL((n = read(flood.near, bytes, sizeof(bytes))) > 0, 5000));
		got += (size_t)n;
	}
	ends_close(&flood);
	ends_close(&other);
	close(fd);
	gateway_free(gateway);
}

/* The other way: what is sent to a target that does not read stays with who sends it. */
static void holds_back_a_sender(void **state)
{
	struct ends slow, other;
	struct gateway *gateway;
	static char bytes[65536];
	uint16_t port;
	int fd, full = 0;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	fd = listener(&port, 5);
	ends_open(&slow, gateway, fd, port);
	ends_open(&other, gateway, fd, port);
	for (int i = 0; i < 100000 && full < 200; i++) {
		full = write(slow.near, bytes, sizeof(bytes)) < 0 ? full + 1 : 0;
		turn();
	}
	assert_int_equal(full, 200);
	assert_true(slow.tunnel->up.len <= TUNNEL_PIECE);
	assert_true(echo_ms(&other) < 1000);
	ends_close(&slow);
	ends_close(&other);
	close(fd);
	assert_true(UNTIL(gateway->count == 0, 5000));
	gateway_free(gateway);
}

/* Takes and drops who waits at it; never true. */
static bool answers_all(int fd)
{
	int far = accept4(fd, NULL, NULL, 0);

	if (far >= 0)
		close(far);
	return false;
}

/* A target that does not answer is put off for the others; its answer is nobody else's. */
static void puts_off_who_does_not_answer(void **state)
{
	struct tunnel *dead[3];
	struct gateway *gateway;
	struct outcome outcome;
	struct ends ends[3];
	uint16_t port, deaf;
	int fd, deaf_fd, filler[8];
	uint64_t start_ms;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	fd = listener(&port, 5);
	deaf_fd = listener(&deaf, 0);
	/* Its queue is full: it answers no connection until one is accepted. */
	for (int i = 0; i < 8; i++) {
		struct sockaddr_in at = {.sin_family = AF_INET,
		    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		    .sin_port = htons(deaf)};

		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[i], (struct sockaddr *)&at, sizeof(at));
	}
	for (int i = 0; i < 3; i++)
		dead[i] = tunnel_to(gateway, deaf);
	start_ms = mono_ms();
	for (int i = 0; i < 3; i++)
		ends_open(&ends[i], gateway, fd, port);
	assert_true(mono_ms() - start_ms < 4000);
	/* Given up by who wanted it, while it is being opened. */
	tunnel_free(dead[1]);
	for (int i = 0; i < 8; i++)
		close(filler[i]);
	(void)UNTIL(answers_all(deaf_fd), 100);
	for (int i = 0; i < 3; i++) {
		assert_true(echo_ms(&ends[i]) < 1000);
		ends_close(&ends[i]);
	}
	ends_open(&ends[0], gateway, fd, port);
	assert_true(echo_ms(&ends[0]) < 1000);
	ends_close(&ends[0]);
	for (int i = 0; i < 3; i += 2) {
		int near = -1;
		if (STEP(20000,
			answers_all(deaf_fd) ? ERR_AGAIN : tunnel_step(dead[i], &near, &outcome)) !=
		    ERR_OK)
			fail_msg("%s", outcome.text);
		close(near);
		tunnel_free(dead[i]);
	}
	close(fd);
	close(deaf_fd);
	assert_true(UNTIL(gateway->count == 0, 5000));
	assert_false(gateway_broken(gateway));
	gateway_free(gateway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hands_on_every_byte),
	    cmocka_unit_test(hands_on_the_end),
	    cmocka_unit_test(says_why_it_cannot),
	    cmocka_unit_test(holds_back_a_flood),
	    cmocka_unit_test(holds_back_a_sender),
	    cmocka_unit_test(puts_off_who_does_not_answer),
	};

	return cmocka_run_group_tests(tests, gateway_begin, gateway_end);
}
