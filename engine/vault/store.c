#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "vault/place.h"
#include "vault/store_state.h"

#define MAP_START_BYTES ((size_t)1 << 20)
#define MAP_MAX_BYTES	((size_t)1 << 40)

/* Less than this free, and a write that was cut short means a full disk. */
#define DISK_FLOOR_BYTES ((uint64_t)1 << 20)

static const char *const table_names[TABLE_COUNT_ALL] = {
    [TABLE_META] = "meta",
    [TABLE_ACCOUNT] = "account",
    [TABLE_DOUBT] = "doubt",
    [TABLE_VERSION] = "version",
    [TABLE_SEAL] = "seal",
    [TABLE_EXECUTION] = "execution",
    [TABLE_OPEN] = "open",
    [TABLE_RECORD] = "record",
    [TABLE_MEMBER] = "member",
    [TABLE_COUNT] = "count",
    [TABLE_HOST_KEY] = "host_key",
    [TABLE_PROBE] = "probe",
    [TABLE_NAMED] = "named",
    [TABLE_DAY] = "day",
    [TABLE_BAD] = "bad",
    [TABLE_PAST] = "past",
    [TABLE_FAILING] = "failing",
    [TABLE_TASK] = "task",
    [TABLE_AUDIT] = "audit",
    [TABLE_NOTICE] = "notice",
    [TABLE_WELL] = "well",
    [TABLE_PERSON] = "person",
    [TABLE_SEEN] = "seen",
    [TABLE_TOKEN] = "token",
    [TABLE_CHECKOUT] = "checkout",
    [TABLE_APPROVAL] = "approval",
};

const char *table_name(enum table table)
{
	return table_names[table];
}

/* ── Errors ──────────────────────────────────────────────────────────────────────────────── */

enum err store_mdb_err(int rc)
{
	switch (rc) {
	case MDB_SUCCESS: return ERR_OK;
	case MDB_NOTFOUND: return ERR_NOT_FOUND;
	case MDB_MAP_FULL: return ERR_FULL;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE: return ERR_CORRUPT;
	case MDB_VERSION_MISMATCH: return ERR_VERSION;
	default: return rc > 0 ? place_err(rc) : ERR_IO;
	}
}

/* LMDB's and the system's word on it, with where it was. */
static enum err store_error(
    const struct store *store, int rc, const char *doing, struct error *error)
{
	return error_set(
	    error, store_mdb_err(rc), "vault %s: %s: %s", store->dir, doing, mdb_strerror(rc));
}

static enum err not_a_vault(const struct store *store, struct error *error)
{
	return error_set(error, ERR_CORRUPT,
	    "%s is not a vault, or its beginning is lost: put back the newest backup", store->file);
}

enum err txn_trouble(struct vault_txn *txn, enum err code, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_event(LOG_LEVEL_ERROR, "vault_trouble", "vault", txn->store->dir, "text", text, NULL);
	if (txn->trouble.code == ERR_OK)
		error_set(&txn->trouble, code, "vault %s: %s", txn->store->dir, text);
	return code;
}

/*
 * A write that the file system took in part comes back from LMDB as EIO, on a full disk too: only
 * how much room is left tells them apart.
 */
bool store_disk_is_full(const struct store *store, int rc)
{
	struct statvfs fs;
	mdb_filehandle_t fd;

	if (rc == ENOSPC || rc == EDQUOT)
		return true;
	return rc == EIO && mdb_env_get_fd(store->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize < DISK_FLOOR_BYTES;
}

/* ── The environment ─────────────────────────────────────────────────────────────────────── */

static size_t map_bytes(const struct store *store)
{
	MDB_envinfo info;

	mdb_env_info(store->env, &info);
	return info.me_mapsize;
}

uint64_t store_size(const struct store *store)
{
	MDB_envinfo info;
	MDB_stat db;

	mdb_env_info(store->env, &info);
	mdb_env_stat(store->env, &db);
	return ((uint64_t)info.me_last_pgno + 1) * db.ms_psize;
}

/*
 * The file is kept as long as the map (it takes no room on disk until it is written). LMDB alone
 * may leave it shorter than the pages that it counts, and a truncated file could not be told from a
 * whole one.
 */
static enum err file_stretch(const struct store *store, size_t size_bytes, struct error *error)
{
	mdb_filehandle_t fd;
	struct stat st;

	mdb_env_get_fd(store->env, &fd);
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size >= size_bytes)
		return ERR_OK;
	if (ftruncate(fd, (off_t)size_bytes) == 0 && fsync(fd) == 0)
		return ERR_OK;
	return error_set(error, place_err(errno), "vault %s: data.mdb cannot grow to %zu bytes: %s",
	    store->dir, size_bytes, strerror(errno));
}

/* Before any page but the two that head the file is looked at: what the map lacks would kill us. */
static enum err file_check_whole(const struct store *store, struct error *error)
{
	MDB_envinfo info;
	MDB_stat db;
	mdb_filehandle_t fd;
	struct stat st;
	uint64_t need;

	mdb_env_info(store->env, &info);
	mdb_env_stat(store->env, &db);
	mdb_env_get_fd(store->env, &fd);
	if (fstat(fd, &st) != 0)
		return store_error(store, errno, "data.mdb", error);
	if (__builtin_mul_overflow((uint64_t)info.me_last_pgno + 1, (uint64_t)db.ms_psize, &need))
		return not_a_vault(store, error);
	if ((uint64_t)st.st_size >= need)
		return ERR_OK;
	return error_set(error, ERR_CORRUPT,
	    "%s was truncated: %llu of %llu bytes are there; put back the newest backup",
	    store->file, (unsigned long long)st.st_size, (unsigned long long)need);
}

/* LMDB would make a new environment of an absent or empty file. */
static enum err file_check_there(const struct store *store, struct error *error)
{
	struct stat st;

	if (stat(store->file, &st) != 0)
		return error_set(error, place_err(errno),
		    "%s is not there or cannot be read (%s): this is no vault, or its file was "
		    "lost; put back the newest backup",
		    store->file, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return not_a_vault(store, error);
	return ERR_OK;
}

/* `is_file`: it is a copy, which has no directory of its own. */
static struct store *store_new(const char *path, bool is_file, size_t map_max_bytes)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->dir = xstrdup(path);
	store->file = is_file ? xstrdup(path) : xasprintf("%s/data.mdb", path);
	store->map_max_bytes = map_max_bytes != 0 ? map_max_bytes : MAP_MAX_BYTES;
	return store;
}

/* LMDB leaves the file open to what we execute: a wire has no business with it. */
static enum err file_close_on_exec(const struct store *store, struct error *error)
{
	mdb_filehandle_t fd;

	mdb_env_get_fd(store->env, &fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return store_error(store, errno, "data.mdb", error);
	return ERR_OK;
}

/* No map size is set at open: LMDB takes the one in the file, and never less than its pages. */
static enum err env_open(
    struct store *store, size_t map_size_bytes, unsigned flags, struct error *error)
{
	int rc = mdb_env_create(&store->env);

	if (rc != 0)
		return store_error(store, rc, "LMDB", error);
	rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT_ALL);
	if (rc == 0 && map_size_bytes != 0)
		rc = mdb_env_set_mapsize(store->env, map_size_bytes);
	if (rc == 0)
		rc = mdb_env_open(store->env, store->dir, MDB_NOTLS | flags, 0600);
	if (rc == MDB_INVALID || rc == MDB_CORRUPTED)
		return not_a_vault(store, error);
	if (rc == MDB_VERSION_MISMATCH)
		return error_set(error, ERR_VERSION,
		    "%s was written by another release of LMDB than %s: use the one that wrote it",
		    store->file, MDB_VERSION_STRING);
	if (rc != 0)
		return store_error(store, rc, "data.mdb cannot be opened", error);
	return file_close_on_exec(store, error);
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->env != NULL)
		mdb_env_close(store->env);
	free(store->file);
	free(store->dir);
	free(store);
}

enum err store_schema_raise(struct vault_txn *txn)
{
	struct key key = key_of_word("schema");
	struct buf row;
	enum err err;

	buf_init(&row, 64);
	pack_map(&row, 1);
	pack_kv_uint(&row, "n", STORE_SCHEMA);
	err = store_put(txn, TABLE_META, &key, row.data, row.len);
	buf_clear(&row);
	return err;
}

uint64_t store_schema(struct vault_txn *txn)
{
	struct key key = key_of_word("schema");
	struct unpack *unpack;
	struct bytes row;
	uint64_t schema;

	if (store_get(txn, TABLE_META, &key, &row) != ERR_OK ||
	    unpack_new(&unpack, row.data, row.len) != ERR_OK)
		return 0;
	schema = value_uint(value_get(unpack_root(unpack), "n"), 0);
	unpack_free(unpack);
	return schema;
}

static int tables_open(struct vault_txn *txn, enum table first, enum table last, unsigned flags)
{
	int rc = 0;

	for (int i = (int)first; rc == 0 && i <= (int)last; i++)
		rc = mdb_dbi_open(txn->mdb, table_names[i], flags, &txn->store->tables[i]);
	return rc;
}

/* The number before the tables: a newer vault may have others. */
static enum err schema_open(struct vault_txn *txn, struct error *error)
{
	const struct store *store = txn->store;
	uint64_t schema;
	int rc = tables_open(txn, TABLE_META, TABLE_META, 0);

	if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
		return not_a_vault(store, error);
	if (rc != 0)
		return store_error(store, rc, "its tables", error);
	schema = store_schema(txn);
	if (schema == 0)
		return not_a_vault(store, error);
	if (schema > STORE_SCHEMA)
		return error_set(error, ERR_VERSION,
		    "vault %s was written by a newer lockstep (schema %llu, this one knows %d): "
		    "use that release",
		    store->dir, (unsigned long long)schema, STORE_SCHEMA);
	rc = tables_open(txn, TABLE_META + 1, TABLE_PROBE, 0);
	if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
		return error_set(error, ERR_CORRUPT,
		    "vault %s lacks a table: put back the newest backup", store->dir);
	return rc == 0 ? ERR_OK : store_error(store, rc, "its tables", error);
}

/* Table handles outlive the transaction only when it is committed, though it reads. */
static enum err tables_load(struct store *store, struct error *error)
{
	struct vault_txn txn;
	enum err err = store_begin(store, false, &txn, error);

	if (err != ERR_OK)
		return err;
	err = schema_open(&txn, error);
	if (err != ERR_OK) {
		store_abort(&txn);
		return err;
	}
	return store_commit(&txn, error);
}

static enum err later_tables_try(struct store *store, bool make, struct error *error)
{
	struct vault_txn txn;
	int rc;
	enum err err = store_begin(store, make, &txn, error);

	if (err != ERR_OK)
		return err;
	rc = tables_open(&txn, TABLE_NAMED, TABLE_COUNT_ALL - 1, make ? MDB_CREATE : 0);
	if (rc == 0)
		return store_commit(&txn, error);
	store_abort(&txn);
	if (rc == MDB_MAP_FULL)
		return ERR_AGAIN;
	return rc == MDB_NOTFOUND ? ERR_NOT_FOUND : store_error(store, rc, "its tables", error);
}

/* Vaults from before them lack these tables, which changes nothing for the others: they are made.
 */
static enum err later_tables_load(struct store *store, struct error *error)
{
	enum err err = later_tables_try(store, false, error);

	if (err == ERR_NOT_FOUND)
		err = later_tables_try(store, true, error);
	if (err != ERR_AGAIN)
		return err;
	err = store_grow(store, error);
	return err == ERR_OK ? later_tables_try(store, true, error) : err;
}

enum err store_open(
    struct store **out, const char *dir, size_t map_max_bytes, bool no_sync, struct error *error)
{
	struct store *store = store_new(dir, false, map_max_bytes);
	int dead;
	enum err err = file_check_there(store, error);

	*out = NULL;
	if (err == ERR_OK)
		err = env_open(store, 0, no_sync ? MDB_NOSYNC : 0, error);
	if (err == ERR_OK)
		err = file_check_whole(store, error);
	if (err == ERR_OK)
		err = file_stretch(store, map_bytes(store), error);
	if (err == ERR_OK)
		err = tables_load(store, error);
	if (err == ERR_OK)
		err = later_tables_load(store, error);
	if (err != ERR_OK) {
		store_close(store);
		return err;
	}
	/* A reader that was killed would hold back free pages for ever. */
	(void)mdb_reader_check(store->env, &dead);
	*out = store; /* transferred */
	return ERR_OK;
}

static enum err check_schema(struct store *store, struct error *error)
{
	struct vault_txn txn;
	uint64_t schema;
	enum err err = store_begin(store, false, &txn, error);

	if (err != ERR_OK)
		return err;
	schema = store_schema(&txn);
	store_abort(&txn);
	if (schema == STORE_SCHEMA)
		return ERR_OK;
	return error_set(error, ERR_VERSION,
	    "%s was written by an older lockstep (schema %llu, this one reads %d): let an engine "
	    "of this release open it first, by any command",
	    store->dir, (unsigned long long)schema, STORE_SCHEMA);
}

enum err store_open_reading(struct store **out, const char *path, bool is_file, struct error *error)
{
	struct store *store = store_new(path, is_file, 0);
	enum err err = file_check_there(store, error);

	*out = NULL;
	if (err == ERR_OK)
		err = env_open(
		    store, 0, MDB_RDONLY | (is_file ? MDB_NOSUBDIR | MDB_NOLOCK : 0), error);
	if (err == ERR_OK)
		err = file_check_whole(store, error);
	if (err == ERR_OK)
		err = tables_load(store, error);
	if (err == ERR_OK)
		err = check_schema(store, error);
	if (err == ERR_OK)
		err = later_tables_try(store, false, error);
	if (err == ERR_NOT_FOUND && store->env != NULL) /* the file is there, its tables not */
		err = not_a_vault(store, error);
	if (err != ERR_OK) {
		store_close(store);
		return err;
	}
	*out = store; /* transferred */
	return ERR_OK;
}

enum err store_copy(struct store *store, int fd, struct error *error)
{
	int rc = mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT);

	if (rc == 0 && fsync(fd) != 0)
		rc = errno;
	if (rc == 0)
		return ERR_OK;
	return error_set(error, rc == ENOSPC || rc == EDQUOT ? ERR_FULL : ERR_IO,
	    "the copy cannot be written: %s: make room, or name another place", mdb_strerror(rc));
}

static enum err tables_make(struct store *store, struct error *error)
{
	struct vault_txn txn;
	int rc;
	enum err err = store_begin(store, true, &txn, error);

	if (err != ERR_OK)
		return err;
	rc = tables_open(&txn, TABLE_META, TABLE_COUNT_ALL - 1, MDB_CREATE);
	if (rc != 0)
		err = store_error(store, rc, "its tables cannot be made", error);
	else if (store_schema_raise(&txn) != ERR_OK)
		err = error_set(error, ERR_FULL, "vault %s: no room for its tables", store->dir);
	if (err != ERR_OK) {
		store_abort(&txn);
		return err;
	}
	return store_commit(&txn, error);
}

enum err store_create(const char *dir, struct error *error)
{
	struct store *store = store_new(dir, false, 0);
	enum err err = env_open(store, MAP_START_BYTES, 0, error);

	if (err == ERR_OK)
		err = tables_make(store, error);
	if (err == ERR_OK)
		err = file_stretch(store, map_bytes(store), error);
	store_close(store);
	return err;
}

enum err store_grow(struct store *store, struct error *error)
{
	size_t now_bytes = map_bytes(store);
	size_t want_bytes = now_bytes * 2;
	int dead, rc;
	enum err err;

	if (now_bytes >= store->map_max_bytes)
		return error_set(error, ERR_FULL,
		    "vault %s is full: it may not grow past %zu bytes", store->dir,
		    store->map_max_bytes);
	if (want_bytes > store->map_max_bytes)
		want_bytes = store->map_max_bytes;
	(void)mdb_reader_check(store->env, &dead);
	err = file_stretch(store, want_bytes, error);
	if (err != ERR_OK)
		return err;
	rc = mdb_env_set_mapsize(store->env, want_bytes);
	if (rc == ENOMEM)
		return error_set(error, ERR_FULL, "vault %s: no address space for %zu bytes",
		    store->dir, want_bytes);
	return rc == 0 ? ERR_OK : store_error(store, rc, "its map cannot grow", error);
}

/* ── Transactions ────────────────────────────────────────────────────────────────────────── */

enum err store_begin(struct store *store, bool writes, struct vault_txn *txn, struct error *error)
{
	int rc;

	*txn = (struct vault_txn){.store = store};
	rc = mdb_txn_begin(store->env, NULL, writes ? 0 : MDB_RDONLY, &txn->mdb);
	if (rc == 0)
		return ERR_OK;
	return error_set(
	    error, ERR_IO, "vault %s: no transaction can begin: %s", store->dir, mdb_strerror(rc));
}

enum err store_commit(struct vault_txn *txn, struct error *error)
{
	const struct store *store = txn->store;
	int rc = mdb_txn_commit(txn->mdb);

	txn->mdb = NULL;
	if (rc == 0)
		return ERR_OK;
	if (rc == MDB_MAP_FULL)
		return ERR_AGAIN;
	if (store_disk_is_full(store, rc))
		return error_set(error, ERR_FULL,
		    "vault %s: its disk is full; make room, nothing was lost", store->dir);
	return error_set(error, ERR_IO,
	    "vault %s: what was to be kept could not be put on disk (%s): look at the disk, then "
	    "start again",
	    store->dir, mdb_strerror(rc));
}

void store_abort(struct vault_txn *txn)
{
	mdb_txn_abort(txn->mdb);
	txn->mdb = NULL;
}
