#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "vault_help.h"

#define MINUTE ((uint64_t)60000)

static struct still_clock *clocks; /* of the test's vault */

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	place_setup(place);
	place->config.no_sync = true;
	clocks = &place->clock;
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	place_teardown(*state);
	free(*state);
	return 0;
}

static const struct lockout usual = {.limit = 3, .window_ms = 15 * MINUTE};

struct probe {
	const char *account;
	struct lockout lockout;
	uint32_t attempts;
	uint64_t now_ms, free_at_ms;
};

static enum err book_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct probe *probe = arg;

	(void)error;
	return probe_book(txn, "web1", probe->account, &probe->lockout, probe->attempts,
	    probe->now_ms, &probe->free_at_ms);
}

static enum err return_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct probe *probe = arg;

	(void)error;
	return probe_return(txn, "web1", probe->account, &probe->lockout, probe->attempts);
}

/* Both clocks go alike, where a test says nothing else. */
static enum err book(struct vault *vault, uint32_t attempts, uint64_t now_ms)
{
	struct probe probe = {
	    .account = "app", .lockout = usual, .attempts = attempts, .now_ms = now_ms};

	clocks->mono_ms = now_ms;
	return vault_write(vault, book_apply, &probe, NULL);
}

static void give_back(struct vault *vault, uint32_t attempts)
{
	struct probe probe = {.account = "app", .lockout = usual, .attempts = attempts};

	assert_int_equal(vault_write(vault, return_apply, &probe, NULL), ERR_OK);
}

static uint32_t count_of(
    struct vault *vault, const char *account, const struct lockout *lockout, uint64_t now_ms)
{
	struct vault_txn *txn = vault_read(vault);
	uint32_t count = probe_count(txn, "web1", account, lockout, now_ms);

	vault_read_end(txn);
	return count;
}

static uint32_t count(struct vault *vault, uint64_t now_ms)
{
	clocks->mono_ms = now_ms;
	return count_of(vault, "app", &usual, now_ms);
}

/* ── The budget ──────────────────────────────────────────────────────────────────────────── */

static void test_one_below_the_limit(void **state)
{
	struct vault *vault = must_create(*state);
	struct probe probe = {.account = "app", .lockout = usual, .attempts = 1, .now_ms = 2000};

	assert_int_equal(count(vault, 0), 0);
	assert_int_equal(book(vault, 3, 1000), ERR_FULL);
	assert_int_equal(book(vault, 0, 1000), ERR_OK);
	assert_int_equal(book(vault, 1, 1000), ERR_OK);
	assert_int_equal(count(vault, 1000), 1);
	assert_int_equal(book(vault, 2, 1500), ERR_FULL);
	assert_int_equal(book(vault, 1, 1500), ERR_OK);
	clocks->mono_ms = probe.now_ms;
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	assert_int_equal(probe.free_at_ms, 1500 + usual.window_ms);
	assert_int_equal(count(vault, 2000), 2);
	vault_close(vault);
	vault = must_open(*state);
	assert_int_equal(book(vault, 1, 3000), ERR_FULL);
	vault_close(vault);
}

static void test_falls_only_after_a_quiet_window(void **state)
{
	struct vault *vault = must_create(*state);

	assert_int_equal(book(vault, 1, 0), ERR_OK);
	assert_int_equal(book(vault, 1, 14 * MINUTE), ERR_OK);
	/* The first is older than a window; the asset counts it still. */
	assert_int_equal(count(vault, 16 * MINUTE), 2);
	assert_int_equal(book(vault, 1, 16 * MINUTE), ERR_FULL);
	assert_int_equal(book(vault, 1, 29 * MINUTE - 1), ERR_FULL);
	/* A refused one books nothing and moves nothing. */
	assert_int_equal(count(vault, 29 * MINUTE - 1), 2);
	assert_int_equal(count(vault, 29 * MINUTE), 0);
	assert_int_equal(book(vault, 2, 29 * MINUTE), ERR_OK);
	assert_int_equal(count(vault, 29 * MINUTE), 2);
	vault_close(vault);
}

static void test_returned_gives_back_its_own(void **state)
{
	struct vault *vault = must_create(*state);

	assert_int_equal(book(vault, 1, 0), ERR_OK); /* fails */
	/* Logins that work, one after another, must not keep the failed one from expiring. */
	for (uint64_t now = MINUTE; now < 15 * MINUTE; now += MINUTE) {
		assert_int_equal(book(vault, 1, now), ERR_OK);
		assert_int_equal(count(vault, now), 2);
		give_back(vault, 1);
		assert_int_equal(count(vault, now), 1);
	}
	assert_int_equal(count(vault, 15 * MINUTE - 1), 1);
	assert_int_equal(count(vault, 15 * MINUTE), 0);

	/* Of two booked at once one worked: the other counts from then. */
	assert_int_equal(book(vault, 2, 20 * MINUTE), ERR_OK);
	give_back(vault, 1);
	assert_int_equal(count(vault, 35 * MINUTE - 1), 1);
	give_back(vault, 1);
	assert_int_equal(count(vault, 20 * MINUTE), 0);
	give_back(vault, 5); /* never below none */
	assert_int_equal(book(vault, 3, 20 * MINUTE), ERR_FULL);
	vault_close(vault);
}

static void test_clock_set_back(void **state)
{
	struct vault *vault = must_create(*state);
	uint64_t noon = 1000 * MINUTE;

	assert_int_equal(book(vault, 1, noon), ERR_OK);
	assert_int_equal(count(vault, noon - 500 * MINUTE), 1);
	assert_int_equal(book(vault, 1, noon - 500 * MINUTE), ERR_OK);
	assert_int_equal(book(vault, 1, noon - 480 * MINUTE), ERR_FULL);
	assert_int_equal(count(vault, noon - 1), 2);
	assert_int_equal(count(vault, noon + 15 * MINUTE - 1), 2);
	assert_int_equal(count(vault, noon + 15 * MINUTE), 0);
	vault_close(vault);
}

/* The asset does not know that our clock was set forward. */
static void test_clock_set_forward(void **state)
{
	struct vault *vault = must_create(*state);
	uint64_t noon = 1000 * MINUTE, later = noon + 500 * MINUTE;
	struct probe probe = {.account = "app", .lockout = usual, .attempts = 1, .now_ms = later};

	assert_int_equal(book(vault, 2, noon), ERR_OK);
	clocks->mono_ms = noon + MINUTE;
	assert_int_equal(count_of(vault, "app", &usual, later), 2);
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	assert_int_equal(probe.free_at_ms, later + 14 * MINUTE);
	clocks->mono_ms = noon + 15 * MINUTE - 1;
	assert_int_equal(count_of(vault, "app", &usual, later), 2);
	clocks->mono_ms = noon + 15 * MINUTE;
	assert_int_equal(count_of(vault, "app", &usual, later), 0);
	/* The machine was started since: what its monotonic clock says is of another time. */
	clocks->mono_ms = MINUTE;
	assert_int_equal(count_of(vault, "app", &usual, later), 0);
	assert_int_equal(count_of(vault, "app", &usual, noon + 14 * MINUTE), 2);
	vault_close(vault);
}

static void test_by_source_counts_together(void **state)
{
	struct vault *vault = must_create(*state);
	struct lockout source = {.limit = 3, .window_ms = 15 * MINUTE, .by_source = true};
	struct probe a = {.account = "a", .lockout = source, .attempts = 1};
	struct probe b = {.account = "b", .lockout = source, .attempts = 1};

	assert_int_equal(vault_write(vault, book_apply, &a, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, book_apply, &b, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, book_apply, &a, NULL), ERR_FULL);
	assert_int_equal(count_of(vault, "c", &source, 0), 2);
	assert_int_equal(count_of(vault, "a", &usual, 0), 0);
	vault_close(vault);
}

static void test_odd_limits(void **state)
{
	struct vault *vault = must_create(*state);
	struct probe probe = {
	    .account = "a", .lockout = {.limit = 0, .window_ms = 1}, .attempts = 1};

	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	probe.lockout.limit = 1;
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	probe.lockout = (struct lockout){.limit = UINT32_MAX, .window_ms = UINT64_MAX};
	probe.attempts = UINT32_MAX - 1;
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	assert_int_equal(count_of(vault, "a", &probe.lockout, UINT64_MAX - 1), UINT32_MAX - 1);
	vault_close(vault);
}

static void test_many_groups_merge_at_the_later_time(void **state)
{
	struct vault *vault = must_create(*state);
	struct probe probe = {
	    .account = "a",
	    .lockout = {.limit = 101, .window_ms = 15 * MINUTE},
	    .attempts = 1,
	};

	for (; probe.now_ms < 100; probe.now_ms++)
		assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_OK);
	assert_int_equal(count_of(vault, "a", &probe.lockout, 100), 100);
	assert_int_equal(vault_write(vault, book_apply, &probe, NULL), ERR_FULL);
	probe.attempts = 99;
	assert_int_equal(vault_write(vault, return_apply, &probe, NULL), ERR_OK);
	assert_int_equal(count_of(vault, "a", &probe.lockout, 100), 1);
	vault_close(vault);
}

/* ── Against the assets ──────────────────────────────────────────────────────────────────── */

/*
 * Assets that count failures in a sliding window, or since the last one: random attempts, of which
 * some work, never lock either when each was booked first.
 */
static void test_never_locks_an_asset(void **state)
{
	struct vault *vault = must_create(*state);
	uint64_t failed_at[4096];
	size_t failures = 0;
	uint32_t since_last = 0;
	uint64_t now = 0;

	random_seed(7);
	for (int i = 0; i < 3000; i++) {
		uint32_t random, sliding = 0;

		random_bytes(&random, sizeof(random));
		now += random % (6 * MINUTE);
		if (book(vault, 1, now) != ERR_OK)
			continue;
		if (random >> 30 == 0) {
			give_back(vault, 1);
			continue;
		}
		since_last = failures > 0 && now - failed_at[failures - 1] < usual.window_ms
				 ? since_last + 1
				 : 1;
		failed_at[failures++] = now;
		for (size_t k = 0; k < failures; k++)
			sliding += now - failed_at[k] < usual.window_ms;
		assert_true(since_last < usual.limit);
		assert_true(sliding < usual.limit);
	}
	random_unseed();
	assert_true(failures > 100);
	vault_close(vault);
}

/* ── Host keys ───────────────────────────────────────────────────────────────────────────── */

struct pin {
	const char *asset;
	struct host_key key;
};

static enum err pin_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct pin *pin = arg;

	(void)error;
	return host_key_pin(txn, pin->asset, &pin->key);
}

static enum err forget_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct pin *pin = arg;

	(void)error;
	return host_key_forget(txn, pin->asset);
}

static struct pin pin_of(const char *asset, const char *type, char fill, size_t len)
{
	struct pin pin = {.asset = asset, .key = {.len = len, .seen_ms = 42, .how = "first_use"}};

	snprintf(pin.key.type, sizeof(pin.key.type), "%s", type);
	memset(pin.key.blob, fill, len > HOST_KEY_SIZE ? HOST_KEY_SIZE : len);
	return pin;
}

static size_t pins_now(struct vault *vault, const char *asset, struct host_key *out)
{
	struct vault_txn *txn = vault_read(vault);
	size_t count_now = host_key_list(txn, asset, out);

	vault_read_end(txn);
	return count_now;
}

static void test_host_keys(void **state)
{
	static struct host_key keys[HOST_KEYS_MAX];
	struct vault *vault = must_create(*state);
	struct pin ed = pin_of("web", "ssh-ed25519", 'e', 51);
	struct pin rsa = pin_of("web", "ssh-rsa", 'r', HOST_KEY_SIZE);
	struct pin other = pin_of("web2", "ssh-ed25519", 'o', 51);
	struct pin changed = pin_of("web", "ssh-ed25519", 'x', 51);

	assert_int_equal(pins_now(vault, "web", keys), 0);
	assert_int_equal(vault_write(vault, pin_apply, &ed, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, pin_apply, &rsa, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, pin_apply, &other, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, pin_apply, &ed, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, pin_apply, &changed, NULL), ERR_EXISTS);
	changed.key.len = 50;
	memset(changed.key.blob, 'e', 50);
	assert_int_equal(vault_write(vault, pin_apply, &changed, NULL), ERR_EXISTS);
	vault_close(vault);

	vault = must_open(*state);
	assert_int_equal(pins_now(vault, "web", keys), 2);
	assert_memory_equal(&keys[0], &ed.key, sizeof(ed.key));
	assert_memory_equal(&keys[1], &rsa.key, sizeof(rsa.key));
	assert_int_equal(vault_write(vault, forget_apply, &ed, NULL), ERR_OK);
	assert_int_equal(vault_write(vault, forget_apply, &ed, NULL), ERR_OK);
	assert_int_equal(pins_now(vault, "web", keys), 0);
	assert_int_equal(pins_now(vault, "web2", keys), 1);
	assert_int_equal(vault_write(vault, pin_apply, &changed, NULL), ERR_OK);
	vault_close(vault);
}

static void test_host_key_caps(void **state)
{
	static struct host_key keys[HOST_KEYS_MAX];
	struct vault *vault = must_create(*state);
	struct pin pin = pin_of("web", "ssh-ed25519", 'x', HOST_KEY_SIZE + 1);

	assert_int_equal(vault_write(vault, pin_apply, &pin, NULL), ERR_INVALID);
	pin.key.len = 0;
	assert_int_equal(vault_write(vault, pin_apply, &pin, NULL), ERR_INVALID);
	for (int i = 0; i <= HOST_KEYS_MAX; i++) {
		char type[WORD_SIZE];

		snprintf(type, sizeof(type), "type-%d", i);
		pin = pin_of("web", type, 'x', 10);
		assert_int_equal(vault_write(vault, pin_apply, &pin, NULL),
		    i < HOST_KEYS_MAX ? ERR_OK : ERR_LIMIT);
	}
	assert_int_equal(pins_now(vault, "web", keys), HOST_KEYS_MAX);
	vault_close(vault);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_below_the_limit),
	    TEST(test_falls_only_after_a_quiet_window),
	    TEST(test_returned_gives_back_its_own),
	    TEST(test_clock_set_back),
	    TEST(test_clock_set_forward),
	    TEST(test_by_source_counts_together),
	    TEST(test_odd_limits),
	    TEST(test_many_groups_merge_at_the_later_time),
	    TEST(test_never_locks_an_asset),
	    TEST(test_host_keys),
	    TEST(test_host_key_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
