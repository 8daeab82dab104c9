/*
 * Who waits for a place at a node or a gateway, while a policy is loaded that moves assets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/secret.h"
#include "engine_help.h"

#define ASSETS 4

/* The same fields for all; but what the second has, where that is given. */
static struct policy *write_policy(
    struct engine *engine, const char *rest, const char *fields, const char *second)
{
	struct policy *before = NULL;
	struct buf policy;

	buf_init(&policy, 4096);
	assert_true(buf_add_text(&policy, rest));
	for (int i = 0; i < ASSETS; i++)
		assert_true(
		    buf_addf(&policy, "asset 'a%d' { admin = 'root', accounts = 'app', %s }\n", i,
			i == 1 && second != NULL ? second : fields));
	if (second == NULL)
		engine_init(engine, buf_text(&policy));
	else
		before = engine_reload_beside(engine, buf_text(&policy));
	buf_clear(&policy);
	return before;
}

/* One asset is at work and the others wait for its place; then the first that waits is moved. */
static void move_the_first(const char *rest, const char *fields, const char *second)
{
	struct engine engine;
	struct policy *before;

	write_policy(&engine, rest, fields, NULL);
	engine_run(&engine, "t", "manual");
	while (engine_open_sessions(&engine, "a") == 0)
		engine_wait(&engine, 1);
	before = write_policy(&engine, rest, fields, second);
	engine_finish(&engine);
	assert_int_equal(engine.ended[STATUS_SUCCESS], ASSETS);
	assert_false(rotation_uses(engine.rotation, before));
	policy_free(before);
	engine_clear(&engine);
}

#define TASK(limits)                                                                               \
	"task 't' { accounts = 'app', nodes = '/', verify = 'hash', limits = { " limits " } }\n"
#define JUMP "asset 'jump' { admin = 'root' }\n"

static void of_a_node(void **state)
{
	(void)state;
	move_the_first(TASK("per_node = 1"), "node = '/a'", "node = '/b'");
}

static void of_a_task_s_gateway(void **state)
{
	(void)state;
	move_the_first(JUMP TASK("per_gateway = 1"), "gateway = 'jump'", "");
}

static void of_a_gateway(void **state)
{
	(void)state;
	move_the_first(
	    "settings { gateway_in_flight = 1 }\n" JUMP TASK(""), "gateway = 'jump'", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_a_node),
	    cmocka_unit_test(of_a_task_s_gateway),
	    cmocka_unit_test(of_a_gateway),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
