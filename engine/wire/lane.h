/*
 * Which assets belong to the slow lane, by name.
 *
 * Owns the names, for as long as the engine lives: they are of the policy, an asset that a session
 * was opened to has one. Never decides who belongs there.
 */
#ifndef WIRE_LANE_H
#define WIRE_LANE_H

#include <stdbool.h>

/* Zeroed = nobody. */
struct lane {
	void *names; /* of tsearch */
};

void lane_clear(struct lane *);
void lane_add(struct lane *, const char *asset);
void lane_drop(struct lane *, const char *asset);
bool lane_has(const struct lane *, const char *asset);

#endif
