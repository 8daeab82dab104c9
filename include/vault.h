/*
 * The vault: what is kept. Accounts and the sealed versions of their secrets, executions, records,
 * host keys, attempts against lockout limits, counters.
 *
 * Owns the LMDB environment, the keys that seal it, the exclusive lock that says which engine runs,
 * and the rules that no caller can break: one pending version an account, `current` only with a
 * method of proof, nothing deleted that may be live. Never knows policy, assets' protocols or why
 * something is written.
 *
 * Writing: vault_submit hands over a function that changes a transaction. All that was submitted in
 * one turn of the loop goes into one commit, and only after it is on disk is each `done` called: to
 * be called is to be durable. Reading: a vault_txn of its own, begun and ended within one callback.
 */
#ifndef VAULT_H
#define VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/id.h"
#include "base/secret.h"

#define ASSET_NAME_SIZE	  128 /* with the NUL */
#define ACCOUNT_NAME_SIZE 128
#define TASK_NAME_SIZE	  128
#define WORD_SIZE	  32   /* a fixed word: reason, code, method */
#define MESSAGE_SIZE	  1024 /* asset text or ours, cut */
#define WHY_SIZE	  256  /* what someone said of it */
#define WHO_SIZE	  64   /* a person's name */

struct vault;
struct vault_txn;
struct key_source; /* vault/keys.h */

/* Its other doors: vault/audit.h, vault/keys.h, vault/token.h. */

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

struct vault_config {
	const char *dir;      /* the environment's directory */
	const char *key_path; /* the master key's file: 32 bytes in hex and a newline, mode 0400 */
	const struct key_source *key; /* where it comes from, if not from that file; or NULL */
	const char
	    *purpose; /* the command that runs, for whoever finds the vault in use: "run weekly" */
	struct clock *clock;
	size_t map_max_bytes;	/* 0 = 1 TB */
	uint32_t keep_versions; /* retired ones an account; 0 = 10 */
	/*
	 * Tests only. `no_sync` leaves out the fsync. `commit_gate` is asked before each commit:
	 * anything but ERR_OK makes that commit fail with this error, as the disk would.
	 */
	bool no_sync;
	enum err (*commit_gate)(void *arg);
	void *gate_arg;
};

/* Makes directory (0700), environment and master key file (0400), durably. ERR_EXISTS where one of
 * them is. */
enum err vault_create(const struct vault_config *, struct error *error) MUST_CHECK;

/*
 * Opens and takes the lock. ERR_BUSY names the engine that has it (pid, purpose, since);
 * ERR_DENIED: not the directory's owner, or the key's file is readable by others; ERR_CORRUPT:
 * wrong master key, truncated or not a vault; ERR_VERSION: newer schema; ERR_REFUSED: a network
 * file system. `config` strings are copied.
 */
enum err vault_open(struct vault **, const struct vault_config *, struct error *error) MUST_CHECK;

/* Drops what was submitted and not committed (no `done` is called), closes, releases the lock. */
void vault_close(struct vault *);

struct vault_size {
	uint64_t bytes;	  /* of pages that were ever used: what a copy of it takes */
	uint64_t commits; /* since it was opened */
};

void vault_size(const struct vault *, struct vault_size *);

/* The descriptor that holds the flock; wires inherit it. Stays the vault's. */
int vault_lock_fd(const struct vault *);

/* The directory's owner, who the engine runs as. ERR_NOT_FOUND when there is none. */
enum err vault_owner(const char *dir, uid_t *uid, gid_t *gid, struct error *error) MUST_CHECK;

/* ── Transactions ────────────────────────────────────────────────────────────────────────── */

/*
 * Changes a transaction. It may be called again from the start with a fresh transaction (when the
 * map grows, or another function of the batch failed), so it must depend on `arg` and the
 * transaction alone, and keep what it hands back in `arg`. An error leaves no trace of it in the
 * commit.
 */
typedef enum err (*vault_apply_fn)(struct vault_txn *, void *arg, struct error *error);

/*
 * ERR_OK: what apply did is on disk. Otherwise it is not: apply's own error; or ERR_FULL (no room
 * on the disk or in the map: may be submitted again later); or ERR_IO after which the vault takes
 * nothing more (the engine ends; a restart recovers).
 */
typedef void (*vault_done_fn)(void *arg, enum err result, const struct error *error);

void vault_submit(struct vault *, vault_apply_fn, vault_done_fn, void *arg);

/* The same at once, for commands that wait anyway: commits on return. Also flushes what was
 * submitted. */
enum err vault_write(struct vault *, vault_apply_fn, void *arg, struct error *error) MUST_CHECK;

/* A read transaction: what is committed. NULL only when the vault has failed. End it in the same
 * callback. */
struct vault_txn *vault_read(struct vault *);
void vault_read_end(struct vault_txn *);

/* ── Accounts and versions ───────────────────────────────────────────────────────────────── */

enum proof { PROOF_NONE, PROOF_TOLD, PROOF_LOGIN, PROOF_SU, PROOF_HASH };
const char *proof_name(enum proof); /* "told", "login", …; "" for none */

enum secret_kind { SECRET_PASSWORD, SECRET_KEY };
#define SECRET_KIND_COUNT 2
const char *secret_kind_name(enum secret_kind); /* "password", "key" */

/* How a version left the stages. */
enum version_end {
	VERSION_LIVE,	   /* it has not: pending, current or previous */
	VERSION_REPLACED,  /* a newer one was seen to work, or was told */
	VERSION_NOT_LIVE,  /* proven not the account's: never sent, or refused and seen closed */
	VERSION_NO_VERDICT /* retired in a mismatch: every send had ended, and it did not open */
};

struct version {
	uint32_t number; /* from 1, in order of making */
	enum secret_kind kind;
	uint64_t created_ms; /* wall */
	enum proof proof;    /* the best that was seen */
	uint64_t proved_ms;  /* when; 0 = never */
	enum version_end end;
	uint64_t ended_ms;
	struct id record;    /* that made it; none when told */
	uint64_t generation; /* the vault's, when it was made or last seen to work */
};

enum account_state { ACCOUNT_UNMANAGED, ACCOUNT_CURRENT, ACCOUNT_IN_DOUBT, ACCOUNT_MISMATCH };
#define ACCOUNT_STATE_COUNT 4
const char *account_state_name(
    enum account_state); /* "unmanaged", "current", "in_doubt", "mismatch" */

/*
 * An account's password and its SSH key are kept apart: a row each, with stages of its own. Both
 * have the account's id and number their versions from one sequence, so that a number means one
 * version whatever its kind.
 */
struct account {
	struct id id; /* the same after a rename */
	char asset[ASSET_NAME_SIZE];
	char name[ACCOUNT_NAME_SIZE];
	enum secret_kind kind;
	uint32_t current;  /* version numbers; 0 = none */
	uint32_t pending;  /* may have been sent: the account is in doubt until it is settled */
	uint32_t previous; /* what `current` replaced */
	uint32_t last;	   /* the newest number given */
	bool mismatch;	   /* someone else changed it: none of ours is known to open it */
	struct id pending_record;
	uint64_t changed_ms; /* when current became current */
};

enum account_state account_state(const struct account *);

/* ERR_NOT_FOUND when the vault knows no secret of this kind. `name` and `asset` are exact. */
enum err account_get(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    struct account *) MUST_CHECK;

/* Its row with a pending version, whatever the kind: there is one at most. ERR_NOT_FOUND when
 * nothing of the account is in doubt. */
enum err account_get_in_doubt(
    struct vault_txn *, const char *asset, const char *name, struct account *) MUST_CHECK;

/* Calls for each row in order of asset, name, kind (the password first); with `asset` not NULL only
 * its own. False from fn stops. */
void account_each(struct vault_txn *, const char *asset,
    bool (*fn)(void *arg, const struct account *), void *arg);

/* The same of all assets, from behind the rows of one account on, or from the first where `asset`
 * is
 * "". */
void account_each_after(struct vault_txn *, const char *asset, const char *name,
    bool (*fn)(void *arg, const struct account *), void *arg);

/* Calls for each row with a pending version: what must be settled. */
void account_each_in_doubt(
    struct vault_txn *, bool (*fn)(void *arg, const struct account *), void *arg);

/*
 * What someone says is the account's secret: becomes current with proof `told`; the one before is
 * kept. Refused (ERR_BUSY) while a version of this kind is pending. Makes the account where there
 * is none. Clears mismatch.
 */
enum err account_tell(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    const struct secret *, const struct secret *passphrase, struct account *out,
    struct error *error) MUST_CHECK;

/*
 * Seals a new secret as the pending version of `account` (made if the vault has no such): from the
 * commit on it may be sent. ERR_EXISTS when one of either kind is pending: an account is in doubt
 * about one thing at most. `*account` is read anew and filled.
 */
enum err account_stage(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    const struct secret *, const struct id *record, struct account *account,
    struct error *error) MUST_CHECK;

/*
 * The pending version was seen to work: it becomes current, current becomes previous. ERR_REFUSED
 * unless `proof` is a method of seeing. Applies retention: retired versions beyond the newest
 * `keep_versions` are deleted here and nowhere else.
 */
enum err account_promote(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    enum proof, struct account *account, struct error *error) MUST_CHECK;

/*
 * The pending version leaves the stages for history, kept. `end` is VERSION_NOT_LIVE, or
 * VERSION_NO_VERDICT, which puts the account in mismatch. Nothing is deleted.
 */
enum err account_retire(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    enum version_end end, struct account *account, struct error *error) MUST_CHECK;

/*
 * This version, current when it was tried, was seen to work by `proof`: remembered with the
 * version; clears mismatch. Nothing of it is kept where another was told meanwhile: that one was
 * not seen.
 */
enum err account_prove(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    uint32_t version, enum proof, struct error *error) MUST_CHECK;

/* This version, current when it was tried, was seen not to open the account any more: it is kept,
 * and the account is in mismatch until a secret of it is seen to work or told. The same. */
enum err account_mismatch(struct vault_txn *, const char *asset, const char *name, enum secret_kind,
    uint32_t version, struct error *error) MUST_CHECK;

/* Facts of one version of the row's kind, or of all of them from the newest on. */
enum err version_get(
    struct vault_txn *, const struct account *, uint32_t number, struct version *) MUST_CHECK;
void version_each(struct vault_txn *, const struct account *,
    bool (*fn)(void *arg, const struct version *), void *arg);

/*
 * Opens the seal. `*passphrase` is NULL where there is none, and may be asked for with NULL. Both
 * become the caller's. ERR_FULL when the secure heap is full, ERR_CORRUPT when the seal does not
 * hold.
 */
enum err version_open(struct vault_txn *, const struct account *, uint32_t number, struct secret **,
    struct secret **passphrase, struct error *error) MUST_CHECK;

/* ── Renaming ────────────────────────────────────────────────────────────────────────────── */

struct renamed {
	uint32_t accounts;  /* rows: an account with two kinds of secret has two */
	uint32_t host_keys; /* that the asset has now and had not */
	uint32_t attempts;  /* identities with booked attempts */
};

/*
 * What is kept of asset `from` is kept of `to`: accounts with their ids and versions, host keys,
 * booked attempts. Records keep the name that they were made with. All or nothing:
 * ERR_EXISTS when `to` has accounts; ERR_BUSY while one of `from` is in doubt; ERR_REFUSED when
 * `to` was seen with other host keys, and nobody said that they are right; ERR_NOT_FOUND when
 * nothing is kept of `from`.
 */
enum err asset_rename(struct vault_txn *, const char *from, const char *to, struct renamed *,
    struct error *error) MUST_CHECK;

/* ── Named secrets ───────────────────────────────────────────────────────────────────────── */

/* What a policy asks for by a name: no account's, so it has one value and no history. */
#define SECRET_NAME_SIZE 128

struct named_secret {
	char name[SECRET_NAME_SIZE];
	uint64_t made_ms;    /* wall; of the first value */
	uint64_t changed_ms; /* of the one that is kept */
};

/* Letters, digits and `._-/@`, not at the beginning a sign: what a command line takes as it is. */
bool named_secret_name_is_good(const char *name);

/* Seals and keeps it in place of the one before. ERR_INVALID for a bad name or an empty secret. */
enum err named_secret_put(
    struct vault_txn *, const char *name, const struct secret *, struct error *error) MUST_CHECK;

/*
 * Opens the seal; `*secret` becomes the caller's. ERR_NOT_FOUND (the text says how to set it),
 * ERR_FULL when the secure heap is full, ERR_CORRUPT when the seal does not hold.
 */
enum err named_secret_get(
    struct vault_txn *, const char *name, struct secret **, struct error *error) MUST_CHECK;

/* Its facts alone. ERR_NOT_FOUND. */
enum err named_secret_facts(struct vault_txn *, const char *name, struct named_secret *) MUST_CHECK;

/* In order of name. False from fn stops. */
void named_secret_each(
    struct vault_txn *, bool (*fn)(void *arg, const struct named_secret *), void *arg);

/* ERR_NOT_FOUND when there is none. */
enum err named_secret_delete(struct vault_txn *, const char *name, struct error *error) MUST_CHECK;

/* ── People ──────────────────────────────────────────────────────────────────────────────── */

#define RECOVERY_MAX	   10
#define PASSWORD_HASH_SIZE 256 /* as crypt(5) has it, with the NUL */

/*
 * How someone proves who they are: the second factor, its one-time recovery codes, and a password.
 * The factor's secret is sealed and apart, and so is the password's hash, which who reads the disk
 * could guess at; of recovery codes only hashes are kept.
 */
struct credentials {
	char user[WHO_SIZE];
	uint64_t made_ms;     /* wall; of the factor's secret; 0 = there is none */
	uint64_t enrolled_ms; /* when a first code was right; 0 = it does not count yet */
	uint64_t used_step;   /* the newest step whose code was taken: none up to it is again */
	/* Of the last wrong one that would be right later: by how many steps, and in which. */
	uint64_t early_steps, early_step;
	uint32_t failures;			     /* wrong codes since the last right one */
	uint64_t locked_ms;			     /* wall; nothing is looked at before */
	uint8_t recovery[RECOVERY_MAX][DIGEST_SIZE]; /* SHA-256 of those that were not used */
	size_t recovery_count;
	uint64_t password_ms; /* wall; when it was set; 0 = there is none */
	/* The same two of logins. Apart, so that who guesses passwords from elsewhere does not keep
	 * the user from giving codes here. */
	uint32_t login_failures;
	uint64_t login_locked_ms;
};

/* ERR_NOT_FOUND when nothing is kept of them: `*out` is empty then, but for the name. */
enum err credentials_get(struct vault_txn *, const char *user, struct credentials *) MUST_CHECK;
enum err credentials_put(struct vault_txn *, const struct credentials *) MUST_CHECK;
/* In order of name. False from fn stops. */
void credentials_each(
    struct vault_txn *, bool (*fn)(void *arg, const struct credentials *), void *arg);

/* Seals the factor's secret in place of the one before; NULL = there is none any more. */
enum err credentials_put_secret(
    struct vault_txn *, const char *user, const struct secret *, struct error *error) MUST_CHECK;
/* Opens the seal; `*secret` becomes the caller's. ERR_NOT_FOUND, ERR_FULL, ERR_CORRUPT. */
enum err credentials_get_secret(
    struct vault_txn *, const char *user, struct secret **, struct error *error) MUST_CHECK;

/* The same of the password's hash, sealed. */
enum err credentials_put_password(struct vault_txn *, const char *user, const struct secret *hash,
    struct error *error) MUST_CHECK;
enum err credentials_get_password(
    struct vault_txn *, const char *user, struct secret **hash, struct error *error) MUST_CHECK;

/* ── Executions and records ──────────────────────────────────────────────────────────────── */

enum status {
	STATUS_PLANNED, /* nothing sent yet */
	STATUS_STAGED,	/* pending is durable: may be sent */
	STATUS_SUCCESS, /* from here on: ended */
	STATUS_FAILED,
	STATUS_UNVERIFIED, /* in doubt; the engine goes on settling it */
	STATUS_SKIPPED,
};
#define STATUS_COUNT 6
const char *status_name(enum status); /* "planned", … */

/* Of an execution as a whole: once it has ended, it failed where a record of it failed or is in
 * doubt, or where its engine was killed. */
enum outcome { OUTCOME_RUNNING, OUTCOME_SUCCEEDED, OUTCOME_FAILED };
#define OUTCOME_COUNT 3

struct counts {
	uint64_t by_status[STATUS_COUNT];
};

struct execution {
	struct id id;
	char task[TASK_NAME_SIZE];
	char trigger[WORD_SIZE]; /* "manual", "retry", … */
	uint64_t started_ms;
	uint64_t ended_ms;	 /* 0 = running, or its engine was killed */
	bool interrupted;	 /* its engine was killed; said by the next one */
	char stopped[WORD_SIZE]; /* a word: why it was ended before all were begun; "" = it was not
				  */
	struct counts counts;	 /* of its records, kept in the transactions that change them */
};

enum outcome execution_outcome(const struct execution *);

struct record {
	struct id id;
	struct id execution;
	char task[TASK_NAME_SIZE];
	char asset[ASSET_NAME_SIZE];
	char account[ACCOUNT_NAME_SIZE];
	enum secret_kind kind; /* what was to be changed */
	enum status status;
	char reason[WORD_SIZE]; /* a word: why skipped or unverified, what was found; "" = none */
	/* Of the last thing that went wrong; error_class "" = nothing did. */
	char error_class[WORD_SIZE]; /* "retry", "permanent", "uncertain" */
	char error_code[WORD_SIZE];
	char error_message[MESSAGE_SIZE];  /* may hold text of the asset: hostile */
	uint32_t old_version, new_version; /* 0 = none */
	enum proof proof;  /* by which method it is seen; seen where `proved_ms` says when */
	uint32_t attempts; /* visits to the asset */
	uint32_t sends;	   /* times the secret was handed to a wire */
	uint64_t planned_ms, staged_ms, sent_ms, proved_ms, ended_ms; /* wall; 0 = not yet */
	bool look;	     /* a verify: nothing was to be changed */
	uint64_t ignored_ms; /* when someone said that its failure is no concern; 0 = nobody did */
	char ignored_by[WHO_SIZE];
	char ignored_why[WHY_SIZE];
};

/* New or changed; the execution's counts, the overall counters and the indexes follow. Executions
 * come before their records. */
enum err execution_put(
    struct vault_txn *, const struct execution *) MUST_CHECK; /* counts are ignored */
enum err record_put(struct vault_txn *, const struct record *) MUST_CHECK;

/*
 * Someone says why its failure is no concern any more; `why` NULL = it is one again. record_put
 * leaves that as it is.
 */
enum err record_ignore(
    struct vault_txn *, const struct id *, const char *by, const char *why) MUST_CHECK;

enum err execution_get(struct vault_txn *, const struct id *, struct execution *) MUST_CHECK;
enum err record_get(struct vault_txn *, const struct id *, struct record *) MUST_CHECK;

/*
 * The one thing whose id begins with `text`: ERR_NOT_FOUND, or ERR_INVALID when several do (the
 * text says how many more characters are needed).
 */
enum err execution_find(
    struct vault_txn *, const char *text, struct execution *, struct error *error) MUST_CHECK;
enum err record_find(
    struct vault_txn *, const char *text, struct record *, struct error *error) MUST_CHECK;

/* How many characters of its id tell it from all others, as *_find takes them; at least 8. */
size_t execution_id_length(struct vault_txn *, const struct id *);
size_t record_id_length(struct vault_txn *, const struct id *);

/* Newest first. `before` (none = from the newest) is not included: the page key. False from fn
 * stops. */
void execution_each(struct vault_txn *, const struct id *before,
    bool (*fn)(void *arg, const struct execution *), void *arg);

/* In order of id; `execution` none = of all; `after` (none = from the first) is not included. */
void record_each(struct vault_txn *, const struct id *execution, const struct id *after,
    bool (*fn)(void *arg, const struct record *), void *arg);

/* Executions that have not ended: at start, those of an engine that was killed. */
void execution_each_open(
    struct vault_txn *, bool (*fn)(void *arg, const struct execution *), void *arg);

/* Records of one execution with one status, in order of id, from behind `after` (none = from the
 * first): nothing else is looked at. */
void record_each_with(struct vault_txn *, const struct id *execution, enum status,
    const struct id *after, bool (*fn)(void *arg, const struct record *), void *arg);

/*
 * An account fails where the last record of a change of it failed or is in doubt, or that of a look
 * that came after it, and is not ignored. What was skipped says nothing. Calls for the records that
 * say so, one an account and kind, newest first; `before` as of execution_each.
 */
void failing_each(struct vault_txn *, const struct id *before,
    bool (*fn)(void *arg, const struct record *), void *arg);

/* ── Retention ───────────────────────────────────────────────────────────────────────────── */

/* How far old rows were taken away: zero but for `before_ms` at the beginning. */
struct removal {
	uint64_t before_ms;	      /* wall: what ended before it is old */
	bool more;		      /* there is something left to look at */
	struct id execution, record;  /* looked at last */
	uint32_t records, executions; /* taken away */
};

/*
 * Takes away some hundreds of old records, and executions of which none is left, the oldest first;
 * to be called, each time in a commit of its own, until there is no more. What has not ended, what
 * its account is in doubt by, and the last record of an account (of a change, of a look, of a skip)
 * stays.
 */
enum err vault_remove_old(struct vault_txn *, struct removal *) MUST_CHECK;

/* ── Counters ────────────────────────────────────────────────────────────────────────────── */

/*
 * Kept in the transactions that change what they count, so that they cost the same however much is
 * kept. Accounts are counted by their rows, as account_each calls.
 */
struct totals {
	struct counts records; /* of all executions */
	uint64_t accounts[ACCOUNT_STATE_COUNT];
	uint64_t failing; /* as failing_each calls */
};

struct day {
	uint32_t number;		    /* since 1970-01-01, UTC */
	struct counts records;		    /* that ended on it; by what they are now */
	uint64_t executions[OUTCOME_COUNT]; /* that began on it */
	uint64_t secrets; /* accounts whose current secret became it on that day */
};

/* The day of a moment (wall). */
uint32_t day_number(uint64_t at_ms);

void vault_totals(struct vault_txn *, struct totals *);

/* The days from `first` on of which there is something to count, in order. */
void day_each(
    struct vault_txn *, uint32_t first, bool (*fn)(void *arg, const struct day *), void *arg);

/* Walks everything: ERR_CORRUPT, and which counter or index it is, unless they say what there is.
 */
enum err vault_recount(struct vault_txn *, struct error *error) MUST_CHECK;

/* ── Tasks ───────────────────────────────────────────────────────────────────────────────── */

#define PAUSED_WHY_SIZE 256

struct task_state {
	char task[TASK_NAME_SIZE];
	uint64_t handled_ms; /* wall: what was due until then was begun, or is not to be */
	uint64_t schedule;   /* which schedule that is about, as a number; 0 = none */
	struct id execution; /* that its schedule started last */
	uint64_t paused_ms;  /* wall: since when its schedule is not followed; 0 = it is */
	uint64_t until_ms;   /* and until when; 0 = until someone says so */
	char paused_by[ACCOUNT_NAME_SIZE];
	char paused_why[PAUSED_WHY_SIZE];
};

/* ERR_NOT_FOUND when nothing is kept of it. */
enum err task_state_get(struct vault_txn *, const char *task, struct task_state *) MUST_CHECK;
enum err task_state_put(struct vault_txn *, const struct task_state *) MUST_CHECK;
enum err task_state_drop(struct vault_txn *, const char *task) MUST_CHECK;
/* When an execution of the task last ended with nothing failed or in doubt (wall); 0 = none has. */
uint64_t task_succeeded_ms(struct vault_txn *, const char *task);
/* In order of name. False from fn stops. */
void task_state_each(
    struct vault_txn *, bool (*fn)(void *arg, const struct task_state *), void *arg);

/* ── Host keys ───────────────────────────────────────────────────────────────────────────── */

#define HOST_KEY_SIZE 2304 /* RSA of 16,384 bits, the most that OpenSSH takes, is 2,071 */
#define HOST_KEYS_MAX 8

struct host_key {
	char type[WORD_SIZE];	     /* "ssh-ed25519" */
	uint8_t blob[HOST_KEY_SIZE]; /* the public key as the protocol carries it (RFC 4253, 6.6) */
	size_t len;
	uint64_t seen_ms;
	char how[WORD_SIZE]; /* "first_use", "trust" */
};

/* Pins one more key. ERR_EXISTS when another of its type is pinned (the same again is fine). */
enum err host_key_pin(struct vault_txn *, const char *asset, const struct host_key *) MUST_CHECK;
/* Forgets all pins of the asset. Fine when there are none. */
enum err host_key_forget(struct vault_txn *, const char *asset) MUST_CHECK;
/* Fills at most HOST_KEYS_MAX and returns how many. */
size_t host_key_list(struct vault_txn *, const char *asset, struct host_key *out);

/* ── The probe budget ────────────────────────────────────────────────────────────────────── */

struct lockout {
	uint32_t limit;	    /* wrong passwords after which the asset locks; at least 2 */
	uint64_t window_ms; /* a whole one without a failed attempt brings the count to 0 */
	bool by_source;	    /* all accounts of the asset count together */
};

/*
 * Books `attempts` logins of one identity, before they are made. ERR_FULL when that would pass
 * limit - 1; then `*free_at_ms` (wall, may be NULL) is when a window has passed. `now_ms` is the
 * wall clock's; the vault asks the monotonic one too, so that no clock set forward ends a window.
 */
enum err probe_book(struct vault_txn *, const char *asset, const char *account,
    const struct lockout *, uint32_t attempts, uint64_t now_ms, uint64_t *free_at_ms) MUST_CHECK;
/* Attempts seen to work, or never made, give back their own. */
enum err probe_return(struct vault_txn *, const char *asset, const char *account,
    const struct lockout *, uint32_t attempts) MUST_CHECK;
/* How many are booked now. */
uint32_t probe_count(struct vault_txn *, const char *asset, const char *account,
    const struct lockout *, uint64_t now_ms);

#endif
