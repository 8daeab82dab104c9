/*
 * The vault as its own files see it.
 */
#ifndef VAULT_STATE_H
#define VAULT_STATE_H

#include "vault.h"
#include "vault/batch.h"
#include "vault/seal.h"
#include "vault/store.h"
#include "vault/trail.h"

struct vault {
	char *dir;
	struct store *store;
	struct seal *seal;
	struct batch batch;
	struct trail trail;
	struct clock *clock;
	uint32_t keep_versions;
	int lock_fd;
	unsigned readers; /* read transactions that live */
};

#endif
