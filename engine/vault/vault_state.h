/*
 * The vault as its own files see it.
 */
#ifndef VAULT_STATE_H
#define VAULT_STATE_H

#include "vault.h"
#include "vault/batch.h"
#include "vault/generation.h"
#include "vault/seal.h"
#include "vault/slot.h"
#include "vault/store.h"
#include "vault/trail.h"

struct vault {
	char *dir;
	struct store *store;
	struct seal *seal;
	struct slots slots; /* that open it */
	struct batch batch;
	struct trail trail;
	struct clock *clock;
	uint32_t keep_versions;
	struct life life;
	bool reads_alone; /* a copy, or beside the engine: nothing can be written */
	int lock_fd;
	unsigned readers; /* read transactions that live */
};

#endif
