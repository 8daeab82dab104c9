/*
 * Policies come and go while work goes on: what is begun ends by the policy that it began with. A
 * site changes over when no visit is there; what waits at it is then done as the new one says.
 */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NODE_NONE UINT32_MAX

static void site_see(struct site *site, const struct asset *asset)
{
	const struct rotation *rotation = site->rotation;

	if (site->asset != NULL && strcmp(site->asset->node, asset->node) != 0)
		site->node = NODE_NONE;
	site->asset = asset;
	site->policy = rotation->config.policy.policy;
	site->settings = rotation->settings;
	site->snapshot = rotation->config.policy.snapshot;
}

static struct site *site_new(struct rotation *rotation, const struct asset *asset)
{
	struct site *site = xcalloc(1, sizeof(*site));

	site->rotation = rotation;
	site->number = rotation->site_numbers++;
	site->node = NODE_NONE;
	TAILQ_INIT(&site->lives);
	site_see(site, asset);
	return site;
}

/* ── Nodes ── */

static int by_node(const void *left, const void *right)
{
	const struct site *const *a = left, *const *b = right;

	return strcmp((*a)->asset->node, (*b)->asset->node);
}

/* The first of its node among sites in order of that; NULL = there is none. */
static struct site *first_of_node(struct site **sites, size_t count, const char *node)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(sites[middle]->asset->node, node) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && strcmp(sites[low]->asset->node, node) == 0 ? sites[low] : NULL;
}

/* Those without a number, in order of their nodes. */
static size_t sites_unnumbered(const struct rotation *rotation, struct site **out)
{
	size_t count = 0;

	for (size_t i = 0; i < rotation->site_count; i++)
		if (rotation->sites[i]->node == NODE_NONE)
			out[count++] = rotation->sites[i];
	if (count > 1)
		qsort(out, count, sizeof(*out), by_node);
	return count;
}

/* All with the same node have the same number. A reload adds few to many, and the loop waits. */
static void sites_number_nodes(struct rotation *rotation)
{
	struct site **new = xcalloc(rotation->site_count + 1, sizeof(*new));
	size_t count = sites_unnumbered(rotation, new);

	for (size_t i = 0; count > 0 && i < rotation->site_count; i++) {
		const struct site *site = rotation->sites[i];
		struct site *first =
		    site->node == NODE_NONE ? NULL : first_of_node(new, count, site->asset->node);

		if (first != NULL && first->node == NODE_NONE)
			first->node = site->node;
	}
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && by_node(&new[i - 1], &new[i]) == 0)
			new[i]->node = new[i - 1]->node;
		else if (new[i]->node == NODE_NONE)
			new[i]->node = rotation->node_count++;
	}
	free(new);
}

/* Of a site that has changed its node, after a visit that the new policy did not wait for. */
static uint32_t node_number(const struct site *site)
{
	struct rotation *rotation = site->rotation;

	for (size_t i = 0; i < rotation->site_count; i++) {
		const struct site *other = rotation->sites[i];

		if (other->node != NODE_NONE && strcmp(other->asset->node, site->asset->node) == 0)
			return other->node;
	}
	return rotation->node_count++;
}

static void site_change(struct site *site)
{
	const struct policy *newest = site->rotation->config.policy.policy;
	const struct asset *asset;

	if (site->policy == newest || site->visit != NULL)
		return;
	asset = policy_asset_find(newest, site->asset->name);
	if (asset != NULL)
		site_see(site, asset);
}

void site_adopt(struct site *site)
{
	site_change(site);
	if (site->node == NODE_NONE)
		site->node = node_number(site);
}

void sites_init(struct rotation *rotation)
{
	const struct policy *policy = rotation->config.policy.policy;

	rotation->site_count = policy_asset_count(policy);
	rotation->sites = xcalloc(rotation->site_count + 1, sizeof(struct site *));
	for (size_t i = 0; i < rotation->site_count; i++)
		rotation->sites[i] = site_new(rotation, policy_asset(policy, i));
	sites_number_nodes(rotation);
}

void sites_free(struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->site_count; i++)
		free(rotation->sites[i]);
	free(rotation->sites);
}

struct site *rotation_site(struct rotation *rotation, const char *asset)
{
	size_t low = 0, high = rotation->site_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(asset, rotation->sites[middle]->asset->name);

		if (order == 0)
			return rotation->sites[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ── A new policy ── */

/* Its asset left the inventory: what only waits to be settled is kept in the vault, and waits
 * there.
 */
static void site_forget_doubts(struct site *site)
{
	struct life *life = TAILQ_FIRST(&site->lives);

	while (life != NULL) {
		struct life *next = TAILQ_NEXT(life, entry);

		if (life->run == NULL && !life->working)
			life_done(life);
		life = next;
	}
}

void rotation_reload(struct rotation *rotation, const struct rotation_policy *newest)
{
	const struct policy *policy = newest->policy;
	struct site **old = rotation->sites;
	size_t count = policy_asset_count(policy), old_count = rotation->site_count;
	size_t i = 0, k = 0;

	turns_ask_anew(rotation);
	rotation->config.policy = *newest;
	rotation->settings = policy_settings(policy);
	rotation->sites = xcalloc(count + old_count + 1, sizeof(struct site *));
	rotation->site_count = 0;
	while (i < count || k < old_count) {
		const struct asset *asset = i < count ? policy_asset(policy, i) : NULL;
		struct site *site = k < old_count ? old[k] : NULL;
		int order = asset == NULL ? 1 : -1;

		if (asset != NULL && site != NULL)
			order = strcmp(asset->name, site->asset->name);
		if (order < 0)
			site = site_new(rotation, asset);
		else if (order == 0 && site->visit == NULL)
			site_see(site, asset);
		rotation->sites[rotation->site_count++] = site;
		i += order <= 0;
		k += order >= 0;
	}
	free(old);
	for (i = 0; i < rotation->site_count; i++)
		if (rotation->sites[i]->policy != policy)
			site_forget_doubts(rotation->sites[i]);
	sites_number_nodes(rotation);
	dispatch_soon(rotation);
}

/* ── The end of an old one ── */

static bool site_is_free(const struct site *site)
{
	return site->visit == NULL && TAILQ_EMPTY(&site->lives) && site->line == NULL &&
	       !looks_at(site);
}

/* Gateways of what works by the policy are found by their names: all of its sites go together. */
static bool policy_is_at_work(const struct rotation *rotation, const struct policy *policy)
{
	const struct run *run;

	LIST_FOREACH (run, &rotation->runs, entry)
		if (run->policy == policy)
			return true;
	for (size_t i = 0; i < rotation->site_count; i++)
		if (rotation->sites[i]->policy == policy && !site_is_free(rotation->sites[i]))
			return true;
	return false;
}

bool rotation_uses(struct rotation *rotation, const struct policy *policy)
{
	size_t kept = 0;
	bool used = false;

	if (policy == rotation->config.policy.policy || policy_is_at_work(rotation, policy))
		return true;
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct site *site = rotation->sites[i];
		bool goes = site->policy == policy && gate_clear(site);

		used = used || (site->policy == policy && !goes);
		if (goes) {
			timer_stop(&site->timer);
			free(site);
		} else {
			rotation->sites[kept++] = site;
		}
	}
	rotation->site_count = kept;
	return used;
}
