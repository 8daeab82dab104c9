/*
 * The store: rows in tables, in transactions, on LMDB.
 *
 * Owns the environment, its map and its schema number, and alone knows LMDB and its errors. Never
 * knows what a row means, so what an older schema's rows become is said in migrate.h.
 */
#ifndef VAULT_STORE_H
#define VAULT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vault/key.h"

struct store;
struct vault;
struct MDB_txn;

/* Their layout is the schema: whoever changes it counts STORE_SCHEMA up and migrates at open. */
enum table {
	TABLE_META,	 /* word: schema number, what seals the vault */
	TABLE_ACCOUNT,	 /* asset NUL name NUL kind: an account's secret of that kind */
	TABLE_DOUBT,	 /* the same key, of those with a pending version: nothing */
	TABLE_VERSION,	 /* account id, number: the facts of a version */
	TABLE_SEAL,	 /* account id, number: its sealed value */
	TABLE_EXECUTION, /* id: the execution */
	TABLE_OPEN,	 /* execution id, of those not ended: nothing */
	TABLE_RECORD,	 /* id: the record */
	TABLE_MEMBER,	 /* execution id, record id: nothing */
	TABLE_COUNT,	 /* execution id, or none for all: records by status; a word: the rest */
	TABLE_HOST_KEY,	 /* asset NUL type: the pinned key */
	TABLE_PROBE,	 /* asset NUL account, or asset NUL for all of it: attempts booked */
	TABLE_NAMED,	 /* name: a secret that the policy names, sealed */
	TABLE_DAY,	 /* day since 1970, UTC: what happened on it, counted */
	TABLE_BAD,     /* execution id, status, record id, of those that ended not well: nothing */
	TABLE_PAST,    /* account's key, stream, record id, of those that ended: nothing */
	TABLE_FAILING, /* id of the record by which its account fails: nothing */
	TABLE_TASK,    /* task: how far its schedule was followed, and who paused it */
	TABLE_AUDIT,   /* number: an entry of the audit log */
	TABLE_NOTICE,  /* id: what is to be told to someone */
	TABLE_WELL,    /* task: when an execution of it last ended well */
	TABLE_PERSON,  /* user: how they prove who they are */
	TABLE_SEEN,    /* account id, number, person: when they saw that version; none, 0, person */
	TABLE_TOKEN,   /* hash of its text: an API token */
	TABLE_CHECKOUT, /* account id, kind, person: who has its secret for a time */
	TABLE_APPROVAL, /* id: that someone may see a secret, or wants to */
};
#define TABLE_COUNT_ALL (TABLE_APPROVAL + 1)
#define STORE_SCHEMA	8

const char *table_name(enum table);

/* Bytes of the map: valid until the transaction next changes something, or ends. */
struct bytes {
	const void *data;
	size_t len;
};

struct vault_txn {
	struct vault *vault; /* the rules' clock, keys and limits */
	struct store *store;
	struct MDB_txn *mdb;
	uint64_t changes; /* puts and deletes until now */
	bool map_full;	  /* abort, store_grow, and begin again */
	/* The first thing that went wrong below the rules (code ERR_OK = nothing): nothing of it
	 * may be committed. */
	struct error trouble;
};

/* ── The environment ─────────────────────────────────────────────────────────────────────── */

/* Makes the tables in `dir`, which is there and empty, durably. */
enum err store_create(const char *dir, struct error *error) MUST_CHECK;

/* ERR_NOT_FOUND, ERR_CORRUPT (truncated, not a vault), ERR_VERSION (newer), ERR_DENIED, ERR_IO.
 * One of an older schema opens: it is to be migrated before anything else is done with it. */
enum err store_open(struct store **, const char *dir, size_t map_max_bytes, bool no_sync,
    struct error *error) MUST_CHECK;
/*
 * The same for reading alone: of a vault's directory, beside the engine that has it, or of a copy's
 * file. ERR_VERSION for an older schema too, as nothing can be migrated.
 */
enum err store_open_reading(
    struct store **, const char *path, bool is_file, struct error *error) MUST_CHECK;
/* Writes what is committed to `fd`, without free pages. ERR_FULL, ERR_IO. */
enum err store_copy(struct store *, int fd, struct error *error) MUST_CHECK;
void store_close(struct store *);

/* The schema number that the rows are written by; 0 = none can be read. */
uint64_t store_schema(struct vault_txn *);
/* They are written by STORE_SCHEMA now. */
enum err store_schema_raise(struct vault_txn *) MUST_CHECK;

/* Doubles the map, between transactions. ERR_FULL at the cap or when the disk has no room. */
enum err store_grow(struct store *, struct error *error) MUST_CHECK;

/* Bytes of all pages that were ever used. */
uint64_t store_size(const struct store *);

/* ── Transactions ────────────────────────────────────────────────────────────────────────── */

/* `*txn` is filled; end it with store_commit or store_abort. ERR_IO. */
enum err store_begin(
    struct store *, bool writes, struct vault_txn *txn, struct error *error) MUST_CHECK;

/*
 * Puts it on disk. ERR_AGAIN: the map is full (grow it, run again); ERR_FULL: the disk is; ERR_IO:
 * nobody knows what is on disk. Ended in any case.
 */
enum err store_commit(struct vault_txn *, struct error *error) MUST_CHECK;
void store_abort(struct vault_txn *);

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

enum err store_get(struct vault_txn *, enum table, const struct key *, struct bytes *) MUST_CHECK;
enum err store_put(
    struct vault_txn *, enum table, const struct key *, const void *, size_t) MUST_CHECK;
enum err store_del(
    struct vault_txn *, enum table, const struct key *) MUST_CHECK; /* fine if absent */

/*
 * Steps to a neighbour: STEP_AT the row at `*key` or the first one after it; STEP_UP the first
 * after it; STEP_DOWN the last before it. `*key` becomes the row's own. ERR_NOT_FOUND at the end.
 * Holds nothing between steps, so rows may be changed meanwhile.
 */
enum step { STEP_AT, STEP_UP, STEP_DOWN };
enum err store_step(
    struct vault_txn *, enum table, enum step, struct key *, struct bytes *) MUST_CHECK;

/* Remembers (the first) and logs what is wrong with a row; returns `code`. */
enum err txn_trouble(struct vault_txn *, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
