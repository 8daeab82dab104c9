/* The engine of a history: started, crashed at any point, started again (sim.h says how). */
#include "sim.h"

#include <string.h>
#include <unistd.h>

struct sim *sim_running;

/* ── Starting ── */

/* What the engine cannot do, for want of room or after a failed disk, it does after a restart. */
void core_failed(struct sim *sim, const char *what, const struct error *error)
{
	if (sim->dead)
		return;
	if (error->code == ERR_FULL || disk_broke(sim->ground->disk))
		sim->broke = true;
	else
		sim_violation(sim, what, "%s", error->text);
}
static struct vault_config core_vault_config(struct sim *sim)
{
	return (struct vault_config){
	    .dir = sim->ground->dir,
	    .key_path = masters_path(sim),
	    .purpose = "simulation",
	    .clock = &sim->clock.clock,
	    .keep_versions = sim->keep_versions,
	};
}

static void core_open(struct sim *sim)
{
	struct vault_config config = core_vault_config(sim);
	struct error error = {.text = ""};

	sim->dead = false;
	sim->broke = sim->drained = false;
	sim->looking = 0;
	reload_begin(sim);
	stops_begin(sim);
	if (sim->clock.now_ms < sim->wires_until_ms)
		sim_violation(sim, "an engine starts beside an older one's wires", "-");
	if (vault_open(&sim->vault, &config, &error) != ERR_OK) {
		sim->vault = NULL;
		core_failed(sim, "the vault does not open", &error);
		return;
	}
	sim_wires_init(sim);
	sim->rotation = rotation_new(&(struct rotation_config){
	    .policy = {.policy = reload_now(sim)->policy,
		.snapshot = sim->reloads.loads[sim->reloads.at].number},
	    .vault = sim->vault,
	    .wires = &sim->wires,
	    .clock = &sim->clock.clock,
	    .event = said,
	    .arg = sim,
	});
	if (rotation_recover(sim->rotation, &error) != ERR_OK)
		core_failed(sim, "it does not recover", &error);
	if (sim->follows && !sim->calm)
		sim->scheduler = scheduler_new(sim->rotation);
	when_begin(sim, false);
}

static void core_close(struct sim *sim)
{
	scheduler_free(sim->scheduler);
	rotation_free(sim->rotation);
	vault_close(sim->vault);
	sim->scheduler = NULL;
	sim->rotation = NULL;
	sim->vault = NULL;
}

/* While wires of the last one live there is no other. */
static void core_await_wires(struct sim *sim)
{
	struct vault_config config = core_vault_config(sim);
	struct error error = {.text = ""};
	struct vault *vault = NULL;

	if (vault_open(&vault, &config, &error) != ERR_BUSY) {
		sim->dead = false;
		sim_violation(
		    sim, "an engine starts beside an older one's wires", "%s", error.text);
		vault_close(vault);
	}
	processes_wait(sim);
}

void core_settle(struct sim *sim)
{
	while ((sim->dead || sim->broke) && sim->violation == NULL) {
		if (!sim->dead)
			core_kill(sim, "it ended");
		if (sim->broke) /* someone makes room and starts it again */
			disk_fill(sim->ground->disk, 0);
		core_close(sim);
		disk_restart(sim->ground->disk);
		if (sim->wires_lock != 0)
			core_await_wires(sim);
		copies_arrive(sim);
		core_open(sim);
		if (!sim->dead && !sim->broke && sim->violation == NULL) {
			copies_look(sim);
			check_start(sim);
		}
	}
}

void core_start(struct sim *sim)
{
	sim_running = sim;
	core_open(sim);
	core_settle(sim);
}

void core_stop(struct sim *sim)
{
	core_close(sim);
	if (sim->wires_lock != 0) /* a violation ended the history while they lived */
		close(sim->wires_lock);
	sim_running = NULL;
}

/* ── Ending ── */

void core_kill(struct sim *sim, const char *where)
{
	sim_trace(sim, "CRASH (%s)", where);
	sim->cover->crashes++;
	disk_stop(sim->ground->disk);
	processes_crash(sim);
	sim->dead = true;
	sim->looks = false; /* what is started now settles doubts */
}

/*
 * How often it crashes at each moment of a commit that does this: oftener where histories seldom
 * come, or a million of them would hardly crash there.
 */
static const struct {
	const char *name;
	uint32_t permille;
} rare[] = {
    {"key promoted", 40},
    {"key staged", 40},
    {"master key changed", 60},
    {"master key confirmed", 60},
    {"mismatch", 150},
    {"nothing → skipped", 40},
    {"nothing → unverified", 60},
    {"planned → success", 50},
    {"planned → unverified", 30},
    {"retired, no verdict", 150},
    {"retired, not live", 100},
    {"secret told", 150},
    {"staged (put back) → failed", 250},
    {"staged (put back) → staged (put back)", 250},
    {"staged (put back) → unverified", 120},
    {"staged → failed", 200},
    {"staged → planned", 100},
    {"staged → staged", 150},
    {"staged → staged (put back)", 120},
    {"task handled", 20},
    {"task paused", 60},
    {"unverified → failed", 250},
    {"unverified → success", 50},
    {"values sealed anew", 60},
};

static uint32_t note_permille(const char *name)
{
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++)
		if (strcmp(rare[i].name, name) == 0)
			return rare[i].permille;
	return 0;
}

/* At this moment, where it did not crash at one before: each is as likely as the next. */
static uint32_t commit_permille(const struct sim *sim, enum cover_moment moment)
{
	uint32_t most = sim->crash_permille;

	for (size_t i = 0; most > 0 && i < sim->note_count; i++) {
		uint32_t its = note_permille(sim->notes[i].name);

		if (its > most)
			most = its;
	}
	return most * 1000 / (1000 - (moment - MOMENT_BEFORE) * most);
}

/* One more point: true when it is the one that was asked for. */
static bool point_is_asked_for(struct sim *sim)
{
	return sim->crash_in > 0 && --sim->crash_in == 0;
}

void core_point(struct sim *sim, const char *name)
{
	if (sim->dead || sim->rotation == NULL)
		return;
	cover_add(sim->cover, COVER_POINT, name, MOMENT_PASSED);
	if (point_is_asked_for(sim) ? !sim_event_now(sim, "crash at", name)
				    : !sim_event(sim, "crash at", name, sim->crash_permille))
		return;
	cover_add(sim->cover, COVER_POINT, name, MOMENT_BEFORE);
	core_kill(sim, name);
}

/* Where the engine says so itself (base/crash.h). */
void crash_point_seen(const char *name);
void crash_point_seen(const char *name)
{
	if (sim_running != NULL)
		core_point(sim_running, name);
}

/* ── Commits ── */

static void notes_cover(struct sim *sim, enum cover_moment moment)
{
	for (size_t i = 0; i < sim->note_count; i++)
		cover_add(sim->cover, sim->notes[i].group, sim->notes[i].name, moment);
}

/* All that one is made of, most telling last. */
static const char *notes_name(const struct sim *sim)
{
	return sim->note_count > 0 ? sim->notes[sim->note_count - 1].name : "attempt booked";
}

void core_commit_at(struct sim *sim, enum cover_moment moment)
{
	static const char *const events[MOMENTS] = {
	    [MOMENT_BEFORE] = "crash before commit",
	    [MOMENT_TORN] = "crash in commit, unsynced",
	    [MOMENT_SYNCED] = "crash in commit, synced",
	    [MOMENT_AFTER] = "crash after commit",
	};

	if (sim->dead || sim->rotation == NULL)
		return;
	if (sim->note_count == 0)
		note_add(sim, COVER_COMMIT, "attempt booked");
	if (moment == MOMENT_AFTER)
		notes_cover(sim, MOMENT_PASSED);
	if (point_is_asked_for(sim)
		? !sim_event_now(sim, events[moment], notes_name(sim))
		: !sim_event(sim, events[moment], notes_name(sim), commit_permille(sim, moment)))
		return;
	notes_cover(sim, moment);
	core_kill(sim, events[moment]);
}
