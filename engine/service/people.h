/* Users in requests. */
#ifndef SERVICE_PEOPLE_H
#define SERVICE_PEOPLE_H

#include "service/engine.h"

/* One that the policy declares; NULL, and the request fails with the nearest name. */
const struct user *need_user(struct request *, const char *name);
/* Whose `what` ("a password") it is about: the asker's own, or with the permission admin that of
 * the parameter "user"; nobody's by a token. NULL, and the request fails. */
const struct user *need_whose(struct request *, const char *what, const char *another);

#endif
