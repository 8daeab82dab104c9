/*
 * The wire's end of a session: jobs come for it, one after the other.
 *
 * Owns the waiting: one event for the job in work (its descriptor and its deadline), its place in
 * the queue of turns, and the answer, once. Never knows what a job is made of: work.h does.
 */
#ifndef WIRE_CONTACT_H
#define WIRE_CONTACT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"
#include "wire/table.h"

struct contact;
struct evdns_base;
struct event_base;
struct hasher;
struct scripts;
struct turns;

/* What all contacts of a wire share. */
struct contact_config {
	struct event_base *base;
	struct evdns_base *dns;
	struct hasher *hasher;
	struct turns *turns;
	bool slow_lane; /* this wire is the slow lane's */
	/* The scripts of a snapshot, kept from now until scripts_done; NULL when they are gone. */
	struct scripts *(*scripts)(void *arg, uint32_t snapshot);
	void (*scripts_done)(void *arg, struct scripts *);
	/* An OPEN that is not urgent has begun. */
	void (*begun)(void *arg, uint32_t session);
	/* The job's answer; the contact takes the next one from now on. */
	void (*done)(void *arg, uint32_t session, uint32_t number, const struct wire_result *);
	void *arg;
};

/* `config` is shared, and outlives it. Puts itself into the table. */
struct contact *contact_new(const struct contact_config *, struct table *, uint32_t session);
/* Whatever it is doing. NULL is fine. */
void contact_free(struct contact *);

/* Begins a job, whose message is moved (and cleared in the end). ERR_PROTOCOL when one is in work:
 * then the message stays the caller's. */
enum err contact_start(struct contact *, struct message *job /* transferred */) MUST_CHECK;

#endif
