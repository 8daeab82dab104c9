/*
 * What the files of rotation share: the engine's parts in memory. All of it can be lost at any
 * moment; what matters is in the vault.
 *
 *   rotation   the whole
 *   run        one execution in work
 *   site       one asset with lives: at most one visit at a time
 *   visit      one stay at an asset: its privileged session
 *   gate       the session of a gateway that the visits behind it share
 *   life       one account's record on its way, and the doubt that must be settled before it
 */
#ifndef ROTATION_ENGINE_H
#define ROTATION_ENGINE_H

#include <sys/queue.h>

#include "rotation.h"
#include "rotation/gate.h"

struct life;
struct site;
struct visit;

/* A durable step under way (keep.c). One at a time for whoever embeds it. */
struct keep {
	struct rotation *rotation;
	vault_apply_fn apply;
	void (*next)(void *arg, enum err result, const struct error *error);
	void *arg;
	struct timer again;
	bool paused;
};

TAILQ_HEAD(line, site);

/* Sites that wait for their turn, and how many are visited: of one run, or of none (turns.c). */
struct turns {
	struct line line;
	uint32_t visits;
	uint64_t pass;	  /* grows with each turn it had, the faster the lower its priority */
	uint64_t next_us; /* monotonic: where so many a second are allowed, the next not before */
};

/* The sites of a run that have the same node, or the same gateway, where that is limited. */
struct lane {
	struct line parked;
	uint32_t visits;
};

struct run {
	LIST_ENTRY(run) entry;
	struct rotation *rotation;
	enum rotation_kind kind;
	uint32_t restore; /* the version that is set again; 0 = a new secret */
	struct execution execution;
	const struct task *task;
	const struct policy *policy; /* that it began with */
	struct turns turns;
	struct lane *nodes, *gateways; /* by number; NULL = not limited */
	size_t node_count, site_count; /* numbers that were given when it began */
	size_t total;		       /* lives that it began with */
	size_t open;		       /* of them, not ended */
	bool held;		       /* only its canaries are worked on yet */
	size_t canaries, canaries_open;
	size_t failed, unverified; /* now, of its own records */
	bool stopped;		   /* nothing more of it is begun */
	struct keep keep;
};

/* After this many assets a privileged account's secret that they refused is tried on no other. */
#define REFUSALS_STOP 3

/* A secret of a privileged account that assets refused (refusal.c). */
struct refusal {
	LIST_ENTRY(refusal) entry;
	char *account;
	struct secret *secret;
	const struct site *sites[REFUSALS_STOP];
	size_t count;
};

struct rotation {
	struct rotation_config config;
	const struct settings *settings;
	LIST_HEAD(, run) runs;
	struct site **sites; /* one an asset, in order of name */
	size_t site_count;
	uint32_t node_count, site_numbers; /* given so far; a number stays whose it is */
	struct turns doubts;		   /* of sites whose next life is of no run */
	uint64_t pass;			   /* of whoever had the last turn */
	struct line urgent;		   /* gateways that others wait for: beside the window */
	struct timer turn;		   /* dispatch */
	LIST_HEAD(, look_at) looks;
	LIST_HEAD(, refusal) refusals;
	size_t refusal_count;
	uint32_t visits; /* in work */
	size_t lives;
	uint32_t paused; /* durable steps that wait for room */
	uint64_t started_ms;
	bool draining;
	bool broken;
};

struct site {
	struct rotation *rotation;
	/* As of the newest policy, or of the one that its visit began with (snapshot.c). */
	const struct asset *asset;
	const struct policy *policy;
	const struct settings *settings;
	uint32_t snapshot; /* the policy's number at the wires */
	TAILQ_HEAD(, life) lives;
	TAILQ_ENTRY(site) entry;
	struct line *line; /* that it stands in, one of dispatch or of its gateway; or NULL */
	struct run *run;   /* whose turn it waits for, or has; NULL = that of no run */
	uint32_t number;
	uint32_t node;	    /* its number: the same for all with the same node */
	struct timer timer; /* the next life becomes ready */
	struct visit *visit;
	struct gate *gate; /* of an asset that is a gateway, once it was needed */
};

/* The methods by which a life may see a secret work, in order (proofs.c). */
#define PROOFS_MAX 3
struct proofs {
	enum wire_proof list[PROOFS_MAX];
	size_t count;		/* 0 = no proof is asked for */
	size_t asked;		/* of them, those that a record or a task names */
	size_t at;		/* the one in use */
	char why[MESSAGE_SIZE]; /* those before it are not possible */
};

/* A proof of login in work (attempt.c): a session of its own, never the privileged one. */
struct attempt {
	struct wire_session *session;
	bool open;	/* connected, nothing attempted on it */
	bool second;	/* this is the second connection for the same attempt */
	bool reentered; /* its gateway had broken, and was opened anew */
	wire_done_fn connected;
	uint32_t version;
	void (*next)(struct life *, const struct wire_result *);
};

/* What the next durable step of a life changes besides its record. */
struct life_write {
	bool pin;	      /* the host key that its session was shown first */
	bool book;	      /* one attempt, before it is made */
	struct secret *fresh; /* becomes the pending version */
	bool promote;	      /* pending was seen to work */
	enum proof method;    /* how */
	bool retire;	      /* pending leaves the stages */
	enum version_end end; /* as what */
	bool prove_old;	      /* current was seen to work */
	bool mismatch;	      /* current was seen not to */
};

struct life {
	TAILQ_ENTRY(life) entry;
	struct site *site;
	struct run *run; /* NULL: only a doubt of an earlier execution */
	struct proofs proofs;
	struct record record; /* its own; only with a run */
	struct account account;

	bool doubt;		/* a pending version is to be settled before anything else */
	bool doubt_tried;	/* it had its turn in this engine */
	bool pending_tried;	/* pending did not open: it is to be sent again */
	bool sent_again;	/* and was */
	struct record doubted;	/* who staged it, where that is not `record` */
	struct record *subject; /* whose outcome is being worked out: &record or &doubted */

	uint32_t rank;	     /* in the order in which canaries are chosen */
	bool held;	     /* not begun until the canaries have ended */
	enum status counted; /* as what its run counts its record; STATUS_PLANNED: not yet */

	uint64_t ready_ms;   /* monotonic: not before */
	bool working;	     /* in its site's visit now */
	bool checked;	     /* verifying: the asset can say why a login is refused */
	bool reported;	     /* ROTATION_RECORD_ENDED was said */
	bool refused;	     /* the last change was refused */
	bool end_seen;	     /* and its end was seen: nothing of it can arrive any more */
	bool answered_early; /* its answer is an end only when its deadline has passed */
	bool new_closed;     /* its end was seen, and the new secret not to open since */

	uint32_t booked;	      /* attempts booked and not made */
	uint64_t booked_ms;	      /* monotonic: when the last one was */
	uint32_t returns;	      /* to give back in the next durable step */
	bool budget_out, checked_out; /* the last step was refused: no attempt, someone has it */
	uint64_t free_at_ms;	      /* wall: when there is budget again */

	struct attempt attempt;
	struct life_write write;
	void (*then)(struct life *); /* after the durable step */
	struct keep keep;
	struct timer again; /* the secure heap was full: look again */
	void (*look_again)(struct life *);
};

/* ── rotation.c ── */

struct site *rotation_site(struct rotation *, const char *asset); /* NULL: not in the policy */
uint64_t rotation_now(const struct rotation *);			  /* monotonic ms */
uint64_t rotation_wall(const struct rotation *);
void rotation_tell(
    struct rotation *, enum rotation_event_kind, const struct execution *, const struct record *);
void rotation_break(struct rotation *, const struct error *);
void looks_clear(struct rotation *); /* look.c: those under way are dropped, untold */
bool looks_at(const struct site *);  /* one is under way there */

/* ── snapshot.c ── */

void sites_init(struct rotation *);
void sites_free(struct rotation *);
/* The site is seen as the newest policy has it, unless a visit is there that began with another. */
void site_adopt(struct site *);

/* ── keep.c ── */

/* Makes a change durable, then calls `next`, with ERR_OK or apply's own error. Waits while the disk
 * is full. */
void keep_write(struct keep *, struct rotation *, vault_apply_fn apply,
    void (*next)(void *arg, enum err, const struct error *), void *arg);
void keep_clear(struct keep *);

/* ── dispatch.c ── */

struct life *life_new(struct site *);
void life_free(struct life *);
/* In the site's list it is worked on when `ready_ms` has come. */
void life_queue(struct life *, uint64_t delay_ms);
/* The life is over: taken out, freed; its run may end with it. */
void life_done(struct life *);
void site_wake(struct site *);
/* A site stands in one line at most, at its end or before all others. */
void site_stand(struct site *, struct line *);
void site_stand_first(struct site *, struct line *);
void site_leave(struct site *);
void dispatch_soon(struct rotation *);
void dispatch_clear(struct rotation *);
/* Ends one that was not begun: `skipped`, with that reason. */
void life_stop(struct life *, const char *reason);

/* ── turns.c ── */

void turns_init(struct turns *, const struct rotation *);
/* Of a new run: with its task's limits. */
void turns_open(struct run *);
/* The run is over: sites that are still visited for it, or wait, are no run's. */
void turns_close(struct run *);
/* The site has a life that is ready, and waits for its turn. */
void turns_join(struct site *);
/* It was put off for want of a place, and has one now. */
void turns_rejoin(struct site *);
/* All that stand there are, in their order. */
void turns_rejoin_all(struct line *);
/* Places are by node and gateway, which a new policy may change: all that were put off ask anew. */
void turns_ask_anew(struct rotation *);
/* The site whose turn it is, taken out; or NULL, and when one may by its run's pace: 0 = not. */
struct site *turns_pick(struct rotation *, uint64_t *wait_ms);
/* Its visit begins, ends; or goes on with a life of another run, where that has a place. */
void turns_enter(struct site *);
void turns_leave(struct site *);
bool turns_moves(struct site *, const struct life *);
/* Some site waits for its turn. */
bool turns_waits(const struct rotation *);

/* ── plan.c ── */

enum err plan_run(struct rotation *, const struct rotation_order *, struct run **,
    struct error *error) MUST_CHECK;

/* ── canary.c ── */

/* The order in which the planned among the records are chosen as canaries, into `ranks`: spread
 * over platforms, nodes and assets, and the same each time. */
void canary_ranks(const struct rotation *, const struct task *, const struct record *records,
    size_t count, uint32_t *ranks);

/* ── run.c ── */

/* It will have so many lives. */
void run_begin(struct run *, size_t total);
/* One of its lives is over. */
void run_ended_life(struct run *);
/* A canary is: one that was skipped proves nothing, and another takes its place. */
void run_ended_canary(struct run *, enum status);
/* The life's own record has a status to show, or another one than before. */
void run_note(struct life *);
/* Begins nothing more: the rest is `skipped`. `why` is what its execution keeps. */
void run_stop(struct run *run, const char *why);
/* The window of its task closed; nothing happens where it is not running. */
void run_stop_by_window(struct rotation *, const struct id *execution);
/* Nothing more may be begun for this life's record; and with which reason it is skipped. */
bool life_is_stopped(const struct life *);
const char *life_stop_reason(const struct life *);
/* Of an account, whatever it waits for; NULL when there is none. */
struct life *site_life_of(struct site *, const char *account);

/* ── visit.c ── */

struct visit {
	struct site *site;
	struct wire_session *session;
	char address[WIRE_ADDRESS_SIZE]; /* "" = not resolved yet */
	struct host_key *keys; /* those pinned; large ones, of which most assets have one */
	size_t key_count;
	bool open;	 /* the privileged session is ready */
	bool targeted;	 /* it elevates single commands only */
	bool by_pending; /* it is entered with a pending secret */
	bool over;	 /* it broke: what is left needs another visit */
	bool failed;	 /* it could not be opened, as `result` says */
	bool opening;	 /* under way: one login at a time costs one attempt at most */
	bool carries;	 /* its session is a gateway's: no shell */
	bool reentered;	 /* its own gateway had broken, and was opened anew */
	struct gate_pass pass;
	struct wire_result result;
	uint64_t free_at_ms;  /* wall: when its login may be tried again */
	const char *reason;   /* why it was not tried: a word; NULL = it was */
	uint32_t booked;      /* attempts booked for the privileged login, not yet given back */
	uint32_t booked_root; /* the same, of root's by su */
	struct account
	    admin; /* what its privileged account logs in with: a key before a password */
	struct account password; /* and what it elevates with; `current` 0 = nothing */
	struct life *life;	 /* the one in work */
	void (*ready)(void *arg);
	void *arg;
	struct host_key *first_seen; /* to be pinned; NULL = none */
	struct keep keep;
	struct timer next;
	struct timer again;
};

void visit_start(struct site *);
struct visit *visit_new(struct site *);
void visit_free(struct visit *);
/* The secret that the asset's privileged account logs in with: a key where one is known, else the
 * password. False when neither is. */
bool visit_admin(struct vault_txn *, const struct asset *, struct account *);
/* What the vault or the policy lacks for a privileged session, in words; NULL = nothing. */
const char *visit_lack(struct vault_txn *, const struct asset *);
/* The life in work ended, or waits for another time: on to the next. */
void visit_go_on(struct visit *);
/* Opens the privileged session where it is not open yet, then calls `ready`: open, or failed, is
 * set. */
void visit_open(struct visit *, void (*ready)(void *arg), void *arg);
/* Closed, to be opened anew: by what is pending of the account in doubt, or by what is current. */
void visit_reopen(struct visit *, bool by_pending);
/* It may log in now. */
void visit_enter(struct visit *);
/* A target for one more session with this asset: same address, same host key. Points into `visit`.
 */
void visit_target(const struct visit *, struct wire_target *, struct wire_key *pins);
/* A session was opened: true when its host key is the first that is seen, and is to be pinned
 * (visit_pin, then visit_pinned) before any secret goes there. */
bool visit_see_key(struct visit *, const struct wire_result *);
enum err visit_pin(struct vault_txn *, const struct visit *, struct error *error) MUST_CHECK;
void visit_pinned(struct visit *);

/* ── life.c ── */

/* It is this life's turn in the visit. */
void life_begin(struct life *);
/* Goes on once the privileged session is open: settles the doubt, or checks and changes. */
void life_visit(struct life *);
/* Checks the account, then stages and sends; or sends the pending version again. */
void life_check(struct life *);
/* A fault while nothing new had been sent: tries again later where its class and the task allow it,
 * or ends. */
void life_fault(struct life *, const struct wire_result *);
const char *life_account(const struct life *);
enum secret_kind life_kind(const struct life *); /* of the secret that is worked on now */
const struct task *life_task(const struct life *);
/* What the subject's task asks for beside the secret; NULL = nothing. */
const char *life_params(const struct life *);
/* The asset's answer to a change is no end that was seen. */
bool platform_answers_early(const struct life *);
/* The privileged session could not be opened, as the visit says: ends the turn, or tries again
 * later. */
void life_not_visited(struct life *);

/* ── lifeline.c ── */

/* The first of these that an asset has a life of is the one that may begin. */
enum turn { TURN_DOUBT, TURN_OTHERS, TURN_ADMIN, TURN_ROOT };

/* An account's, where nothing is in doubt. */
enum turn lifeline_turn(const struct asset *, const char *account);
/* True for the accounts that a visit of their asset needs: its admin, and root where it becomes
 * root by su. */
bool life_is_privileged(const struct life *);
/* Whose turn it is at an asset, ready or not: a privileged account's doubt goes before all others,
 * its change after them. NULL when each is at work. */
struct life *site_next(const struct site *);
/* Why this account is not changed in this visit, for want of a lifeline: a word; NULL = it may be.
 */
const char *lifeline_missing(const struct life *);
/* The change's end was seen and the new secret does not open: can the old one be put back? */
bool lifeline_holds(const struct life *);
/* Puts the old secret back, durably said before it is sent, and sees what opens. */
void lifeline_put_back(struct life *);
/* Settles the doubt of such an account: with pending or current, what opens the way in? */
void lifeline_settle(struct life *);
/* An account that the visit needs is in doubt: only its own settling may try what it has. */
bool lifeline_bars(const struct visit *);
/* Pending is known not to, nothing was sent since, and no attempt is left for current: a later turn
 * goes on there. */
bool lifeline_half_tried(const struct life *);
#define HALF_TRIED "pending_refused"
/* Neither of its secrets does. */
bool lifeline_cut(const struct life *);

/* ── refusal.c ── */

/* The site refused this login. */
void refusal_note(struct site *, const char *account, const struct secret *);
/* True when enough sites did: it is tried no more. */
bool refusal_stops(const struct rotation *, const char *account, const struct secret *);
void refusals_clear(struct rotation *);

/* ── proofs.c ── */

/* The methods of the life's own record, as its task asks for them. */
void proofs_of_task(struct life *);
/* Those of the doubt: the one that its record was changed under, the task's, then all others. */
void proofs_of_doubt(struct life *);
/* The method in use is not possible: on to the next. False when there is none. */
bool proofs_next(struct life *, const char *why);
/* A login was let in and could not do what proves it: on to the next method, where that is asked
 * for; or the asset takes no login of that kind: on to any. */
bool proofs_otherwise(struct life *, const struct wire_result *);
/* This one, and no other. */
void proofs_only(struct life *, enum wire_proof);
/* False for verify = false. */
bool life_asks_proof(const struct life *);
/* The method in use; by login where none is asked for and one is needed. */
enum wire_proof life_method(const struct life *);
enum proof life_proof(const struct life *); /* as the vault names it */

/* ── stage.c ── */

/* Makes the new secret, durable as the pending version, and sends it. Everything was checked. */
void life_stage(struct life *);

/* ── verify.c ── */

/* True for a life that sets nothing. */
bool life_verifies(const struct life *);
/* Its turn. */
void verify_begin(struct life *);
void verify_not_visited(struct life *);
/* The account was checked: tries the current secret. */
void verify_try(struct life *);
/* Nothing can be said, and this is why. */
void verify_unknown(struct life *, const struct wire_result *);

/* ── rehearse.c ── */

/* True for a life that only foretells. */
bool life_rehearses(const struct life *);
/* A change would begin now: ends with what its record would be. */
void rehearse_end(struct life *);

/* ── change.c ── */

/* Sends the pending version through the privileged session, and goes on by what its answer says. */
void life_change(struct life *);
/* Submits a change of the account; of `job`, its secrets or key and its params are the caller's. */
void life_submit_change(struct life *, struct wire_job job, wire_done_fn done);

/* ── key.c ── */

/* What an asset is told of a key; `wire` points into it. */
struct life_key {
	struct wire_ssh_key wire;
	char mark[64];
	char line[WIRE_KEY_LINE_SIZE];
};

/* The key that is to be made: its mark, and what it will replace. */
void life_key_open(const struct life *, struct life_key *);
/* The pending one, with its line. False while it cannot be read: `look_again` is called later. */
bool life_key_pending(struct life *, struct life_key *, void (*look_again)(struct life *));

/* ── persist.c ── */

/* Whether the platform has a step for the subject that makes a change permanent. */
bool life_persists(const struct life *);
/* The pending version was seen to work: makes it permanent, then settle_permanent. */
void life_persist(struct life *);

/* ── outcome.c ── */

/* Writes subject and life->write durably (and clears it), then calls `then`. */
void life_write(struct life *, void (*then)(struct life *));
/* Ends the subject's turn with this status: durable, told, and on to what comes next. */
void life_end(struct life *, enum status, const char *reason);
/* The subject's error, in words that are kept. */
void life_error(struct life *, const char *class, const char *code, const char *text);
/* In doubt, with the fault as the reason. */
void life_uncertain(struct life *, const struct wire_result *);
/* No attempt is left in this window. */
void life_no_budget(struct life *);
void life_retry_later(struct life *);

/* ── settle.c ── */

/* A doubt whose deadline has passed: is pending live? */
void settle_begin(struct life *);
/* The privileged session is open: send the same again. */
void settle_with_visit(struct life *);
/* The end of a change was seen: is pending live? Else, is the old one? */
void settle_changed(struct life *);
/* Verdicts: pending was seen to work; the old one was, after it was put back; neither opens. */
void settle_success(struct life *);
void settle_put_back(struct life *);
void settle_neither(struct life *);
/* How far it came since something was last sent, as a word that a later turn goes on from; NULL =
 * nowhere. */
const char *settle_progress(const struct life *);
/* Pending was tried and does not open. */
void settle_pending_closed(struct life *);
/* The pending version was seen to work and is there to stay: a success. */
void settle_permanent(struct life *);

/* ── attempt.c ── */

/*
 * As the vault counts it for attempts at the site's asset: the asset counts a refused login when it
 * refuses it, which is after it was booked. So the window is a tenth longer here, and a booking
 * that has waited for half of that tenth is made anew before it is used (attempt_is_late).
 */
struct lockout site_lockout(const struct site *);

/* Connects the session of the proof and asks for its methods; the attempt itself is not made. */
void attempt_prepare(struct life *, void (*next)(struct life *, const struct wire_result *));
/*
 * Tries a version: books the attempt where that was not done (no budget: life_no_budget ends the
 * turn), makes it, and settles what was booked by what was seen.
 */
void attempt_try(
    struct life *, uint32_t version, void (*next)(struct life *, const struct wire_result *));
void attempt_close(struct attempt *);

/*
 * Opens a version's seal for a job. False while the secure heap is full: `look_again` is called
 * later. What is sent is always what the vault holds.
 */
bool life_secret(
    struct life *, uint32_t version, struct secret **, void (*look_again)(struct life *));
/* The same with its passphrase, which is NULL where there is none. */
bool life_secret_pair(struct life *, uint32_t version, struct secret **, struct secret **passphrase,
    void (*look_again)(struct life *));
/* A secret could not be read: later, when the heap was full; else the engine ends. */
void life_look_later(
    struct life *, enum err, const struct error *, void (*look_again)(struct life *));

/* ── recover.c ── */

/*
 * A life that settles the account's pending version when its deadline has passed, counted from now:
 * its last sender may have sent until this moment. NULL when the asset left the policy.
 */
struct life *life_new_doubt(struct rotation *, struct vault_txn *, const struct account *);

#endif
