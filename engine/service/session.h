/*
 * Sessions of people who logged in over TLS.
 *
 * Owns who is in and until when, in memory alone: a session ends with the engine, what is on disk
 * opens none, and to log in takes no commit more than the one that counts. Of what is shown for one
 * only a hash is kept, here too.
 */
#ifndef SERVICE_SESSION_H
#define SERVICE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/person.h"

struct service;

#define SESSION_TEXT_SIZE (4 + 64 + 1) /* "lss_" and hexadecimal, with the NUL */
#define SESSION_LASTS_MS  (60u * 60 * 1000)

/* Lets a user in: what they show from now on, and the name of the session, for as long as a code
 * holds. Of one user the oldest goes where there are 8. */
void session_begin(
    struct service *, const char *user, char text[SESSION_TEXT_SIZE], char name[SESSION_SIZE]);

/* Whether the text has a session's form, whatever it is good for. */
bool session_is_meant(const char *text, size_t len);
/* Fills the caller's user and session. */
bool session_identify(struct service *, const char *text, size_t len, struct caller *);

/* Ends the one of that name; false where there is none. */
bool session_end(struct service *, const char *name);
/* Ends all of a user's, or all (NULL). */
void sessions_forget(struct service *, const char *user);

#endif
