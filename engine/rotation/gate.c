/*
 * Gates: the session of a gateway that all the assets behind it share. It is opened when the first
 * of them needs it, through its own gateway where it has one, and closed when none has needed it
 * for a while. Where it broke, those inside see their own sessions break, and whoever comes next
 * opens it anew. It is opened anew, too, where it is on a wire that an asset behind it cannot use:
 * those inside keep the session from before until they leave.
 *
 * What the gateway's own privileged account is going through comes first: its doubt is settled
 * before anyone logs in with it, and it is not changed while anyone is inside.
 */
#include "rotation/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define IDLE_MS 5000

/* A gateway that cannot be opened is not tried for each asset behind it: it would cost the time of
 * each, and a wrong password an attempt. */
#define RETRY_AFTER_MS	   2000
#define PERMANENT_AFTER_MS 60000

/* One session of a gateway, for those who went in while it was the open one. */
struct stay {
	struct visit *visit;
	size_t passes;
};

struct gate {
	struct site *site; /* the gateway's own */
	struct stay *stay; /* NULL = closed */
	bool open;	   /* the stay's session is logged in */
	size_t inside;	   /* passes, those of earlier stays among them */
	bool visit_waits;  /* the site's own, until it is */
	struct gate_passes waiting;
	struct wire_result failure;
	uint64_t failed_until_ms; /* monotonic */
	struct timer idle;
	struct timer turn;
	uint32_t visits; /* at assets behind it */
	struct line parked;
};

static struct gate *gate_of(struct site *site)
{
	struct rotation *rotation = site->rotation;
	struct site *gateway = rotation_site(rotation, site->asset->gateway);
	struct gate *gate = gateway->gate;

	if (gate != NULL)
		return gate;
	gate = xcalloc(1, sizeof(*gate));
	gate->site = gateway;
	TAILQ_INIT(&gate->waiting);
	TAILQ_INIT(&gate->parked);
	gateway->gate = gate;
	return gate;
}

static struct clock *gate_clock(const struct gate *gate)
{
	return gate->site->rotation->config.clock;
}

/* ── Closing ── */

static void stay_free(struct stay *stay)
{
	visit_free(stay->visit);
	free(stay);
}

/* Whoever is inside keeps what there is of it, until it leaves. */
static void gate_close(struct gate *gate)
{
	struct stay *stay = gate->stay;

	timer_stop(&gate->idle);
	gate->stay = NULL;
	gate->open = false;
	if (stay != NULL && stay->passes == 0)
		stay_free(stay);
}

bool gate_in_use(const struct site *site)
{
	const struct gate *gate = site->gate;

	if (gate == NULL)
		return false;
	return !TAILQ_EMPTY(&gate->waiting) || gate->inside > 0 ||
	       (gate->stay != NULL && !gate->open);
}

static void gate_on_idle(void *arg)
{
	struct gate *gate = arg;

	if (!gate_in_use(gate->site))
		gate_close(gate);
}

/* The last one left: the gateway's own account may have its turn. */
static void gate_rest(struct gate *gate)
{
	if (gate_in_use(gate->site))
		return;
	site_wake(gate->site);
	gate->idle.fn = gate_on_idle;
	gate->idle.arg = gate;
	timer_start(gate_clock(gate), &gate->idle, IDLE_MS);
}

/* ── Opening ── */

bool gate_bars(const struct life *life)
{
	return !life->doubt && life_is_privileged(life) && gate_in_use(life->site);
}

/* The account that logs in there is in doubt, or being changed, or logs in already: each login
 * takes an attempt until it was seen to work. */
static bool gate_is_held_up(const struct gate *gate)
{
	const struct visit *visit = gate->site->visit;
	const struct life *life;

	if (!gate->open && visit != NULL && visit->opening)
		return true;
	TAILQ_FOREACH (life, &gate->site->lives, entry)
		if ((life->doubt || life->working) && life_is_privileged(life))
			return true;
	return false;
}

bool gate_is_awaited(const struct site *site)
{
	return site->gate != NULL && !TAILQ_EMPTY(&site->gate->waiting);
}

static void gate_note_failure(struct gate *gate, const struct visit *visit)
{
	const struct asset *asset = gate->site->asset;
	char why[WIRE_TEXT_SIZE], when[32];
	bool again = false;

	if (visit->reason == NULL) {
		again = fault_class(visit->result.fault) == FAULT_CLASS_RETRY;
		snprintf(why, sizeof(why), "%s", visit->result.text);
	} else if (strcmp(visit->reason, "probe_budget") == 0) {
		snprintf(why, sizeof(why),
		    "one more refused login could lock its account %s; the next attempt may be "
		    "made at %s",
		    asset->admin, text_rfc3339(when, visit->free_at_ms));
	} else if (visit->result.text[0] != '\0') {
		snprintf(why, sizeof(why), "%s", visit->result.text);
	} else {
		snprintf(why, sizeof(why), "it has no privileged account with a secret to log in");
	}
	gate->failure = (struct wire_result){
	    .fault = again ? FAULT_GATEWAY_AWAY : FAULT_GATEWAY,
	};
	snprintf(gate->failure.text, sizeof(gate->failure.text), "the gateway %s: %.900s",
	    asset->name, why);
	gate->failed_until_ms =
	    rotation_now(gate->site->rotation) + (again ? RETRY_AFTER_MS : PERMANENT_AFTER_MS);
}

static bool gate_has_failed(const struct gate *gate)
{
	return rotation_now(gate->site->rotation) < gate->failed_until_ms;
}

static void gate_let_in(struct gate *gate, struct gate_pass *pass)
{
	timer_stop(&gate->idle);
	pass->stay = gate->stay;
	pass->stay->passes++;
	gate->inside++;
	pass->ready(pass->arg, NULL);
}

static void gate_turn_away(struct gate *gate, struct gate_pass *pass)
{
	struct wire_result failure = gate->failure;

	pass->gate = NULL;
	pass->ready(pass->arg, &failure);
}

bool gate_goes_first(struct visit *visit)
{
	struct gate *gate = visit->site->gate;

	if (gate == NULL || gate->stay == NULL || gate->open || visit != visit->site->visit)
		return false;
	gate->visit_waits = true;
	return true;
}

/* The gateway's session is open or is not: the visit of its asset goes on. */
static void gate_let_visit(struct gate *gate)
{
	struct visit *visit = gate->site->visit;
	bool waits = gate->visit_waits;

	gate->visit_waits = false;
	if (waits && visit != NULL)
		visit_enter(visit);
}

static void gate_try(struct gate *gate);

static void gate_tell(struct gate *gate)
{
	struct gate_pass *pass;

	while (
	    (gate->open || gate_has_failed(gate)) && (pass = TAILQ_FIRST(&gate->waiting)) != NULL) {
		TAILQ_REMOVE(&gate->waiting, pass, entry);
		pass->waiting = false;
		if (gate->open)
			gate_let_in(gate, pass);
		else
			gate_turn_away(gate, pass);
	}
	gate_try(gate);
	gate_rest(gate);
}

static void gate_opened(void *arg)
{
	struct gate *gate = arg;
	struct visit *visit = gate->stay->visit;

	gate->open = visit->open;
	if (!gate->open) {
		gate_note_failure(gate, visit);
		gate_close(gate);
	}
	gate_let_visit(gate);
	gate_tell(gate);
}

static void gate_try(struct gate *gate)
{
	if (gate->stay != NULL || TAILQ_EMPTY(&gate->waiting) || gate_is_held_up(gate))
		return;
	timer_stop(&gate->idle); /* of the session before */
	gate->stay = xcalloc(1, sizeof(*gate->stay));
	gate->stay->visit = visit_new(gate->site);
	gate->stay->visit->carries = true;
	visit_open(gate->stay->visit, gate_opened, gate);
}

/* What held it up is over. It may have been open all the while. */
static void gate_on_turn(void *arg)
{
	struct gate *gate = arg;

	if (gate->open && !gate_is_held_up(gate))
		gate_tell(gate);
	else
		gate_try(gate);
}

void gate_wake(struct site *site)
{
	struct gate *gate = site->gate;

	if (gate == NULL || TAILQ_EMPTY(&gate->waiting))
		return;
	gate->turn.fn = gate_on_turn;
	gate->turn.arg = gate;
	timer_start(gate_clock(gate), &gate->turn, 0);
}

void gate_make_way(struct life *life)
{
	struct gate *gate = life->site->gate;

	if (gate != NULL && !life->doubt && life_is_privileged(life))
		gate_close(gate);
}

/* ── Going in and out ── */

/* What the gateway itself has to do first must not wait behind those who wait for it. */
static void gate_hurry(struct site *site)
{
	struct rotation *rotation = site->rotation;
	struct line *line = site->line;
	bool parked = site->asset->gateway != NULL && line == &gate_of(site)->parked;

	if (line == NULL)
		return;
	site_leave(site);
	site_stand_first(site, parked ? line : &rotation->urgent);
	dispatch_soon(rotation);
}

/* To be let in anew: what it has there goes on through what it went through until now. */
static void pass_set_aside(struct gate_pass *pass)
{
	struct gate_pass *before = xcalloc(1, sizeof(*before));

	*before = *pass;
	*pass = (struct gate_pass){.before = before};
}

static void stay_leave(struct gate *gate, struct stay *stay)
{
	gate->inside--;
	stay->passes--;
	if (stay->passes == 0 && stay != gate->stay)
		stay_free(stay);
}

/* But for what was set aside. */
static void pass_end(struct gate_pass *pass)
{
	struct gate *gate = pass->gate;
	struct stay *stay = pass->stay;

	if (pass->waiting)
		TAILQ_REMOVE(&gate->waiting, pass, entry);
	*pass = (struct gate_pass){.before = pass->before};
	if (gate == NULL)
		return;
	if (stay != NULL)
		stay_leave(gate, stay);
	gate_rest(gate);
}

void gate_enter(struct gate_pass *pass, struct site *site, gate_fn ready, void *arg)
{
	struct gate *gate;

	if (site->asset->gateway == NULL) {
		ready(arg, NULL);
		return;
	}
	/* Another may be open by now: what it has there stays of use to it. */
	if (pass->stay != NULL && !pass->lost) {
		ready(arg, NULL);
		return;
	}
	gate = gate_of(site);
	if (pass->stay != NULL)
		pass_set_aside(pass);
	else
		pass_end(pass);
	pass->gate = gate;
	pass->ready = ready;
	pass->arg = arg;
	if (gate->open && !gate_is_held_up(gate)) {
		gate_let_in(gate, pass);
	} else if (gate_has_failed(gate)) {
		gate_turn_away(gate, pass);
	} else {
		pass->waiting = true;
		TAILQ_INSERT_TAIL(&gate->waiting, pass, entry);
		gate_hurry(gate->site);
		gate_try(gate);
	}
}

void gate_leave(struct gate_pass *pass)
{
	struct gate_pass *before = pass->before;

	pass_end(pass);
	pass->before = NULL;
	while (before != NULL) {
		struct gate_pass *next = before->before;

		pass_end(before);
		free(before);
		before = next;
	}
}

void gate_lost(struct gate_pass *pass)
{
	struct gate *gate = pass->gate;

	pass->lost = true;
	if (gate != NULL && gate->open && pass->stay == gate->stay)
		gate_close(gate);
}

struct wire_session *gate_session(const struct gate_pass *pass)
{
	return pass->stay != NULL ? pass->stay->visit->session : NULL;
}

/* ── How many at once ── */

bool gate_admit(struct site *site)
{
	struct gate *gate;

	if (site->asset->gateway == NULL)
		return true;
	gate = gate_of(site);
	if (gate->visits < site->rotation->settings->gateway_in_flight) {
		gate->visits++;
		return true;
	}
	site_stand(site, &gate->parked);
	return false;
}

void gate_release(struct site *site)
{
	struct gate *gate;
	struct site *next;

	if (site->asset->gateway == NULL)
		return;
	gate = gate_of(site);
	gate->visits--;
	next = TAILQ_FIRST(&gate->parked);
	if (next != NULL)
		turns_rejoin(next);
}

void gate_ask_anew(struct site *site)
{
	if (site->gate != NULL)
		turns_rejoin_all(&site->gate->parked);
}

static void gate_free(struct gate *gate)
{
	timer_stop(&gate->idle);
	timer_stop(&gate->turn);
	gate->site->gate = NULL;
	free(gate);
}

void gates_clear(struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct gate *gate = rotation->sites[i]->gate;

		if (gate != NULL)
			gate_close(gate);
	}
	for (size_t i = 0; i < rotation->site_count; i++)
		if (rotation->sites[i]->gate != NULL)
			gate_free(rotation->sites[i]->gate);
}

bool gate_clear(struct site *site)
{
	struct gate *gate = site->gate;

	if (gate == NULL)
		return true;
	if (gate_in_use(site) || gate->visits > 0 || !TAILQ_EMPTY(&gate->parked))
		return false;
	gate_close(gate);
	gate_free(gate);
	return true;
}
