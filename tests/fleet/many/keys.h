/* The host keys that the fleet's assets show, and what they agree to: all alike, but for troubles.
 */
#ifndef MANY_KEYS_H
#define MANY_KEYS_H

#define WITH_SERVER
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "many.h"

struct keys {
	ssh_bind usual, other, dh;
};

ssh_bind keys_door(const struct keys *, enum trouble);

#endif
