#include "wire/pool.h"

#include <stdio.h>

#include "base/log.h"
#include "wire/message.h"

/* Before a dead wire is replaced: doubled each time, until one has lived long. */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 30000
#define LONG_LIFE_MS 60000

static enum err slot_on_done(struct slot *slot, const struct message *message)
{
	struct session *session = table_get(&slot->by_number, message->session);
	struct wire_result *result = message->result;

	if (session == NULL) {
		if (slot->orphans == 0)
			return ERR_PROTOCOL;
		slot->orphans--;
		return ERR_OK;
	}
	if (session->done == NULL || session->job != message->number ||
	    !session_believes(session, result))
		return ERR_PROTOCOL;
	if (result->slow_lane)
		session_divert(session, result->fault);
	else
		session_answer(session, result);
	return ERR_OK;
}

/* It may be closed by now. */
static enum err slot_on_begun(struct slot *slot, const struct message *message)
{
	struct session *session = table_get(&slot->by_number, message->session);

	return session != NULL ? session_begun(session) : ERR_OK;
}

static enum err slot_on_message(void *arg, const struct message *message)
{
	struct slot *slot = arg;

	if (message->kind == MESSAGE_BEGUN)
		return slot_on_begun(slot, message);
	if (message->kind == MESSAGE_DONE)
		return slot_on_done(slot, message);
	/* The same scripts loaded in a trial: this one has gone wrong, and is of no use. */
	if (message->error->code != ERR_OK)
		process_kill(slot->process, "it %s", message->error->text);
	return ERR_OK;
}

static void slot_pause(struct slot *slot)
{
	uint64_t pause_ms = slot->pause_ms;

	timer_start(pool_clock(slot->pool), &slot->restart, pause_ms);
	slot->pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
}

static void slot_on_ended(void *arg, const char *how)
{
	struct slot *slot = arg;
	struct pool *pool = slot->pool;
	uint64_t lived_ms = clock_mono_ms(pool_clock(pool)) - slot->started_ms;
	struct session *session;
	char number[16];

	process_free(slot->process);
	slot->process = NULL;
	snprintf(number, sizeof(number), "%u", slot->number);
	log_event(LOG_LEVEL_WARN, "wire_died", "wire", number, "how", how, NULL);
	table_clear(&slot->by_number);
	while ((session = LIST_FIRST(&slot->sessions)) != NULL)
		session_die(session, how);
	if (lived_ms >= LONG_LIFE_MS)
		slot->pause_ms = PAUSE_MIN_MS;
	slot_pause(slot);
	if (pool->config.died != NULL)
		pool->config.died(pool->config.arg, slot->number, how);
}

void slot_start(struct slot *slot)
{
	struct pool *pool = slot->pool;
	struct process_config config = {
	    .loop = pool->config.loop,
	    .number = ++pool->last_wire,
	    .exe = pool->config.exe,
	    .lock_fd = pool->config.lock_fd,
	    .sandbox = pool->config.sandbox,
	    .slow_lane = slot->slow_lane,
	    .message = slot_on_message,
	    .ended = slot_on_ended,
	    .arg = slot,
	};
	struct error error;

	slot->number = config.number;
	slot->started_ms = clock_mono_ms(pool_clock(pool));
	slot->last_session = 0;
	slot->orphans = 0;
	if (process_new(&slot->process, &config, &error) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, "wire_not_started", "error", error.text, NULL);
		slot_pause(slot);
		return;
	}
	for (size_t i = 0; i < pool->kept_count; i++) {
		const struct buf *frame = &pool->kept[i].frame;

		buf_add(process_out(slot->process), frame->data, frame->len);
	}
	process_send(slot->process);
}

static void slot_restart(void *arg)
{
	slot_start(arg);
}

void slot_init(struct slot *slot, struct pool *pool, bool slow_lane)
{
	slot->pool = pool;
	slot->slow_lane = slow_lane;
	slot->pause_ms = PAUSE_MIN_MS;
	slot->restart.fn = slot_restart;
	slot->restart.arg = slot;
	LIST_INIT(&slot->sessions);
	TAILQ_INIT(&slot->held);
}
