/*
 * The memory of one libssh2 session: wiped, not dumped, capped, and given back as a whole.
 *
 * Owns every block that libssh2 took for the session, so that nothing is lost when a session is cut
 * where libssh2 forgets its own. Never reuses a block after the session.
 */
#ifndef WIRE_BLOCKS_H
#define WIRE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

/* Far above what an honest session needs (60 KB and its windows). */
#define BLOCKS_SIZE_MAX (1024 * 1024)

struct block_head;

/* Zeroed = empty. */
struct blocks {
	struct block_head *first, *last;
	size_t used;
	size_t size_max; /* 0 = BLOCKS_SIZE_MAX */
	bool over;	 /* the cap was reached */
	bool ending;	 /* the session is being freed: libssh2 may then free a block twice */
};

void *blocks_alloc(struct blocks *, size_t size);
void *blocks_realloc(struct blocks *, void *ptr, size_t size);
void blocks_free(struct blocks *, void *ptr);

/* Frees all that is left. */
void blocks_clear(struct blocks *);

#endif
