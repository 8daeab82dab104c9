/*
 * Canaries: the accounts that a run tries first. Chosen by names alone, so that each run of a task
 * chooses the same, and so that the first few differ in what can go wrong: one of each kind of
 * place before a second one of any, one account of an asset before its next.
 */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/spread.h"

struct candidate {
	const struct asset *asset;
	size_t record; /* its index */
	enum turn turn;
	uint64_t spread;
	uint32_t of_asset; /* its number among those of the same asset */
	uint32_t of_place; /* of the same platform and node */
};

static int number_order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_asset(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = strcmp(a->asset->name, b->asset->name);

	if (order == 0)
		order = number_order(a->turn, b->turn);
	return order != 0 ? order : number_order(a->spread, b->spread);
}

static int place_order(const struct asset *a, const struct asset *b)
{
	int order = strcmp(a->platform, b->platform);

	return order != 0 ? order : strcmp(a->node, b->node);
}

static int by_place(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = place_order(a->asset, b->asset);

	if (order == 0)
		order = number_order(a->of_asset, b->of_asset);
	return order != 0 ? order : number_order(a->spread, b->spread);
}

/* In the order in which an asset's accounts have their turn: one that was held back before another
 * would hold that up. */
static int by_rank(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = number_order(a->turn, b->turn);

	if (order == 0)
		order = number_order(a->of_place, b->of_place);
	return order != 0 ? order : number_order(a->spread, b->spread);
}

static void candidates_number(struct candidate *candidates, size_t count)
{
	qsort(candidates, count, sizeof(*candidates), by_asset);
	for (size_t i = 1; i < count; i++)
		if (candidates[i].asset == candidates[i - 1].asset)
			candidates[i].of_asset = candidates[i - 1].of_asset + 1;
	qsort(candidates, count, sizeof(*candidates), by_place);
	for (size_t i = 1; i < count; i++)
		if (place_order(candidates[i].asset, candidates[i - 1].asset) == 0)
			candidates[i].of_place = candidates[i - 1].of_place + 1;
	qsort(candidates, count, sizeof(*candidates), by_rank);
}

static struct candidate candidate_of(const struct rotation *rotation, const struct task *task,
    const struct record *records, size_t index)
{
	const struct record *record = &records[index];
	const struct asset *asset =
	    policy_asset_find(rotation->config.policy.policy, record->asset);
	uint64_t spread = spread_text(0, task->name);

	spread = spread_text(spread, record->asset);
	spread = spread_text(spread, record->account);
	return (struct candidate){
	    .asset = asset,
	    .record = index,
	    .turn = lifeline_turn(asset, record->account),
	    .spread = spread_end(spread_number(spread, record->kind)),
	};
}

void canary_ranks(const struct rotation *rotation, const struct task *task,
    const struct record *records, size_t count, uint32_t *ranks)
{
	struct candidate *candidates = xcalloc(count + 1, sizeof(*candidates));
	size_t planned = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i].status == STATUS_PLANNED)
			candidates[planned++] = candidate_of(rotation, task, records, i);
	candidates_number(candidates, planned);
	for (size_t i = 0; i < planned; i++)
		ranks[candidates[i].record] = (uint32_t)i;
	free(candidates);
}
