#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "base/buf.h"
#include "base/pack.h"
#include "vault/store.h"
#include "vault_help.h"

/* ── What is in the file ─────────────────────────────────────────────────────────────────── */

static MDB_env *raw_env(const char *dir)
{
	MDB_env *env;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	return env;
}

static size_t pages_end(const char *dir)
{
	MDB_env *env = raw_env(dir);
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(env, &info);
	mdb_env_stat(env, &st);
	mdb_env_close(env);
	return (info.me_last_pgno + 1) * st.ms_psize;
}

static void test_truncated_at_every_size(void **state)
{
	struct place *place = *state;
	char saved[320], command[800];
	size_t end;

	must_make(place);
	end = pages_end(place->dir);
	assert_true(end > 8192);
	snprintf(saved, sizeof(saved), "%s/saved", place->root);
	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'",
	    vault_file(place, "data.mdb"), saved);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", saved,
	    vault_file(place, "data.mdb"));
	for (size_t size = 0; size < end; size += size < 9000 ? 500 : 2048) {
		assert_int_equal(system(command), 0);
		assert_int_equal(truncate(vault_file(place, "data.mdb"), (off_t)size), 0);
		assert_open_fails(place, ERR_CORRUPT, "backup");
	}
	assert_int_equal(system(command), 0);
	assert_int_equal(truncate(vault_file(place, "data.mdb"), (off_t)end - 1), 0);
	assert_open_fails(place, ERR_CORRUPT, "truncated");
	/* Past the last page there is nothing to lose. */
	assert_int_equal(system(command), 0);
	assert_int_equal(truncate(vault_file(place, "data.mdb"), (off_t)end), 0);
	vault_close(must_open(place));
}

/* As long as the map at all times, so that a file that is shorter than its pages was truncated. */
static void test_file_is_as_long_as_the_map(void **state)
{
	struct place *place = *state;
	struct stat st;

	must_make(place);
	assert_int_equal(stat(vault_file(place, "data.mdb"), &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true(st.st_blocks * 512 < 1 << 19);
}

static void test_foreign_files(void **state)
{
	struct place *place = *state;
	FILE *file;
	MDB_env *env;

	must_make(place);
	file = fopen(vault_file(place, "data.mdb"), "w");
	for (int i = 0; i < 20000; i++)
		fputs("not a vault ", file);
	fclose(file);
	assert_open_fails(place, ERR_CORRUPT, "not a vault");

	/* An environment of LMDB, and nothing of ours in it. */
	assert_int_equal(unlink(vault_file(place, "data.mdb")), 0);
	env = raw_env(place->dir);
	mdb_env_close(env);
	assert_open_fails(place, ERR_CORRUPT, "not a vault");
}

static void meta_put(const char *dir, const char *name, const void *bytes, size_t len)
{
	MDB_env *env = raw_env(dir);
	MDB_txn *txn;
	MDB_dbi meta;
	char key_bytes[32];
	MDB_val key = {.mv_size = strlen(name), .mv_data = key_bytes};
	MDB_val row = {.mv_size = len};

	memcpy(key_bytes, name, strlen(name));
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
	assert_int_equal(mdb_put(txn, meta, &key, &row, MDB_RESERVE), 0);
	memcpy(row.mv_data, bytes, len);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void schema_put(struct place *place, uint64_t schema)
{
	struct buf row;

	buf_init(&row, 64);
	pack_map(&row, 2);
	pack_kv_text(&row, "later", "a key that this one does not know");
	pack_kv_uint(&row, "n", schema);
	meta_put(place->dir, "schema", row.data, row.len);
	buf_clear(&row);
}

static void test_schemas(void **state)
{
	struct place *place = *state;
	char text[64];

	must_make(place);
	schema_put(place, STORE_SCHEMA + 1);
	snprintf(text, sizeof(text), "newer lockstep (schema %d", STORE_SCHEMA + 1);
	assert_open_fails(place, ERR_VERSION, text);
	schema_put(place, 0);
	assert_open_fails(place, ERR_CORRUPT, "not a vault");
	schema_put(place, STORE_SCHEMA);
	vault_close(must_open(place));
	meta_put(place->dir, "schema", "\xc1", 1);
	assert_open_fails(place, ERR_CORRUPT, "not a vault");
}

static void test_damaged_wrap(void **state)
{
	struct place *place = *state;

	must_make(place);
	meta_put(place->dir, "seal", "\x80", 1);
	assert_open_fails(place, ERR_CORRUPT, "lost what seals it");
	meta_put(place->dir, "seal", "\xc1", 1);
	assert_open_fails(place, ERR_CORRUPT, "lost what seals it");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_truncated_at_every_size),
	    TEST(test_file_is_as_long_as_the_map),
	    TEST(test_foreign_files),
	    TEST(test_schemas),
	    TEST(test_damaged_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
