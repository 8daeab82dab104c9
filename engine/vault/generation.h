/*
 * The generation: a number in the vault and in the file `generation` beside it, by which a vault
 * that was put back is noticed. A copy has a smaller one than the vault from which it was made.
 */
#ifndef VAULT_GENERATION_H
#define VAULT_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct vault;
struct vault_txn;

struct life {
	uint64_t generation;
	uint64_t restored_ms; /* wall: when it was seen to have been put back; 0 = never */
	uint64_t restored;    /* its generation since then */
	bool open;	      /* its accounts were not all looked at since */
	bool just_now;
};

/* Reads both, and notices. Writes only where something is to be said. */
enum err life_open(struct vault *, struct error *error) MUST_CHECK;

/* As the vault has it. */
enum err life_read(struct vault_txn *, struct life *) MUST_CHECK;

/* What stands in the file; false = there is none that can be read. */
bool generation_read(const char *dir, uint64_t *generation);
enum err generation_write(const char *dir, uint64_t generation, struct error *error) MUST_CHECK;

#endif
