/*
 * One mail: a notice as a transfer by SMTP, and what came of it.
 *
 * Owns the form of the message (RFC 5322, MIME) and what a server's answer means. Never decides
 * when something is sent.
 */
#ifndef SERVICE_MAIL_H
#define SERVICE_MAIL_H

#include <curl/curl.h>

#include "base/err.h"
#include "vault.h"

struct notice;
struct service;
struct transfer;

/* What came of an attempt. */
enum sent {
	SENT_OK,
	SENT_LATER, /* to be tried again */
	SENT_NEVER, /* it is this notice that was refused, for good */
};

/* ERR_NOT_FOUND: what it tells of is not kept any more, and never will be; else it may be tried
 * again later. */
enum err mail_make(struct transfer **, const struct service *, struct vault_txn *,
    const struct notice *, struct error *error) MUST_CHECK;

/* `why` is for people, and has no line's end. */
enum sent mail_sent(const struct transfer *, CURLcode, char why[WHY_SIZE]);

#endif
