/*
 * What a request leaves in the audit log.
 *
 * A handler of a method that the table calls audited appends an entry in the commit of what it
 * changes, or before it lets out what it shows. Never a secret, and never for what was not done.
 */
#ifndef SERVICE_AUDIT_H
#define SERVICE_AUDIT_H

#include "service/engine.h"
#include "vault/audit.h"

/* Who asks, as the log names them: texts are good for as long as the request lives. */
void request_who(struct request *, struct audit_who *);

/* Appends within a transaction; `event->who` is filled in. */
enum err request_audit(
    struct request *, struct vault_txn *, struct audit_event *, struct error *error) MUST_CHECK;

/* In a commit of its own: OK = it is durable. */
enum service_end request_audit_now(struct request *, struct audit_event *) MUST_CHECK;

/* vault_write, and the entry in the same commit where `apply` succeeds. */
enum err request_write(
    struct request *, vault_apply_fn apply, void *arg, struct audit_event *) MUST_CHECK;

/* The files of a policy that was loaded, or refused for `why`; in the log where they are others
 * than those of the last entry, or `always`. `request` NULL: nobody asked, a signal did. */
enum err audit_policy(struct service *, struct request *, const struct policy_files *,
    const char *why, bool always, struct error *error) MUST_CHECK;

/* {vault, first, last, entries, …} of what was checked. */
json_t *shape_audit(const struct audit_report *);

/* Each entry goes to syslog too, where the settings say so. */
void audit_follow(struct service *);

#endif
