/*
 * What else of this room depends on the seed of a test.
 */
#ifndef ENGINE_BASE_RANDOM_STATE_H
#define ENGINE_BASE_RANDOM_STATE_H

/* Changes with each random_seed and random_unseed. */
unsigned random_generation(void);

#endif
