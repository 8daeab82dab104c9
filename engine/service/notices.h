/*
 * What is queued to be told: which events are told to whom, by the policy as it is now.
 *
 * Owns the meaning of each event. Never sends anything: that is the courier's.
 */
#ifndef SERVICE_NOTICES_H
#define SERVICE_NOTICES_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "vault.h"

struct policy;
struct rotation_event;
struct service;
struct settings;

#define CHANNEL_MAIL	"mail"
#define CHANNEL_WEBHOOK "webhook"
#define NOTICE_TESTED	"test" /* the event of what only shows that the way is open */

/* What rotation's `note` is, with the service as its `arg`. */
enum err notices_note(
    void *service, struct vault_txn *, const struct rotation_event *, struct error *) MUST_CHECK;

/* Nothing more of it is begun; soon, in a commit of its own. */
void notices_stopped(struct service *, const struct execution *);

/* A policy was refused; `text` is the first thing that is wrong with it. */
void notices_rejected(struct service *, const char *text);

/* Someone asks for an approval, in the transaction that keeps it: mail goes to whoever may give it,
 * and to nobody else. */
enum err notices_asked(struct service *, struct vault_txn *, const char *text,
    const char *const *addresses, size_t count, struct error *error) MUST_CHECK;

/* The vault is closed: what was not written yet is gone. */
void notices_drop(struct service *);

/* In a line; null where there are none. */
json_t *shape_addresses(const char *const *addresses, size_t count);

/* What the settings say of it, a member a field: for who compares two policies. */
void notices_shape(json_t *shape, const struct settings *);

/* Whether there is anyone to tell anything. */
bool notices_are_wanted(const struct policy *);

#endif
