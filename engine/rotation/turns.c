/*
 * Whose turn it is. Each run has a line of its own, so that none waits for another to end: the run
 * with the fewest visits at work, for its priority, is next; between equals the one that had fewer
 * turns. A run's own limits keep back what is beyond them.
 */
#include "rotation/engine.h"

#include <stdlib.h>

#include "base/mem.h"

/* How many visits of a run stand against one of lower priority. */
static const uint32_t weights[] = {[PRIORITY_LOW] = 1, [PRIORITY_NORMAL] = 4, [PRIORITY_HIGH] = 16};

#define PASS	      16   /* of the lowest priority, for each turn */
#define PACE_SLACK_US 2000 /* the clock's step, and a timer that comes a little late */

static struct turns *turns_of(struct rotation *rotation, struct run *run)
{
	return run != NULL ? &run->turns : &rotation->doubts;
}

static uint32_t turns_weight(const struct run *run)
{
	return weights[run != NULL ? run->task->priority : PRIORITY_NORMAL];
}

/* ── Waiting ── */

void turns_init(struct turns *turns, const struct rotation *rotation)
{
	TAILQ_INIT(&turns->line);
	turns->pass = rotation->pass;
}

void turns_join(struct site *site)
{
	struct rotation *rotation = site->rotation;
	struct turns *turns;

	site->run = site_next(site)->run;
	turns = turns_of(rotation, site->run);
	/* One that had nothing to do has not saved up turns. */
	if (TAILQ_EMPTY(&turns->line) && turns->pass < rotation->pass)
		turns->pass = rotation->pass;
	site_stand(site, gate_is_awaited(site) ? &rotation->urgent : &turns->line);
}

void turns_rejoin(struct site *site)
{
	struct rotation *rotation = site->rotation;

	site_leave(site);
	site_stand_first(
	    site, gate_is_awaited(site) ? &rotation->urgent : &turns_of(rotation, site->run)->line);
}

void turns_rejoin_all(struct line *line)
{
	struct site *site;

	while ((site = TAILQ_LAST(line, line)) != NULL)
		turns_rejoin(site);
}

static void lanes_rejoin(struct lane *lanes, size_t count)
{
	for (size_t i = 0; lanes != NULL && i < count; i++)
		turns_rejoin_all(&lanes[i].parked);
}

void turns_ask_anew(struct rotation *rotation)
{
	struct run *run;

	LIST_FOREACH (run, &rotation->runs, entry) {
		lanes_rejoin(run->nodes, run->node_count);
		lanes_rejoin(run->gateways, run->site_count);
	}
	for (size_t i = 0; i < rotation->site_count; i++)
		gate_ask_anew(rotation->sites[i]);
}

bool turns_waits(const struct rotation *rotation)
{
	const struct run *run;

	if (!TAILQ_EMPTY(&rotation->urgent) || !TAILQ_EMPTY(&rotation->doubts.line))
		return true;
	LIST_FOREACH (run, &rotation->runs, entry)
		if (!TAILQ_EMPTY(&run->turns.line))
			return true;
	return false;
}

/* ── Limits ── */

static struct lane *lanes_new(size_t count)
{
	struct lane *lanes = xcalloc(count + 1, sizeof(*lanes));

	for (size_t i = 0; i < count; i++)
		TAILQ_INIT(&lanes[i].parked);
	return lanes;
}

void turns_open(struct run *run)
{
	const struct rotation *rotation = run->rotation;
	const struct limits *limits = &run->task->limits;

	turns_init(&run->turns, rotation);
	run->node_count = rotation->node_count;
	run->site_count = rotation->site_numbers;
	if (limits->per_node > 0)
		run->nodes = lanes_new(run->node_count);
	if (limits->per_gateway > 0)
		run->gateways = lanes_new(run->site_count);
}

/* What a later policy brought has no lane in a run that began before it. */
static struct lane *node_lane(const struct site *site)
{
	const struct run *run = site->run;

	if (run == NULL || run->nodes == NULL || site->node >= run->node_count)
		return NULL;
	return &run->nodes[site->node];
}

static struct lane *gateway_lane(const struct site *site)
{
	const struct run *run = site->run;
	const struct site *gateway;

	if (run == NULL || run->gateways == NULL || site->asset->gateway == NULL)
		return NULL;
	gateway = rotation_site(site->rotation, site->asset->gateway);
	return gateway->number < run->site_count ? &run->gateways[gateway->number] : NULL;
}

/* The lane in which there is no place for one more; NULL = there is. */
static struct lane *lane_full(const struct site *site)
{
	struct lane *node = node_lane(site), *gateway = gateway_lane(site);

	if (node != NULL && node->visits >= site->run->task->limits.per_node)
		return node;
	if (gateway != NULL && gateway->visits >= site->run->task->limits.per_gateway)
		return gateway;
	return NULL;
}

static bool turns_is_full(const struct run *run)
{
	uint32_t limit = run != NULL ? run->task->limits.in_flight : 0;

	return limit > 0 && run->turns.visits >= limit;
}

/* How long its pace keeps it back. */
static uint64_t turns_wait_us(const struct run *run)
{
	uint64_t now_us = run != NULL ? rotation_now(run->rotation) * 1000 : 0;

	return run != NULL && run->turns.next_us > now_us ? run->turns.next_us - now_us : 0;
}

static void turns_pace(struct run *run)
{
	uint32_t per_second = run != NULL ? run->task->limits.per_second : 0;
	uint64_t now_us;
	struct turns *turns;

	if (per_second == 0)
		return;
	turns = &run->turns;
	now_us = rotation_now(run->rotation) * 1000;
	if (turns->next_us + PACE_SLACK_US < now_us)
		turns->next_us = now_us;
	turns->next_us += 1000000 / per_second;
}

/* ── Turns ── */

/* What stands first and has no place is put aside. */
static void turns_park(struct turns *turns)
{
	struct site *site;
	struct lane *full;

	while ((site = TAILQ_FIRST(&turns->line)) != NULL && (full = lane_full(site)) != NULL) {
		site_leave(site);
		site_stand(site, &full->parked);
	}
}

/* Whether a site of the run's line may be visited now. */
static bool turns_may(struct rotation *rotation, struct run *run, uint64_t *wait_us)
{
	struct turns *turns = turns_of(rotation, run);
	uint64_t us;

	turns_park(turns);
	if (TAILQ_EMPTY(&turns->line) || turns_is_full(run))
		return false;
	us = turns_wait_us(run);
	if (us > 0 && us < *wait_us)
		*wait_us = us;
	return us == 0;
}

static bool turns_is_before(struct rotation *rotation, struct run *a, struct run *b)
{
	const struct turns *first = turns_of(rotation, a), *second = turns_of(rotation, b);
	uint64_t mine = (uint64_t)first->visits * turns_weight(b);
	uint64_t other = (uint64_t)second->visits * turns_weight(a);

	return mine != other ? mine < other : first->pass < second->pass;
}

struct site *turns_pick(struct rotation *rotation, uint64_t *wait_ms)
{
	struct site *site = TAILQ_FIRST(&rotation->urgent);
	uint64_t wait_us = UINT64_MAX;
	struct run *run, *best = NULL;
	bool any;

	*wait_ms = 0;
	if (site != NULL) {
		site_leave(site);
		return site;
	}
	if (rotation->visits >= rotation->settings->in_flight)
		return NULL;
	any = turns_may(rotation, NULL, &wait_us);
	LIST_FOREACH (run, &rotation->runs, entry) {
		if (!turns_may(rotation, run, &wait_us))
			continue;
		if (!any || turns_is_before(rotation, run, best))
			best = run;
		any = true;
	}
	if (any) {
		site = TAILQ_FIRST(&turns_of(rotation, best)->line);
		site_leave(site);
	} else if (wait_us != UINT64_MAX) {
		*wait_ms = (wait_us + 999) / 1000;
	}
	return site;
}

/* ── Visits ── */

static void places_take(const struct site *site)
{
	struct lane *node = node_lane(site), *gateway = gateway_lane(site);

	turns_of(site->rotation, site->run)->visits++;
	if (node != NULL)
		node->visits++;
	if (gateway != NULL)
		gateway->visits++;
}

static void lane_leave(struct lane *lane)
{
	struct site *next;

	if (lane == NULL)
		return;
	lane->visits--;
	next = TAILQ_FIRST(&lane->parked);
	if (next != NULL)
		turns_rejoin(next);
}

void turns_enter(struct site *site)
{
	struct rotation *rotation = site->rotation;
	struct turns *turns = turns_of(rotation, site->run);

	rotation->pass = turns->pass;
	turns->pass += PASS / turns_weight(site->run);
	turns_pace(site->run);
	places_take(site);
}

void turns_leave(struct site *site)
{
	turns_of(site->rotation, site->run)->visits--;
	lane_leave(node_lane(site));
	lane_leave(gateway_lane(site));
	site->run = NULL;
}

bool turns_moves(struct site *site, const struct life *life)
{
	struct run *before = site->run;
	bool place;

	if (life->run == before)
		return true;
	site->run = life->run;
	place = !turns_is_full(site->run) && lane_full(site) == NULL;
	site->run = before;
	if (!place)
		return false;
	turns_leave(site);
	site->run = life->run;
	places_take(site);
	return true;
}

/* ── The end of a run ── */

static void sites_pass_on(struct rotation *rotation, struct line *from)
{
	struct site *site;

	while ((site = TAILQ_FIRST(from)) != NULL) {
		site_leave(site);
		site_stand(site, &rotation->doubts.line);
	}
}

void turns_close(struct run *run)
{
	struct rotation *rotation = run->rotation;

	sites_pass_on(rotation, &run->turns.line);
	for (size_t i = 0; run->nodes != NULL && i < run->node_count; i++)
		sites_pass_on(rotation, &run->nodes[i].parked);
	for (size_t i = 0; run->gateways != NULL && i < run->site_count; i++)
		sites_pass_on(rotation, &run->gateways[i].parked);
	for (size_t i = 0; i < rotation->site_count; i++)
		if (rotation->sites[i]->run == run)
			rotation->sites[i]->run = NULL;
	rotation->doubts.visits += run->turns.visits;
	free(run->nodes);
	free(run->gateways);
}
