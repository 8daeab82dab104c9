/*
 * Passwords of people as crypt(3) hashes, off the loop: one takes some hundredths of a second and
 * 16 MB.
 *
 * Owns its thread, one at a time, and how many wait for it. Never keeps a password longer than
 * its hashing. Who guesses from outside waits here, and holds nothing else up.
 */
#ifndef SERVICE_HASHING_H
#define SERVICE_HASHING_H

#include <stdbool.h>

#include "base/secret.h"
#include "vault.h"

struct hashing;
struct hashing_job;
struct service;

/* `hash` is NULL where there is none: no memory, or the setting is of a kind that is not known. */
typedef void (*hashing_fn)(void *arg, const char *hash);

/* Of a new password, with a fresh salt: a setting for hashing_start. */
bool hashing_setting(char out[PASSWORD_HASH_SIZE]);

/*
 * Hashes a copy of `password` as `setting` says, which a hash is too. Answers from the loop. NULL
 * when too many wait or there is no memory.
 */
struct hashing_job *hashing_start(
    struct service *, const struct secret *password, const char *setting, hashing_fn, void *arg);
/* The answer is not wanted any more. NULL is fine. */
void hashing_cancel(struct hashing_job *);

/* Whether two hashes are the same, in a time that says nothing of where they differ. */
bool hashing_same(const char *, const char *);

/* Waits for those at work; nobody is answered any more. NULL is fine. */
void hashing_free(struct hashing *);

#endif
