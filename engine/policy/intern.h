/*
 * Interning: what many assets say is kept once.
 *
 * Owns the table in which equal bytes are found again, never the bytes: they are the arena's, and
 * stay when the table goes. Whatever the bytes, to look for some takes a bounded number of steps:
 * where the table is crowded they are kept once more, so that a pointer tells nothing of equality.
 */
#ifndef POLICY_INTERN_H
#define POLICY_INTERN_H

#include <stddef.h>

#include "policy/arena.h"

struct interned;

struct intern {
	struct arena *arena;
	struct interned *slots;
	size_t count, room;
};

/*
 * What begins with these bytes, and has `size` of them: zeros behind, unless the caller has written
 * there since. The bytes themselves stay as they are.
 */
void *intern_bytes(struct intern *, const void *bytes, size_t len, size_t size);

/* NULL stays NULL. */
const char *intern_text(struct intern *, const char *text);

/* Where the items point to what is interned, equal lists are one. NULL for none. */
void *intern_list(struct intern *, const void *items, size_t count, size_t item_size);

void intern_clear(struct intern *);

#endif
