#include "service/notices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/courier.h"
#include "service/engine.h"
#include "vault/notice.h"

#define WORDS_MAX (32UL * 1024) /* more than a hundred addresses take */
#define LOOK_MOST 1000		/* records, to tell a doubt from what was not to be proved */

/* One event on its way into the queue, for everyone who is to hear of it. */
struct queueing {
	const struct policy *policy;
	struct vault_txn *txn;
	uint32_t events;      /* that it is */
	struct notice notice; /* but for whom */
	bool gathers;	      /* one of many of its kind */
};

/* ── To whom ─────────────────────────────────────────────────────────────────────────────── */

static enum err queue_one(struct queueing *queueing, const char *channel, const char *to)
{
	struct notice notice = queueing->notice;

	snprintf(notice.channel, sizeof(notice.channel), "%s", channel);
	snprintf(notice.to, sizeof(notice.to), "%s", to);
	return queueing->gathers ? notice_gather(queueing->txn, &notice)
				 : notice_put(queueing->txn, &notice);
}

static enum err queue_mail(struct queueing *queueing)
{
	const struct mail *mail = &policy_settings(queueing->policy)->mail;
	const struct task *task = policy_task_find(queueing->policy, queueing->notice.task);
	bool own = task != NULL && task->recipient_count > 0;
	const char *const *recipients = own ? task->recipients : mail->recipients;
	size_t count = own ? task->recipient_count : mail->recipient_count;
	enum err err = ERR_OK;

	if (mail->server == NULL || (mail->events & queueing->events) == 0)
		return ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		err = queue_one(queueing, CHANNEL_MAIL, recipients[i]);
	return err;
}

static enum err queue_webhooks(struct queueing *queueing)
{
	const struct settings *settings = policy_settings(queueing->policy);
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < settings->webhook_count; i++)
		if ((settings->webhooks[i].events & queueing->events) != 0)
			err = queue_one(queueing, CHANNEL_WEBHOOK, settings->webhooks[i].name);
	return err;
}

static enum err queue_all(struct queueing *queueing, uint64_t now_ms, struct error *error)
{
	const struct settings *settings = policy_settings(queueing->policy);
	enum err err;

	queueing->notice.queued_ms = now_ms;
	queueing->notice.due_ms =
	    queueing->gathers ? now_ms + settings->notify.first_pause_ms : now_ms;
	err = queue_mail(queueing);
	if (err == ERR_OK)
		err = queue_webhooks(queueing);
	return err == ERR_OK ? err : error_set(error, err, "a notice cannot be written");
}

bool notices_are_wanted(const struct policy *policy)
{
	const struct settings *settings = policy_settings(policy);

	return settings->mail.server != NULL || settings->webhook_count > 0;
}

/* ── Which events ────────────────────────────────────────────────────────────────────────── */

struct doubting {
	size_t left; /* records to look at yet */
	bool found;
};

static bool look_for_doubt(void *arg, const struct record *record)
{
	struct doubting *doubting = arg;

	doubting->found = strcmp(record->reason, "not_asked") != 0;
	return !doubting->found && --doubting->left > 0;
}

/* What was not asked to be proved is no doubt. */
static bool has_doubt(struct vault_txn *txn, const struct execution *execution)
{
	struct doubting doubting = {.left = LOOK_MOST};
	const struct id first = {{0}};

	if (execution->counts.by_status[STATUS_UNVERIFIED] > 0)
		record_each_with(
		    txn, &execution->id, STATUS_UNVERIFIED, &first, look_for_doubt, &doubting);
	return doubting.found;
}

/* An end is one event, the worst of those that it is; who asks for any of them hears of it. */
static uint32_t events_of(
    struct vault_txn *txn, const struct execution *execution, enum occasion *worst)
{
	bool failed = execution->interrupted || execution->counts.by_status[STATUS_FAILED] > 0;
	bool doubt = has_doubt(txn, execution);
	uint32_t events = 0;

	*worst = failed ? OCCASION_FAILED : doubt ? OCCASION_IN_DOUBT : OCCASION_FINISHED;
	events |= failed ? 1u << OCCASION_FAILED : 0;
	events |= doubt ? 1u << OCCASION_IN_DOUBT : 0;
	return events != 0 ? events : 1u << OCCASION_FINISHED;
}

static void describe(struct notice *notice, enum occasion event, const struct execution *execution)
{
	snprintf(notice->event, sizeof(notice->event), "%s", occasion_name(event));
	snprintf(notice->task, sizeof(notice->task), "%s", execution->task);
	notice->execution = execution->id;
	notice->counts = execution->counts;
}

static enum err note_end(struct queueing *queueing, const struct execution *execution,
    uint64_t now_ms, struct error *error)
{
	enum occasion worst;

	queueing->events = events_of(queueing->txn, execution, &worst);
	describe(&queueing->notice, worst, execution);
	return queue_all(queueing, now_ms, error);
}

static enum err note_settled(
    struct queueing *queueing, const struct record *record, uint64_t now_ms, struct error *error)
{
	struct notice *notice = &queueing->notice;

	queueing->events = 1u << OCCASION_SETTLED;
	queueing->gathers = true;
	snprintf(notice->event, sizeof(notice->event), "%s", occasion_name(OCCASION_SETTLED));
	snprintf(notice->task, sizeof(notice->task), "%s", record->task);
	notice->records[0] = record->id;
	notice->record_count = 1;
	return queue_all(queueing, now_ms, error);
}

/* Of what someone did by hand with accounts, and no task, nobody need be told. */
enum err notices_note(
    void *arg, struct vault_txn *txn, const struct rotation_event *event, struct error *error)
{
	struct service *service = arg;
	uint64_t now_ms = clock_wall_ms(loop_clock(service->loop));
	struct queueing queueing = {.policy = service->snapshot->policy, .txn = txn};

	if (event->execution != NULL && event->execution->task[0] != '\0')
		return note_end(&queueing, event->execution, now_ms, error);
	if (event->record != NULL && event->record->task[0] != '\0')
		return note_settled(&queueing, event->record, now_ms, error);
	return ERR_OK;
}

enum err notices_asked(struct service *service, struct vault_txn *txn, const char *text,
    const char *const *addresses, size_t count, struct error *error)
{
	const struct policy *policy = service->snapshot->policy;
	const struct mail *mail = &policy_settings(policy)->mail;
	uint64_t now_ms = clock_wall_ms(loop_clock(service->loop));
	struct queueing queueing = {
	    .policy = policy, .txn = txn, .events = 1u << OCCASION_APPROVAL};
	struct notice *notice = &queueing.notice;
	enum err err = ERR_OK;

	snprintf(notice->event, sizeof(notice->event), "%s", occasion_name(OCCASION_APPROVAL));
	snprintf(notice->text, sizeof(notice->text), "%s", text);
	notice->queued_ms = notice->due_ms = now_ms;
	if (mail->server == NULL || (mail->events & queueing.events) == 0)
		count = 0;
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		err = queue_one(&queueing, CHANNEL_MAIL, addresses[i]);
	if (err == ERR_OK)
		err = queue_webhooks(&queueing);
	return err == ERR_OK ? err : error_set(error, err, "a notice cannot be written");
}

/* ── In a commit of their own ────────────────────────────────────────────────────────────── */

struct later {
	LIST_ENTRY(later) entry;
	struct service *service;
	enum occasion event;
	struct id execution; /* none = of none */
	char text[MESSAGE_SIZE];
};

static enum err later_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct later *later = arg;
	struct service *service = later->service;
	uint64_t now_ms = clock_wall_ms(loop_clock(service->loop));
	struct queueing queueing = {.policy = service->snapshot->policy, .txn = txn};
	struct execution execution = {.task = ""};
	enum err err = ERR_OK;

	if (!id_is_none(&later->execution))
		err = execution_get(txn, &later->execution, &execution);
	if (err != ERR_OK)
		return error_set(error, err, "the execution cannot be read");
	queueing.events = 1u << later->event;
	describe(&queueing.notice, later->event, &execution);
	memcpy(queueing.notice.text, later->text, sizeof(later->text));
	return queue_all(&queueing, now_ms, error);
}

static void later_done(void *arg, enum err result, const struct error *error)
{
	struct later *later = arg;

	if (result != ERR_OK)
		log_event(LOG_LEVEL_WARN, "notice_not_queued", "event", occasion_name(later->event),
		    "error", error->text, NULL);
	courier_look(later->service->courier);
	LIST_REMOVE(later, entry);
	free(later);
}

void notices_drop(struct service *service)
{
	struct later *later;

	while ((later = LIST_FIRST(&service->laters)) != NULL) {
		LIST_REMOVE(later, entry);
		free(later);
	}
}

static void queue_later(
    struct service *service, enum occasion event, const struct id *execution, const char *text)
{
	struct later *later;

	if (!notices_are_wanted(service->snapshot->policy))
		return;
	later = xcalloc(1, sizeof(*later));
	later->service = service;
	later->event = event;
	if (execution != NULL)
		later->execution = *execution;
	snprintf(later->text, sizeof(later->text), "%s", text);
	LIST_INSERT_HEAD(&service->laters, later, entry);
	vault_submit(service->vault, later_apply, later_done, later);
}

void notices_stopped(struct service *service, const struct execution *execution)
{
	if (execution->task[0] != '\0')
		queue_later(service, OCCASION_STOPPED, &execution->id, execution->stopped);
}

/* Its first line: those below it show the file, where anything may stand. */
void notices_rejected(struct service *service, const char *text)
{
	char *line = xstrndup(text, strcspn(text, "\n"));

	queue_later(service, OCCASION_POLICY_REJECTED, NULL, line);
	free(line);
}

/* ── In words ────────────────────────────────────────────────────────────────────────────── */

/* All of them is what a policy says that says nothing. */
static json_t *shape_events(uint32_t events)
{
	struct buf text;
	json_t *json;

	if (events == OCCASIONS_ALL)
		return json_null();
	buf_init(&text, WORDS_MAX);
	for (int i = 0; i < OCCASION_COUNT; i++)
		if ((events & 1u << i) != 0)
			buf_addf(&text, "%s%s", text.len > 0 ? ", " : "",
			    occasion_name((enum occasion)i));
	json = json_text(buf_text(&text));
	buf_clear(&text);
	return json;
}

json_t *shape_addresses(const char *const *addresses, size_t count)
{
	struct buf text;
	json_t *json;

	if (count == 0)
		return json_null();
	buf_init(&text, WORDS_MAX);
	for (size_t i = 0; i < count; i++)
		buf_addf(&text, "%s%s", i == 0 ? "" : ", ", addresses[i]);
	json = json_text(buf_text(&text));
	buf_clear(&text);
	return json;
}

static void shape_mail(json_t *shape, const struct mail *mail)
{
	json_object_set_new(shape, "mail.server", json_text(mail->server));
	json_object_set_new(shape, "mail.from", json_text(mail->from));
	json_object_set_new(shape, "mail.user", json_text(mail->user));
	json_object_set_new(shape, "mail.password", json_text(mail->password));
	json_object_set_new(shape, "mail.tls", json_boolean(mail->tls));
	json_object_set_new(shape, "mail.ca", json_text(mail->ca));
	json_object_set_new(shape, "mail.events", shape_events(mail->events));
	json_object_set_new(
	    shape, "mail.recipients", shape_addresses(mail->recipients, mail->recipient_count));
}

static void shape_webhook(json_t *shape, const struct webhook *webhook)
{
	char key[SECRET_NAME_SIZE + 32];
	const struct {
		const char *field;
		json_t *value;
	} fields[] = {
	    {"url", json_text(webhook->url)},
	    {"secret", json_text(webhook->secret)},
	    {"events", shape_events(webhook->events)},
	    {"ca", json_text(webhook->ca)},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(key, sizeof(key), "webhooks.%s.%s", webhook->name, fields[i].field);
		json_object_set_new(shape, key, fields[i].value);
	}
}

void notices_shape(json_t *shape, const struct settings *settings)
{
	const struct notify *notify = &settings->notify;

	shape_mail(shape, &settings->mail);
	for (size_t i = 0; i < settings->webhook_count; i++)
		shape_webhook(shape, &settings->webhooks[i]);
	json_object_set_new(
	    shape, "notify.first_pause_ms", json_integer((json_int_t)notify->first_pause_ms));
	json_object_set_new(
	    shape, "notify.give_up_ms", json_integer((json_int_t)notify->give_up_ms));
	json_object_set_new(
	    shape, "notify.timeout_ms", json_integer((json_int_t)notify->timeout_ms));
	json_object_set_new(shape, "metrics", json_text(settings->metrics));
}
