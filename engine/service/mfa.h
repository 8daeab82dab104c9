/*
 * Second factors: who has one, and whether it was shown for a request.
 *
 * Owns how long a code holds (in this process, for one person at one terminal), and that what a
 * code was is on disk before anyone is told. Never knows what it protects.
 */
#ifndef SERVICE_MFA_H
#define SERVICE_MFA_H

#include "service/engine.h"
#include "service/totp.h"

/*
 * Whether the person has shown their second factor for this request. Else it fails; where a code
 * has to be asked for, the result is {"needs": "code"}, and the same request with "code" goes on.
 */
enum service_end mfa_pass(struct request *) MUST_CHECK;

/* Fails the request with what became of a code of this user. */
enum service_end mfa_say(struct request *, const char *user, const struct code_verdict *);

/* A code of the person was right, and holds from now on. */
void mfa_remember(const struct request *);

/* No code holds any more: of one user, or of all (NULL); or of one of their sessions. */
void mfa_forget(struct service *, const char *user);
void mfa_forget_session(struct service *, const char *user, const char *session);

#endif
