/*
 * Gateways: that each is there, and that every way through them ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"

#define UNKNOWN	  UINT32_MAX
#define ON_WAY	  (UINT32_MAX - 1)
#define SHOWN_MAX 10 /* names of a loop */
#define MEANT_MAX 50 /* problems that say what was meant */

static const struct field_path field = {.name = "gateway"};

/* How many gateways stand before each asset. */
struct ways {
	struct loader *loader;
	struct asset_row *const *rows;
	uint32_t *depth; /* by index; UNKNOWN, or ON_WAY on the way that is followed now */
	size_t *way;
	size_t way_len;
};

static bool gateway_index(const struct policy *policy, const struct asset *asset, size_t *index)
{
	const struct asset *gateway =
	    asset->gateway ? policy_asset_find(policy, asset->gateway) : NULL;

	if (gateway)
		*index = (size_t)(gateway - policy->assets);
	return gateway != NULL;
}

const char *meant_asset(
    const struct policy *policy, const struct problems *problems, const char *name)
{
	return problems->count < MEANT_MAX ? policy_asset_nearest(policy, name) : NULL;
}

/* ── Names ───────────────────────────────────────────────────────────────────────────────── */

static void check_name(
    struct loader *loader, const struct statement *statement, const char *gateway)
{
	if (gateway && strcmp(gateway, GATEWAY_NONE) != 0 &&
	    !policy_asset_find(loader->policy, gateway))
		statement_problem(loader->errors, statement, &field,
		    meant_asset(loader->policy, loader->errors, gateway),
		    "there is no asset \"%s\" to be the gateway", gateway);
}

/* One that a node names is reported there, once. */
static void check_names(const struct ways *ways)
{
	const struct node_decl *node;

	STAILQ_FOREACH (node, &ways->loader->nodes, link)
		check_name(ways->loader, node->statement, node->traits.gateway);
	for (size_t i = 0; i < ways->loader->policy->asset_count; i++) {
		const struct statement statement = row_statement(ways->rows[i]);

		check_name(ways->loader, &statement, ways->rows[i]->class->traits.gateway);
	}
}

/* ── Ways ────────────────────────────────────────────────────────────────────────────────── */

/* "a → b → a": the loop that begins at `from` on the way. */
static void report_loop(const struct ways *ways, size_t from)
{
	const struct asset *assets = ways->loader->policy->assets;
	size_t first = ways->way[from], used = 0;
	const struct statement statement = row_statement(ways->rows[first]);
	char names[512] = "";

	for (size_t i = from; i < ways->way_len && used < sizeof(names); i++)
		if (i - from < SHOWN_MAX)
			used += (size_t)snprintf(
			    names + used, sizeof(names) - used, "%s → ", assets[ways->way[i]].name);
	statement_problem(ways->loader->errors, &statement, &field, NULL,
	    "its gateway leads back to it: %s%s%s; gateway = false says of one that it is reached "
	    "directly",
	    names, ways->way_len - from > SHOWN_MAX ? "… → " : "", assets[first].name);
}

static void report_depth(const struct ways *ways, size_t index)
{
	const struct statement statement = row_statement(ways->rows[index]);

	statement_problem(ways->loader->errors, &statement, &field, NULL,
	    "is reached through %d gateways, one behind the other; at most %d are possible",
	    GATEWAYS_MAX + 1, GATEWAYS_MAX);
}

static size_t way_find(const struct ways *ways, size_t index)
{
	size_t at = 0;

	while (ways->way[at] != index)
		at++;
	return at;
}

/* The way's assets, the last first, with `depth` gateways before the last. */
static void way_settle(struct ways *ways, uint32_t depth)
{
	while (ways->way_len > 0) {
		size_t index = ways->way[--ways->way_len];

		ways->depth[index] = depth++;
		if (ways->depth[index] == GATEWAYS_MAX + 1)
			report_depth(ways, index);
	}
}

static void way_follow(struct ways *ways, size_t index)
{
	const struct policy *policy = ways->loader->policy;

	while (ways->depth[index] == UNKNOWN) {
		ways->depth[index] = ON_WAY;
		ways->way[ways->way_len++] = index;
		if (!gateway_index(policy, &policy->assets[index], &index)) {
			way_settle(ways, 0);
			return;
		}
	}
	if (ways->depth[index] != ON_WAY) {
		way_settle(ways, ways->depth[index] + 1);
		return;
	}
	report_loop(ways, way_find(ways, index));
	while (ways->way_len > 0)
		ways->depth[ways->way[--ways->way_len]] = 0;
}

void gateways_check(struct loader *loader, struct asset_row *const *rows)
{
	size_t count = loader->policy->asset_count;
	struct ways ways = {.loader = loader,
	    .rows = rows,
	    .depth = xcalloc(count + 1, sizeof(ways.depth[0])),
	    .way = xcalloc(count + 1, sizeof(ways.way[0]))};

	check_names(&ways);
	for (size_t i = 0; i < count; i++)
		ways.depth[i] = UNKNOWN;
	for (size_t i = 0; i < count; i++)
		way_follow(&ways, i);
	free(ways.depth);
	free(ways.way);
}
