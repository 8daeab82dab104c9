#include "wire/table.h"

#include <stdlib.h>

#include "base/mem.h"

#define SLOTS_MIN 64

/* Numbers are given out one after the other: their low bits spread well. */
static struct table_entry **table_slot(const struct table *table, uint32_t number)
{
	return &table->slots[number & (table->slot_count - 1)];
}

static void table_link(struct table *table, struct table_entry *entry)
{
	struct table_entry **slot = table_slot(table, entry->number);

	entry->next = *slot;
	*slot = entry;
}

static void table_grow(struct table *table)
{
	struct table old = *table;

	table->slot_count = old.slot_count == 0 ? SLOTS_MIN : old.slot_count * 2;
	table->slots = xcalloc(table->slot_count, sizeof(struct table_entry *));
	for (size_t i = 0; i < old.slot_count; i++) {
		for (struct table_entry *entry = old.slots[i], *next; entry != NULL; entry = next) {
			next = entry->next;
			table_link(table, entry);
		}
	}
	free(old.slots);
}

void table_clear(struct table *table)
{
	free(table->slots);
	*table = (struct table){.count = 0};
}

void table_put(struct table *table, struct table_entry *entry, uint32_t number, void *owner)
{
	if (table->count == table->slot_count)
		table_grow(table);
	entry->number = number;
	entry->owner = owner;
	table_link(table, entry);
	table->count++;
}

void *table_get(const struct table *table, uint32_t number)
{
	if (table->count == 0)
		return NULL;
	for (struct table_entry *entry = *table_slot(table, number); entry != NULL;
	     entry = entry->next) {
		if (entry->number == number)
			return entry->owner;
	}
	return NULL;
}

void table_remove(struct table *table, struct table_entry *entry)
{
	struct table_entry **at = table_slot(table, entry->number);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	table->count--;
}
