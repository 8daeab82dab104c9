/*
 * The processes that wires are: sessions are spread over them, and with a process all its sessions
 * end. One may be killed, or be stopped for so long that it is killed for it; its jobs are answered
 * after it was waited for, and none but the dead knows how far they had come. When the core dies,
 * they may outlive it, with the vault's lock in their hands.
 */
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC */

#include "sim.h"

#include <fcntl.h>
#include <unistd.h>

#define WAIT_MS	    50	 /* at most, until a killed one is gone */
#define GRACE_MS    5000 /* an answer that is as late as this is not waited for */
#define OUTLIVES_MS 3000 /* at most */

/* ── Which ── */

/* A living one's. */
static bool is_of(const struct sim_session *session, const struct sim_process *process)
{
	return session->process == process && !session->orphan;
}

static size_t process_load(const struct sim *sim, const struct sim_process *process)
{
	const struct sim_session *session;
	size_t load = 0;

	LIST_FOREACH (session, &sim->sessions, entry)
		load += is_of(session, process);
	return load;
}

/* The asset belongs to the slow lane, and so do the gateways between. */
static void lane_note(struct sim_session *session)
{
	for (; session != NULL; session = session->via)
		world_asset(session->sim, session->asset)->slow_lane = true;
}

/* Of no use, as if its wire had died. */
static void session_bar(struct sim_session *session)
{
	session->orphan = session->broken = true;
	sim_seen(session->sim, "a gateway to be opened anew in the slow lane");
}

/* The slow lane is a process of its own; here its sessions are on the others. */
static void lane_place(struct sim_session *session)
{
	bool wanted = world_asset(session->sim, session->asset)->slow_lane;

	session->slow_lane = session->via != NULL ? session->via->slow_lane : wanted;
	if (session->slow_lane || !wanted || session->orphan)
		return;
	lane_note(session->via);
	session_bar(session);
}

bool process_divert(struct sim_session *session)
{
	if (session->slow_lane ||
	    !sim_event(session->sim, "no curve in common", session->asset, 15))
		return false;
	lane_note(session);
	if (session->through)
		session_bar(session);
	else
		session->slow_lane = true;
	return session->through;
}

void process_place(struct sim_session *session)
{
	struct sim *sim = session->sim;
	struct sim_process *best = &sim->processes[0];

	for (size_t i = 1; i < SIM_PROCESSES; i++)
		if (process_load(sim, &sim->processes[i]) < process_load(sim, best))
			best = &sim->processes[i];
	session->process = session->via != NULL ? session->via->process : best;
	session->orphan = session->via != NULL && session->via->orphan;
	session->wire = session->process->number;
	lane_place(session);
}

static void process_begin(struct sim *sim, struct sim_process *process)
{
	*process = (struct sim_process){.sim = sim, .number = ++sim->last_process};
}

void processes_begin(struct sim *sim)
{
	for (size_t i = 0; i < SIM_PROCESSES; i++)
		process_begin(sim, &sim->processes[i]);
	for (size_t i = 0; i < sim->asset_count; i++)
		sim->assets[i].slow_lane = false;
}

/* ── Killed ── */

/* What its job had come to, which nobody hears. */
static void job_unheard(struct sim_session *session)
{
	static const char what[] = "how far a dead wire had come";
	struct wire_result lost = {.fault = FAULT_NONE};
	uint32_t far = sim_choose(session->sim, what, session->asset, 3);

	if (session->broken || session_is_cut(session))
		return;
	if (sim_bug == BUG_NOT_WAITED && session->kind == WIRE_CHANGE)
		world_apply_after(session->sim, session->account, session->secret, OUTLIVES_MS);
	else if (far == 1)
		job_do(session, &lost);
	else if (far == 2 && session->kind == WIRE_CHANGE)
		world_apply_later(session->sim, session->account, session->secret);
}

static void process_kill(struct sim_process *process)
{
	struct sim *sim = process->sim;
	uint64_t wait_ms = 1 + sim_choose(sim, "how long a dead wire is waited for", "", WAIT_MS);
	struct sim_session *session;

	sim_trace(sim, "  wire %u is killed", process->number);
	timer_stop(&process->timer);
	LIST_FOREACH (session, &sim->sessions, entry)
		if (is_of(session, process) && session->busy)
			job_unheard(session);
	LIST_FOREACH (session, &sim->sessions, entry) {
		if (!is_of(session, process))
			continue;
		session->orphan = session->broken = true;
		if (session->busy)
			timer_start(&sim->clock.clock, &session->timer, wait_ms);
	}
	process_begin(sim, process);
}

/* As engine/wire/pool.c answers for it: of what was handed over, the worst is assumed. */
void process_answer_dead(struct sim_session *session, struct wire_result *result)
{
	bool attempt = session->kind == WIRE_ADMIN || session->kind == WIRE_PROVE ||
		       session->kind == WIRE_SU || session->kind == WIRE_LOGIN;

	result->fault = FAULT_WIRE;
	result->sent = session->handed && session->kind == WIRE_CHANGE;
	result->failed_attempts = session->handed && attempt ? 1 : 0;
	result->via_lost = session->through;
	sim_seen(session->sim, "answered for a dead wire");
}

/* ── Stopped ── */

static void process_late(void *arg)
{
	struct sim_process *process = arg;

	sim_seen(process->sim, "a wire killed for its silence");
	process_kill(process);
}

/* The first time at which one of its jobs is overdue. */
static uint64_t process_overdue_ms(const struct sim_process *process)
{
	const struct sim_session *session;
	uint64_t first_ms = UINT64_MAX;

	LIST_FOREACH (session, &process->sim->sessions, entry)
		if (is_of(session, process) && session->busy &&
		    session->until_ms + GRACE_MS < first_ms)
			first_ms = session->until_ms + GRACE_MS;
	return first_ms;
}

/* It goes on before anyone misses it, or never. */
static void process_stop(struct sim_process *process)
{
	struct sim *sim = process->sim;
	uint64_t now_ms = sim->clock.now_ms, overdue_ms = process_overdue_ms(process);
	uint64_t left_ms = overdue_ms > now_ms ? overdue_ms - now_ms : 1; /* it is missed already */
	uint64_t pause_ms = 1 + sim_amount(sim, (uint32_t)left_ms * 2);
	struct sim_session *session;

	process->resumes_ms = pause_ms + GRACE_MS < left_ms ? now_ms + pause_ms : UINT64_MAX;
	LIST_FOREACH (session, &sim->sessions, entry)
		if (is_of(session, process) && session->busy)
			process_start_job(session, 0);
	if (process->resumes_ms == UINT64_MAX) {
		process->timer.fn = process_late;
		process->timer.arg = process;
		timer_start(&sim->clock.clock, &process->timer, left_ms);
	}
}

void process_start_job(struct sim_session *session, uint64_t delay_ms)
{
	const struct sim_process *process = session->process;
	struct clock *clock = &session->sim->clock.clock;
	uint64_t now_ms = session->sim->clock.now_ms;

	timer_stop(&session->timer);
	if (session->orphan)
		timer_start(clock, &session->timer, 0);
	else if (process->resumes_ms == UINT64_MAX)
		return; /* it will be killed with this in its hand */
	else if (process->resumes_ms > now_ms)
		timer_start(clock, &session->timer, process->resumes_ms - now_ms + delay_ms);
	else
		timer_start(clock, &session->timer, delay_ms);
}

bool process_meddle(struct sim_session *session)
{
	struct sim *sim = session->sim;

	if (sim_rarely(sim, "a wire taken over", session->asset, 500))
		session->process->lies = true;
	if (sim_event(sim, "a wire killed", session->asset, 8))
		process_kill(session->process);
	else if (sim_event(sim, "a wire stopped", session->asset, 4))
		process_stop(session->process);
	else if (session->process->lies && session->kind == WIRE_OPEN &&
		 sim_event(sim, "a wire breaks the protocol", session->asset, 100))
		process_kill(session->process);
	else
		return false;
	return true;
}

/* ── When the core dies ── */

static bool is_in_hand(const struct sim_session *session, enum wire_job_kind kind)
{
	return session->busy && !session->broken && session->kind == kind;
}

/* They may outlive it for a while, with the vault's lock in their hands. */
static void processes_outlive(struct sim *sim)
{
	sim->wires_until_ms = sim->clock.now_ms;
	if (!sim_event(sim, "wires outlive the core", "", 150))
		return;
	sim->wires_until_ms += 1 + sim_amount(sim, OUTLIVES_MS);
	if (sim_bug != BUG_NO_LOCK)
		sim->wires_lock = fcntl(vault_lock_fd(sim->vault), F_DUPFD_CLOEXEC, 0);
}

void processes_crash(struct sim *sim)
{
	struct sim_session *session;

	if (sim->vault == NULL) /* it did not come so far as to start one */
		return;
	processes_outlive(sim);
	LIST_FOREACH (session, &sim->sessions, entry) {
		if (is_in_hand(session, WIRE_CHANGE) &&
		    sim_choose(sim, "left before the crash", session->name, 3) > 0)
			world_apply_after(sim, session->account, session->secret,
			    sim->wires_until_ms - sim->clock.now_ms);
		else if (is_in_hand(session, WIRE_PERSIST) &&
			 sim_choose(sim, "persisted before the crash", session->name, 2) > 0)
			keys_persist(sim, session->account, session->secret);
		timer_stop(&session->timer);
	}
	for (size_t i = 0; i < SIM_PROCESSES; i++)
		timer_stop(&sim->processes[i].timer);
}

void processes_wait(struct sim *sim)
{
	sim_clock_run_until(&sim->clock, sim->wires_until_ms);
	close(sim->wires_lock);
	sim->wires_lock = 0;
	sim_seen(sim, "wires that outlived the core waited for");
}
