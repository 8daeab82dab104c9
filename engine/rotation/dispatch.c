/* Dispatch: which asset is worked on next, within the window; who waits, and until when. */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ── Lives ── */

struct life *life_new(struct site *site)
{
	struct life *life = xcalloc(1, sizeof(*life));

	life->site = site;
	life->subject = &life->record;
	TAILQ_INSERT_TAIL(&site->lives, life, entry);
	site->rotation->lives++;
	return life;
}

void life_free(struct life *life)
{
	struct site *site = life->site;
	struct rotation *rotation = site->rotation;

	TAILQ_REMOVE(&site->lives, life, entry);
	rotation->lives--;
	attempt_close(&life->attempt);
	keep_clear(&life->keep);
	timer_stop(&life->again);
	secret_free(life->write.fresh);
	free(life);
	gate_wake(site);
}

void life_queue(struct life *life, uint64_t delay_ms)
{
	life->ready_ms = rotation_now(life->site->rotation) + delay_ms;
	life->working = false;
	site_wake(life->site);
}

void life_done(struct life *life)
{
	struct run *run = life->run;

	life_free(life);
	if (run != NULL)
		run_ended_life(run);
}

/* ── Sites ── */

void site_stand(struct site *site, struct line *line)
{
	TAILQ_INSERT_TAIL(line, site, entry);
	site->line = line;
}

void site_stand_first(struct site *site, struct line *line)
{
	TAILQ_INSERT_HEAD(line, site, entry);
	site->line = line;
}

void site_leave(struct site *site)
{
	TAILQ_REMOVE(site->line, site, entry);
	site->line = NULL;
}

static void site_timer(void *arg)
{
	site_wake(arg);
}

void site_wake(struct site *site)
{
	struct rotation *rotation = site->rotation;
	const struct life *life = site_next(site);
	uint64_t now_ms = rotation_now(rotation);

	if (life == NULL || site->visit != NULL || site->line != NULL)
		return;
	if (life->ready_ms > now_ms) {
		site->timer.fn = site_timer;
		site->timer.arg = site;
		timer_start(rotation->config.clock, &site->timer, life->ready_ms - now_ms);
		dispatch_soon(rotation);
		return;
	}
	timer_stop(&site->timer);
	site_stand(site, gate_is_awaited(site) ? &rotation->urgent : &rotation->queue);
	dispatch_soon(rotation);
}

static void site_clear(struct site *site)
{
	struct life *life;

	timer_stop(&site->timer);
	visit_free(site->visit);
	while ((life = TAILQ_FIRST(&site->lives)) != NULL)
		life_free(life);
}

/* ── The window ── */

/* Nothing is worked on and nothing is ready: what is left are doubts and retries that wait for
 * their time. */
static void dispatch_say_waiting(struct rotation *rotation)
{
	struct rotation_event event = {.kind = ROTATION_WAITING, .until_ms = UINT64_MAX};

	if (rotation->visits > 0 || rotation->lives == 0 || rotation->config.event == NULL)
		return;
	for (size_t i = 0; i < rotation->site_count; i++) {
		const struct life *life = site_next(&rotation->sites[i]);

		if (life != NULL && life->ready_ms < event.until_ms)
			event.until_ms = life->ready_ms;
	}
	rotation->config.event(rotation->config.arg, &event);
}

/* How many assets may be worked on: the settings' limit, or the smallest of the tasks at work. */
static uint32_t dispatch_window(const struct rotation *rotation)
{
	uint32_t window = rotation->settings->in_flight;
	const struct run *run;

	LIST_FOREACH (run, &rotation->runs, entry)
		if (run->task->in_flight != 0 && run->task->in_flight < window)
			window = run->task->in_flight;
	return window;
}

/* Those who wait for a gateway hold places in the window, so that it needs none. */
static struct site *dispatch_next(const struct rotation *rotation)
{
	if (!TAILQ_EMPTY(&rotation->urgent))
		return TAILQ_FIRST(&rotation->urgent);
	return rotation->visits < dispatch_window(rotation) ? TAILQ_FIRST(&rotation->queue) : NULL;
}

static void dispatch_turn(void *arg)
{
	struct rotation *rotation = arg;
	struct site *site;

	while (rotation->paused == 0 && !rotation->broken &&
	       (site = dispatch_next(rotation)) != NULL) {
		site_leave(site);
		if (!gate_admit(site))
			continue;
		rotation->visits++;
		visit_start(site);
	}
	if (TAILQ_EMPTY(&rotation->queue) && TAILQ_EMPTY(&rotation->urgent))
		dispatch_say_waiting(rotation);
}

void dispatch_soon(struct rotation *rotation)
{
	rotation->turn.fn = dispatch_turn;
	rotation->turn.arg = rotation;
	timer_start(rotation->config.clock, &rotation->turn, 0);
}

void dispatch_clear(struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->site_count; i++)
		site_clear(&rotation->sites[i]);
	gates_clear(rotation);
	timer_stop(&rotation->turn);
}

/* ── Draining ── */

/* What was not begun ends as `skipped: stopped`; what waits to be settled is left to the next time.
 */
static void life_stop(struct life *life)
{
	bool begun = life->reported || life->run == NULL;

	life->working = true;
	if (begun) {
		life_done(life);
		return;
	}
	life->doubt = false;
	life->subject = &life->record;
	life_end(life, STATUS_SKIPPED, "stopped");
}

void rotation_drain(struct rotation *rotation)
{
	rotation->draining = true;
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct life *life = TAILQ_FIRST(&rotation->sites[i].lives);

		while (life != NULL) {
			struct life *next = TAILQ_NEXT(life, entry);

			if (!life->working)
				life_stop(life);
			life = next;
		}
	}
}
