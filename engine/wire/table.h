/*
 * A hash table from number to what embeds its entry.
 *
 * Owns its slots, never the entries.
 */
#ifndef WIRE_TABLE_H
#define WIRE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_entry {
	uint32_t number;
	void *owner;
	struct table_entry *next; /* the table's own */
};

/* Zeroed = empty. */
struct table {
	struct table_entry **slots;
	size_t slot_count; /* 0 or a power of two */
	size_t count;
};

void table_clear(struct table *);

/* `number` must not be there yet. */
void table_put(struct table *, struct table_entry *, uint32_t number, void *owner);
/* The owner; NULL when there is none. */
void *table_get(const struct table *, uint32_t number);
void table_remove(struct table *, struct table_entry *);

#endif
