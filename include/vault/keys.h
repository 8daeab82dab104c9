/*
 * The vault's keys: where the master key comes from, and changing it while the vault is open.
 *
 * Owns which key opens the vault. Values are sealed by data keys, which lie in the vault in a slot
 * for each master key that opens it: one, or two until the newer one was seen to be what the
 * settings name. Never keeps a master key on disk but where it was told to.
 */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "vault.h"

/* ── Where it comes from ─────────────────────────────────────────────────────────────────── */

#define KEY_COMMAND_TIMEOUT_MS 10000 /* where none is set */

struct key_source {
	const char *file;	/* 64 hex digits and a newline, mode 0400; NULL = another way: */
	const char *credential; /* a name in $CREDENTIALS_DIRECTORY: the same */
	const char *const *command; /* its output is the same; ended by NULL, the program first */
	uint64_t timeout_ms;	    /* the command's; 0 = the usual one */
	/* It is made of a passphrase: the credential's text; without one, what `ask` gets. */
	bool passphrase;
	enum err (*ask)(void *arg, struct secret **passphrase, struct error *error); /* or NULL */
	void *arg;
};

/* In words, for messages: "the file /etc/lockstep/master.key". */
const char *key_source_text(const struct key_source *, char *out, size_t size);

/*
 * Reads it: 32 bytes, or a passphrase. Runs the command and waits for it, up to its time: never
 * from a loop. ERR_NOT_FOUND, ERR_DENIED (others may read the file), ERR_INVALID (no key; an empty
 * passphrase), ERR_LIMIT (time, size), ERR_FULL, ERR_IO.
 */
enum err key_read(
    const struct key_source *, struct secret **material, struct error *error) MUST_CHECK;

/* ── Changing it ─────────────────────────────────────────────────────────────────────────── */

/*
 * A change: a slot for another master key, beside the one that the vault was opened with, and a new
 * data key for what is sealed from then on. In three steps, so that the middle one stands in a
 * transaction with whatever else is to be kept with it.
 */
struct rekey;

/* `material` as key_read gives it. ERR_BUSY: values wait to be sealed anew since an earlier one. */
enum err rekey_new(struct rekey **, struct vault *, const struct secret *material, bool passphrase,
    struct error *error) MUST_CHECK;
enum err rekey_apply(struct vault_txn *, void *rekey, struct error *error) MUST_CHECK;
/* It is durable: the vault works with it. */
void rekey_done(struct rekey *);
void rekey_free(struct rekey *);

/*
 * A new key for the same file: makes `FILE.new`, for rekey_new; then, once that is durable, puts it
 * in the file's place, and the old one at `*kept` (the caller's), as older backups need it. Killed
 * at any moment the file holds a whole key that opens the vault.
 */
enum err key_file_make(const char *file, struct secret **material, struct error *error) MUST_CHECK;
enum err key_file_place(
    const char *file, uint64_t now_ms, char **kept, struct error *error) MUST_CHECK;

/*
 * Sees that what the settings name opens the vault. If so, slots that are older than the one it
 * opens are dropped, in a commit. ERR_CORRUPT: it opens none, and a restart would not open the
 * vault.
 */
enum err vault_key_confirm(
    struct vault *, const struct key_source *, struct error *error) MUST_CHECK;

/* The same where the settings cannot tell the newer one from the older: a passphrase that is asked
 * for was just typed, twice. */
enum err vault_key_take_newest(struct vault *, struct error *error) MUST_CHECK;

struct key_facts {
	uint32_t data_key;  /* the number of the one that seals now */
	uint32_t data_keys; /* more than one: values wait to be sealed anew */
	uint32_t slots;	    /* two: a change waits to be confirmed */
};
void vault_key_facts(const struct vault *, struct key_facts *);

/* ── Sealing anew ────────────────────────────────────────────────────────────────────────── */

/*
 * Some hundreds of values that older data keys seal are sealed by the newest one, in a commit;
 * `*more` = there are others. With the last one the older data keys are forgotten.
 */
enum err vault_reseal(struct vault *, bool *more, struct error *error) MUST_CHECK;

#endif
