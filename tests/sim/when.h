/*
 * What begins by itself, what ends before its time, and the policies that say so: what one knows of
 * it who watches from outside.
 */
#ifndef SIM_WHEN_H
#define SIM_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"
#include "vault.h"

#define WHEN_TASKS 8
#define WHEN_SPANS 8
#define STOPS	   16
#define STAGED_MAX 64
#define LOADS_MAX  4

struct load;
struct sim;
struct sim_session;

/* ── Schedules ── */

/* A task with a schedule that is to be followed. */
struct when_task {
	const struct task *task;
	struct task_state state;
	uint64_t from_ms;	 /* all until then is done with; and what comes after it: */
	struct moment first;	 /* `due_ms` UINT64_MAX = nothing does */
	struct moment owed;	 /* what is due; `due_ms` 0 = nothing */
	bool certain;		 /* it was for so long that the engine must know */
	uint64_t due_since_ms;	 /* monotonic, as the next */
	uint64_t could_since_ms; /* nothing keeps it from being begun; 0 = something does */
};

/* What the open transaction makes of what is kept of a task. */
struct when_change {
	struct task_state before, after;
	bool had; /* something was kept of it */
};

struct when {
	struct when_task tasks[WHEN_TASKS];
	size_t count;
	bool touched;	  /* something was committed since the last look */
	uint64_t look_ms; /* monotonic: else not before */
	/* Times of the wall clock that the engine lived through with this policy. */
	struct {
		uint64_t from_ms, to_ms;
	} spans[WHEN_SPANS];
	size_t span_count; /* WHEN_SPANS: they are not known any more */
	/* In the open transaction: */
	struct execution begun; /* by a schedule; `started_ms` 0 = none is */
	struct when_change changes[WHEN_TASKS];
	size_t change_count;
	bool by_people; /* they pause, or let go on */
};

/* An engine was started, or took over another policy. */
void when_begin(struct sim *, bool anew);
/* The wall clock is about to be set by so much. */
void when_set_clock(struct sim *, int64_t by_ms);
/* After a step. */
void when_look(struct sim *);
/* Someone pauses a task, or lets it go on. */
void when_pause(struct sim *);

/* The open transaction begins; puts an execution; changes what is kept of a task; is to be made. */
void when_begin_commit(struct sim *);
void when_execution(struct sim *, struct vault_txn *, const struct execution *);
void when_state(struct sim *, struct vault_txn *, const struct task_state *);
void when_check_commit(struct sim *, struct vault_txn *);

/* ── What was stopped ── */

/* An execution of which nothing more may begin, but what had begun. */
struct stop {
	struct id execution;
	uint32_t left; /* changes that had begun, and may yet be staged */
};

struct stops {
	struct stop list[STOPS];
	size_t next;
	uint64_t drained_ms;	      /* monotonic; 0 = it is not */
	uint32_t left;		      /* as above, of all executions */
	struct id staged[STAGED_MAX]; /* executions whose changes the open transaction stages */
	size_t staged_count;
};

void stops_begin(struct sim *);
void stops_cancel(struct sim *, const struct id *execution);
void stops_drain(struct sim *);
void stops_look(struct sim *);
/* The open transaction begins; stages a change that was planned; was made. */
void stops_begin_commit(struct sim *);
void stops_staged(struct sim *, const struct record *);
void stops_check_commit(struct sim *);

/* ── Loads ── */

struct reloads {
	size_t at; /* the load in use */
	struct {
		uint32_t number; /* at the wires */
		bool used;	 /* still, by what began with it */
	} loads[LOADS_MAX];
	uint32_t last_number;
};

const struct load *reload_now(const struct sim *);
/* An engine is started, with what was loaded last. */
void reload_begin(struct sim *);
/* From now on it is the first one again. */
void reload_first(struct sim *);
void reload_meddle(struct sim *);
/* A session goes by this gateway, or by none: one of the policies in use says so. */
bool reload_goes_by(const struct sim *, const char *asset, const char *gateway);
/* A job names a policy's scripts. */
void reload_check_job(struct sim_session *, uint32_t snapshot);
/* Nothing is left to do. */
void reload_check_idle(struct sim *);

#endif
