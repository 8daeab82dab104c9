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
	struct event *event;
	struct turn turn;
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

/* A look is all that an event asks for, be it the descriptor's or the deadline's. */
static void contact_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	contact_ask(arg);
}

static void contact_on_wake(void *arg)
{
	struct contact *contact = arg;

	if (contact->work != NULL)
		contact_ask(contact);
}

/* Looks again when the descriptor is ready, at the deadline at the latest. */
static void contact_wait(struct contact *contact, uint64_t left_ms)
{
	struct timeval left = {
	    .tv_sec = (time_t)(left_ms / 1000),
	    .tv_usec = (suseconds_t)(left_ms % 1000 * 1000),
	};
	short events = 0;
	int fd = -1;

	if (contact->place.link != NULL)
		link_wait(contact->place.link, &fd, &events);
	event_assign(contact->event, contact->config->base, fd, events, contact_on_event, contact);
	event_priority_set(contact->event, WORK_PRIORITY);
	event_add(contact->event, &left);
}

/* Ends the job in work without a word. */
static void contact_drop(struct contact *contact)
{
	event_del(contact->event);
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

	work_result(contact->work, outcome, &result);
	contact_drop(contact);
	contact->config->done(contact->config->arg, session, number, &result);
}

static void contact_on_turn(void *arg)
{
	struct contact *contact = arg;
	struct outcome outcome;
	uint64_t now;
	bool busy;
	enum err err;

	event_del(contact->event);
	err = work_step(contact->work, &busy, &outcome);
	if (err == ERR_AGAIN) {
		now = now_ms();
		if (now < contact->deadline_ms) {
			if (busy)
				contact_ask(contact);
			else
				contact_wait(contact, contact->deadline_ms - now);
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
	contact->event = event_new(config->base, -1, 0, contact_on_event, contact);
	if (contact->event == NULL)
		abort();
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
	event_free(contact->event);
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
	if (job_is_scripted(&contact->message.job))
		contact->scripts = shared->scripts(shared->arg, contact->message.job.snapshot);
	config.scripts = contact->scripts;
	if (contact->opened.via != 0)
		config.gateway = contact_gateway;
	contact->work = work_new(&config, &contact->place, &contact->target, &contact->message.job);
	contact_ask(contact);
	return ERR_OK;
}
