/* Users in requests. */
#ifndef SERVICE_PEOPLE_H
#define SERVICE_PEOPLE_H

#include "service/engine.h"

/* One that the policy declares; NULL, and the request fails with the nearest name. */
const struct user *need_user(struct request *, const char *name);

#endif
