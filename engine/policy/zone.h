/*
 * Time zones, by the system's own data and C library.
 *
 * Owns the variable TZ for the length of a calculation: the process has one thread. What others ask
 * is a clock that reads a zone's wall time and never goes back: where summer time ends it stands
 * still until the repeated hour is over, where it begins it jumps. So each reading comes at one
 * moment at most, and what a jump leaves out comes at the jump.
 *
 * Readings are seconds since 1970 as if the wall clock showed UTC: gmtime_r takes them apart.
 * Moments are seconds since 1970, UTC.
 */
#ifndef POLICY_ZONE_H
#define POLICY_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_NAME_SIZE 64

/* NULL, or what is wrong with it. `nearest` ("" = none is) is what was probably meant. */
const char *zone_fault(const char *name, char nearest[ZONE_NAME_SIZE]);

/* From here to zone_leave local time is that of the zone; NULL = the machine's own. Costs a reading
 * of the zone's file: both together take 6 µs. */
struct zone_turn {
	bool changed;
	char *before; /* TZ; NULL = there was none */
};
void zone_enter(struct zone_turn *, const char *name);
void zone_leave(struct zone_turn *);

/* What the clock that never goes back shows. */
int64_t zone_reading(int64_t moment);
/* The first moment at which it shows that much. */
int64_t zone_moment(int64_t reading);

#endif
