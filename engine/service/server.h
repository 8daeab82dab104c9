/*
 * The socket: requests of other programs to the engine that runs here.
 *
 * Owns who is let in (the vault's owner, root and whom the policy declares, as the kernel says; all
 * may knock where it declares someone), the connections, and their
 * caps: how many, how large, how long. One request a connection. Never knows what a method does;
 * a client that goes away takes only its view with it.
 */
#ifndef SERVICE_SERVER_H
#define SERVICE_SERVER_H

#include <stdbool.h>

#include "base/err.h"

struct server;
struct service;

/* Listens. The vault's lock is held: whatever stands at `path` is nobody's. */
enum err server_open(
    struct server **, struct service *, const char *path, struct error *error) MUST_CHECK;

/* There is a new policy: who may knock follows it. */
void server_follow(struct server *);

/* Takes the socket away. Whoever has not asked yet is told to ask again; answers still go out. */
void server_end(struct server *);

/* After server_end: every answer has been taken, or its taker did not come for it. */
bool server_is_quiet(const struct server *);

/* Drops what is left. NULL is fine. */
void server_close(struct server *);

#endif
