/*
 * The courier: lockstepd's, who sends what is queued.
 *
 * Owns when something is sent, the pauses after what could not be, and giving up. One transfer at a
 * time goes to each place; a place that fails is left alone for growing pauses, whatever waits for
 * it. What was sent is taken out of the queue after the other side took it: if we are killed in
 * between, it is sent again.
 */
#ifndef SERVICE_COURIER_H
#define SERVICE_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct courier;
struct notice;
struct service;

/* Looks at the queue from the loop. NULL where libcurl cannot be had. */
struct courier *courier_new(struct service *);
/* What is under way is cut off, and stays queued. NULL is fine. */
void courier_free(struct courier *);

/* Something was queued; or, with `anew`, what failed may work now: pauses are over. NULL is fine.
 */
void courier_look(struct courier *);
void courier_look_anew(struct courier *);

/* When it is tried next (wall); 0 = it is under way. */
uint64_t courier_next_ms(const struct courier *, const struct notice *);

#endif
