/*
 * Gateways: sessions that go through a real sshd, and through several; how they end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "wire_gateway_help.h"

static void expect_echoed(struct link *link)
{
	struct echo *echo = echo_new(link);
	struct outcome outcome;

	if (STEP(10000, echo_step(echo, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	echo_free(echo);
}

static void carries_sessions(void **state)
{
	struct link *links[12];
	struct gateway *gateway;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	for (size_t i = 0; i < 12; i++) {
		links[i] = connected(gateway, asset.port);
		log_in(links[i], "plain");
	}
	for (size_t i = 0; i < 12; i++)
		expect_echoed(links[i]);
	for (size_t i = 0; i < 12; i++)
		link_free(links[i]);
	assert_true(UNTIL(gateway->count == 0, 5000));
	assert_false(gateway_broken(gateway));
	gateway_free(gateway);
}

static void carries_a_chain(void **state)
{
	struct gateway *first, *second, *third;
	struct link *link;
	struct outcome why;

	(void)state;
	NEED_ASSET();
	first = gateway_at(NULL, "plain");
	second = gateway_at(first, "plain");
	third = gateway_at(second, "free");
	link = connected(third, asset.port);
	log_in(link, "plain");
	expect_echoed(link);
	assert_false(link_gateway_lost(link));
	/* The end of the first is the end of all, and each says by whom. */
	gateway_free(first);
	assert_true(UNTIL(gateway_broken(second) && gateway_broken(third), 2000));
	assert_true(link_gateway_lost(link));
	assert_true(tunnel_lost(link->tunnel, &why));
	assert_non_null(strstr(why.text, "gateway gw"));
	link_free(link);
	gateway_free(third);
	gateway_free(second);
}

/* A shell that is elevated, and a command of many bytes, through a gateway. */
static void carries_a_privileged_shell(void **state)
{
	struct shell_config config = {.become = WIRE_BECOME_SUDO};
	struct gateway *gateway;
	struct command command;
	struct outcome outcome;
	struct shell *shell;
	struct link *link;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	link = connected(gateway, asset.port);
	log_in(link, "free");
	shell = shell_new(link, &config);
	if (STEP(10000, shell_open_step(shell, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	words(&command, (const char *const[]){"head", "-c", "60000", "/dev/zero", NULL});
	if (STEP(10000, shell_run_step(shell, &command, &outcome)) != ERR_OK)
		fail_msg("%s", outcome.text);
	assert_int_equal(command.out.len, 60000);
	command_clear(&command);
	shell_free(shell);
	link_free(link);
	gateway_free(gateway);
}

/* ── The ends of gateways ────────────────────────────────────────────────────────────────── */

static bool lingers(const struct gateway *gateway)
{
	struct linger linger = {.l_onoff = 0};
	socklen_t len = sizeof(linger);

	getsockopt(gateway->link->net.fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	return linger.l_onoff != 0 && linger.l_linger == 0;
}

/* The dead must not send: the carrying socket is reset while any link through it needs that. */
static void resets_the_outermost(void **state)
{
	struct gateway *first, *second;
	struct link *a, *b;

	(void)state;
	NEED_ASSET();
	first = gateway_at(NULL, "plain");
	second = gateway_at(first, "plain");
	a = connected(second, asset.port);
	b = connected(second, asset.port);
	assert_false(lingers(first));
	link_hold(a, true);
	assert_true(lingers(first));
	link_hold(b, true);
	link_hold(b, true);
	link_hold(a, false);
	assert_true(lingers(first));
	link_hold(b, false);
	assert_false(lingers(first));
	/* Cut while it holds: all was taken by then, and the gateway goes on. */
	link_hold(a, true);
	(void)UNTIL(link_acked(a) == a->stream.total, 2000);
	link_free(a);
	assert_true(UNTIL(second->count == 1, 2000));
	assert_false(gateway_broken(second));
	assert_false(lingers(first));
	link_free(b);
	gateway_free(second);
	gateway_free(first);
}

/* What was cut and cannot be called back goes with the link that carries it. */
static void does_not_deliver_what_was_cut(void **state)
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
	tunnel_hold(ends.tunnel, true);
	/* The loop does not run: nothing of it is handed on. */
	assert_int_equal(write(ends.near, "secret", 6), 6);
	close(ends.near);
	tunnel_free(ends.tunnel);
	assert_true(UNTIL((n = read(ends.far, bytes, sizeof(bytes))) >= 0, 5000));
	assert_int_equal(n, 0);
	/* Nothing of it was handed on: the gateway need not go. */
	assert_false(gateway_broken(gateway));
	close(ends.far);
	close(fd);
	gateway_free(gateway);
}

static struct gateway *gateway_relayed(struct rogue_server *relay, uint64_t silence_ms)
{
	struct gateway_config config = {
	    .base = base,
	    .turns = turns,
	    .asset = "gw",
	    .ask_ms = 500,
	    .silence_ms = silence_ms,
	};
	struct outcome outcome;
	struct link *link;

	rogue_relay(relay, asset.port);
	link = connected(NULL, relay->port);
	log_in(link, "plain");
	assert_int_equal(STEP(5000, gateway_ready_step(link, &outcome)), ERR_OK);
	return gateway_new(&config, link);
}

/* A gateway that hangs breaks too, soon after something through it was cut; one that is only quiet
 * does not. */
static void breaks_when_it_hangs(void **state)
{
	struct rogue_server relay;
	struct gateway *gateway;
	struct outcome outcome;
	struct ends ends[2];
	uint64_t start_ms;
	uint16_t port;
	int fd;

	(void)state;
	NEED_ASSET();
	if (getenv("VALGRIND") != NULL) /* it is about seconds, and answers take as long there */
		skip();
	gateway = gateway_relayed(&relay, 3000);
	fd = listener(&port, 5);
	for (int i = 0; i < 2; i++)
		ends_open(&ends[i], gateway, fd, port);
	assert_false(UNTIL(gateway_broken(gateway), 4500));
	kill(relay.pid, SIGSTOP);
	tunnel_hold(ends[0].tunnel, true);
	ends_close(&ends[0]);
	start_ms = mono_ms();
	assert_true(UNTIL(gateway_broken(gateway), 10000));
	assert_in_range(mono_ms() - start_ms, 500, 6000);
	assert_true(tunnel_lost(ends[1].tunnel, &outcome));
	assert_non_null(strstr(outcome.text, "not answered"));
	ends_close(&ends[1]);
	close(fd);
	gateway_free(gateway);
	kill(relay.pid, SIGCONT);
	rogue_stop(&relay);
}

/* Until something waits before the socket. */
static bool fills(const struct ends *ends, const struct gateway *gateway)
{
	static char bytes[4096];

	if (stream_unsent(&gateway->link->stream))
		return true;
	assert_true(write(ends->near, bytes, sizeof(bytes)) > 0 || errno == EAGAIN);
	return false;
}

/* What was handed on and not taken yet cannot be called back but with all that is carried. */
static void breaks_for_what_cannot_be_called_back(void **state)
{
	struct rogue_server relay;
	struct gateway *gateway;
	struct ends ends[2];
	uint16_t port;
	int fd, size = 4096;

	(void)state;
	NEED_ASSET();
	gateway = gateway_relayed(&relay, 60000);
	fd = listener(&port, 5);
	for (int i = 0; i < 2; i++)
		ends_open(&ends[i], gateway, fd, port);
	setsockopt(gateway->link->net.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	kill(relay.pid, SIGSTOP);
	tunnel_hold(ends[1].tunnel, true);
	/* One that was taken may be cut, whatever else is under way. */
	assert_int_equal(write(ends[1].near, "taken", 5), 5);
	assert_true(UNTIL(ends[1].tunnel->handed == 5 && tunnel_acked(ends[1].tunnel) == 5, 5000));
	assert_true(UNTIL(fills(&ends[0], gateway), 20000));
	assert_int_equal(tunnel_acked(ends[1].tunnel), 5);
	assert_true(tunnel_acked(ends[0].tunnel) < ends[0].tunnel->handed);
	assert_int_equal(write(ends[1].near, "secret", 6), 6);
	assert_true(UNTIL(ends[1].tunnel->handed == 11, 5000));
	ends_close(&ends[1]);
	assert_true(gateway_broken(gateway));
	ends_close(&ends[0]);
	close(fd);
	gateway_free(gateway);
	kill(relay.pid, SIGCONT);
	rogue_stop(&relay);
}

static void breaks_with_its_machine(void **state)
{
	struct gateway *gateway;
	struct outcome why;
	struct ends ends[2];
	struct link *link;
	uint16_t port;
	char byte;
	int fd;

	(void)state;
	NEED_ASSET();
	gateway = gateway_at(NULL, "plain");
	link = connected(gateway, asset.port);
	fd = listener(&port, 5);
	for (int i = 0; i < 2; i++)
		ends_open(&ends[i], gateway, fd, port);
	shutdown(gateway->link->net.fd, SHUT_RDWR);
	assert_true(UNTIL(gateway_broken(gateway), 2000));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read(ends[i].near, &byte, 1), 0);
		assert_true(tunnel_lost(ends[i].tunnel, &why));
		ends_close(&ends[i]);
	}
	assert_true(link_gateway_lost(link));
	link_free(link);
	close(fd);
	gateway_free(gateway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(carries_sessions),
	    cmocka_unit_test(carries_a_chain),
	    cmocka_unit_test(carries_a_privileged_shell),
	    cmocka_unit_test(resets_the_outermost),
	    cmocka_unit_test(does_not_deliver_what_was_cut),
	    cmocka_unit_test(breaks_for_what_cannot_be_called_back),
	    cmocka_unit_test(breaks_when_it_hangs),
	    cmocka_unit_test(breaks_with_its_machine),
	};

	return cmocka_run_group_tests(tests, gateway_begin, gateway_end);
}
