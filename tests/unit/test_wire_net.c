/*
 * Names and connections, with a name server of our own in the same loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>

#include "wire/net.h"

struct world {
	struct event_base *base;
	struct evdns_base *dns;
	struct evdns_server_port *server;
	int listener;
	uint16_t port;
	int wakes;
	struct link_config config;
	struct net net;
	struct outcome outcome;
};

static void count_wake(void *arg)
{
	struct world *world = arg;

	world->wakes++;
}

/* web1 has an address that nobody listens at and one that is good; all else has none. */
static void serve_name(struct evdns_server_request *request, void *arg)
{
	const struct evdns_server_question *question = request->questions[0];
	struct in_addr addresses[2];
	bool known = strcasecmp(question->name, "web1.example.com") == 0;

	(void)arg;
	addresses[0].s_addr = htonl(0x7f000002);
	addresses[1].s_addr = htonl(INADDR_LOOPBACK);
	if (known && question->type == EVDNS_TYPE_A)
		evdns_server_request_add_a_reply(request, question->name, 2, addresses, 60);
	evdns_server_request_respond(request, known ? DNS_ERR_NONE : DNS_ERR_NOTEXIST);
}

static int bind_local(int type, uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static int begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char server[32];
	uint16_t port;
	int fd;

	world->base = event_base_new();
	world->dns = evdns_base_new(world->base, 0);
	fd = bind_local(SOCK_DGRAM, &port);
	world->server = evdns_add_server_port_with_base(world->base, fd, 0, serve_name, NULL);
	snprintf(server, sizeof(server), "127.0.0.1:%u", port);
	assert_int_equal(evdns_base_nameserver_ip_add(world->dns, server), 0);
	world->listener = bind_local(SOCK_STREAM, &world->port);
	assert_int_equal(listen(world->listener, 4), 0);
	world->config = (struct link_config){.dns = world->dns, .wake = count_wake, .arg = world};
	world->net.fd = -1;
	*state = world;
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;

	net_clear(&world->net);
	event_base_loop(world->base, EVLOOP_NONBLOCK);
	evdns_close_server_port(world->server);
	evdns_base_free(world->dns, 0);
	event_base_loop(world->base, EVLOOP_NONBLOCK);
	event_base_free(world->base);
	close(world->listener);
	free(world);
	return 0;
}

static enum err step(struct world *world, const char *address, uint16_t port)
{
	return net_step(&world->net, &world->config, address, port, &world->outcome);
}

/* Steps until it ends; at most some seconds. */
static enum err run(struct world *world, const char *address, uint16_t port)
{
	enum err err;

	for (int i = 0; (err = step(world, address, port)) == ERR_AGAIN && i < 500; i++) {
		event_base_loop(world->base, EVLOOP_NONBLOCK);
		usleep(10 * 1000);
	}
	return err;
}

static void connects_to_numbers_without_asking(void **state)
{
	struct world *world = *state;

	world->config.dns = NULL;
	assert_int_equal(run(world, "127.0.0.1", world->port), ERR_OK);
	assert_string_equal(world->net.numeric, "127.0.0.1");
	assert_int_equal(world->wakes, 0);
}

static void tries_one_address_after_the_other(void **state)
{
	struct world *world = *state;

	assert_int_equal(run(world, "web1.example.com", world->port), ERR_OK);
	assert_string_equal(world->net.numeric, "127.0.0.1");
	assert_int_equal(world->wakes, 1);
}

static void names_what_has_no_address(void **state)
{
	struct world *world = *state;

	assert_int_equal(run(world, "web2.example.com", world->port), ERR_LINK);
	assert_int_equal(world->outcome.fault, FAULT_RESOLVE);
	assert_non_null(strstr(world->outcome.text, "web2.example.com"));
}

static void names_a_refused_connection(void **state)
{
	struct world *world = *state;

	assert_int_equal(run(world, "127.0.0.3", world->port), ERR_LINK);
	assert_int_equal(world->outcome.fault, FAULT_CONNECT);
	assert_non_null(strstr(world->outcome.text, "127.0.0.3: Connection refused"));
}

static int listen_on_six(uint16_t *port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 4) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		return -1;
	*port = ntohs(at.sin6_port);
	return fd;
}

static void takes_an_interface_by_its_number(void **state)
{
	struct world *world = *state;
	char *address = net_address("::1%lo"), *same;
	uint16_t port = 0;
	int fd = listen_on_six(&port);

	if (fd < 0)
		skip();
	assert_string_equal(address, "::1%1");
	assert_int_equal(run(world, address, port), ERR_OK);
	/* Later sessions take this one. */
	assert_string_equal(world->net.numeric, "::1%1");
	free(address);
	close(fd);

	same = net_address("fe80::1%no-such");
	assert_string_equal(same, "fe80::1%no-such");
	net_clear(&world->net);
	assert_int_equal(run(world, same, port), ERR_LINK);
	assert_int_equal(world->outcome.fault, FAULT_RESOLVE);
	free(same);
	same = net_address("web1.example.com");
	assert_string_equal(same, "web1.example.com");
	free(same);
}

/* The teardown turns the loop: an answer that comes late must find nothing to write to. */
static void can_be_left_while_it_asks(void **state)
{
	struct world *world = *state;

	assert_int_equal(step(world, "web1.example.com", world->port), ERR_AGAIN);
	assert_non_null(world->net.lookup);
	net_clear(&world->net);
	memset(&world->net, 0x5a, sizeof(world->net));
	for (int i = 0; i < 20; i++) {
		event_base_loop(world->base, EVLOOP_NONBLOCK);
		usleep(5 * 1000);
	}
	assert_int_equal(world->wakes, 0);
	world->net = (struct net){.fd = -1};
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(connects_to_numbers_without_asking, begin, end),
	    cmocka_unit_test_setup_teardown(tries_one_address_after_the_other, begin, end),
	    cmocka_unit_test_setup_teardown(names_what_has_no_address, begin, end),
	    cmocka_unit_test_setup_teardown(names_a_refused_connection, begin, end),
	    cmocka_unit_test_setup_teardown(takes_an_interface_by_its_number, begin, end),
	    cmocka_unit_test_setup_teardown(can_be_left_while_it_asks, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
