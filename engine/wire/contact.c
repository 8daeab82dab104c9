#include "wire/contact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "base/mem.h"
#include "wire/turn.h"
#include "wire/work.h"

#define WORK_PRIORITY 1

struct contact {
	const struct contact_config *config;
	struct table *table;
	struct table_entry entry;
	struct wire_target target; /* of the last OPEN; points into `opened` */
	struct message opened;
	struct place place;

	/* The job in work; `work` NULL = none. */
	struct message message;
	struct work *work;
	struct scripts *scripts;
	uint64_t deadline_ms;
	bool unbegun; /* an OPEN that waits for its first turn */
	struct event *deadline;
	struct turn turn;

	/* Of the link's descriptor. It stays registered as long as it waits for the same, and tells
	 * of each change once: what was told and not read yet must be remembered. */
	struct event *event;
	int fd;
	short events; /* 0 = not registered */
	bool ready;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void contact_ask(struct contact *contact)
{
	turn_ask(contact->config->turns, &contact->turn);
}

static void contact_disarm(void *arg)
{
	struct contact *contact = arg;

	if (contact->events != 0)
		event_del(contact->event);
	contact->events = 0;
}

/* A look is all that an event asks for, be it the descriptor's or the deadline's. */
static void contact_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct contact *contact = arg;

	(void)fd;
	(void)what;
	contact->ready = true;
	if (contact->work != NULL)
		contact_ask(contact);
}

static void contact_arm(struct contact *contact, int fd, short events)
{
	if (events != 0 && fd == contact->fd && events == contact->events) {
		/* What was told of and not read is not told of again. */
		if (contact->ready && (events & EV_READ) != 0)
			contact_ask(contact);
		return;
	}
	contact_disarm(contact);
	if (fd < 0 || events == 0)
		return;
	event_assign(contact->event, contact->config->base, fd,
	    (short)(events | EV_PERSIST | EV_ET), contact_on_event, contact);
	event_priority_set(contact->event, WORK_PRIORITY);
	event_add(contact->event, NULL);
	contact->fd = fd;
	contact->events = events;
}

/* libevent counts from when the turn of the loop began, which is a little earlier. */
static void contact_await_deadline(struct contact *contact)
{
	uint64_t now = now_ms();
	uint64_t left_ms = now < contact->deadline_ms ? contact->deadline_ms - now : 0;
	struct timeval left = {
	    .tv_sec = (time_t)(left_ms / 1000),
	    .tv_usec = (suseconds_t)(left_ms % 1000 * 1000),
	};

	event_add(contact->deadline, &left);
}

static void contact_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct contact *contact = arg;

	(void)fd;
	(void)what;
	if (now_ms() < contact->deadline_ms)
		contact_await_deadline(contact);
	else
		contact_ask(contact);
}

static void contact_on_wake(void *arg)
{
	struct contact *contact = arg;

	if (contact->work != NULL)
		contact_ask(contact);
}

/* Looks again when the descriptor is ready. */
static void contact_wait(struct contact *contact)
{
	short events = 0;
	int fd = -1;

	if (contact->place.link != NULL)
		link_wait(contact->place.link, &fd, &events);
	contact_arm(contact, fd, events);
}

/* Ends the job in work without a word. */
static void contact_drop(struct contact *contact)
{
	contact->unbegun = false;
	event_del(contact->deadline);
	turn_forget(contact->config->turns, &contact->turn);
	work_free(contact->work);
	contact->work = NULL;
	if (contact->scripts != NULL)
		contact->config->scripts_done(contact->config->arg, contact->scripts);
	contact->scripts = NULL;
	message_clear(&contact->message);
}

static void contact_answer(struct contact *contact, const struct outcome *outcome)
{
	uint32_t session = contact->message.session, number = contact->message.number;
	struct wire_result result;

	/* No further key is looked at; and they are the largest part of a session of ours. */
	if (contact->message.job.kind == WIRE_OPEN) {
		message_drop_pins(&contact->opened);
		contact->target.pins = NULL;
		contact->target.pin_count = 0;
	}
	work_result(contact->work, outcome, &result);
	contact_drop(contact);
	contact->config->done(contact->config->arg, session, number, &result);
}

/* One look. */
static enum err contact_step(struct contact *contact, bool *busy, struct outcome *outcome)
{
	struct link *link = contact->place.link;
	enum err err;

	/* While it connects, its descriptor may be closed, and another have the same number. */
	if (link == NULL || !link_is_connected(link))
		contact_disarm(contact);
	if (link != NULL)
		link_turn_begin(link, (contact->events & EV_READ) != 0 && !contact->ready);
	err = work_step(contact->work, busy, outcome);
	if (contact->place.link != NULL)
		contact->ready = !link_turn_end(contact->place.link);
	return err;
}

static void contact_on_turn(void *arg)
{
	struct contact *contact = arg;
	struct outcome outcome;
	bool busy;
	enum err err;

	if (contact->unbegun)
		contact->config->begun(contact->config->arg, contact->message.session);
	contact->unbegun = false;
	err = contact_step(contact, &busy, &outcome);
	if (err == ERR_AGAIN) {
		if (now_ms() < contact->deadline_ms) {
			if (busy)
				contact_ask(contact);
			else
				contact_wait(contact);
			return;
		}
		err = outcome_set(&outcome, FAULT_TIMEOUT, "not done within %.1f s",
		    (double)contact->message.job.timeout_ms / 1000);
	}
	/* An error without a fault would read as success. */
	if (err != ERR_OK && outcome.fault == FAULT_NONE)
		err = outcome_set(&outcome, FAULT_LOST, "it failed without a reason");
	contact_answer(contact, &outcome);
}

struct contact *contact_new(
    const struct contact_config *config, struct table *table, uint32_t session)
{
	struct contact *contact = xcalloc(1, sizeof(*contact));

	contact->config = config;
	contact->table = table;
	contact->turn.fn = contact_on_turn;
	contact->turn.arg = contact;
	contact->place.parting = contact_disarm;
	contact->place.arg = contact;
	contact->event = event_new(config->base, -1, 0, contact_on_event, contact);
	contact->deadline = event_new(config->base, -1, 0, contact_on_deadline, contact);
	if (contact->event == NULL || contact->deadline == NULL)
		abort();
	event_priority_set(contact->deadline, WORK_PRIORITY);
	table_put(table, &contact->entry, session, contact);
	return contact;
}

void contact_free(struct contact *contact)
{
	if (contact == NULL)
		return;
	contact_drop(contact);
	place_clear(&contact->place);
	message_clear(&contact->opened);
	contact_disarm(contact);
	event_free(contact->event);
	event_free(contact->deadline);
	table_remove(contact->table, &contact->entry);
	free(contact);
}

/* What the other session has become by now. */
static struct gateway *contact_gateway(void *arg)
{
	const struct contact *contact = arg;
	const struct contact *via = table_get(contact->table, contact->opened.via);

	return via != NULL ? via->place.gateway : NULL;
}

static bool job_is_scripted(const struct wire_job *job)
{
	return job->kind == WIRE_CHECK || job->kind == WIRE_CHANGE || job->kind == WIRE_HASH ||
	       job->kind == WIRE_PERSIST;
}

enum err contact_start(struct contact *contact, struct message *message)
{
	const struct contact_config *shared = contact->config;
	struct work_config config = {
	    .dns = shared->dns,
	    .hasher = shared->hasher,
	    .base = shared->base,
	    .turns = shared->turns,
	    .slow_lane = shared->slow_lane,
	    .wake = contact_on_wake,
	    .arg = contact,
	};

	if (contact->work != NULL)
		return ERR_PROTOCOL;
	/* The target is needed as long as the session: its message stays. */
	if (message->job.kind == WIRE_OPEN) {
		message_clear(&contact->opened);
		contact->opened = *message; /* transferred */
		contact->target = contact->opened.target;
		contact->message = (struct message){
		    .session = message->session,
		    .number = message->number,
		    .job = message->job,
		};
	} else {
		contact->message = *message; /* transferred */
	}
	memset(message, 0, sizeof(*message));
	contact->deadline_ms = now_ms() + contact->message.job.timeout_ms;
	contact_await_deadline(contact);
	if (job_is_scripted(&contact->message.job))
		contact->scripts = shared->scripts(shared->arg, contact->message.job.snapshot);
	config.scripts = contact->scripts;
	if (contact->opened.via != 0)
		config.gateway = contact_gateway;
	contact->work = work_new(&config, &contact->place, &contact->target, &contact->message.job);
	contact->unbegun = contact->message.job.kind == WIRE_OPEN && !contact->target.urgent;
	if (contact->unbegun)
		turn_begin(shared->turns, &contact->turn);
	else
		contact_ask(contact);
	return ERR_OK;
}
