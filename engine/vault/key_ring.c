#include "vault/key_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vault/master.h"
#include "vault/place.h"

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

enum err key_ring_make(struct vault_txn *txn, const struct id *vault, const struct secret *master,
    uint64_t now_ms, struct error *error)
{
	struct seal *seal = seal_new(vault);
	struct slots slots = {.count = 0};
	enum err err = seal_add(seal, error);

	if (err == ERR_OK)
		err = slot_make(&slots.items[0], master, false, now_ms, error);
	if (err == ERR_OK) {
		slots.count = 1;
		err = slot_wrap(&slots.items[0], seal, error);
	}
	if (err == ERR_OK)
		err = slots_write(txn, vault, &slots);
	slots_clear(&slots);
	seal_free(seal);
	return err;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static enum err slots_load(struct vault *vault, struct id *id, struct error *error)
{
	struct vault_txn txn;
	enum err err = store_begin(vault->store, false, &txn, error);

	if (err != ERR_OK)
		return err;
	err = slots_read(&txn, id, &vault->slots);
	store_abort(&txn);
	if (err == ERR_OK)
		return ERR_OK;
	return error_set(error, ERR_CORRUPT,
	    "vault %s has lost what seals it: put back the newest backup", vault->dir);
}

/* The slot that it opens, the newest first; SLOTS_MAX = none. */
static size_t slot_find(
    struct slots *slots, const struct secret *material, bool passphrase, struct seal *seal)
{
	for (size_t i = slots->count; i > 0; i--)
		if (slot_open(&slots->items[i - 1], slots->legacy, material, passphrase, seal))
			return i - 1;
	return SLOTS_MAX;
}

static enum err opens_none(
    const struct vault *vault, const struct key_source *source, struct error *error)
{
	char what[512];

	return error_set(error, ERR_CORRUPT,
	    "%s does not open vault %s; give the key that was made with it: the master key is not "
	    "this vault's",
	    key_source_text(source, what, sizeof(what)), vault->dir);
}

static void slot_drop(struct slots *slots, size_t at)
{
	secret_free(slots->items[at].master);
	memmove(&slots->items[at], &slots->items[at + 1],
	    (slots->count - at - 1) * sizeof(slots->items[0]));
	slots->count--;
	memset(&slots->items[slots->count], 0, sizeof(slots->items[0]));
}

/* Those that are older than the one that opened it are what the settings named before. */
static void drop_before(struct slots *slots, size_t opened)
{
	while (opened-- > 0)
		slot_drop(slots, 0);
}

static enum err slots_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct vault *vault = arg;
	enum err err = slots_write(txn, seal_vault(vault->seal), &vault->slots);

	return err == ERR_OK ? err : error_set(error, err, "the vault's keys cannot be written");
}

static enum err key_ring_modernise(struct vault *vault, struct error *error)
{
	enum err err = slot_wrap(&vault->slots.items[0], vault->seal, error);

	vault->slots.legacy = false;
	return err == ERR_OK ? vault_write(vault, slots_apply, vault, error) : err;
}

static enum err key_ring_unlock(struct vault *vault, const struct key_source *source,
    const struct secret *material, struct error *error)
{
	size_t opened = slot_find(&vault->slots, material, source->passphrase, vault->seal);

	if (opened == SLOTS_MAX)
		return opens_none(vault, source, error);
	if (vault->reads_alone)
		return ERR_OK;
	if (vault->slots.legacy)
		return key_ring_modernise(vault, error);
	if (opened == 0)
		return ERR_OK;
	drop_before(&vault->slots, opened);
	return vault_write(vault, slots_apply, vault, error);
}

enum err key_ring_open(struct vault *vault, const struct vault_config *config, struct error *error)
{
	struct key_source file = {.file = config->key_path};
	const struct key_source *source = config->key != NULL ? config->key : &file;
	struct secret *material = NULL;
	struct id id;
	enum err err = slots_load(vault, &id, error);

	if (err == ERR_OK)
		err = key_read(source, &material, error);
	if (err == ERR_OK) {
		vault->seal = seal_new(&id);
		err = key_ring_unlock(vault, source, material, error);
	}
	secret_free(material);
	return err;
}

/* ── Confirming ──────────────────────────────────────────────────────────────────────────── */

enum err vault_key_confirm(
    struct vault *vault, const struct key_source *source, struct error *error)
{
	struct seal *seal;
	struct secret *material;
	size_t opened;
	enum err err = key_read(source, &material, error);

	if (err != ERR_OK)
		return err;
	seal = seal_new(seal_vault(vault->seal));
	opened = slot_find(&vault->slots, material, source->passphrase, seal);
	seal_free(seal);
	secret_free(material);
	if (opened == SLOTS_MAX)
		return opens_none(vault, source, error);
	if (opened == 0)
		return ERR_OK;
	drop_before(&vault->slots, opened);
	return vault_write(vault, slots_apply, vault, error);
}

enum err vault_key_take_newest(struct vault *vault, struct error *error)
{
	if (vault->slots.count < 2)
		return ERR_OK;
	drop_before(&vault->slots, vault->slots.count - 1);
	return vault_write(vault, slots_apply, vault, error);
}

void vault_key_facts(const struct vault *vault, struct key_facts *facts)
{
	*facts = (struct key_facts){
	    .data_key = seal_number(vault->seal),
	    .data_keys = (uint32_t)seal_count(vault->seal),
	    .slots = (uint32_t)vault->slots.count,
	};
}

/* ── Another one ─────────────────────────────────────────────────────────────────────────── */

struct rekey {
	struct vault *vault;
	struct seal *seal; /* with one data key more */
	struct slots slots;
};

/* The first is the one that the settings name, and its master key is known: a later one waits for a
 * confirmation that does not come any more. */
static enum err rekey_slot(struct rekey *rekey, struct error *error)
{
	const struct slot *named = &rekey->vault->slots.items[0];

	rekey->slots.items[0] = *named;
	rekey->slots.items[0].master = secret_copy(named->master);
	rekey->slots.count = 1;
	return rekey->slots.items[0].master != NULL
		   ? ERR_OK
		   : error_set(error, ERR_FULL, "the memory for secrets is full");
}

enum err rekey_new(struct rekey **out, struct vault *vault, const struct secret *material,
    bool passphrase, struct error *error)
{
	struct rekey *rekey = xcalloc(1, sizeof(*rekey));
	enum err err;

	*out = NULL;
	rekey->vault = vault;
	err = seal_copy(&rekey->seal, vault->seal, false, error);
	if (err == ERR_OK)
		err = seal_add(rekey->seal, error);
	if (err == ERR_OK)
		err = rekey_slot(rekey, error);
	if (err == ERR_OK)
		err = slot_make(&rekey->slots.items[1], material, passphrase,
		    clock_wall_ms(vault->clock), error);
	if (err == ERR_OK)
		rekey->slots.count = 2;
	for (size_t i = 0; err == ERR_OK && i < rekey->slots.count; i++)
		err = slot_wrap(&rekey->slots.items[i], rekey->seal, error);
	if (err != ERR_OK) {
		rekey_free(rekey);
		return err;
	}
	*out = rekey; /* transferred */
	return ERR_OK;
}

enum err rekey_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct rekey *rekey = arg;
	enum err err = slots_write(txn, seal_vault(rekey->seal), &rekey->slots);

	return err == ERR_OK ? err : error_set(error, err, "the vault's keys cannot be written");
}

void rekey_done(struct rekey *rekey)
{
	struct vault *vault = rekey->vault;

	seal_free(vault->seal);
	slots_clear(&vault->slots);
	vault->seal = rekey->seal;   /* transferred */
	vault->slots = rekey->slots; /* transferred */
	rekey->seal = NULL;
	rekey->slots.count = 0;
}

void rekey_free(struct rekey *rekey)
{
	if (rekey == NULL)
		return;
	seal_free(rekey->seal);
	slots_clear(&rekey->slots);
	free(rekey);
}

/* ── In the place of a file ──────────────────────────────────────────────────────────────── */

static char *new_path(const char *file)
{
	return xasprintf("%s.new", file);
}

enum err key_file_make(const char *file, struct secret **material, struct error *error)
{
	char *path = new_path(file);
	enum err err = master_create(path, true, material, error);

	free(path);
	return err;
}

static char *kept_path(const char *file, uint64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	char at[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm);
	return xasprintf("%s.before-%s", file, at);
}

static enum err not_placed(const char *file, const char *path, struct error *error)
{
	return error_set(error, place_err(errno),
	    "the new master key cannot take the place of %s (%s): both open the vault; move %s "
	    "there by hand, or run lockstep vault rekey again",
	    file, strerror(errno), path);
}

enum err key_file_place(const char *file, uint64_t now_ms, char **kept, struct error *error)
{
	char *path = new_path(file), *parent = place_parent(file);
	enum err err = ERR_OK;

	*kept = kept_path(file, now_ms);
	if (link(file, *kept) != 0 && errno != EEXIST)
		err = not_placed(file, path, error);
	if (err == ERR_OK && rename(path, file) != 0)
		err = not_placed(file, path, error);
	if (err == ERR_OK)
		err = place_sync(parent, error);
	if (err != ERR_OK) {
		free(*kept);
		*kept = NULL;
	}
	free(parent);
	free(path);
	return err;
}

/* ── The older data keys go ──────────────────────────────────────────────────────────────── */

enum err key_ring_shed(struct vault *vault, struct vault_txn *txn, struct error *error)
{
	struct slots slots = vault->slots; /* its master keys stay the vault's */
	struct seal *newest;
	enum err err = seal_copy(&newest, vault->seal, true, error);

	for (size_t i = 0; err == ERR_OK && i < slots.count; i++)
		err = slot_wrap(&slots.items[i], newest, error);
	if (err == ERR_OK)
		err = slots_write(txn, seal_vault(newest), &slots);
	seal_free(newest);
	return err;
}

/* Where secure memory is full, they stay until the next start. */
void key_ring_shed_done(struct vault *vault)
{
	struct seal *newest;
	struct error error;

	if (seal_copy(&newest, vault->seal, true, &error) != ERR_OK)
		return;
	for (size_t i = 0; i < vault->slots.count; i++)
		if (slot_wrap(&vault->slots.items[i], newest, &error) != ERR_OK)
			log_event(LOG_LEVEL_WARN, "slot_not_wrapped", "error", error.text, NULL);
	seal_free(vault->seal);
	vault->seal = newest;
}
