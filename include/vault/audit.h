/*
 * The audit log: who did what, when and to what, in a form that nobody can rewrite unnoticed.
 *
 * Owns the closed set of words, the chain of hashes and its signatures. An entry is appended in the
 * transaction of what it records; none is ever changed or taken away, and none holds a secret.
 *
 * An entry is a line of JSON. Its hash is SHA-256 over the hash before it and the line; the first
 * one's covers the vault's id. From time to time an entry signs (Ed25519) all that stands before
 * it. The signing key is sealed in the vault; whoever keeps its public half elsewhere sees from an
 * export alone whether anything was changed, moved, taken out, or cut off before a signature.
 */
#ifndef VAULT_AUDIT_H
#define VAULT_AUDIT_H

#include <stdio.h>

#include "base/buf.h"
#include "vault.h"

/* What was done. A word is never given another meaning; new ones are added before the last. */
enum audit_what {
	AUDIT_SIGN,	     /* the log's own: a signature over all that stands before it */
	AUDIT_POLICY,	     /* a policy was loaded; object: the digest of all its files */
	AUDIT_LOGIN,	     /* a person came in by TLS, or was not let in */
	AUDIT_CODE,	     /* a second factor was asked for */
	AUDIT_PERMISSION,    /* something was asked for that is not granted */
	AUDIT_REVEAL,	     /* a secret was shown */
	AUDIT_APPROVE,	     /* someone asked to see a secret, or another answered */
	AUDIT_CHECKOUT,	     /* a secret was shown, for a time */
	AUDIT_CHECKIN,	     /* that time is over */
	AUDIT_RUN,	     /* an execution began */
	AUDIT_CANCEL,	     /* an execution was stopped */
	AUDIT_PAUSE,	     /* a task's schedule is not followed any more */
	AUDIT_RESUME,	     /* and is again */
	AUDIT_TASK,	     /* what is kept of a task was changed; its file is a policy's */
	AUDIT_IGNORE,	     /* failures are no concern */
	AUDIT_UNIGNORE,	     /* and are one again */
	AUDIT_IMPORT,	     /* someone told an account's secret */
	AUDIT_RENAME,	     /* what is kept of an asset is kept of another name */
	AUDIT_TRUST,	     /* a host key was pinned */
	AUDIT_SECRET_SET,    /* a named secret was kept */
	AUDIT_SECRET_DELETE, /* or deleted */
	AUDIT_NOTICE,	     /* what waits to be told was dropped, or is tried again */
	AUDIT_USER,	     /* what is kept of a user was changed */
	AUDIT_TOKEN,	     /* an API token was made or revoked */
	AUDIT_EXPORT,	     /* secrets left the vault in a sealed file */
	AUDIT_BACKUP,	     /* the vault was copied */
	AUDIT_RESTORE,	     /* the vault was put back from a copy */
	AUDIT_REKEY,	     /* the vault's keys were changed */
	AUDIT_AUDIT_EXPORT,  /* this log was exported */
	AUDIT_WHAT_COUNT
};
const char *audit_what_name(enum audit_what); /* "reveal", "secret_set", … */

enum audit_outcome { AUDIT_DONE, AUDIT_REFUSED, AUDIT_FAILED };
#define AUDIT_OUTCOME_COUNT 3
const char *audit_outcome_name(enum audit_outcome); /* "done", "refused", "failed" */

/* By which way it came. */
enum audit_origin { AUDIT_ENGINE, AUDIT_COMMAND, AUDIT_SOCKET, AUDIT_TLS, AUDIT_SCHEDULE };
#define AUDIT_ORIGIN_COUNT 5
const char *audit_origin_name(
    enum audit_origin); /* "engine" (by itself), "command", "socket", "tls", "schedule" */

struct audit_who {
	enum audit_origin origin;
	bool has_uid;
	uid_t uid;	     /* as the kernel says */
	const char *user;    /* its name; NULL = unknown */
	const char *address; /* of a peer elsewhere; NULL = this machine */
	const char *token;   /* the name of the API token that was shown; NULL = none was */
};

/* To be appended. Texts are borrowed for the call, escaped and cut; NULL or 0 = not about such. */
struct audit_event {
	enum audit_what what;
	enum audit_outcome outcome;
	struct audit_who who;
	const char *task, *asset, *account;
	const char *object; /* what else it is about: a secret's name, a user's, a file */
	const char *detail; /* never a secret */
	uint32_t version;
	struct id execution; /* none = no such */
};

#define AUDIT_HASH_SIZE	     32
#define AUDIT_SIGNATURE_SIZE 64
#define AUDIT_KEY_SIZE	     32 /* public */
#define AUDIT_KEY_TEXT_SIZE  (2 * AUDIT_KEY_SIZE + 1)
#define AUDIT_LINE_SIZE	     8192 /* no line is longer */

/* One as it is kept. Words are texts here: a newer release may have written it. */
struct audit_entry {
	uint64_t number; /* from 1, without a gap */
	uint64_t at_ms;	 /* wall */
	char what[WORD_SIZE], outcome[WORD_SIZE], origin[WORD_SIZE];
	bool has_uid;
	uint64_t uid;
	char user[ACCOUNT_NAME_SIZE], address[ACCOUNT_NAME_SIZE], token[ACCOUNT_NAME_SIZE];
	char task[TASK_NAME_SIZE], asset[ASSET_NAME_SIZE], account[ACCOUNT_NAME_SIZE];
	char object[WHY_SIZE], detail[MESSAGE_SIZE];
	uint32_t version;
	char execution[ID_TEXT_SIZE];
	bool is_signed;
	uint8_t signature[AUDIT_SIGNATURE_SIZE];
	uint8_t hash[AUDIT_HASH_SIZE];
};

/*
 * Appends an entry to what the transaction does: it is in the log exactly when the rest is durable.
 * Makes the signing key where the vault has none, and signs where enough stands unsigned.
 */
enum err audit_append(
    struct vault_txn *, const struct audit_event *, struct error *error) MUST_CHECK;

/* Signs what stands unsigned, if anything does: for what ends, or is exported. Commits. */
enum err vault_audit_sign(struct vault *, struct error *error) MUST_CHECK;

/* Each line from now on, once it is durable. `fn` NULL = nobody listens. */
void vault_audit_tell(struct vault *, void (*fn)(void *arg, const char *line), void *arg);

/* The number of the last entry; 0 = there is none. */
uint64_t audit_last(struct vault_txn *);

/* In order from behind `after` (0 = from the first), or newest first from before `before` (0 = from
 * the last). False from fn stops. */
void audit_each(struct vault_txn *, uint64_t after,
    bool (*fn)(void *arg, const struct audit_entry *), void *arg);
void audit_each_back(struct vault_txn *, uint64_t before,
    bool (*fn)(void *arg, const struct audit_entry *), void *arg);

/* The public half of the signing key, in hexadecimal; made where the vault has none. Commits. */
enum err vault_audit_key(
    struct vault *, char out[AUDIT_KEY_TEXT_SIZE], struct error *error) MUST_CHECK;

/*
 * The policy that the last AUDIT_POLICY told of: its digest, and a text of whoever keeps it.
 * ERR_OK: `digest` is that one's; ERR_EXISTS: another's is kept. Both append the text to `listing`.
 * ERR_NOT_FOUND: none is.
 */
enum err audit_policy_get(struct vault_txn *, const char *digest, struct buf *listing) MUST_CHECK;
enum err audit_policy_put(
    struct vault_txn *, const char *digest, const void *listing, size_t len) MUST_CHECK;

/* ── Exporting and checking ──────────────────────────────────────────────────────────────── */

/* An entry as a line of JSON without its end, in `out[AUDIT_LINE_SIZE]`. */
const char *audit_line(const struct audit_entry *, char *out);

/* What stands at the beginning of an export of what comes behind `after`: the same, of the vault.
 * ERR_NOT_FOUND when there is no entry `after`. */
enum err audit_head_line(struct vault_txn *, uint64_t after, char *out) MUST_CHECK;

struct audit_report {
	char vault[ID_TEXT_SIZE];
	uint64_t first, last; /* entries; 0 = there are none */
	uint64_t count;
	uint64_t signatures;
	uint64_t signed_to;    /* the last entry that a signature covers, itself included */
	uint64_t signed_at_ms; /* wall; when */
};

/*
 * Checks an export: every line, the chain, each signature by the public key (in hexadecimal), and
 * that it ends with one. ERR_CORRUPT, and the text says where and what; ERR_INVALID: it is no
 * export, or that is no key; ERR_IO.
 */
enum err audit_check_file(
    FILE *, const char *key, struct audit_report *, struct error *error) MUST_CHECK;

/* The vault's own log, by its own key. ERR_CORRUPT. What stands behind the last signature is
 * checked by its hashes alone. */
enum err audit_check(struct vault_txn *, struct audit_report *, struct error *error) MUST_CHECK;

#endif
