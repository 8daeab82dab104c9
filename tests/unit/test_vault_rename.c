/* Renaming an asset: all that is kept follows, or nothing does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault_help.h"

static const struct lockout lockout = {.limit = 5, .window_ms = 900000};
static const struct lockout by_source = {.limit = 5, .window_ms = 900000, .by_source = true};

struct names {
	const char *from, *to;
	struct renamed renamed;
};

static enum err rename_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct names *names = arg;

	return asset_rename(txn, names->from, names->to, &names->renamed, error);
}

static enum err rename_asset(
    struct place *place, struct vault *vault, const char *from, const char *to)
{
	struct names names = {from, to, {0}};

	return vault_write(vault, rename_apply, &names, &place->error);
}

struct pinning {
	const char *asset, *type, *blob, *how;
};

static enum err pin_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct pinning *pinning = arg;
	struct host_key key = {.len = strlen(pinning->blob)};

	(void)error;
	snprintf(key.type, sizeof(key.type), "%s", pinning->type);
	snprintf(key.how, sizeof(key.how), "%s", pinning->how);
	memcpy(key.blob, pinning->blob, key.len);
	return host_key_pin(txn, pinning->asset, &key);
}

static void pin(
    struct vault *vault, const char *asset, const char *type, const char *blob, const char *how)
{
	struct pinning pinning = {asset, type, blob, how};

	assert_int_equal(vault_write(vault, pin_apply, &pinning, NULL), ERR_OK);
}

/* The pins of an asset: "type=blob type=blob ". */
static void assert_pins(struct vault *vault, const char *asset, const char *expected)
{
	struct vault_txn *txn = vault_read(vault);
	struct host_key pins[HOST_KEYS_MAX];
	size_t count = host_key_list(txn, asset, pins), used = 0;
	char found[256] = "";

	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(found + used, sizeof(found) - used, "%s=%.*s ",
		    pins[i].type, (int)pins[i].len, (const char *)pins[i].blob);
	vault_read_end(txn);
	assert_string_equal(found, expected);
}

struct booking {
	const char *asset, *account;
	const struct lockout *lockout;
	uint64_t now_ms;
};

static enum err book_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct booking *booking = arg;

	(void)error;
	return probe_book(
	    txn, booking->asset, booking->account, booking->lockout, 1, booking->now_ms, NULL);
}

static void book(struct vault *vault, const char *asset, const char *account,
    const struct lockout *how, uint64_t at_ms)
{
	struct booking booking = {asset, account, how, at_ms};

	assert_int_equal(vault_write(vault, book_apply, &booking, NULL), ERR_OK);
}

static uint32_t booked(struct vault *vault, const char *asset, const char *account,
    const struct lockout *how, uint64_t at_ms)
{
	struct vault_txn *txn = vault_read(vault);
	uint32_t count = probe_count(txn, asset, account, how, at_ms);

	vault_read_end(txn);
	return count;
}

static void test_all_of_it_follows(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account before, after;

	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	assert_int_equal(tell(place, vault, "web1", "deploy", "two"), ERR_OK);
	assert_int_equal(tell(place, vault, "web10", "app", "other"), ERR_OK);
	assert_int_equal(stage(place, vault, "web1", "app", "newer"), ERR_OK);
	assert_int_equal(promote(place, vault, "web1", "app", PROOF_LOGIN), ERR_OK);
	pin(vault, "web1", "ssh-ed25519", "AAA", "first_use");
	pin(vault, "web1", "ecdsa", "BBB", "first_use");
	book(vault, "web1", "app", &lockout, 1000);
	book(vault, "web1", "x", &by_source, 1000);
	before = account_now(vault, "web1", "app");
	assert_int_equal(rename_asset(place, vault, "web1", "web01.example.com"), ERR_OK);
	vault_close(vault);

	vault = must_open(place);
	after = account_now(vault, "web01.example.com", "app");
	assert_true(id_equal(&before.id, &after.id));
	assert_true(version_is(vault, "web01.example.com", "app", 2, "newer"));
	assert_true(version_is(vault, "web01.example.com", "app", 1, "one"));
	assert_true(version_is(vault, "web01.example.com", "deploy", 1, "two"));
	assert_true(version_is(vault, "web10", "app", 1, "other"));
	assert_pins(vault, "web01.example.com", "ecdsa=BBB ssh-ed25519=AAA ");
	assert_pins(vault, "web1", "");
	assert_int_equal(booked(vault, "web01.example.com", "app", &lockout, 2000), 1);
	assert_int_equal(booked(vault, "web01.example.com", "y", &by_source, 2000), 1);
	assert_int_equal(booked(vault, "web1", "app", &lockout, 2000), 0);
	assert_int_equal(rename_asset(place, vault, "web1", "web01.example.com"), ERR_NOT_FOUND);
	vault_close(vault);
}

/* A password and an SSH key are two rows of one account. */
static void test_both_kinds_follow(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct account password, key;

	assert_int_equal(tell_kind(place, vault, "web1", "ops", SECRET_PASSWORD, "one"), ERR_OK);
	assert_int_equal(tell_kind(place, vault, "web1", "ops", SECRET_KEY, "PEM"), ERR_OK);
	assert_int_equal(rename_asset(place, vault, "web1", "web2"), ERR_OK);
	password = account_kind_now(vault, "web2", "ops", SECRET_PASSWORD);
	key = account_kind_now(vault, "web2", "ops", SECRET_KEY);
	assert_true(id_equal(&password.id, &key.id));
	assert_int_equal(password.current, 1);
	assert_int_equal(key.current, 2);
	assert_int_equal(stage_kind(place, vault, "web2", "ops", SECRET_KEY, "PEM2"), ERR_OK);
	assert_int_equal(rename_asset(place, vault, "web2", "web3"), ERR_BUSY);
	vault_close(vault);
}

static void test_refusals_move_nothing(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(rename_asset(place, vault, "web1", "web2"), ERR_NOT_FOUND);
	assert_int_equal(rename_asset(place, vault, "web1", "web1"), ERR_INVALID);
	assert_int_equal(rename_asset(place, vault, "web1", ""), ERR_INVALID);
	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	assert_int_equal(tell(place, vault, "web1", "deploy", "one"), ERR_OK);
	assert_int_equal(tell(place, vault, "web2", "app", "two"), ERR_OK);
	assert_int_equal(rename_asset(place, vault, "web1", "web2"), ERR_EXISTS);
	assert_non_null(strstr(place->error.text, "\"app\""));
	assert_int_equal(stage(place, vault, "web1", "deploy", "new"), ERR_OK);
	assert_int_equal(rename_asset(place, vault, "web1", "web3"), ERR_BUSY);
	assert_non_null(strstr(place->error.text, "\"deploy\""));
	assert_true(version_is(vault, "web1", "app", 1, "one"));
	assert_true(version_is(vault, "web1", "deploy", 2, "new"));
	vault_close(vault);
}

/* Another machine that was only met under the new name is not handed the secrets. */
static void test_host_keys_must_agree(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web1", "app", "one"), ERR_OK);
	pin(vault, "web1", "ssh-ed25519", "AAA", "first_use");
	pin(vault, "web1", "ecdsa", "CCC", "first_use");
	pin(vault, "met", "ssh-ed25519", "BBB", "first_use");
	pin(vault, "other", "rsa", "BBB", "first_use");
	pin(vault, "trusted", "ssh-ed25519", "BBB", "trust");
	pin(vault, "same", "ssh-ed25519", "AAA", "first_use");
	assert_int_equal(rename_asset(place, vault, "web1", "met"), ERR_REFUSED);
	assert_non_null(strstr(place->error.text, "lockstep asset trust met"));
	assert_int_equal(rename_asset(place, vault, "web1", "other"), ERR_REFUSED);
	assert_true(version_is(vault, "web1", "app", 1, "one"));
	assert_int_equal(rename_asset(place, vault, "web1", "same"), ERR_OK);
	assert_pins(vault, "same", "ecdsa=CCC ssh-ed25519=AAA ");
	assert_int_equal(rename_asset(place, vault, "same", "trusted"), ERR_OK);
	assert_pins(vault, "trusted", "ssh-ed25519=BBB ");
	assert_pins(vault, "same", "");
	vault_close(vault);
}

/* What may lock an account is not forgotten because its asset has another name. */
static void test_attempts_add_up(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	book(vault, "web1", "app", &lockout, 1000);
	book(vault, "web1", "app", &lockout, 5000);
	book(vault, "web2", "app", &lockout, 2000);
	assert_int_equal(rename_asset(place, vault, "web1", "web2"), ERR_OK);
	assert_int_equal(booked(vault, "web2", "app", &lockout, 6000), 3);
	place->clock.mono_ms = lockout.window_ms;
	assert_int_equal(booked(vault, "web2", "app", &lockout, 5000 + lockout.window_ms), 0);
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_all_of_it_follows, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_both_kinds_follow, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_refusals_move_nothing, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_host_keys_must_agree, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_attempts_add_up, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
