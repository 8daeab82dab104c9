#include "wire/blocks.h"

#include "base/mem.h"

struct block_head {
	struct block_head *next, *previous;
	size_t size;
	size_t unused; /* keeps what follows 16-byte aligned */
};

static bool blocks_fit(struct blocks *blocks, size_t size)
{
	size_t size_max = blocks->size_max != 0 ? blocks->size_max : BLOCKS_SIZE_MAX;

	if (blocks->used <= size_max && size <= size_max - blocks->used)
		return true;
	blocks->over = true;
	return false;
}

static void blocks_link(struct blocks *blocks, struct block_head *head)
{
	head->next = NULL;
	head->previous = blocks->last;
	if (blocks->last != NULL)
		blocks->last->next = head;
	else
		blocks->first = head;
	blocks->last = head;
	blocks->used += head->size;
}

static void blocks_unlink(struct blocks *blocks, struct block_head *head)
{
	if (head->previous != NULL)
		head->previous->next = head->next;
	else
		blocks->first = head->next;
	if (head->next != NULL)
		head->next->previous = head->previous;
	else
		blocks->last = head->previous;
	blocks->used -= head->size;
}

void *blocks_alloc(struct blocks *blocks, size_t size)
{
	struct block_head *head;

	if (!blocks_fit(blocks, size))
		return NULL;
	head = mem_alloc(sizeof(*head) + size);
	if (head == NULL)
		return NULL;
	head->size = size;
	blocks_link(blocks, head);
	return head + 1;
}

void *blocks_realloc(struct blocks *blocks, void *ptr, size_t size)
{
	struct block_head *head = ptr, *moved;

	if (ptr == NULL)
		return blocks_alloc(blocks, size);
	head--;
	if (size > head->size && !blocks_fit(blocks, size - head->size))
		return NULL;
	blocks_unlink(blocks, head);
	moved = mem_realloc(head, sizeof(*head) + size);
	if (moved == NULL) {
		blocks_link(blocks, head);
		return NULL;
	}
	moved->size = size;
	blocks_link(blocks, moved);
	return moved + 1;
}

/* From the oldest, the order in which a session gives back what it queued. */
static bool blocks_hold(const struct blocks *blocks, const struct block_head *head)
{
	const struct block_head *each = blocks->first;

	while (each != NULL && each != head)
		each = each->next;
	return each != NULL;
}

void blocks_free(struct blocks *blocks, void *ptr)
{
	struct block_head *head = ptr;

	if (ptr == NULL)
		return;
	head--;
	if (blocks->ending && !blocks_hold(blocks, head))
		return;
	blocks_unlink(blocks, head);
	mem_free(head);
}

void blocks_clear(struct blocks *blocks)
{
	while (blocks->first != NULL) {
		struct block_head *head = blocks->first;

		blocks_unlink(blocks, head);
		mem_free(head);
	}
}
