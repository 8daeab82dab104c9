/*
 * The audit log as the vault's own files move it: what a transaction has appended is told of once
 * it is durable, and signed in time.
 */
#ifndef VAULT_TRAIL_H
#define VAULT_TRAIL_H

#include "vault/audit.h"

struct trail {
	char **lines; /* appended by the transaction that is open */
	size_t count, room;
	bool ends_signed;   /* the last of them */
	bool unsigned_left; /* something committed stands behind the last signature */
	struct timer timer;
	void (*tell)(void *arg, const char *line);
	void *arg;
};

void trail_init(struct vault *); /* once the vault is open */
void trail_clear(struct vault *);

/* A transaction begins, or begins again: nothing is appended yet. */
void trail_begin(struct vault *);
/* It is durable. */
void trail_committed(struct vault *);

/* What the vault's key signs with, opened anew: for resealing. Fine where there is none. */
enum err trail_reseal(struct vault_txn *, struct error *error) MUST_CHECK;

/* The public key that is kept. ERR_NOT_FOUND where there is none. */
enum err trail_public_key(struct vault_txn *, uint8_t out[AUDIT_KEY_SIZE]) MUST_CHECK;

/* ERR_NOT_FOUND. */
enum err trail_get(struct vault_txn *, uint64_t number, struct audit_entry *) MUST_CHECK;

/* The hash that the entry behind `number` follows: its own, or the beginning's where it is 0. */
enum err trail_hash(struct vault_txn *, uint64_t number, uint8_t hash[AUDIT_HASH_SIZE]) MUST_CHECK;

#endif
