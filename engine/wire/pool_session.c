#include "wire/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/message.h"
#include "wire/net.h"

/*
 * A wire answers when a job's time is over; one that does not hangs. It has the grace twice, as
 * what stood still may be the core: then the answer came in time, and was not read yet.
 */
#define GRACE_MS 2500

/*
 * So many OPENs a wire may have before it begins them: it always has one when it can. Their time
 * runs; in the slow lane each may have to wait for half a second of the one before.
 */
#define UNBEGUN_MAX	 64
#define UNBEGUN_SLOW_MAX 16

/* The wire … */
static const char not_in_lane[] = "is not the slow lane, where the asset and its gateway belong";

static struct session *session_of(struct wire_session *session)
{
	return (struct session *)(void *)session;
}

static void session_copy_target(struct session *session, const struct wire_target *target)
{
	struct wire_key *pins = xcalloc(target->pin_count, sizeof(*pins));

	if (target->pin_count > 0)
		memcpy(pins, target->pins, target->pin_count * sizeof(*pins));
	session->target = *target;
	session->target.asset = xstrdup(target->asset);
	session->target.address = net_address(target->address);
	session->target.pins = pins;
	session->target.via = NULL;
}

static void session_clear_target(struct session *session)
{
	/* Its own copies, const only in the door's type. */
	free((void *)(uintptr_t)session->target.asset);
	free((void *)(uintptr_t)session->target.address);
	free((void *)(uintptr_t)session->target.pins);
}

/* ── What is held back ───────────────────────────────────────────────────────────────────── */

static void session_send(struct session *session, const struct wire_job *job);

static void session_send_open(struct session *session)
{
	struct wire_job job = {.kind = WIRE_OPEN, .timeout_ms = session->timeout_ms};

	session->until_ms = clock_mono_ms(pool_clock(session->pool)) + job.timeout_ms;
	session->unbegun = !session->target.urgent;
	session->slot->unbegun += session->unbegun;
	session_send(session, &job);
}

/* It waits for no turn any more, here or at the wire. */
static void session_let_go(struct session *session)
{
	if (session->held)
		TAILQ_REMOVE(&session->slot->held, session, waiting);
	if (session->unbegun)
		session->slot->unbegun--;
	session->held = session->unbegun = false;
}

static void slot_feed(struct slot *slot)
{
	size_t most = slot->slow_lane ? UNBEGUN_SLOW_MAX : UNBEGUN_MAX;
	struct session *session;

	while (slot->unbegun < most && (session = TAILQ_FIRST(&slot->held)) != NULL) {
		session_let_go(session);
		session_send_open(session);
	}
}

static void session_open(struct session *session)
{
	struct slot *slot = session->slot;

	if (session->target.urgent) {
		session_send_open(session);
		return;
	}
	session->held = true;
	TAILQ_INSERT_TAIL(&slot->held, session, waiting);
	slot_feed(slot);
}

enum err session_begun(struct session *session)
{
	if (!session->unbegun)
		return ERR_PROTOCOL;
	session_let_go(session);
	slot_feed(session->slot);
	return ERR_OK;
}

/* ── Its job ─────────────────────────────────────────────────────────────────────────────── */

static void log_slow(const struct session *session)
{
	log_event(LOG_LEVEL_INFO, "slow_lane", "asset", session->target.asset, NULL);
}

void session_answer(struct session *session, struct wire_result *result)
{
	wire_done_fn done = session->done;

	if (session->unbegun) {
		session_let_go(session);
		slot_feed(session->slot);
	}
	if (session->doubtful && result->fault != FAULT_NONE)
		lane_drop(&session->pool->slow_lane, session->target.asset);
	else if (session->doubtful)
		log_slow(session);
	session->doubtful = false;
	timer_stop(&session->late);
	session->done = NULL;
	result->wire = session->wire;
	done(session->arg, result);
}

static void session_on_fail(void *arg)
{
	struct session *session = arg;
	/* Whether the asset judged a login nobody can tell any more: it may have counted. */
	struct wire_result result = {
	    .fault = FAULT_WIRE,
	    .sent = session->sent,
	    .failed_attempts = session->attempt ? 1 : 0,
	    .via_lost = session->through,
	};

	snprintf(result.text, sizeof(result.text), "the wire %s", session->how);
	session_answer(session, &result);
}

static void session_on_late(void *arg)
{
	struct session *session = arg;

	if (session->overdue) {
		process_kill(session->slot->process, "it left a job without an answer");
		return;
	}
	session->overdue = true;
	timer_start(pool_clock(session->pool), &session->late, GRACE_MS);
}

void session_die(struct session *session, const char *how)
{
	session_let_go(session);
	LIST_REMOVE(session, entry);
	LIST_INSERT_HEAD(&session->pool->dead, session, entry);
	session->slot = NULL;
	snprintf(session->how, sizeof(session->how), "%s", how);
	timer_stop(&session->late);
	if (session->done != NULL)
		timer_start(pool_clock(session->pool), &session->fail, 0);
}

bool session_believes(const struct session *session, const struct wire_result *result)
{
	const struct wire_target *target = &session->target;

	if (result->slow_lane &&
	    (session->kind != WIRE_OPEN || session->slot->slow_lane ||
		(result->fault != FAULT_ALGORITHM && result->fault != FAULT_LOST)))
		return false;
	if (session->kind != WIRE_OPEN || result->fault != FAULT_NONE)
		return true;
	if (target->pin_count == 0)
		return result->host_key.len > 0 && result->host_key_new && !target->known_only;
	for (size_t i = 0; i < target->pin_count; i++) {
		const struct wire_key *pin = &target->pins[i];

		if (pin->len == result->host_key.len &&
		    memcmp(pin->blob, result->host_key.blob, pin->len) == 0)
			return !result->host_key_new;
	}
	return false;
}

/* ── Its wire ────────────────────────────────────────────────────────────────────────────── */

/* The asset belongs to the slow lane, and so do the gateways between, as they share a wire. */
static void session_note_slow(const struct session *session)
{
	while (session != NULL) {
		if (!lane_has(&session->pool->slow_lane, session->target.asset)) {
			lane_add(&session->pool->slow_lane, session->target.asset);
			if (!session->doubtful)
				log_slow(session);
		}
		session = session->slot != NULL && session->via != 0
			      ? table_get(&session->slot->by_number, session->via)
			      : NULL;
	}
}

/* On its gateway's wire; NULL where that is of no use to it. */
static struct slot *session_place_through(struct session *session, const struct session *gateway)
{
	session->through = true;
	session->via = gateway->by_number.number;
	if (gateway->slot == NULL) {
		snprintf(session->how, sizeof(session->how), "%s", gateway->how);
		return NULL;
	}
	if (!gateway->slot->slow_lane &&
	    lane_has(&session->pool->slow_lane, session->target.asset)) {
		session_note_slow(gateway);
		snprintf(session->how, sizeof(session->how), "%s", not_in_lane);
		return NULL;
	}
	return gateway->slot;
}

static struct slot *session_place(struct session *session, struct wire_session *via)
{
	if (via != NULL)
		return session_place_through(session, session_of(via));
	if (lane_has(&session->pool->slow_lane, session->target.asset))
		return pool_slow_lane(session->pool);
	return pool_pick(session->pool);
}

/* Joins the sessions of a wire; of none, NULL, where it will be answered that it is dead. */
static void session_join(struct session *session, struct slot *slot)
{
	session->slot = slot;
	if (slot == NULL) {
		LIST_INSERT_HEAD(&session->pool->dead, session, entry);
		return;
	}
	session->wire = slot->number;
	LIST_INSERT_HEAD(&slot->sessions, session, entry);
	table_put(&slot->by_number, &session->by_number, ++slot->last_session, session);
}

struct wire_session *pool_session_new(struct wires *wires, const struct wire_target *target)
{
	struct pool *pool = (struct pool *)(void *)wires;
	struct session *session = xcalloc(1, sizeof(*session));

	session->base.wires = wires;
	session->pool = pool;
	session->late.fn = session_on_late;
	session->fail.fn = session_on_fail;
	session->late.arg = session->fail.arg = session;
	session_copy_target(session, target);
	snprintf(session->how, sizeof(session->how), "is being started again");
	session_join(session, session_place(session, target->via));
	return &session->base;
}

static void session_send(struct session *session, const struct wire_job *job)
{
	struct process *process = session->slot->process;
	struct buf *out = process_out(process);
	uint64_t timeout_ms = job->timeout_ms;

	if (timeout_ms > MESSAGE_TIMEOUT_MAX)
		timeout_ms = MESSAGE_TIMEOUT_MAX;
	session->overdue = false;
	timer_start(pool_clock(session->pool), &session->late, timeout_ms + GRACE_MS);
	/* While it is being ended the job is not sent; it is answered with the others. */
	if (out == NULL)
		return;
	session->sent = job->kind == WIRE_CHANGE;
	session->attempt = job->kind == WIRE_ADMIN || job->kind == WIRE_PROVE ||
			   job->kind == WIRE_SU || job->kind == WIRE_LOGIN;
	message_put_job(out, session->by_number.number, session->job,
	    job->kind == WIRE_OPEN ? &session->target : NULL, session->via, job);
	process_send(process);
}

/* Tells the wire, where it ever heard of the session. */
static void session_leave(struct session *session)
{
	struct slot *slot = session->slot;
	struct buf *out = process_out(slot->process);
	bool heard = session->job != 0 && !session->held;

	session_let_go(session);
	slot_feed(slot);
	LIST_REMOVE(session, entry);
	table_remove(&slot->by_number, &session->by_number);
	if (out == NULL || !heard)
		return;
	message_put_close(out, session->by_number.number);
	process_send(slot->process);
}

void session_divert(struct session *session, enum fault fault)
{
	uint64_t now_ms = clock_mono_ms(pool_clock(session->pool));

	session->doubtful = fault == FAULT_LOST;
	session_note_slow(session);
	timer_stop(&session->late);
	session_leave(session);
	if (session->through)
		snprintf(session->how, sizeof(session->how), "%s", not_in_lane);
	session_join(session, session->through ? NULL : pool_slow_lane(session->pool));
	session->timeout_ms = session->until_ms > now_ms ? session->until_ms - now_ms : 0;
	if (session->slot == NULL)
		timer_start(pool_clock(session->pool), &session->fail, 0);
	else
		session_open(session);
}

void pool_submit(
    struct wire_session *door, const struct wire_job *job, wire_done_fn done, void *arg)
{
	struct session *session = session_of(door);

	assert(session->done == NULL);
	session->done = done;
	session->arg = arg;
	session->kind = job->kind;
	session->sent = session->attempt = false;
	session->job++;
	session->timeout_ms = job->timeout_ms;
	if (session->slot == NULL)
		timer_start(pool_clock(session->pool), &session->fail, 0);
	else if (job->kind == WIRE_OPEN)
		session_open(session);
	else
		session_send(session, job);
}

void pool_session_free(struct wire_session *door)
{
	struct session *session = session_of(door);

	timer_stop(&session->late);
	timer_stop(&session->fail);
	if (session->slot != NULL && session->done != NULL && !session->held)
		session->slot->orphans++;
	if (session->slot != NULL)
		session_leave(session);
	else
		LIST_REMOVE(session, entry);
	session_clear_target(session);
	free(session);
}
