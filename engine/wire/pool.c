#include "wire/pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/message.h"
#include "wire/trial.h"

#define PROCESSES_MAX 64

static struct pool *pool_of(struct wires *wires)
{
	return (struct pool *)(void *)wires;
}

static size_t slot_load(const struct slot *slot)
{
	return slot->by_number.count;
}

uint32_t wires_alive(const struct wires *wires)
{
	const struct pool *pool = (const struct pool *)(const void *)wires;
	uint32_t alive = 0;

	for (uint32_t i = 0; i < pool->slot_count; i++)
		alive += pool->slots[i].process != NULL;
	return alive;
}

static bool slot_lives(const struct slot *slot)
{
	return slot->process != NULL && process_out(slot->process) != NULL;
}

struct slot *pool_pick(struct pool *pool)
{
	struct slot *best = NULL;

	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->slow_lane || !slot_lives(slot))
			continue;
		if (best == NULL || slot_load(slot) < slot_load(best))
			best = slot;
	}
	return best;
}

struct slot *pool_slow_lane(struct pool *pool)
{
	struct slot *slot = &pool->slots[pool->slot_count - 1];

	if (slot->number == 0)
		slot_start(slot);
	return slot_lives(slot) ? slot : NULL;
}

static uint32_t pool_size(const struct wires_config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t count = config->processes;

	if (count == 0)
		count = cores > 0 ? (uint32_t)cores : 1;
	return count > PROCESSES_MAX ? PROCESSES_MAX : count;
}

enum err wires_start(struct wires **out, const struct wires_config *config, struct error *error)
{
	static const struct wires_ops ops = {
	    .session_new = pool_session_new,
	    .submit = pool_submit,
	    .session_free = pool_session_free,
	};
	struct pool *pool;
	enum err err;

	*out = NULL;
	err = trial_run(config, NULL, error);
	if (err != ERR_OK)
		return err;
	pool = xcalloc(1, sizeof(*pool));
	pool->wires.ops = &ops;
	pool->config = *config;
	LIST_INIT(&pool->dead);
	pool->slot_count = pool_size(config) + 1;
	pool->slots = xcalloc(pool->slot_count, sizeof(*pool->slots));
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		slot_init(slot, pool, i == pool->slot_count - 1);
		if (!slot->slow_lane)
			slot_start(slot);
	}
	*out = &pool->wires; /* transferred */
	return ERR_OK;
}

static void kept_drop(struct pool *pool, size_t index)
{
	buf_clear(&pool->kept[index].frame);
	pool->kept_count--;
	memmove(&pool->kept[index], &pool->kept[index + 1],
	    (pool->kept_count - index) * sizeof(pool->kept[0]));
}

/* Makes it the newest; what it replaces, or the oldest where there is no room, goes. */
static void pool_keep(struct pool *pool, uint32_t snapshot, struct buf *frame)
{
	for (size_t i = 0; i < pool->kept_count; i++) {
		if (pool->kept[i].snapshot == snapshot) {
			kept_drop(pool, i);
			break;
		}
	}
	if (pool->kept_count == WIRE_SNAPSHOTS_MAX)
		kept_drop(pool, 0);
	pool->kept[pool->kept_count++] = (struct kept){.snapshot = snapshot, .frame = *frame};
}

static void pool_tell(struct pool *pool, const struct buf *frame)
{
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct process *process = pool->slots[i].process;
		struct buf *out = process != NULL ? process_out(process) : NULL;

		if (out == NULL)
			continue;
		buf_add(out, frame->data, frame->len);
		process_send(process);
	}
}

enum err wires_load(struct wires *wires, uint32_t snapshot, const struct wire_script *scripts,
    size_t count, struct error *error)
{
	struct pool *pool = pool_of(wires);
	struct buf frame;
	enum err err;

	buf_init(&frame, MESSAGE_SIZE_MAX + 4);
	message_put_scripts(&frame, snapshot, scripts, count);
	if (buf_failed(&frame)) {
		buf_clear(&frame);
		return error_set(error, ERR_LIMIT,
		    "the platforms are too large: %d scripts and %d KB together are the most",
		    MESSAGE_SCRIPTS_MAX, MESSAGE_SIZE_MAX / 1024);
	}
	err = trial_run(&pool->config, &frame, error);
	if (err != ERR_OK) {
		buf_clear(&frame);
		return err;
	}
	pool_tell(pool, &frame);
	pool_keep(pool, snapshot, &frame); /* transferred */
	return ERR_OK;
}

static void sessions_drop(struct session *session)
{
	while (session != NULL) {
		struct session *next = LIST_NEXT(session, entry);

		pool_session_free(&session->base);
		session = next;
	}
}

void wires_stop(struct wires *wires)
{
	struct pool *pool;

	if (wires == NULL)
		return;
	pool = pool_of(wires);
	/* All are killed before any is waited for. */
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		if (pool->slots[i].process != NULL)
			process_kill(pool->slots[i].process, "stopped");
	}
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];

		timer_stop(&slot->restart);
		sessions_drop(LIST_FIRST(&slot->sessions));
		process_free(slot->process);
		table_clear(&slot->by_number);
	}
	sessions_drop(LIST_FIRST(&pool->dead));
	while (pool->kept_count > 0)
		kept_drop(pool, 0);
	lane_clear(&pool->slow_lane);
	free(pool->slots);
	free(pool);
}
