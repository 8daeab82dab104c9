/*
 * Loads of the policy: one is the newest; an earlier one stays for as long as a request, a run or a
 * visit that began with it goes on.
 */
#include "service/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/place.h"
#include "service/shape.h"

#define SWEEP_MS 1000

/* How many a policy has, and what to do; of one that is not on disk yet, what would be. */
static void say_count(
    const struct service *service, size_t count, bool is_draft, struct error *error)
{
	const char *end = count == 1 ? "" : "s", *them = count == 1 ? "it" : "them";

	if (is_draft)
		error_set(error, ERR_INVALID,
		    "the policy in %s would have %zu error%s: mend %s; nothing was changed",
		    service->dir, count, end, them);
	else
		error_set(error, ERR_INVALID,
		    "the policy in %s has %zu error%s: mend %s, then lockstep check; nothing was "
		    "changed",
		    service->dir, count, end, them);
}

static void say_refused(const struct service *service, enum err err, bool is_draft,
    const struct problems *errors, const struct problems *warnings, json_t **result,
    struct error *error)
{

	*result = json_pack("{s:b, s:o, s:o}", "ok", 0, "errors", shape_problems(errors),
	    "warnings", shape_problems(warnings));
	if (err == ERR_NOT_FOUND) {
		error_set(error, ERR_INVALID, "%s", errors->items[0].text);
		return;
	}
	say_count(service, errors->count + errors->more, is_draft, error);
}

void load_init(
    struct load *load, const char *dir, const struct policy_draft *drafts, size_t draft_count)
{
	*load = (struct load){.dir = dir,
	    .drafts = drafts,
	    .draft_count = draft_count,
	    .problems = xcalloc(2, sizeof(*load->problems))};
}

void load_run(struct load *load)
{
	char *platforms = platforms_dir(), *wordlists = wordlists_dir();
	struct policy_config config = {.dir = load->dir,
	    .platforms_dir = platforms,
	    .wordlists_dir = wordlists,
	    .drafts = load->drafts,
	    .draft_count = load->draft_count,
	    .files = &load->files};

	load->err = policy_load(&load->policy, &config, &load->problems[0], &load->problems[1]);
	free(platforms);
	free(wordlists);
}

struct snapshot *load_take(
    struct service *service, struct load *load, json_t **result, struct error *error)
{
	struct snapshot *snapshot;

	if (load->draft_count == 0) {
		policy_files_clear(&service->files);
		service->files = load->files; /* transferred */
		load->files = (struct policy_files){.count = 0};
	}
	if (load->err != ERR_OK) {
		say_refused(service, load->err, load->draft_count > 0, &load->problems[0],
		    &load->problems[1], result, error);
		return NULL;
	}
	snapshot = xcalloc(1, sizeof(*snapshot));
	snapshot->policy = load->policy; /* transferred */
	load->policy = NULL;
	snapshot->warnings = shape_problems(&load->problems[1]);
	snapshot->loaded_ms = clock_wall_ms(loop_clock(service->loop));
	return snapshot;
}

void load_clear(struct load *load)
{
	policy_free(load->policy);
	policy_files_clear(&load->files);
	problems_clear(&load->problems[0]);
	problems_clear(&load->problems[1]);
	free(load->problems);
}

struct snapshot *snapshot_load(struct service *service, json_t **result, struct error *error)
{
	return snapshot_try(service, NULL, 0, result, error);
}

struct snapshot *snapshot_try(struct service *service, const struct policy_draft *drafts,
    size_t count, json_t **result, struct error *error)
{
	struct snapshot *snapshot;
	struct load load;

	load_init(&load, service->dir, drafts, count);
	load_run(&load);
	snapshot = load_take(service, &load, result, error);
	load_clear(&load);
	return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	policy_free(snapshot->policy);
	json_decref(snapshot->warnings);
	free(snapshot);
}

static bool is_used(const struct service *service, const struct snapshot *snapshot)
{
	return snapshot->uses > 0 ||
	       (service->rotation != NULL && rotation_uses(service->rotation, snapshot->policy));
}

static void sweep(void *arg)
{
	struct service *service = arg;
	struct snapshot *snapshot = TAILQ_FIRST(&service->earlier);

	while (snapshot != NULL) {
		struct snapshot *next = TAILQ_NEXT(snapshot, entry);

		if (!is_used(service, snapshot)) {
			TAILQ_REMOVE(&service->earlier, snapshot, entry);
			snapshot_free(snapshot);
		}
		snapshot = next;
	}
	if (!TAILQ_EMPTY(&service->earlier))
		timer_start(loop_clock(service->loop), &service->sweep, SWEEP_MS);
}

static bool same_scripts(const struct policy *a, const struct policy *b)
{
	size_t count = policy_platform_count(a);

	if (policy_platform_count(b) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!platform_same(policy_platform(a, i), policy_platform(b, i)))
			return false;
	return true;
}

static enum err load_scripts(
    struct service *service, const struct snapshot *snapshot, struct error *error)
{
	size_t count = policy_platform_count(snapshot->policy);
	struct wire_script *scripts = xcalloc(count + 1, sizeof(*scripts));
	enum err err;

	for (size_t i = 0; i < count; i++) {
		const struct platform *platform = policy_platform(snapshot->policy, i);

		scripts[i] = (struct wire_script){
		    .platform = platform->name,
		    .file = platform->file,
		    .source = platform->source,
		    .len = platform->source_len,
		};
	}
	err = wires_load(service->wires, snapshot->number, scripts, count, error);
	free(scripts);
	return err;
}

/* What the wires have for the oldest policy in use must not be pushed out by one more. */
static bool wires_have_room(const struct service *service)
{
	const struct snapshot *oldest = TAILQ_FIRST(&service->earlier);

	return oldest == NULL || service->script_loads + 1 - oldest->number < WIRE_SNAPSHOTS_MAX;
}

enum err snapshot_give_to_wires(
    struct service *service, struct snapshot *snapshot, struct error *error)
{
	const struct snapshot *newest = service->snapshot;

	sweep(service);
	if (newest != snapshot && same_scripts(newest->policy, snapshot->policy)) {
		snapshot->number = newest->number;
		return ERR_OK;
	}
	if (!wires_have_room(service))
		return error_set(error, ERR_LIMIT,
		    "executions that began with platforms of %d loads ago are still in flight: "
		    "reload when they have ended (lockstep status shows them)",
		    WIRE_SNAPSHOTS_MAX - 1);
	snapshot->number = ++service->script_loads;
	return load_scripts(service, snapshot, error);
}

void snapshot_use(struct service *service, struct snapshot *snapshot)
{
	if (service->snapshot != NULL)
		TAILQ_INSERT_TAIL(&service->earlier, service->snapshot, entry);
	service->snapshot = snapshot;
	service->sweep = (struct timer){.fn = sweep, .arg = service};
	if (!TAILQ_EMPTY(&service->earlier))
		timer_start(loop_clock(service->loop), &service->sweep, SWEEP_MS);
}

void snapshots_clear(struct service *service)
{
	struct snapshot *snapshot;

	timer_stop(&service->sweep);
	while ((snapshot = TAILQ_FIRST(&service->earlier)) != NULL) {
		TAILQ_REMOVE(&service->earlier, snapshot, entry);
		snapshot_free(snapshot);
	}
	snapshot_free(service->snapshot);
	service->snapshot = NULL;
	policy_files_clear(&service->files);
}
