/*
 * Attempts are counted from when the asset may count them, and not from when they were booked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/secret.h"
#include "engine_help.h"

#define MINUTE_MS ((uint64_t)60 * 1000)

/* How many attempts at the account were booked since so long ago. */
static uint32_t booked_since(struct engine *engine, uint64_t span_ms)
{
	struct lockout lockout = {.limit = 3, .window_ms = span_ms};
	struct vault_txn *txn = vault_read(engine->vault);
	uint32_t count = probe_count(txn, "a", "app", &lockout, engine_wall_ms(engine));

	vault_read_end(txn);
	return count;
}

/* The proof's attempt is booked before the change is sent, and made two minutes later: its window
 * is to begin then. */
static void an_attempt_that_waited_is_booked_anew(void **state)
{
	struct engine engine;
	uint32_t last = 0;

	(void)state;
	engine_init(&engine,
	    "asset 'a' { admin = 'root', accounts = 'app', lockout = { limit = 3, window = '15m' } "
	    "}\ntask 't' { accounts = 'app', nodes = '/', verify = 'login' }\n");
	engine.job_ms = 2 * MINUTE_MS;
	engine_run(&engine, "t", "manual");
	while (engine.ended[STATUS_SUCCESS] == 0) {
		last = booked_since(&engine, 5 * MINUTE_MS / 2);
		assert_true(booked_since(&engine, 15 * MINUTE_MS) <= 1);
		engine_wait(&engine, MINUTE_MS / 2);
	}
	assert_int_equal(last, 1);
	assert_int_equal(booked_since(&engine, 15 * MINUTE_MS), 0);
	engine_clear(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_attempt_that_waited_is_booked_anew),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
