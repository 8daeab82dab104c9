/*
 * What a notice says in a mail: its subject, and its words as text and as a page of HTML.
 *
 * All that others wrote is escaped and cut. Never holds a secret: it is made of what the lists
 * show.
 */
#ifndef SERVICE_LETTER_H
#define SERVICE_LETTER_H

#include "base/err.h"
#include "vault.h"

struct notice;
struct service;

#define SUBJECT_SIZE 256

struct letter {
	char subject[SUBJECT_SIZE]; /* UTF-8, one line */
	char *text, *html;	    /* UTF-8, lines end with CR LF */
};

/* ERR_NOT_FOUND: what it is about is not kept any more. */
enum err letter_write(struct letter *, const struct service *, struct vault_txn *,
    const struct notice *, struct error *error) MUST_CHECK;
void letter_clear(struct letter *);

#endif
