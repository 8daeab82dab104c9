/*
 * Loading the policy anew while an engine runs: one load at a time, beside the loop.
 *
 * Owns who waits for a load, and the change from one policy to the next. Where the new one is bad,
 * the old one stays in force.
 */
#ifndef SERVICE_RELOAD_H
#define SERVICE_RELOAD_H

#include "service/engine.h"

struct reloads;

struct reloads *reloads_new(struct service *);
/* NULL is fine. */
void reloads_free(struct reloads *);

/* Who asks waits for a load that begins now or later: SERVICE_LATER. `take`: and goes by it then;
 * else it is compared with the one in force. */
enum service_end reloads_ask(struct reloads *, struct request *, bool take);
/* Nobody waits for it: what came of it is in the log. */
void reloads_signalled(struct reloads *);

/* {at, ok, error, errors, warnings} of the last one that was to be taken; null where there was
 * none. NULL is fine. */
json_t *reloads_last(const struct reloads *);

/* Its own warnings, and what an engine has once and for all and keeps. */
json_t *reload_warnings(const struct service *, const struct snapshot *);

void reload_log_warnings(const json_t *warnings);

#endif
