/*
 * One webhook: a notice as a transfer by HTTP, and what came of it.
 *
 * Owns the form of what is posted, its signature and what an answer means. Never decides when
 * something is sent. docs/notifications.md describes it for receivers.
 */
#ifndef SERVICE_WEBHOOK_H
#define SERVICE_WEBHOOK_H

#include <curl/curl.h>

#include "base/err.h"
#include "service/mail.h"

/* As mail_make and mail_sent. */
enum err webhook_make(struct transfer **, const struct service *, struct vault_txn *,
    const struct notice *, struct error *error) MUST_CHECK;
enum sent webhook_sent(const struct transfer *, CURLcode, char why[WHY_SIZE]);

#endif
