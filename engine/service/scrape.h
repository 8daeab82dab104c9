/*
 * Metrics on an address, for who cannot come to the socket: lockstepd's.
 *
 * Owns that listener and its connections, few and short. Answers GET /metrics and nothing else;
 * what it tells is no secret, but who may come is the network's to say.
 */
#ifndef SERVICE_SCRAPE_H
#define SERVICE_SCRAPE_H

struct scrape;
struct service;

/*
 * Listens where the policy says, or not any more; where it cannot, the log says why and nothing
 * else suffers. To be called again after a reload.
 */
void scrape_update(struct service *);
void scrape_free(struct scrape *);

#endif
