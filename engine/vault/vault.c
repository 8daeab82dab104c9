#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "vault.h"
#include "vault/key_ring.h"
#include "vault/lock.h"
#include "vault/master.h"
#include "vault/migrate.h"
#include "vault/place.h"
#include "vault/vault_state.h"

#define KEEP_VERSIONS 10

/* ── Making one ──────────────────────────────────────────────────────────────────────────── */

/* The parts of a new vault, until they stand where they belong. */
struct making {
	const struct vault_config *config;
	char *dir; /* without a slash at its end */
	char *parent;
	char *draft; /* the directory beside the final one; NULL = none */
	bool key_made;
	struct secret *master;
};

static char *without_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return xstrndup(path, len);
}

static enum err making_check(const struct vault_config *config, struct error *error)
{
	struct stat st;

	if (lstat(config->dir, &st) == 0)
		return error_set(error, ERR_EXISTS,
		    "%s is there already: use it, or name a directory that is not there yet",
		    config->dir);
	if (lstat(config->key_path, &st) == 0)
		return error_set(error, ERR_EXISTS,
		    "there is no vault at %s, but its master key %s is there: it is another "
		    "vault's, or is left from an attempt that was cut; move it away and try again",
		    config->dir, config->key_path);
	return ERR_OK;
}

/* Made beside and renamed when whole, so that a vault that is there is one. */
static enum err making_draft(struct making *making, struct error *error)
{
	char *draft = xasprintf("%s.new.XXXXXX", making->dir);
	enum err err;

	if (mkdtemp(draft) == NULL) {
		err = error_set(error, place_err(errno), "vault %s cannot be made in %s: %s",
		    making->dir, making->parent, strerror(errno));
		free(draft);
		return err;
	}
	making->draft = draft; /* transferred */
	return ERR_OK;
}

static enum err meta_write(struct vault_txn *txn, const struct making *making, struct error *error)
{
	uint64_t now_ms = clock_wall_ms(making->config->clock);
	struct id vault_id = id_make(now_ms);

	return key_ring_make(txn, &vault_id, making->master, now_ms, error);
}

static enum err making_fill(struct making *making, struct error *error)
{
	struct store *store;
	struct vault_txn txn;
	int fd;
	enum err err = place_open(making->draft, &fd, error);

	if (err != ERR_OK)
		return err;
	close(fd);
	err = store_create(making->draft, error);
	if (err == ERR_OK)
		err = store_open(&store, making->draft, 0, false, error);
	if (err != ERR_OK)
		return err;
	err = store_begin(store, true, &txn, error);
	if (err == ERR_OK) {
		err = meta_write(&txn, making, error);
		if (err == ERR_OK)
			err = store_commit(&txn, error);
		else
			store_abort(&txn);
	}
	store_close(store);
	return err;
}

static enum err making_place(struct making *making, struct error *error)
{
	enum err err = place_sync(making->draft, error);

	if (err != ERR_OK)
		return err;
	if (rename(making->draft, making->dir) != 0)
		return error_set(error, place_err(errno), "vault %s cannot be made: %s",
		    making->dir, strerror(errno));
	free(making->draft);
	making->draft = NULL;
	making->key_made = false; /* it belongs to a vault now */
	return place_sync(making->parent, error);
}

/* What is not whole must not stand in the way of the next try. */
static void making_undo(struct making *making)
{
	static const char *const files[] = {"data.mdb", "lock.mdb"};

	if (making->key_made)
		(void)unlink(making->config->key_path);
	if (making->draft == NULL)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = xasprintf("%s/%s", making->draft, files[i]);

		(void)unlink(path);
		free(path);
	}
	(void)rmdir(making->draft);
}

enum err vault_create(const struct vault_config *config, struct error *error)
{
	struct making making = {.config = config};
	enum err err = making_check(config, error);

	if (err != ERR_OK)
		return err;
	making.dir = without_slashes(config->dir);
	making.parent = place_parent(making.dir);
	err = making_draft(&making, error);
	if (err == ERR_OK)
		err = master_create(config->key_path, false, &making.master, error);
	making.key_made = making.master != NULL;
	if (err == ERR_OK)
		err = making_fill(&making, error);
	if (err == ERR_OK)
		err = making_place(&making, error);
	if (err != ERR_OK)
		making_undo(&making);
	secret_free(making.master);
	free(making.draft);
	free(making.parent);
	free(making.dir);
	return err;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static enum err lock_open(
    struct vault *vault, const struct vault_config *config, struct error *error)
{
	const char *purpose = config->purpose != NULL ? config->purpose : "lockstep";
	int dir_fd;
	enum err err = place_open(config->dir, &dir_fd, error);

	if (err != ERR_OK)
		return err;
	err = lock_take(
	    config->dir, dir_fd, purpose, clock_wall_ms(config->clock), &vault->lock_fd, error);
	close(dir_fd);
	return err;
}

enum err vault_open(struct vault **out, const struct vault_config *config, struct error *error)
{
	struct vault *vault = xcalloc(1, sizeof(*vault));
	enum err err;

	*out = NULL;
	vault->dir = xstrdup(config->dir);
	vault->clock = config->clock;
	vault->keep_versions = config->keep_versions != 0 ? config->keep_versions : KEEP_VERSIONS;
	vault->lock_fd = -1;
	batch_init(vault, config);
	err = lock_open(vault, config, error);
	if (err == ERR_OK)
		err = store_open(
		    &vault->store, config->dir, config->map_max_bytes, config->no_sync, error);
	if (err == ERR_OK)
		err = key_ring_open(vault, config, error);
	if (err == ERR_OK)
		err = vault_migrate(vault, error);
	if (err == ERR_OK)
		err = life_open(vault, error);
	if (err != ERR_OK) {
		vault_close(vault);
		return err;
	}
	trail_init(vault);
	*out = vault; /* transferred */
	return ERR_OK;
}

/* The lock last, and by closing alone: a wire that lives on holds it still. */
void vault_close(struct vault *vault)
{
	if (vault == NULL)
		return;
	batch_clear(vault);
	trail_clear(vault);
	slots_clear(&vault->slots);
	seal_free(vault->seal);
	store_close(vault->store);
	if (vault->lock_fd >= 0)
		close(vault->lock_fd);
	free(vault->dir);
	free(vault);
}

void vault_size(const struct vault *vault, struct vault_size *size)
{
	*size =
	    (struct vault_size){.bytes = store_size(vault->store), .commits = vault->batch.commits};
}

int vault_lock_fd(const struct vault *vault)
{
	return vault->lock_fd;
}
