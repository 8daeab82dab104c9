#include "vault/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "vault/generation.h"
#include "vault/key_ring.h"
#include "vault/lock.h"
#include "vault/place.h"
#include "vault/vault_state.h"

/* ── For reading alone ───────────────────────────────────────────────────────────────────── */

enum err vault_open_reading(
    struct vault **out, const struct vault_config *config, const char *file, struct error *error)
{
	struct vault *vault = xcalloc(1, sizeof(*vault));
	enum err err;

	*out = NULL;
	vault->dir = xstrdup(file != NULL ? file : config->dir);
	vault->clock = config->clock;
	vault->lock_fd = -1;
	vault->reads_alone = true;
	batch_init(vault, config);
	err = store_open_reading(&vault->store, vault->dir, file != NULL, error);
	if (err == ERR_OK)
		err = key_ring_open(vault, config, error);
	if (err != ERR_OK) {
		vault_close(vault);
		return err;
	}
	*out = vault; /* transferred */
	return ERR_OK;
}

/* ── Making one ──────────────────────────────────────────────────────────────────────────── */

enum err draft_open(const char *draft, int *fd, struct error *error)
{
	*fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd >= 0)
		return ERR_OK;
	return error_set(error, place_err(errno),
	    "%s cannot be written: %s; name a place where the vault's owner may write", draft,
	    strerror(errno));
}

enum err draft_name(const char *draft, const char *file, struct error *error)
{
	char *parent = place_parent(file);
	enum err err = ERR_OK;

	if (link(draft, file) != 0)
		err = error_set(
		    error, place_err(errno), "%s cannot be made: %s", file, strerror(errno));
	(void)unlink(draft);
	if (err == ERR_OK)
		err = place_sync(parent, error);
	free(parent);
	return err;
}

/* A copy of what `path` is: a vault's directory, or a copy's file. */
static enum err copy_of(const char *path, bool is_file, const char *draft, struct error *error)
{
	struct store *store;
	int fd;
	enum err err = store_open_reading(&store, path, is_file, error);

	if (err != ERR_OK)
		return err;
	err = draft_open(draft, &fd, error);
	if (err == ERR_OK) {
		err = store_copy(store, fd, error);
		close(fd);
	}
	store_close(store);
	return err;
}

enum err vault_copy(const char *dir, const char *draft, struct error *error)
{
	return copy_of(dir, false, draft, error);
}

/* ── Putting one back ────────────────────────────────────────────────────────────────────── */

struct putting {
	const struct vault_config *config;
	const char *file;
	char *data, *draft;  /* where the vault's file is, and where the copy is made beside it */
	uint64_t generation; /* of the copy */
	int lock_fd;
};

static enum err dir_make(const char *dir, struct error *error)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return ERR_OK;
	return error_set(error, place_err(errno), "the vault's directory %s cannot be made: %s",
	    dir, strerror(errno));
}

static enum err lock_it(struct putting *putting, struct error *error)
{
	int dir_fd;
	enum err err = place_open(putting->config->dir, &dir_fd, error);

	if (err != ERR_OK)
		return err;
	err = lock_take(putting->config->dir, dir_fd, "vault restore",
	    clock_wall_ms(putting->config->clock), &putting->lock_fd, error);
	close(dir_fd);
	return err;
}

/* ── Apart ───────────────────────────────────────────────────────────────────────────────── */

#define APART_MIN_S   10
#define APART_BYTES_S (1024UL * 1024) /* that even a slow machine looks at in a second */

enum err vault_apart(
    apart_fn fn, void *arg, void *result, size_t size, const char *file, struct error *error)
{
	struct stat st;
	unsigned cpu_s = APART_MIN_S;
	struct error ended;
	bool answered;
	enum err err;

	if (stat(file, &st) == 0)
		cpu_s += (unsigned)((uint64_t)st.st_size / APART_BYTES_S);
	err = apart_run(fn, arg, result, size, cpu_s, &answered, &ended);
	if (answered && err != ERR_OK)
		*error = ended;
	return answered
		   ? err
		   : error_set(error, err,
			 "%s has damaged pages: put back the newest backup; nothing was changed "
			 "(the process that read it: %.128s)",
			 file, ended.text);
}

/* The key opens it, and it is whole: its generation. */
static enum err copy_look(void *arg, void *result, struct error *error)
{
	const struct putting *putting = arg;
	struct check_report report;
	struct vault_txn *txn;
	struct vault *vault;
	enum err err = vault_open_reading(&vault, putting->config, putting->file, error);

	if (err != ERR_OK)
		return err;
	txn = vault_read(vault);
	err = txn == NULL ? error_set(error, ERR_IO, "%s cannot be read", putting->file)
			  : vault_check(txn, &report, error);
	if (err == ERR_OK)
		err = life_read(txn, &vault->life);
	*(uint64_t *)result = vault->life.generation;
	vault_read_end(txn);
	vault_close(vault);
	if (err != ERR_OK)
		error_prefix(error, "%s: ", putting->file);
	return err;
}

static enum err copy_check(struct putting *putting, struct error *error)
{
	return vault_apart(copy_look, putting, &putting->generation, sizeof(putting->generation),
	    putting->file, error);
}

/* The file beside says that what is opened next is older than what was there. */
static enum err generation_raise(const struct putting *putting, struct error *error)
{
	uint64_t beside;

	(void)generation_read(putting->config->dir, &beside);
	if (beside > putting->generation)
		return ERR_OK;
	return generation_write(putting->config->dir, putting->generation + 1, error);
}

static char *kept_path(const struct putting *putting)
{
	time_t seconds = (time_t)(clock_wall_ms(putting->config->clock) / 1000);
	char at[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm);
	return xasprintf("%s.before-%s", putting->data, at);
}

static enum err draft_place(struct putting *putting, char **kept, struct error *error)
{
	char *path = kept_path(putting);

	if (link(putting->data, path) == 0 || errno == EEXIST) {
		*kept = path; /* transferred */
	} else {
		free(path);
		if (errno != ENOENT)
			return error_set(error, place_err(errno),
			    "the vault that is there cannot be kept: %s; nothing was put back",
			    strerror(errno));
	}
	if (rename(putting->draft, putting->data) != 0)
		return error_set(error, place_err(errno), "%s cannot be put in place: %s",
		    putting->draft, strerror(errno));
	return place_sync(putting->config->dir, error);
}

enum err vault_put_back(
    const struct vault_config *config, const char *file, char **kept, struct error *error)
{
	struct putting putting = {.config = config, .file = file, .lock_fd = -1};
	enum err err = dir_make(config->dir, error);

	*kept = NULL;
	putting.data = xasprintf("%s/data.mdb", config->dir);
	putting.draft = xasprintf("%s/data.mdb.restoring", config->dir);
	if (err == ERR_OK)
		err = lock_it(&putting, error);
	if (err == ERR_OK)
		err = copy_check(&putting, error);
	if (err == ERR_OK)
		err = copy_of(file, true, putting.draft, error);
	if (err == ERR_OK)
		err = generation_raise(&putting, error);
	if (err == ERR_OK)
		err = draft_place(&putting, kept, error);
	if (err != ERR_OK)
		(void)unlink(putting.draft);
	if (putting.lock_fd >= 0)
		close(putting.lock_fd);
	free(putting.data);
	free(putting.draft);
	return err;
}
