/*
 * Rotation: joins what is declared, what is kept and what touches the world. Plans an execution,
 * drives each record through its life, settles doubts.
 *
 * Owns the order of things: durable before sent, seen before believed, one at a time, after doubt
 * the same again; retries by class of error; the probe budget; secure mode. Never prints, never
 * parses, never blocks the loop. It sees time, vault and wires only through their doors.
 */
#ifndef ROTATION_H
#define ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "policy.h"
#include "vault.h"
#include "vault/audit.h"
#include "wire.h"

struct rotation;

enum rotation_event_kind {
	ROTATION_STARTED,      /* an execution: its records are planned */
	ROTATION_RECORD_ENDED, /* a record has a status to show: success, failed, unverified,
				  skipped */
	ROTATION_SETTLED, /* an earlier record's doubt ended: success, failed, or unverified with a
			     verdict */
	ROTATION_PAUSED,  /* no room on the disk: waits, and goes on by itself */
	ROTATION_RESUMED,
	ROTATION_CANARY,  /* an execution's canaries let the rest go on: `canaries` of `total`
			     accounts, `trouble` of them failed or unverified */
	ROTATION_STOPPED, /* nothing more of an execution is begun, as its `stopped` says; `trouble`
			     of `total` (before the rest went on: of `canaries`) */
	ROTATION_WAITING, /* only doubts are left: waits until `until_ms` (monotonic) before it may
			     try them */
	ROTATION_ENDED,	  /* an execution: all its records ended and its doubts had their turn */
	ROTATION_BROKEN,  /* the vault failed: the engine must end, a restart recovers; `error` says
			     why */
};

struct rotation_event {
	enum rotation_event_kind kind;
	const struct execution *execution; /* STARTED, ENDED: with its counts */
	const struct record *record;	   /* RECORD_ENDED, SETTLED */
	uint32_t in_flight;		   /* accounts being worked on now */
	uint64_t until_ms;
	size_t canaries, trouble, total; /* CANARY, STOPPED */
	const struct error *error;
};

struct rotation_policy {
	const struct policy *policy; /* for as long as rotation_uses it */
	uint32_t snapshot;	     /* its number at the wires */
	bool secure_mode;	     /* privileged accounts are left alone */
};

struct rotation_config {
	struct rotation_policy policy;
	struct vault *vault;
	struct wires *wires;
	struct clock *clock;
	/* Called from the loop; may call rotation_drain, nothing else of this door. */
	void (*event)(void *arg, const struct rotation_event *);
	/*
	 * Called in the transaction that ends an execution (ENDED), or the doubt of an earlier
	 * record (SETTLED), so that what is to be told of it is durable with it. May be called
	 * again for the same, as any vault_apply_fn; an error keeps the end from being written.
	 * NULL = nothing is.
	 */
	enum err (*note)(
	    void *arg, struct vault_txn *, const struct rotation_event *, struct error *);
	void *arg;
};

struct rotation *rotation_new(const struct rotation_config *);

/* Drops everything in memory, as a crash would: what is not durable is gone, what is in doubt is
 * settled next time. */
void rotation_free(struct rotation *);

/*
 * Once, after rotation_new: ends the executions that a killed engine left, by the truth of their
 * records (never staged = skipped: stopped; staged = unverified), and queues every account in doubt
 * to be settled when the change deadline has passed from now. Commits before it returns.
 */
enum err rotation_recover(struct rotation *, struct error *error) MUST_CHECK;

/*
 * Queues every account in doubt that nothing waits for, as rotation_recover does: for an engine
 * that goes on, from time to time.
 */
enum err rotation_settle(struct rotation *, struct error *error) MUST_CHECK;

/*
 * From now on this is the policy. What is in flight ends by the one that it began with, and an
 * asset that is being visited is seen as before until that visit ends.
 */
void rotation_reload(struct rotation *, const struct rotation_policy *);
/* False when nothing uses an earlier policy any more, and nothing will. */
bool rotation_uses(struct rotation *, const struct policy *);

/* What an execution does with each of its accounts. */
enum rotation_kind {
	ROTATION_CHANGE, /* sets a new secret and sees it work */
	/*
	 * Goes as far as a change would before it makes a secret, and predicts its record. Sends no
	 * new secret, settles no doubt and keeps neither execution nor record: they live as long as
	 * the events that tell of them. Host keys are pinned and privileged logins booked as
	 * always.
	 */
	ROTATION_REHEARSE,
	/*
	 * Sees whether the current secret works still, and sets none. A match is `success`, a
	 * mismatch `failed`, no secret `skipped`; for all else `unverified` the reason says what
	 * was found.
	 */
	ROTATION_VERIFY,
};

struct rotation_order {
	enum rotation_kind kind;
	const struct task *task;
	const struct selected *items; /* all assets of the policy */
	size_t count;
	/* Not 0: the new secret is that of this earlier version, of the only account in `items`. */
	uint32_t restore;
	/* "manual", "retry", "restore", "verify", "schedule", "checkin" */
	const char *trigger;
	/* Kept in the commit that begins the execution, with its id; NULL = nothing. */
	struct task_state *state;
	struct audit_event *audit;
};

/* Plans and starts an execution; commits the plan before it returns, the work is done from the
 * loop. */
enum err rotation_run(struct rotation *, const struct rotation_order *, struct id *execution,
    struct error *error) MUST_CHECK;

/*
 * Stops one execution: what is in flight ends, what was not begun is `skipped: cancelled`, and its
 * doubts are settled. ERR_NOT_FOUND when it is not running.
 */
enum err rotation_cancel(
    struct rotation *, const struct id *execution, struct error *error) MUST_CHECK;

/* Starts nothing more: what is in flight ends; what was not begun is skipped: stopped; doubts are
 * left to the next time. */
void rotation_drain(struct rotation *);

/* False when it has ended, and when its engine was another one. */
bool rotation_runs(struct rotation *, const struct id *execution);

/* How many assets are being worked on. */
uint32_t rotation_in_flight(const struct rotation *);

/* True when nothing is left to do. */
bool rotation_idle(const struct rotation *);

/* ── Schedules ───────────────────────────────────────────────────────────────────────────── */

/*
 * Starts the executions of tasks that are active, have a schedule and are not paused, each when it
 * is due. What was missed (the machine was off, the clock was set forward) is run once, where the
 * task's catch_up allows it; what was handled is not run again. A task does not overlap with
 * itself: what is due waits. What is outside its window waits for it to open, and an execution ends
 * with it.
 */
struct scheduler;

/* After rotation_recover. Begins from the loop. */
struct scheduler *scheduler_new(struct rotation *);
void scheduler_free(struct scheduler *);

/* After rotation_reload: the tasks of the new policy are followed, and none of the one before. A
 * schedule that is new, or another than before, has missed nothing. */
void scheduler_reload(struct scheduler *);

/* What is kept of tasks was changed: looks at once, not within a minute. */
void scheduler_look(struct scheduler *);

/* When the task is next begun, after `state` (NULL = nothing is kept of it) and at or after
 * `now_ms`. False when it is not. */
bool scheduler_foresee(
    const struct task *, const struct task_state *, uint64_t now_ms, struct moment *);

/* ── Visits without a change ─────────────────────────────────────────────────────────────── */

enum look {
	LOOK_KEY, /* only the host key: sends no secret, pins nothing, ignores pins */
	LOOK_PING /* the privileged login and its elevation, within the probe budget; pins a
		     first-seen key */
};

struct look_result {
	const struct asset *asset;
	struct wire_result wire; /* of the last step; fault NONE = all is well */
	const char *reason; /* why it was not tried: "no_admin", "probe_budget"; NULL = it was */
	uint64_t elapsed_ms;
};

typedef void (*look_done_fn)(void *arg, const struct look_result *);

/* Looks at one asset; done is called once from the loop. */
void rotation_look(
    struct rotation *, const struct asset *, enum look, look_done_fn done, void *arg);

#endif
