/*
 * What was stopped: cancelled, or with the engine that is to end. What had begun ends; nothing more
 * of it begins.
 */
#include "sim.h"

#define DRAIN_MS 300000 /* by then all that was in flight has ended */

void stops_begin(struct sim *sim)
{
	sim->stops = (struct stops){.next = 0};
}

void stops_cancel(struct sim *sim, const struct id *execution)
{
	sim->stops.list[sim->stops.next++ % STOPS] =
	    (struct stop){.execution = *execution, .left = rotation_in_flight(sim->rotation)};
}

void stops_drain(struct sim *sim)
{
	sim->stops.drained_ms = sim->clock.now_ms;
	sim->stops.left = rotation_in_flight(sim->rotation);
}

void stops_look(struct sim *sim)
{
	if (!sim->dead && sim->stops.drained_ms != 0 &&
	    sim->clock.now_ms - sim->stops.drained_ms > DRAIN_MS)
		sim_violation(sim, "it does not end when it is asked to", "-");
}

/* ── Commits ── */

void stops_begin_commit(struct sim *sim)
{
	sim->stops.staged_count = 0;
}

void stops_staged(struct sim *sim, const struct record *record)
{
	if (sim->stops.staged_count == STAGED_MAX)
		sim_die("a transaction that stages more than there is room for");
	sim->stops.staged[sim->stops.staged_count++] = record->execution;
}

static const char *staged_fault(struct sim *sim, const struct id *execution)
{
	struct stops *stops = &sim->stops;

	if (stops->drained_ms != 0 && stops->left-- == 0)
		return "a change begun while it is to end";
	for (size_t i = 0; i < STOPS; i++)
		if (id_equal(&stops->list[i].execution, execution) && stops->list[i].left-- == 0)
			return "a change begun of what was cancelled";
	return NULL;
}

void stops_check_commit(struct sim *sim)
{
	for (size_t i = 0; i < sim->stops.staged_count; i++) {
		const char *fault = staged_fault(sim, &sim->stops.staged[i]);

		if (fault != NULL)
			sim_violation(sim, fault, "-");
	}
}
