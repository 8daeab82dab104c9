#include "engine_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"

/* ── The clock ───────────────────────────────────────────────────────────────────────────── */

static struct hand_clock *hand(struct clock *clock)
{
	return (struct hand_clock *)(void *)clock;
}

static uint64_t hand_mono_ms(struct clock *clock)
{
	return hand(clock)->now_ms;
}

static uint64_t hand_wall_ms(struct clock *clock)
{
	return (uint64_t)((int64_t)hand(clock)->now_ms + hand(clock)->wall_ms);
}

static void hand_stop(struct clock *clock, struct timer *timer)
{
	struct hand_timer *entry = timer->impl;

	if (entry == NULL)
		return;
	TAILQ_REMOVE(&hand(clock)->timers, entry, entry);
	timer->impl = NULL;
	free(entry);
}

static void hand_start(struct clock *clock, struct timer *timer, uint64_t delay_ms)
{
	struct hand_clock *self = hand(clock);
	struct hand_timer *entry = xcalloc(1, sizeof(*entry)), *later;

	hand_stop(clock, timer);
	entry->timer = timer;
	entry->at_ms = self->now_ms + delay_ms;
	timer->impl = entry;
	TAILQ_FOREACH (later, &self->timers, entry) {
		if (later->at_ms > entry->at_ms) {
			TAILQ_INSERT_BEFORE(later, entry, entry);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&self->timers, entry, entry);
}

static const struct clock_ops hand_ops = {
    .mono_ms = hand_mono_ms,
    .wall_ms = hand_wall_ms,
    .start = hand_start,
    .stop = hand_stop,
};

/* ── The wires ───────────────────────────────────────────────────────────────────────────── */

struct hand_session {
	struct wire_session session; /* first */
	LIST_ENTRY(hand_session) entry;
	struct engine *engine;
	const struct asset *asset;
	bool privileged;
	enum wire_job_kind kind;
	struct timer timer;
	wire_done_fn done;
	void *arg;
};

static bool is_a(const struct asset *asset, const char *prefix)
{
	return strncmp(asset->name, prefix, strlen(prefix)) == 0;
}

static void job_answer(struct hand_session *session, struct wire_result *result)
{
	const struct asset *asset = session->asset;

	switch (session->kind) {
	case WIRE_OPEN:
		result->host_key_new = true;
		result->host_key.len = (size_t)snprintf(
		    (char *)result->host_key.blob, WIRE_KEY_SIZE, "key of %.60s", asset->name);
		snprintf(result->host_key.type, sizeof(result->host_key.type), "ssh-ed25519");
		snprintf(result->address, sizeof(result->address), "192.0.2.1");
		result->fault = is_a(asset, "dead") ? FAULT_CONNECT : FAULT_NONE;
		break;
	case WIRE_CHECK:
		result->finding = is_a(asset, "locked") ? FINDING_LOCKED : FINDING_OK;
		break;
	case WIRE_CHANGE:
		result->sent = true;
		result->ended = !is_a(asset, "lost");
		result->fault = is_a(asset, "lost") ? FAULT_LOST : FAULT_NONE;
		break;
	default: result->verdict = VERDICT_MATCH; break;
	}
}

static void job_ends(void *arg)
{
	struct hand_session *session = arg;
	struct wire_result result = {.fault = FAULT_NONE};

	job_answer(session, &result);
	session->done(session->arg, &result);
}

static struct wire_session *hand_session_new(struct wires *wires, const struct wire_target *target)
{
	struct hand_session *session = xcalloc(1, sizeof(*session));
	struct engine *engine =
	    (struct engine *)(void *)((char *)wires - offsetof(struct engine, wires));

	session->session.wires = wires;
	session->engine = engine;
	session->asset = policy_asset_find(engine->fixture.policy, target->asset);
	LIST_INSERT_HEAD(&engine->sessions, session, entry);
	return &session->session;
}

size_t engine_open_sessions(const struct engine *engine, const char *prefix)
{
	const struct hand_session *session;
	size_t count = 0;

	LIST_FOREACH (session, &engine->sessions, entry)
		count += session->privileged && is_a(session->asset, prefix);
	return count;
}

static void note_start(struct engine *engine, struct hand_session *session)
{
	session->privileged = true;
	assert_true(engine->start_count < STARTS_MAX);
	engine->starts[engine->start_count++] = (struct start){
	    .asset = session->asset,
	    .at_ms = engine->clock.now_ms,
	    .open = (uint32_t)engine_open_sessions(engine, ""),
	};
}

static void hand_submit(
    struct wire_session *wire, const struct wire_job *job, wire_done_fn done, void *arg)
{
	struct hand_session *session = (struct hand_session *)(void *)wire;
	struct engine *engine = session->engine;

	session->kind = job->kind;
	session->done = done;
	session->arg = arg;
	/* With a proof by hash a visit has one session. */
	if (job->kind == WIRE_OPEN)
		note_start(engine, session);
	session->timer.fn = job_ends;
	session->timer.arg = session;
	timer_start(&engine->clock.clock, &session->timer, engine->job_ms);
}

static void hand_session_free(struct wire_session *wire)
{
	struct hand_session *session = (struct hand_session *)(void *)wire;

	timer_stop(&session->timer);
	LIST_REMOVE(session, entry);
	free(session);
}

static const struct wires_ops hand_wires = {
    .session_new = hand_session_new,
    .submit = hand_submit,
    .session_free = hand_session_free,
};

/* ── What it says ────────────────────────────────────────────────────────────────────────── */

static void say(struct engine *engine, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct engine *engine, const char *fmt, ...)
{
	size_t used = strlen(engine->said);
	va_list args;

	va_start(args, fmt);
	vsnprintf(engine->said + used, SAID_MAX - used, fmt, args);
	va_end(args);
}

static void note_began(struct engine *engine, const struct execution *execution)
{
	struct began *began = &engine->began[engine->began_count];

	if (strcmp(execution->trigger, "schedule") != 0)
		return;
	assert_true(engine->began_count++ < BEGAN_MAX);
	snprintf(began->task, sizeof(began->task), "%s", execution->task);
	began->wall_ms = engine_wall_ms(engine);
}

uint64_t engine_wall_ms(struct engine *engine)
{
	return clock_wall_ms(&engine->clock.clock);
}

static void heard(void *arg, const struct rotation_event *event)
{
	struct engine *engine = arg;

	switch (event->kind) {
	case ROTATION_STARTED:
		note_began(engine, event->execution);
		say(engine, "%s started: %s\n", event->execution->task, event->execution->trigger);
		break;
	case ROTATION_RECORD_ENDED: engine->ended[event->record->status]++; break;
	case ROTATION_SETTLED:
		engine->ended[STATUS_UNVERIFIED]--;
		engine->ended[event->record->status]++;
		break;
	case ROTATION_CANARY:
		say(engine, "%s canary: %zu of %zu went wrong\n", event->execution->task,
		    event->trouble, event->canaries);
		break;
	case ROTATION_STOPPED:
		say(engine, "%s stopped: %s, %zu of %zu\n", event->execution->task,
		    event->execution->stopped, event->trouble, event->total);
		break;
	case ROTATION_PAUSED: say(engine, "paused\n"); break;
	case ROTATION_RESUMED: say(engine, "resumed\n"); break;
	case ROTATION_ENDED: say(engine, "%s ended\n", event->execution->task); break;
	case ROTATION_BROKEN: fail_msg("the engine broke: %s", event->error->text); break;
	default: break;
	}
}

/* ── The engine ──────────────────────────────────────────────────────────────────────────── */

static enum err tell_roots(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct policy *policy = arg;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < policy_asset_count(policy); i++) {
		struct secret *secret = secret_from("of root", 7);
		struct account account;

		err = account_tell(txn, policy_asset(policy, i)->name, "root", SECRET_PASSWORD,
		    secret, NULL, &account, error);
		secret_free(secret);
	}
	return err;
}

static struct vault_config vault_config(struct engine *engine)
{
	return (struct vault_config){
	    .dir = engine->vault_dir,
	    .key_path = engine->key_path,
	    .purpose = "a test",
	    .clock = &engine->clock.clock,
	    .no_sync = true,
	};
}

static void rotate(struct engine *engine)
{
	engine->rotation = rotation_new(&(struct rotation_config){
	    .policy = {.policy = engine->fixture.policy,
		.secure_mode = policy_settings(engine->fixture.policy)->secure_mode},
	    .vault = engine->vault,
	    .wires = &engine->wires,
	    .clock = &engine->clock.clock,
	    .event = heard,
	    .arg = engine,
	});
}

static void engine_open(struct engine *engine)
{
	struct vault_config config = vault_config(engine);
	struct error error = {.text = ""};

	if (vault_open(&engine->vault, &config, &error) != ERR_OK)
		fail_msg("%s", error.text);
	rotate(engine);
	assert_int_equal(rotation_recover(engine->rotation, &error), ERR_OK);
}

static void engine_shut(struct engine *engine)
{
	scheduler_free(engine->scheduler);
	rotation_free(engine->rotation);
	vault_close(engine->vault);
}

void engine_init(struct engine *engine, const char *policy)
{
	struct vault_config config;
	struct error error = {.text = ""};

	memset(engine, 0, sizeof(*engine));
	log_init(STDERR_FILENO, LOG_LEVEL_ERROR);
	engine->clock.clock.ops = &hand_ops;
	engine->clock.now_ms = 1000;
	engine->clock.wall_ms = 1800000000000;
	engine->job_ms = 10;
	engine->wires.ops = &hand_wires;
	TAILQ_INIT(&engine->clock.timers);
	fixture_init(&engine->fixture, NULL);
	fixture_write(&engine->fixture, "lockstep.lua", policy);
	fixture_load_good(&engine->fixture);
	snprintf(engine->vault_dir, sizeof(engine->vault_dir), "%s/vault", engine->fixture.root);
	snprintf(engine->key_path, sizeof(engine->key_path), "%s/key", engine->fixture.root);
	config = vault_config(engine);
	if (vault_create(&config, &error) != ERR_OK)
		fail_msg("%s", error.text);
	engine_open(engine);
	assert_int_equal(
	    vault_write(engine->vault, tell_roots, engine->fixture.policy, &error), ERR_OK);
}

void engine_clear(struct engine *engine)
{
	struct hand_timer *entry;

	engine_shut(engine);
	while ((entry = TAILQ_FIRST(&engine->clock.timers)) != NULL)
		timer_stop(entry->timer);
	fixture_clear(&engine->fixture);
}

void engine_schedule(struct engine *engine)
{
	engine->scheduler = scheduler_new(engine->rotation);
	engine_wait(engine, 0);
}

void engine_restart(struct engine *engine, uint64_t off_ms)
{
	bool scheduled = engine->scheduler != NULL;

	engine_shut(engine);
	engine->scheduler = NULL;
	engine->clock.now_ms += off_ms;
	engine_open(engine);
	if (scheduled)
		engine_schedule(engine);
}

struct policy *engine_reload_beside(struct engine *engine, const char *policy)
{
	struct policy *before = engine->fixture.policy;

	fixture_write(&engine->fixture, "lockstep.lua", policy);
	engine->fixture.policy = NULL; /* it is in use */
	fixture_load_good(&engine->fixture);
	rotation_reload(engine->rotation,
	    &(struct rotation_policy){.policy = engine->fixture.policy, .secure_mode = true});
	if (engine->scheduler != NULL)
		scheduler_reload(engine->scheduler);
	return before;
}

void engine_reload(struct engine *engine, const char *policy)
{
	struct policy *before;

	engine_finish(engine);
	before = engine_reload_beside(engine, policy);
	assert_false(rotation_uses(engine->rotation, before));
	policy_free(before);
}

struct id engine_run(struct engine *engine, const char *name, const char *trigger)
{
	const struct task *task = policy_task_find(engine->fixture.policy, name);
	struct selection selection;
	struct error error = {.text = ""};
	struct id id;

	assert_non_null(task);
	assert_int_equal(policy_select(engine->fixture.policy, task, &selection, &error), ERR_OK);
	if (rotation_run(engine->rotation,
		&(struct rotation_order){
		    .kind = task->kind == TASK_VERIFY ? ROTATION_VERIFY : ROTATION_CHANGE,
		    .task = task,
		    .items = selection.items,
		    .count = selection.count,
		    .trigger = trigger,
		},
		&id, &error) != ERR_OK)
		fail_msg("%s", error.text);
	selection_clear(&selection);
	return id;
}

static bool engine_step(struct engine *engine, uint64_t until_ms)
{
	struct hand_timer *entry = TAILQ_FIRST(&engine->clock.timers);
	struct timer *timer;

	if (entry == NULL || entry->at_ms > until_ms)
		return false;
	timer = entry->timer;
	engine->clock.now_ms = entry->at_ms;
	timer_stop(timer);
	timer->fn(timer->arg);
	return true;
}

void engine_wait(struct engine *engine, uint64_t ms)
{
	uint64_t until_ms = engine->clock.now_ms + ms;

	while (engine_step(engine, until_ms))
		;
	engine->clock.now_ms = until_ms;
}

void engine_finish(struct engine *engine)
{
	while (!rotation_idle(engine->rotation))
		if (!engine_step(engine, UINT64_MAX))
			fail_msg("it waits for nothing");
}

struct execution engine_execution(struct engine *engine, const struct id *id)
{
	struct vault_txn *txn = vault_read(engine->vault);
	struct execution execution;

	assert_int_equal(execution_get(txn, id, &execution), ERR_OK);
	vault_read_end(txn);
	return execution;
}
