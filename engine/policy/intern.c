#include "policy/intern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/spread.h"

#define ROOM_FIRST 256 /* a power of two, as all later ones */
#define STEPS_MAX  32

struct interned {
	void *bytes; /* NULL = the slot is free */
	uint32_t len;
	uint32_t spread;
};

/* The slot that has these bytes, or the one to put them into. NULL where it is crowded. */
static struct interned *slot_find(
    const struct intern *intern, const void *bytes, uint32_t len, uint32_t spread)
{
	for (size_t i = 0; i < STEPS_MAX; i++) {
		struct interned *slot = &intern->slots[(spread + i) & (intern->room - 1)];

		if (!slot->bytes || (slot->spread == spread && slot->len == len &&
					memcmp(slot->bytes, bytes, len) == 0))
			return slot;
	}
	return NULL;
}

/* Half of the slots stay free. */
static void make_room(struct intern *intern)
{
	struct intern larger = *intern;

	if (2 * (intern->count + 1) <= intern->room)
		return;
	larger.room = intern->room ? 2 * intern->room : ROOM_FIRST;
	larger.slots = xcalloc(larger.room, sizeof(larger.slots[0]));
	for (size_t i = 0; i < intern->room; i++) {
		const struct interned *from = &intern->slots[i];
		struct interned *slot =
		    from->bytes ? slot_find(&larger, from->bytes, from->len, from->spread) : NULL;

		if (slot)
			*slot = *from;
	}
	free(intern->slots);
	*intern = larger;
}

void *intern_bytes(struct intern *intern, const void *bytes, size_t len, size_t size)
{
	uint32_t spread = (uint32_t)spread_end(spread_add(0, bytes, len));
	struct interned *slot;
	void *copy;

	make_room(intern);
	slot = slot_find(intern, bytes, (uint32_t)len, spread);
	if (slot && slot->bytes)
		return slot->bytes;
	copy = arena_alloc(intern->arena, size);
	memcpy(copy, bytes, len);
	if (slot) {
		*slot = (struct interned){copy, (uint32_t)len, spread};
		intern->count++;
	}
	return copy;
}

const char *intern_text(struct intern *intern, const char *text)
{
	size_t size = text ? strlen(text) + 1 : 0;

	return text ? intern_bytes(intern, text, size, size) : NULL;
}

void *intern_list(struct intern *intern, const void *items, size_t count, size_t item_size)
{
	size_t size = count * item_size;

	return count > 0 ? intern_bytes(intern, items, size, size) : NULL;
}

void intern_clear(struct intern *intern)
{
	free(intern->slots);
	*intern = (struct intern){0};
}
