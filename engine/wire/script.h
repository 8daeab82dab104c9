/*
 * Platform scripts: Lua coroutines that wait by yielding.
 *
 * Owns the Lua states (one a snapshot in use, capped), what a script sees (job, its key and params,
 * job.admin, refused, skip, opaque secrets) and the certainty that follows from what it did. Never
 * lets a script see a secret's bytes, decide a status, or block.
 */
#ifndef WIRE_SCRIPT_H
#define WIRE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire.h"
#include "wire/shell.h"

struct scripts; /* the platforms of one snapshot */

enum err scripts_new(
    struct scripts **, const struct wire_script *, size_t count, struct error *error) MUST_CHECK;
/* Only when no script of it is in work. NULL is fine. */
void scripts_free(struct scripts *);

enum script_call {
	SCRIPT_CHECK,
	SCRIPT_CHANGE,
	SCRIPT_READ_HASH,
	SCRIPT_CHANGE_KEY,
	SCRIPT_PERSIST, /* nothing to do where the platform has no such function */
};

struct script_config {
	const char *platform;
	enum script_call call;
	const char *asset, *account;
	enum wire_proof proof; /* CHECK: what is wanted afterwards */
	uint64_t limit_ms;     /* CHANGE: the change's deadline, for the asset's own timeout */
	const struct secret *new_secret, *old_secret; /* borrowed; NULL where there is none */
	const struct wire_ssh_key *key;		      /* borrowed; NULL: it is about a password */
	const char *params;			      /* a JSON object; NULL = none */
	struct shell *shell;			      /* open */
};

struct script; /* one call in work */

struct script *script_new(struct scripts *, const struct script_config *);
/* Cancels it at any moment without a leak. NULL is fine. */
void script_free(struct script *);

struct script_result {
	enum wire_finding finding; /* CHECK; the outcome's text has what skip() said */
	bool sent;  /* CHANGE, CHANGE_KEY: as in struct wire_result; so far, after ERR_AGAIN */
	bool ended; /* CHANGE, CHANGE_KEY, PERSIST: as in struct wire_result */
	struct secret *hash; /* READ_HASH: the caller's; NULL = it has none to show */
};

/*
 * Runs until it ends or waits, at most a bounded number of instructions a call (ERR_AGAIN too: then
 * call again from the loop; *busy says that it waits for nothing). FAULT_REFUSED for refused(),
 * FAULT_SCRIPT for an error of the script. `result` is filled whatever is returned: who cancels a
 * script knows by it whether something was sent.
 */
enum err script_step(
    struct script *, struct script_result *, bool *busy, struct outcome *) MUST_CHECK;

#endif
