#include "policy/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_SIZE (256 * 1024 - sizeof(struct arena_block))

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) unsigned char bytes[];
};

static void block_add(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
	struct arena_block *block = mmap(NULL, sizeof(*block) + room, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED) {
		fputs("out of memory\n", stderr);
		abort();
	}
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

		munmap(block, sizeof(*block) + block->size);
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
