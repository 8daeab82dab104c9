/*
 * Sortable ids: 128 bits, 48 of them the time in ms, shown as 26 characters of Crockford base 32
 * (the ULID layout). Ids made by one process are strictly increasing.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#define ID_SIZE	     16
#define ID_TEXT_SIZE 27 /* with the NUL */

struct id {
	uint8_t bytes[ID_SIZE]; /* big-endian: memcmp sorts by time */
};

/* A new id for this moment (`wall_ms`). */
struct id id_make(uint64_t wall_ms);

/* All zero: no id. */
bool id_is_none(const struct id *);
bool id_equal(const struct id *, const struct id *);

/* Writes the text into `out[ID_TEXT_SIZE]` and returns it. */
char *id_text(const struct id *, char *out);

/*
 * Reads a whole id or the first characters of one (any case): `*low` and `*high` get the smallest
 * and the largest id that begin so. False when `text` is empty, too long or not base 32.
 */
bool id_range(const char *text, struct id *low, struct id *high);

#endif
