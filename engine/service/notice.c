/* The queue of notices: what is in it and why it has not gone, trying again, dropping, testing. */
#include "service/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/courier.h"
#include "service/names.h"
#include "service/notices.h"
#include "service/page.h"
#include "service/shape.h"
#include "vault/notice.h"

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct request *request;
	struct vault_txn *txn;
	struct page page;
	struct id last;
};

static const char *state_of(const struct notice *notice, uint64_t next_ms, bool daemon)
{
	if (notice->given_up_ms != 0)
		return "given_up";
	return daemon && next_ms == 0 ? "sending" : "waiting";
}

/* Without lockstepd nobody sends it, and nobody knows when it will be. */
static json_t *shape_notice(
    const struct notice *notice, struct vault_txn *txn, const struct service *service)
{
	bool daemon = service->courier != NULL, waits = notice->given_up_ms == 0;
	uint64_t next_ms = daemon && waits ? courier_next_ms(service->courier, notice) : 0;
	json_int_t tries = notice->tries;
	char id[ID_TEXT_SIZE];

	id_text(&notice->id, id);
	return json_pack("{s:s, s:o, s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:I, s:o, s:o, s:o}", "id",
	    id, "short", json_stringn(id, notice_id_length(txn, &notice->id)), "channel",
	    notice->channel, "to", json_text(notice->to), "event", notice->event, "task",
	    shape_word(notice->task), "execution", json_id(&notice->execution), "state",
	    state_of(notice, next_ms, daemon), "queued", json_time(notice->queued_ms), "tries",
	    tries, "tried", json_time(notice->tried_ms), "next", json_time(next_ms), "why",
	    shape_word(notice->why));
}

static bool listing_add(void *arg, const struct notice *notice)
{
	struct listing *listing = arg;

	json_array_append_new(listing->request->result,
	    shape_notice(notice, listing->txn, listing->request->service));
	listing->last = notice->id;
	return page_take(&listing->page, true);
}

enum service_end notice_list(struct request *request)
{
	struct listing listing = {.request = request};
	char at[ID_TEXT_SIZE];

	if (!page_read(request, UINT64_MAX, &listing.page) ||
	    (listing.page.after[0] != '\0' &&
		!page_read_id(request, listing.page.after, &listing.last)))
		return SERVICE_USAGE;
	listing.txn = request_read(request);
	if (listing.txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	notice_each(listing.txn, &listing.last, listing_add, &listing);
	vault_read_end(listing.txn);
	page_end(request, &listing.page, id_text(&listing.last, at));
	return SERVICE_OK;
}

/* ── Changing ────────────────────────────────────────────────────────────────────────────── */

struct change {
	struct request *request;
	bool drops; /* else: tries again */
	struct id *ids;
	size_t count, room;
};

static void change_add(struct change *change, const struct id *id)
{
	if (change->count == change->room) {
		change->room = change->room * 2 + 64;
		change->ids = xrealloc(change->ids, change->room * sizeof(*change->ids));
	}
	change->ids[change->count++] = *id;
}

static bool change_pick(void *arg, const struct notice *notice)
{
	struct change *change = arg;

	if (change->drops || notice->given_up_ms != 0)
		change_add(change, &notice->id);
	return true;
}

static bool change_find(struct change *change, struct vault_txn *txn, const json_t *ids)
{
	struct request *request = change->request;

	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		struct notice notice;

		if (id == NULL || notice_find(txn, id, &notice, request->error) != ERR_OK)
			return false;
		change_add(change, &notice.id);
	}
	return true;
}

static enum err change_one(struct vault_txn *txn, const struct change *change, const struct id *id)
{
	struct notice notice;
	enum err err;

	if (change->drops)
		return notice_remove(txn, id, false);
	err = notice_get(txn, id, &notice);
	if (err != ERR_OK) /* sent meanwhile */
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	notice.given_up_ms = 0;
	notice.tries = 0;
	notice.queued_ms = clock_wall_ms(loop_clock(change->request->service->loop));
	return notice_put(txn, &notice);
}

static enum err change_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct change *change = arg;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < change->count; i++)
		err = change_one(txn, change, &change->ids[i]);
	return err == ERR_OK ? err : error_set(error, err, "a notice cannot be written");
}

static enum service_end change_read(struct change *change)
{
	struct request *request = change->request;
	const json_t *ids = json_object_get(request->params, "notices");
	bool all = param_flag(request, "all");
	const struct id first = {{0}};
	struct vault_txn *txn;
	bool good = true;

	if (all == (json_array_size(ids) > 0))
		return request_fail(request, SERVICE_USAGE,
		    "say which notices: give ids, or --all (lockstep notice list shows them)");
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	if (all)
		notice_each(txn, &first, change_pick, change);
	else
		good = change_find(change, txn, ids);
	vault_read_end(txn);
	return good ? SERVICE_OK : SERVICE_USAGE;
}

static enum service_end change_run(struct request *request, bool drops)
{
	struct change change = {.request = request, .drops = drops};
	enum service_end end = change_read(&change);
	json_int_t count = (json_int_t)change.count;
	char detail[32];
	struct audit_event event = {
	    .what = AUDIT_NOTICE, .object = drops ? "drop" : "retry", .detail = detail};

	snprintf(detail, sizeof(detail), "%zu of them", change.count);
	if (end == SERVICE_OK && change.count == 0)
		request->audited = true; /* there is nothing to tell */
	else if (end == SERVICE_OK &&
		 request_write(request, change_apply, &change, &event) != ERR_OK)
		end = SERVICE_NO_ENGINE;
	free(change.ids);
	if (end != SERVICE_OK)
		return end;
	courier_look_anew(request->service->courier);
	request->result = json_pack("{s:I}", "notices", count);
	return SERVICE_OK;
}

enum service_end notice_retry(struct request *request)
{
	return change_run(request, false);
}

enum service_end notice_drop(struct request *request)
{
	return change_run(request, true);
}

/* ── Testing ─────────────────────────────────────────────────────────────────────────────── */

static enum err test_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct notice *notice = arg;
	enum err err;

	notice->id = (struct id){{0}};
	err = notice_put(txn, notice);
	if (err == ERR_OK && id_is_none(&notice->id))
		return error_set(error, ERR_LIMIT,
		    "the queue is full: lockstep notice list shows why, lockstep notice drop makes "
		    "room");
	return err == ERR_OK ? err : error_set(error, err, "a notice cannot be written");
}

static enum service_end test_mail(struct request *request, const char *to)
{
	const char *fault = mail_address_fault(to);

	if (policy_settings(request->policy)->mail.server == NULL)
		return request_fail(request, SERVICE_USAGE,
		    "the policy says nothing of mail: set settings { mail = { server = …, from = … "
		    "} }, then lockstep reload");
	if (fault != NULL)
		return request_fail(request, SERVICE_USAGE, "\"%.254s\" %s", to, fault);
	return SERVICE_OK;
}

static enum service_end test_webhook(struct request *request, const char *to)
{
	const struct settings *settings = policy_settings(request->policy);

	for (size_t i = 0; i < settings->webhook_count; i++)
		if (strcmp(settings->webhooks[i].name, to) == 0)
			return SERVICE_OK;
	return request_fail(request, SERVICE_USAGE,
	    "the policy has no webhook \"%.254s\": give the name of one of settings.webhooks, or "
	    "an address of mail",
	    to);
}

static enum service_end test_to(struct request *request, struct notice *notice)
{
	const char *to = param_need(request, "to");
	bool mail = to != NULL && strchr(to, '@') != NULL;
	enum service_end end;

	if (to == NULL)
		return SERVICE_USAGE;
	end = mail ? test_mail(request, to) : test_webhook(request, to);
	if (end != SERVICE_OK)
		return end;
	snprintf(
	    notice->channel, sizeof(notice->channel), "%s", mail ? CHANNEL_MAIL : CHANNEL_WEBHOOK);
	snprintf(notice->to, sizeof(notice->to), "%s", to);
	return SERVICE_OK;
}

enum service_end notice_test(struct request *request)
{
	struct service *service = request->service;
	struct notice notice = {.event = NOTICE_TESTED};
	enum service_end end = test_to(request, &notice);
	struct vault_txn *txn;

	if (end != SERVICE_OK)
		return end;
	notice.queued_ms = notice.due_ms = clock_wall_ms(loop_clock(service->loop));
	if (vault_write(service->vault, test_apply, &notice, request->error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	courier_look_anew(service->courier);
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = shape_notice(&notice, txn, service);
	json_object_set_new(request->result, "lockstepd", json_boolean(service->courier != NULL));
	vault_read_end(txn);
	return SERVICE_OK;
}
