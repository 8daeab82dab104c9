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
	bool canary = run != NULL && run->held && !life->held;
	enum status status = life->record.status;

	life_free(life);
	if (canary)
		run_ended_canary(run, status);
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
	const struct life *life;
	uint64_t now_ms = rotation_now(rotation);

	site_adopt(site);
	life = site_next(site);
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
	turns_join(site);
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
		const struct life *life = site_next(rotation->sites[i]);

		if (life != NULL && life->ready_ms < event.until_ms)
			event.until_ms = life->ready_ms;
	}
	rotation->config.event(rotation->config.arg, &event);
}

static void dispatch_turn(void *arg)
{
	struct rotation *rotation = arg;
	uint64_t wait_ms = 0;
	struct site *site;

	while (rotation->paused == 0 && !rotation->broken &&
	       (site = turns_pick(rotation, &wait_ms)) != NULL) {
		/* Someone looks at it: the end of that wakes it. */
		if (site->visit != NULL || !gate_admit(site))
			continue;
		rotation->visits++;
		turns_enter(site);
		visit_start(site);
	}
	if (wait_ms > 0)
		timer_start(rotation->config.clock, &rotation->turn, wait_ms);
	if (!turns_waits(rotation))
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
		site_clear(rotation->sites[i]);
	gates_clear(rotation);
	timer_stop(&rotation->turn);
}

/* ── Draining ── */

void life_stop(struct life *life, const char *reason)
{
	life->working = true;
	life->doubt = false;
	life->subject = &life->record;
	life_end(life, STATUS_SKIPPED, reason);
}

/* What waits to be settled is left to the next time. */
static void life_drain(struct life *life)
{
	if (life->reported || life->run == NULL)
		life_done(life);
	else
		life_stop(life, "stopped");
}

void rotation_drain(struct rotation *rotation)
{
	rotation->draining = true;
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct life *life = TAILQ_FIRST(&rotation->sites[i]->lives);

		while (life != NULL) {
			struct life *next = TAILQ_NEXT(life, entry);

			if (!life->working)
				life_drain(life);
			life = next;
		}
	}
}
