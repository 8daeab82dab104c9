/*
 * The parts of links that need no asset: greetings, budgets, the memory of a session, host keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "wire/algorithm.h"
#include "wire/blocks.h"
#include "wire/greeting.h"
#include "wire/hostkey.h"
#include "wire/stream.h"

/* ── Greetings ───────────────────────────────────────────────────────────────────────────── */

/* A plain packet of message 20 with ten lists, all alike. */
static size_t kexinit(uint8_t *at, const char *names)
{
	size_t len = 6 + 16;

	memset(at, 0, 1024);
	at[5] = 20;
	for (int i = 0; i < 10; i++) {
		at[len + 3] = (uint8_t)strlen(names);
		memcpy(at + len + 4, names, strlen(names));
		len += 4 + strlen(names);
	}
	len += 5;
	at[4] = 8;
	len += at[4];
	at[2] = (uint8_t)((len - 4) >> 8);
	at[3] = (uint8_t)(len - 4);
	return len;
}

static void finds_lists_in_any_pieces(void **state)
{
	static const char banner[] = "hello\r\nSSX-2.0-y\nSSH-2.0-x\r\n";
	uint8_t packet[1024];
	size_t len = kexinit(packet, "one,two");

	(void)state;
	for (size_t piece = 1; piece < 40; piece++) {
		struct names lists[LIST_COUNT];
		struct greeting greeting;

		greeting_init(&greeting);
		for (size_t i = 0; i < strlen(banner); i += piece)
			greeting_feed(&greeting, banner + i,
			    strlen(banner) - i < piece ? strlen(banner) - i : piece);
		assert_true(greeting.banner);
		assert_false(greeting_lists(&greeting, lists));
		for (size_t i = 0; i < len; i += piece)
			greeting_feed(&greeting, packet + i, len - i < piece ? len - i : piece);
		assert_true(greeting_lists(&greeting, lists));
		for (size_t i = 0; i < LIST_COUNT; i++) {
			assert_int_equal(lists[i].len, 7);
			assert_memory_equal(lists[i].text, "one,two", 7);
		}
		greeting_clear(&greeting);
	}
}

/* Whatever is cut or bent, nothing is read beyond the bytes (the sanitizer looks on). */
static void survives_bent_lists(void **state)
{
	uint8_t packet[1024];
	size_t len = kexinit(packet, "one,two");

	(void)state;
	for (size_t i = 0; i < len; i++) {
		for (int bend = 0; bend < 3; bend++) {
			static const uint8_t bends[] = {0x00, 0x7f, 0xff};
			struct names lists[LIST_COUNT];
			struct greeting greeting;
			uint8_t *bent = xcalloc(1, i + 1);

			memcpy(bent, packet, i + 1);
			bent[i] = bends[bend];
			greeting_init(&greeting);
			greeting_feed(&greeting, "SSH-2.0-x\n", 10);
			greeting_feed(&greeting, bent, i + 1);
			(void)greeting_lists(&greeting, lists);
			greeting_clear(&greeting);
			free(bent);
		}
	}
}

static struct names names(const char *text)
{
	return (struct names){text, strlen(text)};
}

static void compares_names_whole(void **state)
{
	(void)state;
	assert_true(names_share(names("a,b,c"), names("x,c")));
	assert_false(names_share(names("aa,b"), names("a,bb,")));
	assert_false(names_share(names(""), names("")));
	assert_true(names_have(names("publickey,password"), "password"));
	assert_false(names_have(names("publickey,passwords"), "password"));
}

/* ── Budgets ─────────────────────────────────────────────────────────────────────────────── */

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void fill(int fd)
{
	static const char zeros[4096];

	while (send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0) {
	}
}

static void takes_so_much_a_wake_up(void **state)
{
	struct stream stream;
	char bytes[8192];
	size_t wake = 0, all = 0;
	ssize_t got = 0;
	int fds[2];

	(void)state;
	pair(fds);
	stream_init(&stream, fds[0]);
	while (!stream.over) {
		stream_wake(&stream);
		for (wake = 0; (got = stream_recv(&stream, bytes, sizeof(bytes))) > 0;
		     wake += (size_t)got)
			fill(fds[1]);
		fill(fds[1]);
		assert_in_range(wake, 0, STREAM_WAKE_MAX);
		all += wake;
		assert_in_range(all, 0, STREAM_EARLY_MAX);
	}
	assert_int_equal(got, -ECONNABORTED);
	assert_int_equal(all, STREAM_EARLY_MAX);

	stream_trust(&stream);
	stream_wake(&stream);
	assert_true(stream_recv(&stream, bytes, sizeof(bytes)) > 0);
	stream_clear(&stream);
	close(fds[0]);
	close(fds[1]);
}

static void reads_ahead_and_loses_nothing(void **state)
{
	struct stream stream;
	char text[3000], got[3000] = {0};
	size_t len = 0;
	int fds[2];

	(void)state;
	pair(fds);
	stream_init(&stream, fds[0]);
	stream_wake(&stream);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	assert_int_equal(send(fds[1], text, sizeof(text), 0), sizeof(text));
	while (len < 100)
		len += (size_t)stream_recv(&stream, got + len, 1);
	/* What was read ahead comes though the socket's budget is spent. */
	stream.wake_left = 0;
	len += (size_t)stream_recv(&stream, got + len, sizeof(got) - len);
	assert_int_equal(len, STREAM_AHEAD_SIZE);
	assert_int_equal(stream_recv(&stream, got + len, 1), -EAGAIN);
	stream_wake(&stream);
	while (len < sizeof(got))
		len += (size_t)stream_recv(&stream, got + len, sizeof(got) - len);
	assert_memory_equal(got, text, sizeof(text));
	close(fds[1]);
	assert_int_equal(stream_recv(&stream, got, 1), 0);
	assert_true(stream_broken(&stream));
	stream_clear(&stream);
	close(fds[0]);
}

/* Who read all, and found nothing for himself, waits for the socket: what comes is left to it. */
static void leaves_what_comes_late_to_the_next_wake_up(void **state)
{
	struct stream stream;
	char bytes[8192];
	int fds[2];

	(void)state;
	pair(fds);
	stream_init(&stream, fds[0]);
	stream_wake(&stream);
	assert_int_equal(send(fds[1], "first", 5, 0), 5);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), 5);
	assert_int_equal(send(fds[1], "late", 4, 0), 4);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), -EAGAIN);
	stream_wake(&stream);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), 4);
	stream_wake(&stream);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(send(fds[1], "late", 4, 0), 4);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), -EAGAIN);
	/* Its end is told whenever it is asked for. */
	close(fds[1]);
	stream_wake(&stream);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), 4);
	stream_wake(&stream);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), 0);
	assert_int_equal(stream_recv(&stream, bytes, sizeof(bytes)), 0);
	assert_true(stream_broken(&stream));
	close(fds[0]);
	stream_clear(&stream);
}

static void gathers_whole_packets(void **state)
{
	struct stream stream;
	char packet[32 * 1024] = {0};
	ssize_t put;
	size_t all = 0;
	int fds[2];

	(void)state;
	pair(fds);
	fill(fds[0]);
	stream_init(&stream, fds[0]);
	while ((put = stream_send(&stream, packet, sizeof(packet))) > 0) {
		assert_int_equal(put, sizeof(packet));
		all += (size_t)put;
		assert_in_range(all, 0, STREAM_OUT_MAX);
	}
	assert_int_equal(put, -EAGAIN);
	assert_true(stream_unsent(&stream));
	stream.mute = true;
	assert_int_equal(stream_send(&stream, packet, 1), -ECONNABORTED);
	stream.mute = false;
	close(fds[1]);
	stream_flush(&stream);
	assert_false(stream_unsent(&stream));
	assert_true(stream_broken(&stream));
	assert_int_equal(stream_send(&stream, packet, 1), -EPIPE);
	stream_clear(&stream);
	close(fds[0]);
}

/* ── Memory of a session ─────────────────────────────────────────────────────────────────── */

static void gives_all_blocks_back(void **state)
{
	struct blocks blocks = {.used = 0};
	size_t used = mem_used();
	void *a, *b;

	(void)state;
	a = blocks_alloc(&blocks, 100);
	b = blocks_alloc(&blocks, 0);
	a = blocks_realloc(&blocks, a, 200000);
	assert_non_null(blocks_realloc(&blocks, NULL, 10));
	assert_null(blocks_alloc(&blocks, BLOCKS_SIZE_MAX));
	assert_true(blocks.over);
	assert_null(blocks_realloc(&blocks, b, SIZE_MAX));
	blocks_free(&blocks, NULL);
	blocks_free(&blocks, a);
	blocks.ending = true;
	blocks_free(&blocks, b);
	blocks_free(&blocks, b);
	blocks_clear(&blocks);
	assert_int_equal(blocks.used, 0);
	assert_int_equal(mem_used(), used);
}

/* ── Host keys ───────────────────────────────────────────────────────────────────────────── */

static const char public_key[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAINV4kKXN+fWOz6drJL6r1NwN+OJR9+3rdkzuC1IYKpVv";

static void key_from(struct wire_key *key, const char *text)
{
	uint8_t blob[256];
	int len = EVP_DecodeBlock(blob, (const uint8_t *)text, (int)strlen(text));

	assert_true(len >= 51);
	assert_true(hostkey_read(key, blob, 51));
}

static void shows_and_compares_host_keys(void **state)
{
	char shown[FINGERPRINT_SIZE];
	struct outcome outcome;
	struct wire_key key, other;

	(void)state;
	key_from(&key, public_key);
	assert_string_equal(key.type, "ssh-ed25519");
	assert_string_equal(
	    hostkey_fingerprint(&key, shown), "SHA256:21XyFsheFcYYNfwGm22Eko6CjHWRRSZcOe2LXn67Vu4");
	other = key;
	other.blob[50] ^= 1;
	assert_int_equal(hostkey_check(&key, &key, 1, true, &outcome), ERR_OK);
	assert_int_equal(hostkey_check(&key, NULL, 0, false, &outcome), ERR_OK);
	assert_int_not_equal(hostkey_check(&key, NULL, 0, true, &outcome), ERR_OK);
	assert_int_equal(outcome.fault, FAULT_HOST_UNKNOWN);
	assert_int_not_equal(hostkey_check(&key, &other, 1, false, &outcome), ERR_OK);
	assert_int_equal(outcome.fault, FAULT_HOST_KEY);
	assert_non_null(strstr(outcome.text, shown));
	assert_non_null(strstr(outcome.text, hostkey_fingerprint(&other, shown)));
}

static void refuses_bent_host_keys(void **state)
{
	struct wire_key key;

	(void)state;
	assert_false(hostkey_read(&key, "\0\0\0", 3));
	assert_false(hostkey_read(&key,
	    "\0\0\0\x05"
	    "abcd",
	    8));
	assert_false(hostkey_read(&key,
	    "\xff\xff\xff\xff"
	    "abcd",
	    8));
	assert_false(hostkey_read(&key, "\0\0\0\0abcd", 8));
	assert_true(hostkey_read(&key,
	    "\0\0\0\x04"
	    "abcd",
	    8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_lists_in_any_pieces),
	    cmocka_unit_test(survives_bent_lists),
	    cmocka_unit_test(compares_names_whole),
	    cmocka_unit_test(takes_so_much_a_wake_up),
	    cmocka_unit_test(reads_ahead_and_loses_nothing),
	    cmocka_unit_test(leaves_what_comes_late_to_the_next_wake_up),
	    cmocka_unit_test(gathers_whole_packets),
	    cmocka_unit_test(gives_all_blocks_back),
	    cmocka_unit_test(shows_and_compares_host_keys),
	    cmocka_unit_test(refuses_bent_host_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
