/*
 * Sessions through a gateway as the core has them: real wires, sandboxed, and a real sshd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "wire.h"
#include "wire_asset.h"

#define PROCESSES 3

static struct asset asset;
static bool asset_there;
static struct loop *loop;
static struct wires *wires;
static unsigned deaths;

static void on_died(void *arg, uint32_t wire, const char *how)
{
	(void)arg;
	(void)wire;
	deaths++;
	print_message("the wire %s\n", how);
}

static void on_done(void *arg, const struct wire_result *result)
{
	*(struct wire_result *)arg = *result;
	loop_stop(loop);
}

static struct wire_session *session_to(const char *name, uint16_t port, struct wire_session *via)
{
	struct wire_target target = {
	    .asset = name,
	    .address = via != NULL ? "localhost" : "127.0.0.1",
	    .port = port,
	    .via = via,
	};

	return wire_session_new(wires, &target);
}

static struct wire_session *session_through(struct wire_session *via)
{
	return session_to(via != NULL ? "inner" : "gw", asset.port, via);
}

static struct wire_result job(
    struct wire_session *session, enum wire_job_kind kind, const char *account)
{
	struct secret *secret = secret_from(ASSET_PASSWORD, strlen(ASSET_PASSWORD));
	struct wire_result result = {.fault = FAULT_NONE};

	wire_submit(session,
	    &(struct wire_job){
		.kind = kind,
		.timeout_ms = 10000,
		.account = account,
		.secret = secret,
		.become = kind == WIRE_ADMIN ? WIRE_BECOME_SUDO : WIRE_BECOME_NONE,
	    },
	    on_done, &result);
	loop_run(loop);
	secret_free(secret);
	return result;
}

static struct wire_result expect(
    struct wire_session *session, enum wire_job_kind kind, const char *account, enum fault fault)
{
	struct wire_result result = job(session, kind, account);

	if (result.fault != fault)
		fail_msg("job %d: %s: %s", kind, fault_name(result.fault), result.text);
	return result;
}

static struct wire_session *gateway(struct wire_session *via)
{
	struct wire_session *session = session_through(via);

	expect(session, WIRE_OPEN, NULL, FAULT_NONE);
	expect(session, WIRE_LOGIN, "plain", FAULT_NONE);
	return session;
}

static void test_through(void **state)
{
	struct wire_session *gateways[PROCESSES], *inner[2 * PROCESSES];

	(void)state;
	if (!asset_there)
		skip();
	/* Each on a wire of its own, and what goes through it on the same. */
	for (size_t i = 0; i < PROCESSES; i++)
		gateways[i] = gateway(NULL);
	for (size_t i = 0; i < 2 * PROCESSES; i++) {
		struct wire_result result, other;

		inner[i] = session_through(gateways[i % PROCESSES]);
		result = expect(inner[i], WIRE_OPEN, NULL, FAULT_NONE);
		/* A name stays one: the gateway has resolved it. */
		assert_string_equal(result.address, "localhost");
		assert_true(result.host_key_new);
		other = expect(inner[i], WIRE_ADMIN, "free", FAULT_NONE);
		assert_int_equal(result.wire, other.wire);
	}
	for (size_t i = 0; i < 2 * PROCESSES; i++)
		wire_session_free(inner[i]);
	/* A gateway does nothing else. */
	expect(gateways[0], WIRE_METHODS, "plain", FAULT_LOST);
	for (size_t i = 0; i < PROCESSES; i++)
		wire_session_free(gateways[i]);
	assert_int_equal(deaths, 0);
}

static void test_through_two(void **state)
{
	struct wire_session *first, *second, *inner;

	(void)state;
	if (!asset_there)
		skip();
	first = gateway(NULL);
	second = gateway(first);
	inner = session_through(second);
	expect(inner, WIRE_OPEN, NULL, FAULT_NONE);
	expect(inner, WIRE_PROVE, "plain", FAULT_NONE);
	wire_session_free(inner);
	wire_session_free(second);
	wire_session_free(first);
}

/* Whose gateway is not there, or goes, says so: it is not the asset's fault. */
static void test_without(void **state)
{
	struct wire_session *first, *inner, *lost;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	first = session_through(NULL);
	inner = session_through(first);
	assert_true(expect(inner, WIRE_OPEN, NULL, FAULT_LOST).via_lost);
	expect(first, WIRE_OPEN, NULL, FAULT_NONE);
	assert_true(expect(inner, WIRE_OPEN, NULL, FAULT_LOST).via_lost);
	expect(first, WIRE_LOGIN, "plain", FAULT_NONE);
	assert_false(expect(inner, WIRE_OPEN, NULL, FAULT_NONE).via_lost);
	lost = session_through(first);
	wire_session_free(first);
	result = expect(inner, WIRE_PROVE, "plain", FAULT_LOST);
	assert_true(result.via_lost);
	assert_int_equal(result.verdict, VERDICT_UNKNOWN);
	assert_true(expect(lost, WIRE_OPEN, NULL, FAULT_LOST).via_lost);
	wire_session_free(inner);
	wire_session_free(lost);
	assert_int_equal(deaths, 0);
}

/* ── What has no elliptic curve ──────────────────────────────────────────────────────────── */

static struct wire_session *gateway_at(const char *name, uint16_t port, struct wire_session *via)
{
	struct wire_session *session = session_to(name, port, via);

	expect(session, WIRE_OPEN, NULL, FAULT_NONE);
	expect(session, WIRE_LOGIN, "plain", FAULT_NONE);
	return session;
}

/* No ordinary wire has such a session open, and the slow lane's wire is started with the first. */
static void test_slow_lane(void **state)
{
	struct wire_session *sessions[2 * PROCESSES], *other;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	assert_int_equal(wires_alive(wires), PROCESSES);
	for (size_t i = 0; i < 2 * PROCESSES; i++) {
		sessions[i] = session_to("old1", asset.old_port, NULL);
		result = expect(sessions[i], WIRE_OPEN, NULL, FAULT_NONE);
		assert_true(result.host_key_new);
		assert_int_equal(result.wire, PROCESSES + 1);
		result = expect(sessions[i], WIRE_PROVE, "plain", FAULT_NONE);
		assert_int_equal(result.wire, PROCESSES + 1);
		assert_int_equal(result.failed_attempts, 0);
	}
	assert_int_equal(wires_alive(wires), PROCESSES + 1);
	other = session_to("new1", asset.port, NULL);
	assert_true(expect(other, WIRE_OPEN, NULL, FAULT_NONE).wire <= PROCESSES);
	wire_session_free(other);
	for (size_t i = 0; i < 2 * PROCESSES; i++)
		wire_session_free(sessions[i]);
	assert_int_equal(deaths, 0);
}

static void test_slow_gateway(void **state)
{
	struct wire_session *old, *inner;

	(void)state;
	if (!asset_there)
		skip();
	old = gateway_at("oldgw", asset.old_port, NULL);
	inner = session_through(old);
	assert_int_equal(expect(inner, WIRE_OPEN, NULL, FAULT_NONE).wire, PROCESSES + 1);
	expect(inner, WIRE_PROVE, "plain", FAULT_NONE);
	wire_session_free(inner);
	wire_session_free(old);
}

/* The gateways of an asset that belongs there go there when they are opened anew, and who is inside
 * of what they were stays. */
static void test_slow_lane_through_two(void **state)
{
	struct wire_session *first, *second, *inside, *inner;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	first = gateway_at("gw1", asset.port, NULL);
	second = gateway_at("gw2", asset.port, first);
	inside = session_through(second);
	expect(inside, WIRE_OPEN, NULL, FAULT_NONE);
	inner = session_to("old2", asset.old_port, second);
	result = expect(inner, WIRE_OPEN, NULL, FAULT_WIRE);
	assert_true(result.via_lost);
	assert_false(result.slow_lane);
	wire_session_free(inner);
	/* Neither again through the same, nor the second gateway through the first. */
	inner = session_to("old2", asset.old_port, second);
	assert_true(expect(inner, WIRE_OPEN, NULL, FAULT_WIRE).via_lost);
	wire_session_free(inner);
	inner = session_to("gw2", asset.port, first);
	assert_true(expect(inner, WIRE_OPEN, NULL, FAULT_WIRE).via_lost);
	wire_session_free(inner);
	expect(inside, WIRE_PROVE, "plain", FAULT_NONE);
	wire_session_free(inside);
	wire_session_free(second);
	wire_session_free(first);
	first = gateway_at("gw1", asset.port, NULL);
	second = gateway_at("gw2", asset.port, first);
	inner = session_to("old2", asset.old_port, second);
	assert_int_equal(expect(inner, WIRE_OPEN, NULL, FAULT_NONE).wire, PROCESSES + 1);
	expect(inner, WIRE_PROVE, "plain", FAULT_NONE);
	wire_session_free(inner);
	wire_session_free(second);
	wire_session_free(first);
	assert_int_equal(deaths, 0);
}

static int begin(void **state)
{
	struct wires_config config = {
	    .processes = PROCESSES,
	    .lock_fd = -1,
	    .sandbox = true,
	    .died = on_died,
	};
	struct error error = {.text = ""};
	bool locked;

	(void)state;
	if (secret_heap_init(1 << 20, &locked, &error) != ERR_OK)
		return -1;
	asset_there = asset_start(&asset);
	if (!asset_there)
		print_message("no root or no sshd here: tests against it are skipped\n");
	loop = loop_new();
	config.loop = loop;
	return wires_start(&wires, &config, &error) == ERR_OK ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	wires_stop(wires);
	loop_free(loop);
	asset_stop(&asset);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_through),
	    cmocka_unit_test(test_through_two),
	    cmocka_unit_test(test_without),
	    cmocka_unit_test(test_slow_lane),
	    cmocka_unit_test(test_slow_gateway),
	    cmocka_unit_test(test_slow_lane_through_two),
	};

	if (argc == 2 && strcmp(argv[1], WIRE_ARGUMENT) == 0)
		return wire_main();
	return cmocka_run_group_tests(tests, begin, end);
}
