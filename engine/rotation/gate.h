/*
 * The way through a gateway (gate.c): its own session is opened once, shared by the visits behind
 * it, and closed when nobody was inside for a while.
 */
#ifndef ROTATION_GATE_H
#define ROTATION_GATE_H

#include <stdbool.h>
#include <sys/queue.h>

struct gate;
struct life;
struct rotation;
struct site;
struct stay;
struct visit;
struct wire_result;
struct wire_session;

/* What a visit needs to go through its asset's gateway. Zeroed = outside. */
struct gate_pass {
	TAILQ_ENTRY(gate_pass) entry;
	struct gate *gate;
	struct stay *stay;	  /* let in */
	bool lost;		  /* … and it is of no more use */
	struct gate_pass *before; /* through which there may be sessions still; NULL = none */
	bool waiting;
	void (*ready)(void *arg, const struct wire_result *blocked);
	void *arg;
};
TAILQ_HEAD(gate_passes, gate_pass);

/* `blocked`: why the gateway cannot be opened; NULL: the way is open. */
typedef void (*gate_fn)(void *arg, const struct wire_result *blocked);

/* Calls `ready` when the site's asset can be reached: at once where it has no gateway. */
void gate_enter(struct gate_pass *, struct site *, gate_fn ready, void *arg);
void gate_leave(struct gate_pass *);
/* A session through it said that the gateway's own had broken, or has to be opened anew. */
void gate_lost(struct gate_pass *);
/* What a session through it names as `via`; NULL where there is no gateway. */
struct wire_session *gate_session(const struct gate_pass *);

/* Someone is inside, or waits to be let in. */
bool gate_in_use(const struct site *);
/* Someone waits: what goes on at the gateway itself comes before all else. */
bool gate_is_awaited(const struct site *);
/* The life is of a gateway's privileged account, and has to wait until nobody is inside. */
bool gate_bars(const struct life *);
/* Its turn has come. */
void gate_make_way(struct life *);
/* A life at this site ended or was put off, or its visit was opened. */
void gate_wake(struct site *);
/* True while the gateway's own session is being opened: the site's visit is told when it may log in
 * too. */
bool gate_goes_first(struct visit *);

/* One more visit through the gateway; false where there are enough: the site stands in the gate's
 * line until one ends. */
bool gate_admit(struct site *);
void gate_release(struct site *);
/* Who stands in the gate's line goes back to where it waited before. */
void gate_ask_anew(struct site *);
void gates_clear(struct rotation *);
/* Of a site that is to go; false while someone needs it. */
bool gate_clear(struct site *);

#endif
