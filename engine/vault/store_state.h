/* The store as its own files see it. */
#ifndef VAULT_STORE_STATE_H
#define VAULT_STORE_STATE_H

#include <lmdb.h>

#include "vault/store.h"

struct store {
	MDB_env *env;
	MDB_dbi tables[TABLE_COUNT_ALL];
	char *dir;  /* as it was named; of a copy its file */
	char *file; /* with the pages */
	size_t map_max_bytes;
};

/* What an error of LMDB or of the system is among ours. */
enum err store_mdb_err(int rc);

/*
 * A write that the file system took in part comes back from LMDB as EIO, on a full disk too: only
 * how much room is left tells them apart.
 */
bool store_disk_is_full(const struct store *, int rc);

#endif
