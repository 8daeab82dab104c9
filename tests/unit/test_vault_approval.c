/* Approvals: answered once, used once, for one version, and not for longer than was said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/approval.h"
#include "vault_help.h"

#define HOUR_MS 3600000ULL

struct step {
	const char *who;
	uint32_t version;
	uint64_t length_ms;
	struct approval approval;
};

static enum err ask_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;
	struct account account;
	enum err err = account_get(txn, "web1", "app", SECRET_PASSWORD, &account);

	return err == ERR_OK ? approval_ask(txn, &account, step->version, step->who, "why",
				   &step->approval, error)
			     : err;
}

static enum err ask(
    struct place *place, struct vault *vault, const char *who, uint32_t version, struct id *id)
{
	struct step step = {.who = who, .version = version};
	enum err err = vault_write(vault, ask_apply, &step, &place->error);

	*id = step.approval.id;
	return err;
}

static enum err answer_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;

	return approval_answer(
	    txn, &step->approval.id, step->who, false, step->length_ms, &step->approval, error);
}

static enum err answer(struct place *place, struct vault *vault, const struct id *id,
    const char *who, uint64_t length_ms)
{
	struct step step = {.who = who, .length_ms = length_ms, .approval = {.id = *id}};

	return vault_write(vault, answer_apply, &step, &place->error);
}

static enum err use_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return approval_use(txn, arg, error);
}

static enum err use(struct place *place, struct vault *vault, const struct id *id)
{
	struct id copy = *id;

	return vault_write(vault, use_apply, &copy, &place->error);
}

static enum err void_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return approval_void(txn, arg, error);
}

/* What there is for this person and version, by name; "" = nothing that is open. */
static const char *state_for(struct vault *vault, const char *who, uint32_t version)
{
	struct vault_txn *txn = vault_read(vault);
	struct approval approval;
	struct account account;
	const char *state = "";

	assert_int_equal(account_get(txn, "web1", "app", SECRET_PASSWORD, &account), ERR_OK);
	if (approval_for(txn, &account.id, version, who, &approval) == ERR_OK)
		state = approval_state_name(approval_state(txn, &approval));
	vault_read_end(txn);
	return state;
}

static struct vault *begin(struct place *place)
{
	struct vault *vault = must_create(place);

	place->clock.wall_ms += 1000 * HOUR_MS;
	place->clock.mono_ms += 1000 * HOUR_MS;
	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	return vault;
}

static void test_asked_granted_used(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct id id;

	assert_int_equal(ask(place, vault, "ann", 1, &id), ERR_OK);
	assert_string_equal(state_for(vault, "ann", 1), "pending");
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	assert_int_equal(answer(place, vault, &id, "ann", HOUR_MS), ERR_REFUSED);
	assert_int_equal(answer(place, vault, &id, "bob", HOUR_MS), ERR_OK);
	assert_int_equal(answer(place, vault, &id, "cat", HOUR_MS), ERR_REFUSED);
	vault_close(vault);
	vault = must_open(place);
	assert_string_equal(state_for(vault, "ann", 1), "granted");
	assert_string_equal(state_for(vault, "ann", 2), "");
	assert_string_equal(state_for(vault, "bob", 1), "");
	assert_int_equal(use(place, vault, &id), ERR_OK);
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	assert_string_equal(state_for(vault, "ann", 1), "");
	vault_close(vault);
}

static void test_denied_and_taken_back(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct id id;

	assert_int_equal(ask(place, vault, "ann", 1, &id), ERR_OK);
	assert_int_equal(answer(place, vault, &id, "bob", 0), ERR_OK);
	assert_string_equal(state_for(vault, "ann", 1), "");
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	assert_int_equal(ask(place, vault, "ann", 1, &id), ERR_OK);
	assert_int_equal(answer(place, vault, &id, "bob", HOUR_MS), ERR_OK);
	assert_int_equal(vault_write(vault, void_apply, &id, &place->error), ERR_OK);
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	vault_close(vault);
}

/* It is over when either clock says so. */
static void test_its_time(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	uint64_t wall_ms = place->clock.wall_ms, mono_ms = place->clock.mono_ms;
	struct id id;

	assert_int_equal(ask(place, vault, "ann", 1, &id), ERR_OK);
	assert_int_equal(answer(place, vault, &id, "bob", HOUR_MS), ERR_OK);
	place->clock.wall_ms = wall_ms + HOUR_MS;
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	place->clock.wall_ms = wall_ms - 2 * HOUR_MS;
	assert_string_equal(state_for(vault, "ann", 1), "granted");
	place->clock.mono_ms = mono_ms + HOUR_MS;
	assert_string_equal(state_for(vault, "ann", 1), "");
	assert_int_equal(use(place, vault, &id), ERR_REFUSED);
	vault_close(vault);
}

/* Nobody fills the vault with what they ask for, and what is old goes. */
static void test_too_many(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	char who[16];
	struct id id;

	for (size_t i = 0; i < APPROVALS_MAX; i++) {
		snprintf(who, sizeof(who), "user%zu", i / (APPROVALS_MAX / 10));
		assert_int_equal(ask(place, vault, who, 1, &id), ERR_OK);
		if ((i + 1) % (APPROVALS_MAX / 10) == 0)
			assert_int_equal(ask(place, vault, who, 1, &id), ERR_LIMIT);
	}
	assert_int_equal(ask(place, vault, "ann", 1, &id), ERR_LIMIT);
	place->clock.wall_ms += APPROVAL_KEEP_MS;
	assert_int_equal(ask(place, vault, "user0", 1, &id), ERR_OK);
	vault_close(vault);
}

static enum err rename_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const char *const *to = arg;
	struct renamed renamed;

	return asset_rename(txn, "web1", *to, &renamed, error);
}

static void rename_to(struct place *place, struct vault *vault, const char *asset)
{
	assert_int_equal(vault_write(vault, rename_apply, &asset, &place->error), ERR_OK);
}

static void assert_asset(
    struct place *place, struct vault *vault, const struct id *id, const char *asset)
{
	struct vault_txn *txn = vault_read(vault);
	struct approval approval;
	char text[ID_TEXT_SIZE];

	assert_int_equal(approval_find(txn, id_text(id, text), &approval, &place->error), ERR_OK);
	assert_string_equal(approval.asset, asset);
	assert_string_equal(approval.name, "app");
	assert_string_equal(approval.why, "why");
	vault_read_end(txn);
}

/* It follows its account to the asset's new name, answered or not; another account's stays. */
static void test_rename(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct id other, pending, granted;

	assert_int_equal(ask(place, vault, "ann", 1, &granted), ERR_OK);
	assert_int_equal(answer(place, vault, &granted, "bob", HOUR_MS), ERR_OK);
	assert_int_equal(ask(place, vault, "cat", 1, &pending), ERR_OK);
	rename_to(place, vault, "db1");
	assert_asset(place, vault, &granted, "db1");
	assert_asset(place, vault, &pending, "db1");
	/* Another machine has the old name, and then a third one. */
	assert_int_equal(tell(place, vault, "web1", "app", "two"), ERR_OK);
	assert_int_equal(ask(place, vault, "ann", 1, &other), ERR_OK);
	rename_to(place, vault, "db2");
	assert_asset(place, vault, &other, "db2");
	assert_asset(place, vault, &granted, "db1");
	assert_int_equal(answer(place, vault, &pending, "bob", HOUR_MS), ERR_OK);
	assert_int_equal(use(place, vault, &granted), ERR_OK);
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_asked_granted_used),
	    TEST(test_denied_and_taken_back),
	    TEST(test_its_time),
	    TEST(test_too_many),
	    TEST(test_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
