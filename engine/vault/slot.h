/*
 * Slots: the data keys, wrapped by a master key, as the vault keeps them.
 *
 * Owns their form. A slot whose master key is known can be wrapped anew; another one stays as it
 * is, which is fine for as long as no data key was added.
 */
#ifndef VAULT_SLOT_H
#define VAULT_SLOT_H

#include "vault/master.h"
#include "vault/seal.h"
#include "vault/store.h"

#define SLOTS_MAX	 2
#define SLOT_SALT_SIZE	 16
#define SLOT_WRAPPED_MAX 256

struct slot {
	bool derived; /* its master key is made of a passphrase, by scrypt */
	uint8_t salt[SLOT_SALT_SIZE];
	uint32_t log_n, r, p;
	uint64_t made_ms; /* wall */
	uint8_t wrapped[SLOT_WRAPPED_MAX];
	size_t len;
	struct secret *master; /* NULL = not known */
};

struct slots {
	struct slot items[SLOTS_MAX]; /* in order of making */
	size_t count;
	bool legacy; /* as schema 4 had it: one data key alone, bound otherwise */
};

/* A slot for this key or passphrase. ERR_FULL. */
enum err slot_make(struct slot *, const struct secret *material, bool passphrase, uint64_t now_ms,
    struct error *error) MUST_CHECK;

/* Wraps the data keys anew. */
enum err slot_wrap(struct slot *, const struct seal *, struct error *error) MUST_CHECK;

/* True when the slot's master key is this one (or made of this passphrase); then it is known, and
 * `seal` has the data keys. */
bool slot_open(
    struct slot *, bool legacy, const struct secret *material, bool passphrase, struct seal *seal);

void slots_clear(struct slots *);

/* The vault's row. ERR_CORRUPT. */
enum err slots_read(struct vault_txn *, struct id *vault, struct slots *) MUST_CHECK;
enum err slots_write(struct vault_txn *, const struct id *vault, const struct slots *) MUST_CHECK;

#endif
