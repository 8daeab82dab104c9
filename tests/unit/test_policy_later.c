/*
 * What the language says already and the engine cannot do yet is refused, each with its word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/secret.h"
#include "policy_fixture.h"

static void unfinished_is_refused(void **state)
{
	(void)state;
	fixture_check_bad("later");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unfinished_is_refused),
	};
	struct error error;
	bool locked;

	if (secret_heap_init(1024 * 1024, &locked, &error) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
