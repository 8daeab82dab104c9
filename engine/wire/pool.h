/*
 * The core's side of the wires: what its three parts share. pool_session.c is a session and its
 * job, pool_slot.c the place of a process, pool.c the whole, and the door.
 *
 * Private to these.
 *
 * The slow lane is one wire more, the only one that does Diffie-Hellman groups: a handshake with
 * one stalls the loop for 4 to 200 ms, and what stands still then is what has none of its own. It
 * is started when a wire first says of an asset that they have no elliptic curve in common and a
 * group they have. That OPEN is then done again there, for the rest of its time; nobody above sees
 * it, and all that it has cost is a connection on which nothing but the lists of algorithms was
 * said. The asset's later sessions go there at once. So it is, too, with an asset without a gateway
 * that left without a word before it said what it has; but where it is not opened there either,
 * that is forgotten.
 *
 * What goes through a gateway is on the gateway's wire. So a gateway is in the slow lane with all
 * that goes through it as soon as it, or an asset behind it, belongs there: that asset's OPEN is
 * answered with `via_lost`, as if the gateway's session had broken, and who opens the gateway anew
 * finds it there. The session from before goes on for those who are inside.
 */
#ifndef WIRE_POOL_H
#define WIRE_POOL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "wire.h"
#include "wire/lane.h"
#include "wire/process.h"
#include "wire/table.h"

struct session;

/* One place for a wire; it gets another number with each process. */
struct slot {
	struct pool *pool;
	bool slow_lane;
	struct process *process; /* NULL between two */
	uint32_t number;
	uint64_t started_ms;
	uint64_t pause_ms;
	struct timer restart;
	LIST_HEAD(, session) sessions;
	struct table by_number;
	uint32_t last_session;
	size_t orphans; /* jobs whose session was freed before the answer */
	/*
	 * OPENs that are not urgent. A wire begins them when it keeps up with what it has at work
	 * (turn.h), and says so; until it has few that it did not begin, more are held back here.
	 */
	size_t unbegun;
	TAILQ_HEAD(, session) held;
};

/* The scripts of a snapshot, as the frame that gives them to a wire. */
struct kept {
	uint32_t snapshot;
	struct buf frame;
};

struct pool {
	struct wires wires; /* first: the door is cast back to its pool */
	struct wires_config config;
	struct slot *slots; /* the slow lane's is the last */
	uint32_t slot_count;
	struct lane slow_lane; /* who belongs there */
	uint32_t last_wire;
	struct kept kept[WIRE_SNAPSHOTS_MAX]; /* the oldest first */
	size_t kept_count;
	LIST_HEAD(, session) dead;
};

struct session {
	struct wire_session base; /* first, as above */
	struct pool *pool;
	struct slot *slot; /* NULL: its wire is dead */
	LIST_ENTRY(session) entry;
	struct table_entry by_number;
	uint32_t wire;
	char how[PROCESS_HOW_SIZE]; /* its wire died */
	struct wire_target target;  /* texts and keys are its own; `via` only by its number */
	uint32_t via;		    /* the gateway's session; 0 = directly */
	bool through;		    /* a gateway: whatever ends it ends this */
	bool doubtful;		    /* whether it belongs to the slow lane, where it is now */

	/* The job in work; `done` NULL = none. */
	wire_done_fn done;
	void *arg;
	enum wire_job_kind kind;
	uint32_t job;		       /* its number; 0 = none yet */
	uint64_t timeout_ms, until_ms; /* of an OPEN: its time, and when that is over */
	/* One that is not urgent: */
	bool held;    /* not sent yet; its time does not run */
	bool unbegun; /* sent, and not begun */
	TAILQ_ENTRY(session) waiting;
	struct timer late; /* the wire should have answered */
	bool overdue;	   /* … and was given the second grace */
	struct timer fail; /* to answer for a dead wire */
	bool sent;	   /* … that was handed a new secret */
	bool attempt;	   /* … that was handed a login */
};

static inline struct clock *pool_clock(const struct pool *pool)
{
	return loop_clock(pool->config.loop);
}

/* ── Sessions ── */

struct wire_session *pool_session_new(struct wires *, const struct wire_target *);
void pool_submit(struct wire_session *, const struct wire_job *, wire_done_fn, void *arg);
void pool_session_free(struct wire_session *);

/* Its OPEN can be done in the slow lane alone: it is, or is answered where a gateway is between.
 * Nothing of the session may be used afterwards. FAULT_LOST: perhaps there. */
void session_divert(struct session *, enum fault);
/* Its OPEN has begun: there is room for another. */
enum err session_begun(struct session *) MUST_CHECK;
/* Ends the job. Nothing of the session may be used afterwards: who is told may free it. */
void session_answer(struct session *, struct wire_result *);
/* Its wire is dead and was waited for: the job in work, and all later ones, fail. */
void session_die(struct session *, const char *how);
/* A wire may lie, but not so that it can be seen. */
bool session_believes(const struct session *, const struct wire_result *);

/* ── Places of wires ── */

void slot_init(struct slot *, struct pool *, bool slow_lane);
/* Starts its process, or tries again later. */
void slot_start(struct slot *);
/* The living wire with the fewest sessions, the slow lane's apart; NULL when none lives. */
struct slot *pool_pick(struct pool *);
/* The slow lane's, which is started with the first call; NULL while it does not live. */
struct slot *pool_slow_lane(struct pool *);

#endif
