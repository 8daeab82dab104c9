/*
 * Deliberate bugs: which there are, and those that notes.c and wires.c make, as they stand between
 * the parts already.
 */
#ifndef SIM_BUGS_H
#define SIM_BUGS_H

#include "vault.h"

struct rotation;
struct rotation_order;
struct run;
struct sim_session;

#define BUG_HISTORIES 50000 /* in which each is to be caught */

/* bugs.c says what each is; the order is the table's. */
enum sim_bug {
	BUG_NONE,
	/* Durable before sent, and one commit for what belongs together. */
	BUG_SKIP_COMMIT,
	BUG_COMMIT_BELIEVED,
	BUG_SEND_UNDURABLE,
	BUG_TWO_COMMITS,
	BUG_PROMOTE_FIRST,
	BUG_COUNTERS,
	/* Seen before believed. */
	BUG_PROMOTE_UNSEEN,
	BUG_MISMATCH_BELIEVED,
	BUG_UNASKED_BELIEVED,
	BUG_OLD_UNSEEN,
	BUG_REFUSAL_BELIEVED,
	BUG_LOST_IS_REFUSED,
	BUG_NOT_PINNED,
	/* Nothing that may be live is dropped. */
	BUG_DROP_CURRENT,
	BUG_PRUNE_IN_DOUBT,
	BUG_TOLD_PROVES,
	BUG_RETIRED_PROVES,
	BUG_DROP_PENDING,
	/* After doubt, the same again. */
	BUG_JUDGE_BY_OLD,
	BUG_RETRY_UNCERTAIN,
	BUG_FRESH_BESIDE,
	BUG_NO_DEADLINE,
	BUG_FROM_STAGING,
	BUG_EARLY_ENDS,
	BUG_NOT_WAITED,
	BUG_NO_LOCK,
	BUG_FORGET_DOUBT,
	BUG_RECOVER_SKIPPED,
	/* One at a time, and what only looks. */
	BUG_NOT_BUSY,
	BUG_REHEARSAL_SENDS,
	/* The probe budget. */
	BUG_FREE_PROBES,
	BUG_BUDGET_IN_MEMORY,
	BUG_ONE_TOO_MANY,
	BUG_SHORT_WINDOW,
	BUG_ADMIN_FREE,
	BUG_GIVE_BACK,
	/* The way in. */
	BUG_READ_AT_PLAN,
	BUG_GATE_IN_DOUBT,
	BUG_GATE_IN_USE,
	BUG_NO_LIFELINE,
	BUG_NOT_LAST,
	BUG_ENTER_IN_DOUBT,
	BUG_PUT_BACK_MUTE,
	BUG_PUT_BACK_UNENDED,
	BUG_PUT_BACK_BLIND,
	BUG_PUT_BACK_HASTY,
	/* Making it permanent. */
	BUG_PERSIST_UNSEEN,
	BUG_NO_PERSIST,
	BUG_PERSIST_LATER,
	/* What begins by itself. */
	BUG_HANDLED_FIRST,
	BUG_OVERLAPS,
	BUG_NEVER_MISSED,
	BUG_WINDOW_IGNORED,
	BUG_PAUSE_IGNORED,
	/* Another policy while work goes on. */
	BUG_NEW_MISSED,
	BUG_SCHEDULE_STALE,
	BUG_LET_GO,
	BUG_SEEN_ANEW,
	/* Stopping. */
	BUG_CANCEL_DEAF,
	BUG_CANCEL_DENIES,
	BUG_DRAIN_DEAF,
	/* The vault's keys. */
	BUG_KEY_DROPPED,
	BUG_SHED_EARLY,
	BUG_COPY_UNNOTICED,
	BUG_CHECKED_OUT,
	BUG_COUNT,
};
extern enum sim_bug sim_bug;
const char *sim_bug_name(enum sim_bug);
/* It takes more histories than each check of the tree should. */
bool sim_bug_rare(enum sim_bug);
/* The task that the bug is about; NULL = any. */
const char *sim_bug_task(enum sim_bug);

/* ── Made in passing: each does nothing without its bug ── */

/* The engine is started: nothing is remembered of the one before. */
void bugs_begin(void);

/* The account was changed with `err`: where this bug is on, retention is applied, and to all. */
enum err bug_prune(enum err, enum sim_bug, struct vault_txn *, const char *asset, const char *name,
    enum secret_kind);
/* The current version is deleted. */
enum err bug_drop_current(
    enum err, struct vault_txn *, const char *asset, const char *name, enum secret_kind);
/* What is written in place of this record. */
const struct record *bug_record(const struct record *, struct record *other);
/* What is written in place of what is kept of a task; `before` NULL = nothing was. */
const struct task_state *bug_state(
    const struct task_state *before, const struct task_state *, struct task_state *other);
/* A run is planned, by that. */
enum err bug_plan(enum err (*plan)(struct rotation *, const struct rotation_order *, struct run **,
		      struct error *),
    struct rotation *, const struct rotation_order *, struct run **, struct error *);
/* The engine looks at what the one before left. */
bool bug_is_recovering(void);
/* What is said of a commit that ended so. */
enum err bug_commit(enum err);
/* A session is given a job: it may take other secrets. */
void bug_take(struct sim_session *);

#endif
