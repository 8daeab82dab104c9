/* The door: one engine's life from start to end. */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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

void rotation_break(struct rotation *rotation, const struct error *error)
{
	struct rotation_event event = {.kind = ROTATION_BROKEN, .error = error};

	if (rotation->broken)
		return;
	rotation->broken = true;
	rotation_say(rotation, &event);
}

static int by_node(const void *left, const void *right)
{
	const struct site *const *a = left, *const *b = right;

	return strcmp((*a)->asset->node, (*b)->asset->node);
}

static void sites_number_nodes(struct rotation *rotation)
{
	struct site **sites = xcalloc(rotation->site_count + 1, sizeof(struct site *));

	for (size_t i = 0; i < rotation->site_count; i++)
		sites[i] = &rotation->sites[i];
	qsort(sites, rotation->site_count, sizeof(struct site *), by_node);
	for (size_t i = 0; i < rotation->site_count; i++) {
		if (i == 0 || by_node(&sites[i], &sites[i - 1]) != 0)
			rotation->node_count++;
		sites[i]->node = rotation->node_count - 1;
	}
	free(sites);
}

static void sites_init(struct rotation *rotation)
{
	const struct policy *policy = rotation->config.policy;

	rotation->site_count = policy_asset_count(policy);
	rotation->sites = xcalloc(rotation->site_count + 1, sizeof(*rotation->sites));
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct site *site = &rotation->sites[i];

		site->rotation = rotation;
		site->asset = policy_asset(policy, i);
		TAILQ_INIT(&site->lives);
	}
	sites_number_nodes(rotation);
}

struct rotation *rotation_new(const struct rotation_config *config)
{
	struct rotation *rotation = xcalloc(1, sizeof(*rotation));

	rotation->config = *config;
	rotation->settings = policy_settings(config->policy);
	rotation->started_ms = rotation_now(rotation);
	LIST_INIT(&rotation->runs);
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
	dispatch_clear(rotation);
	while ((run = LIST_FIRST(&rotation->runs)) != NULL) {
		LIST_REMOVE(run, entry);
		keep_clear(&run->keep);
		turns_close(run);
		free(run);
	}
	refusals_clear(rotation);
	free(rotation->sites);
	free(rotation);
}

struct site *rotation_site(struct rotation *rotation, const char *asset)
{
	size_t low = 0, high = rotation->site_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(asset, rotation->sites[middle].asset->name);

		if (order == 0)
			return &rotation->sites[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool rotation_idle(const struct rotation *rotation)
{
	return rotation->lives == 0 && rotation->visits == 0 && LIST_EMPTY(&rotation->runs);
}

enum err rotation_run(struct rotation *rotation, const struct rotation_order *order,
    struct id *execution, struct error *error)
{
	struct run *run;
	enum err err = plan_run(rotation, order, &run, error);

	if (err != ERR_OK)
		return err;
	*execution = run->execution.id;
	LIST_INSERT_HEAD(&rotation->runs, run, entry);
	rotation_tell(rotation, ROTATION_STARTED, &run->execution, NULL);
	dispatch_soon(rotation);
	return ERR_OK;
}
