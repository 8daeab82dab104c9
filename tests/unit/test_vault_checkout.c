/* Check-outs: when they are over, whatever the clocks do, and that they stay until a rotation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/checkout.h"
#include "vault/seen.h"
#include "vault_help.h"

#define HOUR_MS 3600000ULL

struct step {
	const char *who;
	uint64_t length_ms;
	struct checkout checkout;
	bool left;
};

static enum err begin_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;
	struct account account;
	enum err err = account_get(txn, "web1", "app", SECRET_PASSWORD, &account);

	if (err == ERR_OK)
		err = seen_put(txn, &account.id, account.current, step->who);
	if (err == ERR_OK)
		err = checkout_begin(
		    txn, &account, step->who, "why", step->length_ms, &step->checkout, error);
	return err;
}

static enum err take(struct place *place, struct vault *vault, const char *who, uint64_t length_ms)
{
	struct step step = {.who = who, .length_ms = length_ms};

	return vault_write(vault, begin_apply, &step, &place->error);
}

static enum err end_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;
	struct account account;
	enum err err = account_get(txn, "web1", "app", SECRET_PASSWORD, &account);

	(void)error;
	if (err == ERR_OK)
		err = checkout_get(txn, &account, step->who, &step->checkout);
	return err == ERR_OK ? checkout_end(txn, &step->checkout, &step->left) : err;
}

static bool give_back(struct place *place, struct vault *vault, const char *who)
{
	struct step step = {.who = who};

	assert_int_equal(vault_write(vault, end_apply, &step, &place->error), ERR_OK);
	return step.left;
}

static enum err get(struct vault *vault, const char *asset, const char *who, struct checkout *out)
{
	struct vault_txn *txn = vault_read(vault);
	struct account account;
	enum err err = account_get(txn, asset, "app", SECRET_PASSWORD, &account);

	if (err == ERR_OK)
		err = checkout_get(txn, &account, who, out);
	vault_read_end(txn);
	return err;
}

static bool is_out(struct vault *vault, const char *who)
{
	struct checkout checkout;
	struct vault_txn *txn;
	bool out;

	if (get(vault, "web1", who, &checkout) != ERR_OK)
		return false;
	txn = vault_read(vault);
	out = checkout_is_out(txn, &checkout);
	vault_read_end(txn);
	return out;
}

static struct vault *begin(struct place *place)
{
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	return vault;
}

static void rotate(struct place *place, struct vault *vault, const char *secret)
{
	assert_int_equal(stage(place, vault, "web1", "app", secret), ERR_OK);
	assert_int_equal(promote(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
}

/* One person has it once; what is over stays until a rotation was seen to work. */
static void test_from_out_to_rotated(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct checkout checkout;

	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_OK);
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_EXISTS);
	assert_int_equal(take(place, vault, "bob", 2 * HOUR_MS), ERR_OK);
	assert_true(is_out(vault, "ann"));
	assert_true(give_back(place, vault, "ann"));
	assert_false(is_out(vault, "ann"));
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_EXISTS);
	vault_close(vault);
	vault = must_open(place);
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_OK);
	assert_string_equal(checkout.why, "why");
	assert_int_equal(stage(place, vault, "web1", "app", "two"), ERR_OK);
	assert_int_equal(retire(place, vault, "web1", "app", VERSION_NOT_LIVE), ERR_OK);
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_OK);
	rotate(place, vault, "three");
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_NOT_FOUND);
	/* Bob's goes on, and ends without another one: he does not know what opens it now. */
	assert_true(is_out(vault, "bob"));
	assert_false(give_back(place, vault, "bob"));
	assert_int_equal(get(vault, "web1", "bob", &checkout), ERR_NOT_FOUND);
	vault_close(vault);
}

/* A secret that is told is no rotation, and the same one again is none either. */
static void test_what_is_no_rotation(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct checkout checkout;

	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_OK);
	assert_true(give_back(place, vault, "ann"));
	assert_int_equal(tell(place, vault, "web1", "app", "other"), ERR_OK);
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_OK);
	rotate(place, vault, "one");
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_OK);
	rotate(place, vault, "two");
	assert_int_equal(get(vault, "web1", "ann", &checkout), ERR_NOT_FOUND);
	vault_close(vault);
}

/* Whichever clock says first that it is over. */
static void test_clocks(void **state)
{
	static const struct {
		int64_t wall_ms, mono_ms; /* passed */
		bool out;
	} cases[] = {
	    {HOUR_MS - 1, HOUR_MS - 1, true},
	    {HOUR_MS, HOUR_MS, false},
	    {HOUR_MS, 5, false},		       /* set forward */
	    {-100 * (int64_t)HOUR_MS, 5, true},	       /* set back */
	    {-100 * (int64_t)HOUR_MS, HOUR_MS, false}, /* and no longer for it */
	    {5, -1000, true},			       /* the machine was started since */
	    {HOUR_MS, -1000, false},
	};
	struct place *place = *state;
	struct vault *vault = begin(place);
	uint64_t wall_ms, mono_ms;

	place->clock.wall_ms += 1000 * HOUR_MS;
	place->clock.mono_ms += 1000 * HOUR_MS;
	wall_ms = place->clock.wall_ms, mono_ms = place->clock.mono_ms;
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		place->clock.wall_ms = wall_ms + (uint64_t)cases[i].wall_ms;
		place->clock.mono_ms = mono_ms + (uint64_t)cases[i].mono_ms;
		if (is_out(vault, "ann") != cases[i].out)
			fail_msg("case %zu", i);
	}
	vault_close(vault);
}

static enum err rename_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct renamed renamed;

	(void)arg;
	return asset_rename(txn, "web1", "db1", &renamed, error);
}

/* It follows its account to the asset's new name. */
static void test_rename(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);
	struct checkout checkout;

	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_OK);
	assert_int_equal(vault_write(vault, rename_apply, NULL, &place->error), ERR_OK);
	assert_int_equal(get(vault, "db1", "ann", &checkout), ERR_OK);
	assert_string_equal(checkout.asset, "db1");
	vault_close(vault);
}

/* What may not open the account is not handed out. */
static void test_only_what_opens_it(void **state)
{
	struct place *place = *state;
	struct vault *vault = begin(place);

	assert_int_equal(stage(place, vault, "web1", "app", "two"), ERR_OK);
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_REFUSED);
	assert_int_equal(retire(place, vault, "web1", "app", VERSION_NO_VERDICT), ERR_OK);
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_REFUSED);
	rotate(place, vault, "three");
	assert_int_equal(take(place, vault, "ann", HOUR_MS), ERR_OK);
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_from_out_to_rotated),
	    TEST(test_what_is_no_rotation),
	    TEST(test_clocks),
	    TEST(test_rename),
	    TEST(test_only_what_opens_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
