/*
 * What is kept of tasks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault_help.h"

static enum err put_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	(void)error;
	return task_state_put(txn, arg);
}

static enum err put(struct place *place, struct vault *vault, struct task_state *state)
{
	return vault_write(vault, put_apply, state, &place->error);
}

static bool add_name(void *arg, const struct task_state *state)
{
	char *names = arg;

	snprintf(names + strlen(names), 64 - strlen(names), "%s;", state->task);
	return true;
}

static void states_are_kept(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct task_state kept, weekly = {
				    .task = "weekly",
				    .handled_ms = 1800000000123,
				    .schedule = UINT64_MAX,
				    .execution = {{1, 2, 3}},
				    .paused_ms = 5,
				    .until_ms = 6,
				    .paused_by = "ann",
				    .paused_why = "the network is being moved",
				};
	struct vault_txn *txn;
	char names[64] = "";

	assert_int_equal(put(place, vault, &weekly), ERR_OK);
	assert_int_equal(put(place, vault, &(struct task_state){.task = "Ähre"}), ERR_OK);
	assert_int_equal(put(place, vault, &(struct task_state){.task = ""}), ERR_INVALID);
	vault_close(vault);
	vault = must_open(place);
	txn = vault_read(vault);
	assert_int_equal(task_state_get(txn, "weekly", &kept), ERR_OK);
	assert_memory_equal(&kept, &weekly, sizeof(kept));
	assert_int_equal(task_state_get(txn, "daily", &kept), ERR_NOT_FOUND);
	task_state_each(txn, add_name, names);
	vault_read_end(txn);
	assert_string_equal(names, "weekly;Ähre;");
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(states_are_kept, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
