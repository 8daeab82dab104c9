#include "service/courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "service/engine.h"
#include "service/mail.h"
#include "service/notices.h"
#include "service/transfer.h"
#include "service/webhook.h"
#include "vault/notice.h"

#define LINE_MOST     64       /* notices that a place has in sight at once */
#define PAUSE_MOST_MS 3600000u /* between two attempts */
#define LOOK_MOST_MS  60000u   /* between two looks at the queue */

/* How notices go. */
static const struct channel {
	const char *name;
	enum err (*make)(struct transfer **, const struct service *, struct vault_txn *,
	    const struct notice *, struct error *error);
	enum sent (*sent)(const struct transfer *, CURLcode, char why[WHY_SIZE]);
} channels[] = {
    {CHANNEL_MAIL, mail_make, mail_sent},
    {CHANNEL_WEBHOOK, webhook_make, webhook_sent},
};

/* A notice in sight: those that failed least come first, then the oldest. */
struct waiting {
	struct id id;
	uint32_t tries;
};

/* Where notices go: the mail server, or one receiver. */
struct place {
	LIST_ENTRY(place) entry;
	struct courier *courier;
	const struct channel *way;
	char channel[WORD_SIZE];
	char name[NOTICE_TO_SIZE]; /* "": of its channel there is one */
	struct waiting line[LINE_MOST];
	size_t count, at;
	bool more; /* there is more than the line holds */
	uint32_t failures;
	uint64_t until_ms;    /* monotonic: it is left alone */
	struct notice notice; /* that is under way; no id = none */
	struct transfer *transfer;
	enum sent sent; /* what came of it, until that is written */
};

struct courier {
	struct service *service;
	struct transfers *transfers;
	LIST_HEAD(, place) places;
	struct timer timer;
	uint64_t due_ms; /* wall: something is to be sent then; UINT64_MAX = nothing is */
	bool stale;	 /* the lines may lack something */
};

static struct clock *clock_of(const struct courier *courier)
{
	return loop_clock(courier->service->loop);
}

static const struct notify *notify_of(const struct courier *courier)
{
	return &policy_settings(courier->service->snapshot->policy)->notify;
}

/* ── Places ──────────────────────────────────────────────────────────────────────────────── */

/* All mail goes to one server. */
static const char *place_name(const struct notice *notice)
{
	return strcmp(notice->channel, CHANNEL_MAIL) == 0 ? "" : notice->to;
}

static struct place *place_find(const struct courier *courier, const struct notice *notice)
{
	struct place *place;

	LIST_FOREACH (place, &courier->places, entry)
		if (strcmp(place->channel, notice->channel) == 0 &&
		    strcmp(place->name, place_name(notice)) == 0)
			return place;
	return NULL;
}

static const struct channel *channel_find(const char *name)
{
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
		if (strcmp(channels[i].name, name) == 0)
			return &channels[i];
	return NULL;
}

static struct place *place_of(struct courier *courier, const struct notice *notice)
{
	struct place *place = place_find(courier, notice);

	if (place != NULL)
		return place;
	place = xcalloc(1, sizeof(*place));
	place->courier = courier;
	place->way = channel_find(notice->channel);
	memcpy(place->channel, notice->channel, sizeof(place->channel));
	snprintf(place->name, sizeof(place->name), "%s", place_name(notice));
	LIST_INSERT_HEAD(&courier->places, place, entry);
	return place;
}

static bool place_is_busy(const struct place *place)
{
	return !id_is_none(&place->notice.id);
}

/* Half of it is by chance: after an outage not all of a fleet's engines come at once. */
static void place_failed(struct place *place)
{
	struct courier *courier = place->courier;
	uint64_t pause_ms = notify_of(courier)->first_pause_ms;
	uint32_t chance;

	for (uint32_t i = 0; i < place->failures && pause_ms < PAUSE_MOST_MS; i++)
		pause_ms *= 2;
	pause_ms = pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS;
	random_bytes(&chance, sizeof(chance));
	place->failures++;
	place->until_ms =
	    clock_mono_ms(clock_of(courier)) + pause_ms / 2 + chance % (pause_ms / 2 + 1);
}

/* ── The queue ───────────────────────────────────────────────────────────────────────────── */

/* Into the line, in order; what has no room there waits for the next look. */
static void place_add(struct place *place, const struct notice *notice)
{
	size_t at = place->count;

	while (at > 0 && place->line[at - 1].tries > notice->tries)
		at--;
	place->more = place->more || place->count == LINE_MOST;
	if (at == LINE_MOST)
		return;
	if (place->count == LINE_MOST)
		place->count--;
	memmove(
	    &place->line[at + 1], &place->line[at], (place->count - at) * sizeof(place->line[0]));
	place->line[at] = (struct waiting){.id = notice->id, .tries = notice->tries};
	place->count++;
}

static bool see_notice(void *arg, const struct notice *notice)
{
	struct courier *courier = arg;
	uint64_t now_ms = clock_wall_ms(clock_of(courier));
	struct place *place;

	if (notice->given_up_ms != 0)
		return true;
	if (notice->due_ms > now_ms) {
		courier->due_ms =
		    notice->due_ms < courier->due_ms ? notice->due_ms : courier->due_ms;
		return true;
	}
	place = place_of(courier, notice);
	if (!id_equal(&place->notice.id, &notice->id))
		place_add(place, notice);
	return true;
}

static void see_queue(struct courier *courier)
{
	struct vault_txn *txn = vault_read(courier->service->vault);
	const struct id first = {{0}};
	struct place *place;

	courier->stale = false;
	if (txn == NULL)
		return;
	courier->due_ms = UINT64_MAX;
	LIST_FOREACH (place, &courier->places, entry) {
		place->count = place->at = 0;
		place->more = false;
	}
	notice_each(txn, &first, see_notice, courier);
	vault_read_end(txn);
}

static void courier_wake(struct courier *courier)
{
	timer_start(clock_of(courier), &courier->timer, 0);
}

/* ── What came of one ────────────────────────────────────────────────────────────────────── */

static void log_notice(enum log_level level, const char *event, const struct notice *notice)
{
	char id[ID_TEXT_SIZE], tries[16];

	snprintf(tries, sizeof(tries), "%u", notice->tries);
	log_event(level, event, "id", id_text(&notice->id, id), "event", notice->event, "task",
	    notice->task, "by", notice->channel, "to", notice->to, "tries", tries, "why",
	    notice->why, NULL);
}

static enum err keep_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct place *place = arg;
	struct notice now;
	enum err err = notice_get(txn, &place->notice.id, &now);

	if (err == ERR_NOT_FOUND) /* someone dropped it */
		return ERR_OK;
	if (err == ERR_OK && place->sent == SENT_OK)
		err = notice_remove(txn, &place->notice.id, true);
	else if (err == ERR_OK)
		err = notice_put(txn, &place->notice);
	return err == ERR_OK ? err : error_set(error, err, "a notice cannot be written");
}

/* What could not be written is sent again: better twice than never. */
static void keep_done(void *arg, enum err result, const struct error *error)
{
	struct place *place = arg;

	if (result != ERR_OK) {
		log_event(LOG_LEVEL_WARN, "notice_not_kept", "error", error->text, NULL);
		place_failed(place);
	}
	place->more = place->more || result != ERR_OK || place->sent == SENT_LATER;
	place->notice.id = (struct id){{0}};
	courier_wake(place->courier);
}

static void place_end(struct place *place, enum sent sent, const char *why)
{
	struct courier *courier = place->courier;
	struct notice *notice = &place->notice;
	uint64_t now_ms = clock_wall_ms(clock_of(courier));
	bool late = now_ms >= notice->queued_ms + notify_of(courier)->give_up_ms;

	place->sent = sent;
	text_escape(notice->why, sizeof(notice->why), why, strlen(why));
	if (sent == SENT_OK) {
		place->failures = 0;
		log_notice(LOG_LEVEL_INFO, "notice_sent", notice);
	} else {
		notice->tries++;
		notice->tried_ms = now_ms;
		notice->given_up_ms = late || sent == SENT_NEVER ? now_ms : 0;
		log_notice(LOG_LEVEL_WARN,
		    notice->given_up_ms != 0 ? "notice_given_up" : "notice_not_sent", notice);
	}
	if (sent == SENT_LATER)
		place_failed(place);
	vault_submit(courier->service->vault, keep_apply, keep_done, place);
}

static void on_sent(void *arg, struct transfer *transfer, CURLcode code)
{
	struct place *place = arg;
	char why[WHY_SIZE];
	enum sent sent = place->way->sent(transfer, code, why);

	transfer_free(transfer);
	place->transfer = NULL;
	place_end(place, sent, why);
}

/* ── Sending ─────────────────────────────────────────────────────────────────────────────── */

static enum err make(struct place *place, struct vault_txn *txn, struct error *error)
{
	if (place->way == NULL)
		return error_set(error, ERR_NOT_FOUND, "this release does not know how to send it");
	return place->way->make(
	    &place->transfer, place->courier->service, txn, &place->notice, error);
}

static void place_begin(struct place *place, struct vault_txn *txn)
{
	struct error error = {.text = "libcurl does not take it"};
	enum err err = make(place, txn, &error);

	if (err == ERR_OK) {
		place->transfer->done = on_sent;
		place->transfer->arg = place;
		err = transfer_start(place->courier->transfers, place->transfer);
	}
	if (err == ERR_OK)
		return;
	transfer_free(place->transfer);
	place->transfer = NULL;
	place_end(place, err == ERR_NOT_FOUND ? SENT_NEVER : SENT_LATER, error.text);
}

/* The first of its line that is there still. */
static bool place_take(struct place *place, struct vault_txn *txn)
{
	while (place->at < place->count) {
		const struct id *id = &place->line[place->at++].id;

		if (notice_get(txn, id, &place->notice) == ERR_OK && place->notice.given_up_ms == 0)
			return true;
	}
	place->notice.id = (struct id){{0}};
	place->courier->stale = place->courier->stale || place->more;
	place->more = false;
	return false;
}

static void place_go_on(struct place *place)
{
	struct courier *courier = place->courier;
	struct vault_txn *txn;

	if (place_is_busy(place) || clock_mono_ms(clock_of(courier)) < place->until_ms)
		return;
	txn = vault_read(courier->service->vault);
	if (txn == NULL)
		return;
	if (place_take(place, txn))
		place_begin(place, txn);
	vault_read_end(txn);
}

/* ── Looking ─────────────────────────────────────────────────────────────────────────────── */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until the next place may be tried, or the next notice is due. */
static uint64_t next_look_ms(const struct courier *courier)
{
	uint64_t now_ms = clock_mono_ms(clock_of(courier));
	uint64_t wall_ms = clock_wall_ms(clock_of(courier));
	uint64_t delay_ms = LOOK_MOST_MS;
	const struct place *place;

	if (courier->stale)
		return 0;
	if (courier->due_ms != UINT64_MAX)
		delay_ms =
		    least(delay_ms, courier->due_ms > wall_ms ? courier->due_ms - wall_ms : 0);
	LIST_FOREACH (place, &courier->places, entry)
		if (!place_is_busy(place) && (place->at < place->count || place->more))
			delay_ms = least(
			    delay_ms, place->until_ms > now_ms ? place->until_ms - now_ms : 0);
	return delay_ms;
}

static void on_timer(void *arg)
{
	struct courier *courier = arg;
	struct place *place;

	if (courier->stale || clock_wall_ms(clock_of(courier)) >= courier->due_ms)
		see_queue(courier);
	LIST_FOREACH (place, &courier->places, entry)
		place_go_on(place);
	timer_start(clock_of(courier), &courier->timer, next_look_ms(courier));
}

void courier_look(struct courier *courier)
{
	if (courier == NULL)
		return;
	courier->stale = true;
	courier_wake(courier);
}

void courier_look_anew(struct courier *courier)
{
	struct place *place;

	if (courier == NULL)
		return;
	LIST_FOREACH (place, &courier->places, entry)
		place->failures = place->until_ms = 0;
	courier_look(courier);
}

uint64_t courier_next_ms(const struct courier *courier, const struct notice *notice)
{
	uint64_t now_ms = clock_mono_ms(clock_of(courier));
	uint64_t wall_ms = clock_wall_ms(clock_of(courier));
	const struct place *place = place_find(courier, notice);

	if (place != NULL && id_equal(&place->notice.id, &notice->id))
		return 0;
	if (place != NULL && place->until_ms > now_ms)
		wall_ms += place->until_ms - now_ms;
	return wall_ms > notice->due_ms ? wall_ms : notice->due_ms;
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────── */

struct courier *courier_new(struct service *service)
{
	struct courier *courier = xcalloc(1, sizeof(*courier));

	courier->service = service;
	courier->timer = (struct timer){.fn = on_timer, .arg = courier};
	courier->transfers = transfers_new(service->loop);
	if (courier->transfers == NULL) {
		free(courier);
		return NULL;
	}
	courier_look(courier);
	return courier;
}

void courier_free(struct courier *courier)
{
	struct place *place;

	if (courier == NULL)
		return;
	timer_stop(&courier->timer);
	transfers_free(courier->transfers);
	while ((place = LIST_FIRST(&courier->places)) != NULL) {
		LIST_REMOVE(place, entry);
		free(place);
	}
	free(courier);
}
