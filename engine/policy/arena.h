/*
 * An arena: memory that lives and goes with one snapshot.
 *
 * Owns its blocks and frees them all at once, never one alone. They are mapped, so that they go
 * back to the system, whatever else the heap holds. Memory is cleared and, but for texts, aligned
 * for anything.
 */
#ifndef POLICY_ARENA_H
#define POLICY_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used;  /* of the first block */
	size_t total; /* of all blocks, in bytes */
};

void *arena_alloc(struct arena *, size_t size);
char *arena_text(struct arena *, const char *text, size_t len);

/* Nothing of it is in use any more; keeps a block for what comes. */
void arena_reset(struct arena *);
void arena_clear(struct arena *);

#endif
