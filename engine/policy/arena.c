#include "policy/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_SIZE (256 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) unsigned char bytes[];
};

static void block_add(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
	struct arena_block *block = xcalloc(1, sizeof(*block) + room);

	block->size = room;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = 0;
	arena->total += room;
}

/* At a multiple of `align` within the block. */
static void *take(struct arena *arena, size_t size, size_t align)
{
	void *bytes;

	arena->used = (arena->used + align - 1) / align * align;
	if (!arena->blocks || arena->used > arena->blocks->size ||
	    arena->blocks->size - arena->used < size)
		block_add(arena, size);
	bytes = arena->blocks->bytes + arena->used;
	arena->used += size;
	return bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return take(arena, size, alignof(max_align_t));
}

char *arena_text(struct arena *arena, const char *text, size_t len)
{
	char *copy = take(arena, len + 1, 1);

	memcpy(copy, text, len);
	return copy;
}

static void blocks_free(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;

		free(block);
		block = next;
	}
}

void arena_reset(struct arena *arena)
{
	struct arena_block *kept = arena->blocks;

	if (!kept)
		return;
	blocks_free(kept->next);
	kept->next = NULL;
	memset(kept->bytes, 0, arena->used);
	arena->used = 0;
	arena->total = kept->size;
}

void arena_clear(struct arena *arena)
{
	blocks_free(arena->blocks);
	*arena = (struct arena){0};
}
