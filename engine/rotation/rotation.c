/* The door: one engine's life from start to end. */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rotation/note.h"

uint64_t rotation_now(const struct rotation *rotation)
{
	return clock_mono_ms(rotation->config.clock);
}

uint64_t rotation_wall(const struct rotation *rotation)
{
	return clock_wall_ms(rotation->config.clock);
}

static void rotation_say(struct rotation *rotation, const struct rotation_event *event)
{
	if (rotation->config.event != NULL)
		rotation->config.event(rotation->config.arg, event);
}

void rotation_tell(struct rotation *rotation, enum rotation_event_kind kind,
    const struct execution *execution, const struct record *record)
{
	struct rotation_event event = {
	    .kind = kind,
	    .execution = execution,
	    .record = record,
	    .in_flight = rotation->visits,
	};

	rotation_say(rotation, &event);
}

enum err rotation_note(struct rotation *rotation, struct vault_txn *txn,
    enum rotation_event_kind kind, const struct execution *execution, const struct record *record,
    struct error *error)
{
	struct rotation_event event = {.kind = kind, .execution = execution, .record = record};

	if (rotation->config.note == NULL)
		return ERR_OK;
	return rotation->config.note(rotation->config.arg, txn, &event, error);
}

void rotation_break(struct rotation *rotation, const struct error *error)
{
	struct rotation_event event = {.kind = ROTATION_BROKEN, .error = error};

	if (rotation->broken)
		return;
	rotation->broken = true;
	rotation_say(rotation, &event);
}

struct rotation *rotation_new(const struct rotation_config *config)
{
	struct rotation *rotation = xcalloc(1, sizeof(*rotation));

	rotation->config = *config;
	rotation->settings = policy_settings(config->policy.policy);
	rotation->started_ms = rotation_now(rotation);
	LIST_INIT(&rotation->runs);
	LIST_INIT(&rotation->looks);
	LIST_INIT(&rotation->refusals);
	turns_init(&rotation->doubts, rotation);
	TAILQ_INIT(&rotation->urgent);
	sites_init(rotation);
	return rotation;
}

void rotation_free(struct rotation *rotation)
{
	struct run *run;

	if (rotation == NULL)
		return;
	looks_clear(rotation);
	dispatch_clear(rotation);
	while ((run = LIST_FIRST(&rotation->runs)) != NULL) {
		LIST_REMOVE(run, entry);
		keep_clear(&run->keep);
		turns_close(run);
		free(run);
	}
	refusals_clear(rotation);
	sites_free(rotation);
	free(rotation);
}

uint32_t rotation_in_flight(const struct rotation *rotation)
{
	return rotation->visits;
}

bool rotation_idle(const struct rotation *rotation)
{
	return rotation->lives == 0 && rotation->visits == 0 && LIST_EMPTY(&rotation->runs);
}

enum err rotation_run(struct rotation *rotation, const struct rotation_order *order,
    struct id *execution, struct error *error)
{
	struct run *run;
	enum err err;

	/* Of another day: someone may have told the right one of them since. */
	if (LIST_EMPTY(&rotation->runs))
		refusals_clear(rotation);
	err = plan_run(rotation, order, &run, error);
	if (err != ERR_OK)
		return err;
	*execution = run->execution.id;
	LIST_INSERT_HEAD(&rotation->runs, run, entry);
	rotation_tell(rotation, ROTATION_STARTED, &run->execution, NULL);
	dispatch_soon(rotation);
	return ERR_OK;
}
