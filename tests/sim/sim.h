/*
 * A simulated world for the real rotation on the real vault: clock, disk, wires and assets, all
 * decided by one seed.
 *
 *   choice.c  what the seed says: choices, and events that can be switched off one by one
 *   clock.c   virtual time and its timers
 *   disk.c    the vault's file: what is durable, what a crash may lose, faults
 *   calls.c   the system calls by which the vault reaches that file
 *   ground.c  policies, each with a vault in which its accounts are told
 *   core.c    the engine: started, crashed at any point, started again
 *   cover.c   what was passed, and what was crashed at: states, transitions, commits, points
 *   notes.c   what a commit is made of
 *   world.c   assets: what each account's secret is, what may still arrive, who was locked out
 *   keys.c    the SSH keys that open an account beside its password
 *   wires.c   the door of wire.h: sessions, and what each job comes to
 *   rules.c   what assets have a will of their own about
 *   lies.c    a wire that was taken over
 *   meddle.c  what others do to assets, disk and clock
 *   people.c  who orders, and who tells
 *   when.c    schedules: what is due, and what must hold of what they begin
 *   stops.c   what was cancelled or drained: nothing more of it begins
 *   reload.c  another policy while the engine is at work
 *   masters.c another master key, and what is sealed anew by its data key
 *   copies.c  copies of the vault, made and put back; lending.c: secrets that someone has out
 *   processes.c  the processes that wires are: killed, stopped, left behind by the core
 *   seen.c    what the assets said of secrets, and of themselves
 *   sends.c   what must hold whenever a wire is given something
 *   commits.c what must hold of each commit, before it is made
 *   said.c    what the engine says, and whether it is true
 *   check.c   what must hold after every step, and in the end
 *   bugs.c    rules broken on purpose, one at a time: bugs_life.c, bugs_way.c, bugs_vault.c,
 *             bugs_when.c
 *   history.c one history, from its first choice to its last check
 *   shrink.c  a failing history with the fewest events
 *   campaign.c  many histories, in several processes
 *   state.c   a campaign in a file; scratch.c: a directory that nothing is left of
 *   sim.c     the program behind tools/sim; test_rotation.c: what tools/check asks of it
 *
 * To add an event, ask `sim_event` where it may happen, and let it happen when that says so. Its
 * name is its kind's word in traces, in the coverage table and in this file's sense of "switched
 * off": no list has to know it. What shapes it (how long, how much) is drawn by `sim_amount` at
 * once after. Never draw from anything else: then a seed means one history for ever.
 *
 * To add a check, say `sim_violation` where it fails: in check.c for what must hold always, in
 * sends.c for what must hold of a send, commits.c of a commit, said.c for what the engine claims. A
 * check looks at the world and at what is committed, never at rotation's memory.
 *
 * To add a bug, name it in bugs.h and bugs.c, and break the rule in one of its files by
 * standing between two parts (--wrap, listed in engine/rotation/room.am). test_rotation wants it
 * caught.
 *
 * How a crash is simulated: all that the core does to the world goes through doors that are ours:
 * disk, wires, clock, and what it says. At the point of the crash they are shut (core_kill): what
 * is on disk is what a crash leaves, what the wires had in hand is decided, and nothing that the
 * core does until the end of its turn is let out any more. Then it is taken down as it stands, and
 * the next one starts from the disk. So it can be dropped inside of a commit, or between two calls
 * of a function, as if power had been cut there, without a process to kill, and what it had
 * allocated is given back.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "bugs.h"
#include "copies.h"
#include "cover.h"
#include "lending.h"
#include "masters.h"
#include "policy.h"
#include "rotation.h"
#include "vault.h"
#include "when.h"
#include "wire.h"

#define SIM_SECRET_SIZE 160 /* a key's line fits */
#define SIM_LINES	12
#define SIM_ACCOUNTS	24
#define SIM_FAILED	256
#define SIM_GROUNDS	8
#define GROUND_ACCOUNTS 6 /* of one asset */
#define SIM_PROCESSES	2
#define SIM_OPENED	16
#define SIM_ASSETS	10
#define SIM_HOST_KEY	64
#define SIM_TOUCHED	256
#define SIM_DROPPED	128

struct sim;

/* The harness itself cannot go on. */
_Noreturn void sim_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ── Choices ── */

/* One of `limit` things: decided by the seed, the choice's name, whose it is, and how often that
 * was asked before. */
uint32_t sim_choose(struct sim *, const char *what, const char *whose, uint32_t limit);

/*
 * True when this event happens now: a fault, or someone's meddling. It is identified by its name,
 * whose it is and how often that was asked before; so switching others off leaves it where it is as
 * far as the history lets. Never in calm times, nor once the core is dead. Of each kind a quarter
 * of all histories know nothing.
 */
bool sim_event(struct sim *, const char *name, const char *whose, uint32_t permille);
/* The same, for what is rarer. */
bool sim_rarely(struct sim *, const char *name, const char *whose, uint32_t per_million);
/* The same, however it is decided: for what must happen here. */
bool sim_event_now(struct sim *, const char *name, const char *whose);

/* What identifies the `nth` asking (from 0) for an event of this name. */
uint64_t event_key(const char *name, const char *whose, uint32_t nth);

/* What shapes the event that just happened. */
uint32_t sim_amount(struct sim *, uint32_t limit);

struct event {
	uint64_t key; /* what identifies it */
	const char *name;
	char whose[64];
	uint64_t at_ms;
};

#define CHOICE_SLOTS 2048

struct choices {
	uint64_t seed;
	uint64_t dice; /* of the last event */
	struct {
		uint64_t key;
		uint32_t asked;
	} slots[CHOICE_SLOTS];
	uint16_t used[CHOICE_SLOTS]; /* slots, to be emptied */
	size_t used_count;
	struct event *events; /* that happened, in order */
	size_t event_count, event_room;
	const uint64_t *only; /* no other happens; NULL = as the seed says */
	size_t only_count;
};

void choices_begin(struct choices *, uint64_t seed, const uint64_t *only, size_t only_count);
void choices_clear(struct choices *);

/* ── The clock ── */

struct sim_clock {
	struct clock clock; /* first */
	uint64_t now_ms;
	int64_t wall_ms;			  /* by how much the wall clock was set forward */
	TAILQ_HEAD(sim_timers, sim_timer) timers; /* by time, then by order of arming */
	struct sim_timers spare;
};

void sim_clock_init(struct sim_clock *);
void sim_clock_clear(struct sim_clock *);
/* Runs all that are due until then. */
void sim_clock_run_until(struct sim_clock *, uint64_t at_ms);
/* What the wall clock shows. */
uint64_t sim_wall_ms(const struct sim *);
/* When the next timer is due; UINT64_MAX = there is none. */
uint64_t sim_clock_next_ms(const struct sim_clock *);
/* Runs the next due timer, moving time on. False when there is none. */
bool sim_clock_step(struct sim_clock *);

/* ── The disk ── */

struct disk;

/* Takes over the file, as it is now, from all who open it by this path from now on. */
struct disk *disk_new(const char *path);
void disk_free(struct disk *);
/* A new history, with the file as it was taken over. */
void disk_begin(struct disk *, struct sim *);
/*
 * The machine stops: what was synced is there, and of each page written since, the seed says
 * whether it is. What is written from now on never was.
 */
void disk_stop(struct disk *);
/* The file is what the stop left. */
void disk_restart(struct disk *);
/* What is durable now is kept beside, in place of an earlier copy; and is put back: of a disk that
 * stopped. */
void disk_copy(struct disk *);
void disk_put_back(struct disk *);
/* Nobody can write from now on until then. */
void disk_fill(struct disk *, uint64_t until_ms);
/* An error that only a restart mends was given to the engine since the last start. */
bool disk_broke(const struct disk *);

/* ── The ground: what is declared, and a vault to begin with ── */

/* One load of a policy: what is loaded twice is two. */
struct load {
	struct policy *policy;
	struct selection *selections; /* of each task */
};

struct ground {
	const char *name;
	const struct policy *policy;  /* of the first load, which says what is there */
	struct load loads[LOADS_MAX]; /* what it can come to be */
	char *dir;		      /* of the vault */
	char *key_paths[MASTER_KEYS]; /* the first is the one that it was made with */
	struct disk *disk;
	/* Of each asset's accounts: the line of the key that it has already; "" = it has none. */
	char (*lines)[GROUND_ACCOUNTS][SIM_SECRET_SIZE];
};

/* Loads all policies. */
void grounds_load(void);
/* Makes their vaults in a directory of this process. */
void grounds_make(void);
void grounds_clear(void);
size_t ground_count(void);
const struct ground *ground(size_t index);
/* The asset is entered with it by a key, and no password of it is told. */
bool ground_is_keyed(const struct asset *, const char *account);
bool ground_has_password(const struct asset *, const char *account);
bool ground_has_key(const struct asset *, const char *account);
/* The secret that an account has in the beginning. */
void ground_secret(const char *asset, const char *account, char out[SIM_SECRET_SIZE]);

/* Their directory: this process's, and gone with it. */
const char *scratch_make(void);
void scratch_clear(void);

/* ── The world ── */

struct sim_session;

struct sim_line {
	char text[SIM_SECRET_SIZE];
	uint32_t kept_as; /* the version that it was found in; 0 = to be found */
	bool lost;	  /* it may not be kept: the vault was put back, or the asset */
};

/* Refused logins, newest last. */
struct refusals {
	uint64_t at_ms[8];
	size_t count;
};

struct sim_account {
	char asset[ASSET_NAME_SIZE], name[ACCOUNT_NAME_SIZE];
	const struct asset *at;
	struct sim_asset *on;
	bool privileged; /* the asset is entered with it */
	bool dirty;	 /* someone else changed it: the engine's word about it may be untrue */
	bool keys_dirty; /* or its keys */
	bool mistold;	 /* someone told what is wrong */
	bool lied;	 /* a wire lied about it: what is said of it need not be so */
	char live[SIM_SECRET_SIZE];
	char image[SIM_SECRET_SIZE];	/* what `live` becomes when the asset's image is restored */
	char believed[SIM_SECRET_SIZE]; /* a success said that this opens it; "" = nothing did */
	uint32_t kept_as;		/* the version that `live` was found in; 0 = to be found */
	/* What opens it beside the password, as authorized_keys has it. */
	struct sim_line lines[SIM_LINES];
	size_t line_count;
	struct sim_line image_lines[SIM_LINES];
	size_t image_line_count;
	bool lines_good;		    /* nothing happened to them since they were checked */
	char seen[SIM_SECRET_SIZE];	    /* the key that a login was last seen with */
	uint64_t seen_moment;		    /* and when */
	char believed_key[SIM_SECRET_SIZE]; /* a success said that this key opens it */
	uint64_t opened[SIM_OPENED];	    /* hashes of what the asset let in */
	size_t opened_next;
	struct refusals fails;
	uint64_t sent;		   /* the hash of what was sent last */
	uint64_t changed_ms;	   /* when `live` was set */
	uint64_t used[SIM_OPENED]; /* hashes of what `live` was */
	size_t used_next;
	uint64_t image_used[SIM_OPENED];
	size_t image_used_next;
	char lagging[SIM_SECRET_SIZE]; /* what `live` is on another replica, until then: */
	uint64_t lags_until_ms;
};

/* One asset, or several accounts' home. */
struct sim_asset {
	const struct asset *at;
	uint32_t host_key;     /* the how many-th */
	uint64_t silent_ms;    /* until then it answers nobody who connects */
	bool early;	       /* its answer is no end */
	bool remembers;	       /* it refuses passwords that were used before */
	bool slow_lane;	       /* the pool knows that its sessions belong there */
	uint64_t age_ms;       /* a password as young as this is not changed */
	struct refusals fails; /* where it counts all accounts together */
};

/* A change whose sender is gone and which may yet arrive. */
struct sim_late {
	LIST_ENTRY(sim_late) entry;
	struct timer timer;
	struct sim *sim;
	struct sim_account *account;
	char secret[SIM_SECRET_SIZE];
	bool lied;   /* a wire lied about its end */
	bool at_try; /* in effect after the next login, at the latest when it is time */
};

struct sim_process {
	struct sim *sim;
	uint32_t number;
	uint64_t resumes_ms; /* stopped until then; UINT64_MAX = until it is killed */
	struct timer timer;  /* it is killed */
	bool lies;
};

/* A version that the open transaction deletes. */
struct dropped {
	const struct sim_account *at;
	enum secret_kind kind;
	uint32_t number;
};

/* An account that was in doubt when the engine was started. */
struct sim_doubt {
	struct id record;
	uint32_t attempts; /* turns that it had had */
};

#define NOTES_MAX 24
struct note {
	enum cover_group group;
	char name[56];
};

struct sim {
	struct choices choices;
	bool calm;    /* no faults any more */
	bool looks;   /* nothing that is in work may send */
	bool asks;    /* sudo asks for a password where an asset is entered by a key */
	bool dead;    /* the core is: what it does until it is taken down is not let out */
	bool broke;   /* it said that it must end */
	bool drained; /* it was asked to end */
	bool follows; /* its tasks' schedules */
	struct sim_clock clock;
	struct wires wires;
	LIST_HEAD(, sim_session) sessions;
	struct sim_process processes[SIM_PROCESSES];
	uint32_t last_process;
	int wires_lock; /* the vault's, held by wires that outlive their core; 0 = none do */
	uint64_t wires_until_ms;
	LIST_HEAD(, sim_late) lates;
	struct sim_account accounts[SIM_ACCOUNTS];
	size_t account_count;
	struct sim_asset assets[SIM_ASSETS];
	size_t asset_count;
	const struct ground *ground;
	struct vault *vault;
	struct rotation *rotation;
	struct scheduler *scheduler; /* NULL: nothing begins by itself */
	struct when when;
	struct stops stops;
	struct reloads reloads;
	struct masters masters;
	struct copies copies;
	struct lending lending;
	uint32_t crash_permille; /* at each point */
	uint32_t crash_in;	 /* points until one that is asked for; 0 = none is */
	char failed[SIM_FAILED][SIM_SECRET_SIZE]; /* said to be `failed`: may never be live */
	size_t failed_count;
	struct note notes[NOTES_MAX]; /* what the open transaction is made of */
	size_t note_count;
	struct id touched[SIM_TOUCHED]; /* records that the open transaction changes */
	size_t touched_count;
	struct dropped dropped[SIM_DROPPED];
	size_t dropped_count;
	struct sim_doubt doubts[SIM_ACCOUNTS];
	size_t doubt_count;
	uint32_t keep_versions; /* retention */
	uint64_t moments;	/* counted where it matters what came first */
	bool pruned;		/* versions were deleted, or may be lost */
	uint64_t told;
	uint32_t looking; /* looks under way */
	struct cover *cover;
	bool trace;
	const char *violation; /* the first one; NULL = none */
	char detail[256];
};

/* The one that runs: for what the engine calls without saying whose it is. */
extern struct sim *sim_running;

void sim_violation(struct sim *, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sim_trace(struct sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Something that a history should come across. */
void sim_seen(struct sim *, const char *what);

/* The accounts of the assets that this history has: `asset`, or NULL = as the seed says. */
void world_init(struct sim *, const char *asset);
void world_clear(struct sim *);
struct sim_account *world_account(struct sim *, const char *asset, const char *name);
struct sim_asset *world_asset(struct sim *, const char *name);
/* True for the accounts that the asset is entered with. */
bool world_is_privileged(const struct sim *, const char *asset, const char *name);
/* What it shows of itself. */
void world_host_key(const struct sim_asset *, char out[SIM_HOST_KEY]);
/* An image of an asset, as it is now. */
void world_take_image(struct sim *, const struct sim_asset *);
/* What may yet arrive there does not; NULL = anywhere. */
void world_drop_lates(struct sim *, const struct sim_asset *);
/* It is to be applied when so much time has passed, or at the account's next login. */
void world_arrives_later(
    struct sim *, struct sim_account *, const char *secret, uint64_t delay_ms, bool at_try);
/* A change with this secret reaches the asset and is applied. */
void world_apply(struct sim *, struct sim_account *, const char *secret);
/* It may arrive until the deadline, whole, cut, or never. */
void world_apply_later(struct sim *, struct sim_account *, const char *secret);
/* The same, where its sender, an orphan, lives on: it sends some time before `most_ms` have passed.
 */
void world_apply_after(struct sim *, struct sim_account *, const char *secret, uint64_t most_ms);
/* A login with this secret: true when it opens. A refused one is counted, as pam_faillock does. */
bool world_login(struct sim *, struct sim_account *, const char *secret);

/* ── Assets' own rules ── */

uint64_t sim_hash(const char *text);
void rules_begin(struct sim *, struct sim_asset *);
/* The account's secret was changed. */
void rules_applied(struct sim *, struct sim_account *);
/* True where the asset does not take this one now. */
bool rules_refuse(struct sim *, const struct sim_account *, const char *secret);
/* A change was accepted: it is in effect now, or as the asset has it. */
void rules_change(struct sim *, struct sim_account *, const char *secret);
/* The secret that a login is compared with. */
const char *rules_opened_by(struct sim *, const struct sim_account *);

/* ── Keys ── */

/* True for the line of a key, false for a password. */
bool keys_is_line(const char *secret);
/* A private key that cannot be used without its passphrase; and what stands for such a one. */
bool keys_is_sealed(const struct secret *);
#define KEYS_SEALED "ssh-sealed"
/* The public line of a private key, without a mark. */
void keys_line_of(const struct secret *key, char out[SIM_SECRET_SIZE]);
void keys_begin(struct sim_account *, const char *ours);
void keys_add(struct sim_account *, const char *line);
void keys_take_image(struct sim_account *);
void keys_restore_image(struct sim_account *);
/* The vault was put back: it knows some no more. */
void keys_lose(struct vault_txn *, struct sim_account *);
/* True when the account has this key's line, whatever its mark. */
bool keys_open(const struct sim_account *, const char *key);
/* Our lines but this one are to be removed; and are. */
struct sim_session;
void keys_persisting(const struct sim_session *);
void keys_persist(struct sim *, struct sim_account *, const char *line);
/* A line that is ours is of a version that the vault keeps. */
bool keys_kept(struct vault_txn *, const struct sim_account *, const char *line);
bool keys_have_current(struct vault_txn *, const struct sim_account *);
bool keys_open_with_current(struct vault_txn *, const struct sim_account *);
/* Someone writes the line of the current key, where what others did took it away. */
void keys_mend(struct sim *, struct sim_account *);
void keys_believe(struct sim *, struct sim_account *, const struct secret *);
void keys_check(struct sim *, struct vault_txn *, struct sim_account *);

/* ── Seen ── */

/* The asset let this secret in. */
void seen_opened(struct sim_account *, const char *secret);
/* The vault was told that its current secret was seen to work. */
void seen_check(
    struct sim *, struct vault_txn *, const char *asset, const char *name, enum secret_kind);
/* A secret is about to go there. */
void seen_check_host_key(const struct sim_session *);

/* ── The wires ── */

void sim_wires_init(struct sim *);

struct sim_session {
	struct wire_session session; /* first */
	LIST_ENTRY(sim_session) entry;
	struct sim *sim;
	struct sim_process *process;
	uint32_t wire; /* its number */
	bool orphan;   /* its process is dead */
	char asset[ASSET_NAME_SIZE];
	char host_key[SIM_HOST_KEY]; /* that it was shown */
	char pinned[SIM_HOST_KEY];   /* "" = none */
	uint64_t opened_moment;	     /* logged in since */
	bool broken, slow_lane;
	bool carries;		 /* logged in as a gateway */
	bool through;		 /* by a gateway: */
	struct sim_session *via; /* NULL: it is gone */
	/* the job in work */
	bool busy;
	bool handed; /* to a living process */
	uint64_t until_ms;
	struct timer timer;
	enum wire_job_kind kind;
	char name[ACCOUNT_NAME_SIZE];
	struct sim_account *account; /* NULL: of no account */
	char secret[SIM_SECRET_SIZE];
	char become[SIM_SECRET_SIZE];
	enum wire_become becoming;
	uint32_t snapshot; /* whose scripts its jobs need; 0 = none did */
	enum wire_proof proof;
	bool targeted, puts_back;
	wire_done_fn done;
	void *arg;
};

const char *session_kind_name(enum wire_job_kind);
/* The gateway that it goes through broke, or that one's. */
bool session_is_cut(const struct sim_session *);
/* What the asset does with the job in work. */
void job_do(struct sim_session *, struct wire_result *);
/* What a wire that lies makes of an answer. */
void lies_answer(struct sim_session *, struct wire_result *);

/* ── Their processes ── */

void processes_begin(struct sim *);
/* A new session is on the one with the fewest, or on its gateway's. Its OPEN may not be for that:
 * false where it is done in the slow lane all the same. */
void process_place(struct sim_session *);
bool process_divert(struct sim_session *);
/* Its job is done and answered after so long, and not while it stands still. */
void process_start_job(struct sim_session *, uint64_t delay_ms);
/* True when something happens to it now: the job in work is answered later. */
bool process_meddle(struct sim_session *);
void process_answer_dead(struct sim_session *, struct wire_result *);
/* They die with the core, or somewhat later: what they had in hand may have left, or may yet. */
void processes_crash(struct sim *);
/* Time passes until those are gone that outlived the core. */
void processes_wait(struct sim *);
/* A session goes the way that the policy says. */
void sends_check_way(struct sim_session *, const struct wire_session *via);
/* It is given a job. */
void sends_check(struct sim_session *);

/* ── The core ── */

void core_start(struct sim *);
void core_stop(struct sim *);
/* Takes the core down where it is dead, and starts another. */
void core_settle(struct sim *);
/* It dies now. */
void core_kill(struct sim *, const char *where);
/* It could not do something: it ends and is started again where the disk was to blame. */
void core_failed(struct sim *, const char *what, const struct error *);
/* A point of its way: it dies here when the seed says so. `name` lives for ever. */
void core_point(struct sim *, const char *name);
/* A commit is under way, and stands here. */
void core_commit_at(struct sim *, enum cover_moment);
/* Something that the open transaction does. */
void note_add(struct sim *, enum cover_group, const char *name);

/* What the engine says. */
void said(void *arg, const struct rotation_event *);

/* ── Checks ── */

/* Nothing can be read: the engine is gone, or is about to find that its disk failed. */
bool check_is_blind(const struct sim *);
/* What must hold after every step: looks at what the step touched. */
void check_step(struct sim *);
/* What must hold when nothing is left to do. */
void check_idle(struct sim *);
/* What is in doubt now; later, when nothing is left to do, each of it must have had its turn. */
void check_doubts_begin(struct sim *);
void check_doubts_end(struct sim *);
/* The same of all, when the engine was started: nothing of it is lost. Counters are recounted. */
void check_start(struct sim *);
/* The same, and every seal is opened. */
void check_all(struct sim *);
/* NULL where nothing is in doubt and each current secret opens; else what is not so. */
const char *check_unsettled(struct sim *);
bool check_opens_with_current(struct vault_txn *, const struct sim_account *);
/* A version of it holds what opens it now. */
bool check_is_kept(struct vault_txn *, const struct sim_account *);

/* ── Others ── */

/* What others do between two steps, if the seed says so. */
void meddle(struct sim *);
/* Someone changes a password by hand, of an account that is privileged or is not. */
void meddle_by_hand(struct sim *, bool privileged);
/* They mend what nobody else can. */
void meddle_end(struct sim *);

/* A run is ordered, of all accounts of the task that are there. */
void people_order_task(struct sim *, const char *task, enum rotation_kind);
/* The accounts that a task means and that are there: at most SIM_ACCOUNTS. */
size_t people_meant(struct sim *, const struct task *, struct selected *items);
/* Someone sets an account's secret and tells the vault, as one who is shut out would. */
void people_mend(struct sim *, struct sim_account *);
void people_meddle(struct sim *);

#endif
