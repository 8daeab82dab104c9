#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vault_help.h"

/* ── The clock ───────────────────────────────────────────────────────────────────────────── */

static struct still_clock *still(struct clock *clock)
{
	return (struct still_clock *)(void *)clock;
}

static uint64_t still_ms(struct clock *clock)
{
	return still(clock)->wall_ms;
}

static uint64_t still_mono_ms(struct clock *clock)
{
	return still(clock)->mono_ms;
}

static void still_stop(struct clock *clock, struct timer *timer)
{
	struct still_clock *self = still(clock);

	for (size_t i = 0; i < self->count; i++) {
		if (self->armed[i] != timer)
			continue;
		memmove(self->armed + i, self->armed + i + 1,
		    (self->count - i - 1) * sizeof(self->armed[0]));
		self->count--;
		return;
	}
}

static void still_start(struct clock *clock, struct timer *timer, uint64_t delay_ms)
{
	struct still_clock *self = still(clock);

	self->delay_ms = delay_ms;
	still_stop(clock, timer);
	assert_true(self->count < sizeof(self->armed) / sizeof(self->armed[0]));
	self->armed[self->count++] = timer;
}

static const struct clock_ops still_ops = {
    .mono_ms = still_mono_ms,
    .wall_ms = still_ms,
    .start = still_start,
    .stop = still_stop,
};

void place_turn(struct place *place)
{
	struct still_clock *clock = &place->clock;
	size_t due = clock->count;

	while (due-- > 0 && clock->count > 0) {
		struct timer *timer = clock->armed[0];

		still_stop(&clock->clock, timer);
		timer->fn(timer->arg);
	}
}

/* ── The place ───────────────────────────────────────────────────────────────────────────── */

void place_setup(struct place *place)
{
	const char *tmp = getenv("TMPDIR");
	static bool heap;
	bool locked;

	*place = (struct place){0};
	if (!heap)
		assert_int_equal(secret_heap_init(1 << 20, &locked, NULL), ERR_OK);
	heap = true;
	snprintf(
	    place->root, sizeof(place->root), "%s/vault-test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(place->root));
	snprintf(place->dir, sizeof(place->dir), "%s/vault", place->root);
	snprintf(place->key_path, sizeof(place->key_path), "%s/master.key", place->root);
	place->clock.clock.ops = &still_ops;
	place->clock.wall_ms = 1700000000000;
	place->config = (struct vault_config){
	    .dir = place->dir,
	    .key_path = place->key_path,
	    .purpose = "run weekly",
	    .clock = &place->clock.clock,
	};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void place_teardown(struct place *place)
{
	nftw(place->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int place_begin(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	place_setup(place);
	*state = place;
	return 0;
}

int place_end(void **state)
{
	place_teardown(*state);
	free(*state);
	return 0;
}

const char *vault_file(struct place *place, const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	return path;
}

struct vault *must_open(struct place *place)
{
	struct vault *vault;

	if (vault_open(&vault, &place->config, &place->error) != ERR_OK)
		fail_msg("open: %s", place->error.text);
	return vault;
}

struct vault *must_create(struct place *place)
{
	if (vault_create(&place->config, &place->error) != ERR_OK)
		fail_msg("create: %s", place->error.text);
	return must_open(place);
}

void must_make(struct place *place)
{
	struct vault *vault = must_create(place);

	assert_int_equal(tell(place, vault, "web01.example.com", "app", "secret"), ERR_OK);
	vault_close(vault);
}

void assert_open_fails(struct place *place, enum err code, const char *text)
{
	struct vault *vault;

	place->error.text[0] = '\0';
	assert_int_equal(vault_open(&vault, &place->config, &place->error), code);
	assert_null(vault);
	assert_int_equal(place->error.code, code);
	if (strstr(place->error.text, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, place->error.text);
}

/* ── Writes ──────────────────────────────────────────────────────────────────────────────── */

struct secret *secret_of(const char *text)
{
	struct secret *secret = secret_from(text, strlen(text));

	assert_non_null(secret);
	return secret;
}

struct change {
	const char *asset, *name;
	enum secret_kind kind;
	const struct secret *secret;
	enum proof proof;
	enum version_end end;
};

static enum err tell_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct change *c = arg;

	return account_tell(txn, c->asset, c->name, c->kind, c->secret, NULL, NULL, error);
}

static enum err stage_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct id record = {{7}};
	struct change *c = arg;

	return account_stage(txn, c->asset, c->name, c->kind, c->secret, &record, NULL, error);
}

static enum err promote_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct change *c = arg;

	return account_promote(txn, c->asset, c->name, c->kind, c->proof, NULL, error);
}

static enum err retire_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct change *c = arg;

	return account_retire(txn, c->asset, c->name, c->kind, c->end, NULL, error);
}

static enum err prove_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct change *c = arg;
	struct account account = {.current = 0};

	(void)!account_get(txn, c->asset, c->name, c->kind, &account);
	return account_prove(txn, c->asset, c->name, c->kind, account.current, c->proof, error);
}

static enum err write_secret(struct place *place, struct vault *vault, vault_apply_fn apply,
    const char *asset, const char *name, enum secret_kind kind, const char *text)
{
	struct secret *secret = secret_of(text);
	struct change change = {.asset = asset, .name = name, .kind = kind, .secret = secret};
	enum err err = vault_write(vault, apply, &change, &place->error);

	secret_free(secret);
	return err;
}

enum err tell_kind(struct place *place, struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, const char *secret)
{
	return write_secret(place, vault, tell_apply, asset, name, kind, secret);
}

enum err stage_kind(struct place *place, struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, const char *secret)
{
	return write_secret(place, vault, stage_apply, asset, name, kind, secret);
}

enum err promote_kind(struct place *place, struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, enum proof proof)
{
	struct change change = {.asset = asset, .name = name, .kind = kind, .proof = proof};

	return vault_write(vault, promote_apply, &change, &place->error);
}

enum err retire_kind(struct place *place, struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, enum version_end end)
{
	struct change change = {.asset = asset, .name = name, .kind = kind, .end = end};

	return vault_write(vault, retire_apply, &change, &place->error);
}

enum err tell(struct place *place, struct vault *vault, const char *asset, const char *name,
    const char *secret)
{
	return tell_kind(place, vault, asset, name, SECRET_PASSWORD, secret);
}

enum err stage(struct place *place, struct vault *vault, const char *asset, const char *name,
    const char *secret)
{
	return stage_kind(place, vault, asset, name, SECRET_PASSWORD, secret);
}

enum err promote(
    struct place *place, struct vault *vault, const char *asset, const char *name, enum proof proof)
{
	return promote_kind(place, vault, asset, name, SECRET_PASSWORD, proof);
}

enum err retire(struct place *place, struct vault *vault, const char *asset, const char *name,
    enum version_end end)
{
	return retire_kind(place, vault, asset, name, SECRET_PASSWORD, end);
}

enum err prove(
    struct place *place, struct vault *vault, const char *asset, const char *name, enum proof proof)
{
	struct change change = {
	    .asset = asset, .name = name, .kind = SECRET_PASSWORD, .proof = proof};

	return vault_write(vault, prove_apply, &change, &place->error);
}

static enum err record_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	(void)error;
	return record_put(txn, arg);
}

static enum err execution_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	(void)error;
	return execution_put(txn, arg);
}

enum err put_record(struct vault *vault, const struct record *record)
{
	struct record copy = *record;

	return vault_write(vault, record_apply, &copy, NULL);
}

enum err put_execution(struct vault *vault, const struct execution *execution)
{
	struct execution copy = *execution;

	return vault_write(vault, execution_apply, &copy, NULL);
}

/* ── Reads ───────────────────────────────────────────────────────────────────────────────── */

struct account account_kind_now(
    struct vault *vault, const char *asset, const char *name, enum secret_kind kind)
{
	struct vault_txn *txn = vault_read(vault);
	struct account account;

	assert_int_equal(account_get(txn, asset, name, kind, &account), ERR_OK);
	vault_read_end(txn);
	return account;
}

struct account account_now(struct vault *vault, const char *asset, const char *name)
{
	return account_kind_now(vault, asset, name, SECRET_PASSWORD);
}

struct version version_kind_now(struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number)
{
	struct account account = account_kind_now(vault, asset, name, kind);
	struct vault_txn *txn = vault_read(vault);
	struct version version;

	assert_int_equal(version_get(txn, &account, number, &version), ERR_OK);
	vault_read_end(txn);
	return version;
}

struct version version_now(
    struct vault *vault, const char *asset, const char *name, uint32_t number)
{
	return version_kind_now(vault, asset, name, SECRET_PASSWORD, number);
}

static enum err version_text(struct vault *vault, const struct account *account, uint32_t number,
    struct secret **secret, struct error *error)
{
	struct vault_txn *txn = vault_read(vault);
	enum err err = version_open(txn, account, number, secret, NULL, error);

	vault_read_end(txn);
	return err;
}

enum err version_try(
    struct vault *vault, const char *asset, const char *name, uint32_t number, struct error *error)
{
	struct account account = account_now(vault, asset, name);
	struct secret *secret;
	enum err err = version_text(vault, &account, number, &secret, error);

	secret_free(secret);
	return err;
}

bool version_kind_is(struct vault *vault, const char *asset, const char *name,
    enum secret_kind kind, uint32_t number, const char *text)
{
	struct account account = account_kind_now(vault, asset, name, kind);
	struct secret *secret;
	bool same = version_text(vault, &account, number, &secret, NULL) == ERR_OK &&
		    secret_len(secret) == strlen(text) &&
		    memcmp(secret_data(secret), text, strlen(text)) == 0;

	secret_free(secret);
	return same;
}

bool version_is(
    struct vault *vault, const char *asset, const char *name, uint32_t number, const char *text)
{
	return version_kind_is(vault, asset, name, SECRET_PASSWORD, number, text);
}

bool file_holds(const char *path, const char *text)
{
	size_t size = 0, len = strlen(text);
	char *bytes = NULL;
	bool held = false;
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	while (!feof(file)) {
		bytes = xrealloc(bytes, size + 65536);
		size += fread(bytes + size, 1, 65536, file);
	}
	fclose(file);
	for (size_t i = 0; !held && i + len <= size; i++)
		held = memcmp(bytes + i, text, len) == 0;
	free(bytes);
	return held;
}
