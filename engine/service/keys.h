/*
 * The vault's keys as requests meet them: the source that the settings name, changing it, and
 * sealing values anew meanwhile.
 */
#ifndef SERVICE_KEYS_H
#define SERVICE_KEYS_H

#include "policy.h"
#include "vault/keys.h"

struct service;

/* Sealing anew, some hundreds of values a turn of the loop. */
struct resealing {
	struct service *service;
	struct timer timer;
	bool working;
	void (*done)(void *arg, enum err, const struct error *); /* NULL = nobody waits */
	void *arg;
};

/* As the vault takes it; a passphrase without a credential is asked of whoever began the process.
 */
struct key_source key_source_of(struct service *, const struct master_key *);

/* What is left of a change goes on; `done` is called at its end, at once where nothing is left. */
void reseal_begin(
    struct service *, void (*done)(void *arg, enum err, const struct error *), void *arg);
void reseal_stop(struct service *);

/* That the settings name a key which opens the vault, of those that can be looked at without
 * waiting. NULL, or what is wrong in words (the caller's). */
char *key_warning(struct service *, const struct master_key *);

#endif
