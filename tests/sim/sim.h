/*
 * A simulated world for the real rotation on the real vault: clock, wires and assets, all decided
 * by one seed.
 *
 *   clock.c   virtual time and its timers
 *   world.c   assets: what each account's secret is, what may still arrive, who was locked out
 *   keys.c    the SSH keys that open an account beside its password
 *   wires.c   the door of wire.h: sessions and jobs against the world, with every way to fail
 *   bugs.c    rules of rotation broken on purpose, one at a time
 *   history.c one history, and what is checked after each step
 *   test_rotation.c  many, and what they must have covered
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "policy.h"
#include "rotation.h"
#include "vault.h"
#include "wire.h"

#define SIM_SECRET_SIZE 160 /* a key's line fits */
#define SIM_LINES	12
#define SIM_ACCOUNTS	24

enum sim_bug {
	BUG_NONE,
	BUG_SKIP_COMMIT,    /* the disk forgets the last commits at a crash */
	BUG_PROMOTE_UNSEEN, /* every proof is taken for a match */
	BUG_DROP_PENDING,   /* a restart forgets what is in doubt */
	BUG_FRESH_BESIDE,   /* a doubt is given up and a fresh secret staged at once */
	BUG_NO_DEADLINE,    /* a doubt is settled before its deadline */
	BUG_FREE_PROBES,    /* attempts are not counted */
	BUG_PUT_BACK_MUTE,  /* the old secret is put back before that is durable */
	BUG_PUT_BACK_BLIND, /* a put-back is believed without its end seen */
	BUG_PUT_BACK_HASTY, /* a put-back without an end is not waited out */
	BUG_NO_LIFELINE,    /* a privileged account is changed where there is no lifeline */
	BUG_NOT_LAST,	    /* privileged accounts do not wait for the others */
	BUG_ENTER_IN_DOUBT, /* an asset is worked on while its way in is in doubt */
	BUG_PERSIST_UNSEEN, /* old keys are removed before the new one was seen to work */
	BUG_COUNT,
};
extern enum sim_bug sim_bug;
const char *sim_bug_name(enum sim_bug);

/* ── Choices ── */

struct sim;
uint32_t sim_below(struct sim *, uint32_t limit);
bool sim_chance(struct sim *, uint32_t percent);

/* ── The clock ── */

struct sim_timer {
	TAILQ_ENTRY(sim_timer) entry;
	struct timer *timer;
	uint64_t at_ms;
};

struct sim_clock {
	struct clock clock; /* first */
	uint64_t now_ms;
	TAILQ_HEAD(, sim_timer) timers; /* by time, then by order of arming */
};

void sim_clock_init(struct sim_clock *);
void sim_clock_clear(struct sim_clock *);
/* Runs the next due timer, moving time on. False when there is none. */
bool sim_clock_step(struct sim_clock *);

/* ── The world ── */

struct sim_session;

struct sim_account {
	const char *asset, *name;
	char live[SIM_SECRET_SIZE];
	bool dirty; /* someone else changed it: the engine's word about it may be untrue */
	char believed[SIM_SECRET_SIZE]; /* a success said that this opens it; "" = nothing was said
					 */
	/* What opens it beside the password, as authorized_keys has it. */
	char lines[SIM_LINES][SIM_SECRET_SIZE];
	size_t line_count;
	char seen[SIM_SECRET_SIZE];	    /* the key that a login was last seen with */
	char believed_key[SIM_SECRET_SIZE]; /* a success said that this key opens it */
	uint64_t fails_ms[8];		    /* refused logins, newest last */
	size_t fails;
	struct lockout lockout;
};

/* A change whose sender is gone and which may yet arrive. */
struct sim_late {
	LIST_ENTRY(sim_late) entry;
	struct timer timer;
	struct sim *sim;
	struct sim_account *account;
	char secret[SIM_SECRET_SIZE];
};

struct sim_stats {
	uint64_t histories, steps, crashes, late, locked;
	uint64_t success, failed, unverified, skipped, settled_success, settled_failed,
	    settled_mismatch;
	uint64_t gateways_lost;
	uint64_t resent, refused, retried, not_asked, hash, old_unknown;
	uint64_t looks, mismatches;
	uint64_t keys, keys_removed, not_persisted;
	uint64_t privileged, put_back, put_back_lost, cut_off, told, targeted, by_next_proof;
};

struct sim {
	uint64_t rng;
	uint64_t seed;
	bool calm;  /* no faults any more */
	bool looks; /* nothing that is in work may send */
	struct sim_clock clock;
	struct wires wires;
	LIST_HEAD(, sim_session) sessions;
	LIST_HEAD(, sim_late) lates;
	struct sim_account accounts[SIM_ACCOUNTS];
	size_t account_count;
	const struct policy *policy;
	struct vault *vault;
	struct rotation *rotation;
	char dir[256];
	char failed[256][SIM_SECRET_SIZE]; /* said to be `failed`: may never be live */
	size_t failed_count;
	struct sim_stats *stats;
	bool trace;
	const char *violation; /* the first one; NULL = none */
	char detail[256];
};

void sim_violation(struct sim *, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sim_trace(struct sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void world_init(struct sim *);
void world_clear(struct sim *);
struct sim_account *world_account(struct sim *, const char *asset, const char *name);
/* True for the accounts that the asset is entered with. */
bool world_is_privileged(const struct sim *, const char *asset, const char *name);
/* Someone sets an account's secret by hand and tells the vault, as one who is shut out would. */
void world_tell(struct sim *, struct sim_account *);
/* A change with this secret reaches the asset and is applied. */
void world_apply(struct sim *, struct sim_account *, const char *secret);
/* It may arrive until the deadline, whole, cut, or never. */
void world_apply_later(struct sim *, struct sim_account *, const char *secret);
/* A login with this secret: true when it opens. A refused one is counted, as pam_faillock does. */
bool world_login(struct sim *, struct sim_account *, const char *secret);
/* What must hold after every step. */
void world_check(struct sim *);

/* ── Keys ── */

/* True for the line of a key, false for a password. */
bool keys_is_line(const char *secret);
/* The public line of a private key, without a mark. */
void keys_line_of(const struct secret *key, char out[SIM_SECRET_SIZE]);
void keys_begin(struct sim_account *);
void keys_add(struct sim_account *, const char *line);
/* True when the account has this key's line, whatever its mark. */
bool keys_open(const struct sim_account *, const char *key);
/* Our lines but this one are to be removed; and are. */
void keys_persisting(struct sim *, struct sim_account *, const char *line);
void keys_persist(struct sim *, struct sim_account *, const char *line);
/* A line that is ours is of a version that the vault keeps. */
bool keys_kept(struct vault_txn *, const struct sim_account *, const char *line);
bool keys_open_with_current(struct vault_txn *, const struct sim_account *);
void keys_believe(struct sim *, struct sim_account *, const struct secret *);
void keys_check(struct sim *, struct vault_txn *, const struct sim_account *);

/* ── The wires ── */

void sim_wires_init(struct sim *);
/* The processes die with the engine: what they had in hand may have left, or not. */
void sim_wires_crash(struct sim *);

/* ── Histories ── */

struct sim_place {
	const struct policy *policy;
	const char *scratch; /* a directory */
};

/* How a history begins; 0 and NULL = as the seed says. */
struct beginning {
	uint64_t seed;
	uint32_t crash_in; /* steps from the start of the first run */
	const char *task;  /* of the first run */
	bool trace;
};

/* True when no violation was found; the first one is printed. */
bool history(const struct sim_place *, const struct beginning *, struct sim_stats *);

#endif
