#include "base/id.h"

#include <string.h>

#include "base/random.h"
#include "base/random_state.h"

#define TIME_SIZE   6
#define TIME_MAX    (((uint64_t)1 << (8 * TIME_SIZE)) - 1)
#define CHARS	    (ID_TEXT_SIZE - 1)
#define SYMBOL_BITS 5

static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static uint64_t id_time(const struct id *id)
{
	uint64_t time = 0;

	for (size_t i = 0; i < TIME_SIZE; i++)
		time = time << 8 | id->bytes[i];
	return time;
}

/* The next one after `id`, as one number of 128 bits. */
static void id_next(struct id *id)
{
	for (size_t i = ID_SIZE; i-- > 0;) {
		if (++id->bytes[i] != 0)
			return;
	}
}

struct id id_make(uint64_t wall_ms)
{
	/* The clock may stand still or jump back; ids of one process still go forward. */
	static struct id last;
	static unsigned generation;

	/* A test that seeds the randomness gets the same ids again. */
	if (generation != random_generation()) {
		generation = random_generation();
		last = (struct id){{0}};
	}
	if (wall_ms > TIME_MAX)
		wall_ms = TIME_MAX;
	if (wall_ms <= id_time(&last)) {
		id_next(&last);
		return last;
	}
	for (size_t i = 0; i < TIME_SIZE; i++)
		last.bytes[i] = (uint8_t)(wall_ms >> (8 * (TIME_SIZE - 1 - i)));
	random_bytes(last.bytes + TIME_SIZE, ID_SIZE - TIME_SIZE);
	return last;
}

bool id_is_none(const struct id *id)
{
	static const struct id none;

	return id_equal(id, &none);
}

bool id_equal(const struct id *a, const struct id *b)
{
	return memcmp(a->bytes, b->bytes, ID_SIZE) == 0;
}

/* Where in the 130 bits of text (two of them before the id) the symbol's bit stands. */
static int symbol_bit(size_t symbol, unsigned bit)
{
	return (int)(symbol * SYMBOL_BITS + bit) - (CHARS * SYMBOL_BITS - ID_SIZE * 8);
}

char *id_text(const struct id *id, char *out)
{
	for (size_t i = 0; i < CHARS; i++) {
		unsigned value = 0;

		for (unsigned bit = 0; bit < SYMBOL_BITS; bit++) {
			int at = symbol_bit(i, bit);

			value <<= 1;
			if (at >= 0)
				value |= (id->bytes[at / 8] >> (7 - at % 8)) & 1u;
		}
		out[i] = symbols[value];
	}
	out[CHARS] = '\0';
	return out;
}

/* As Crockford has it: any case, and what looks like 0 or 1 is that. -1 for no symbol. */
static int symbol_value(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		return 0;
	if (c == 'I' || c == 'L')
		return 1;
	at = c == '\0' ? NULL : strchr(symbols, c);
	return at == NULL ? -1 : (int)(at - symbols);
}

/* False when the symbol has bits that no id has. */
static bool id_put_symbol(struct id *id, size_t symbol, unsigned value)
{
	for (unsigned bit = 0; bit < SYMBOL_BITS; bit++) {
		bool set = value >> (SYMBOL_BITS - 1 - bit) & 1;
		int at = symbol_bit(symbol, bit);

		if (at < 0 && set)
			return false;
		if (at < 0)
			continue;
		if (set)
			id->bytes[at / 8] |= (uint8_t)(0x80u >> (at % 8));
		else
			id->bytes[at / 8] &= (uint8_t) ~(0x80u >> (at % 8));
	}
	return true;
}

bool id_range(const char *text, struct id *low, struct id *high)
{
	size_t len = strlen(text);
	struct id from, to;

	if (len == 0 || len > CHARS)
		return false;
	memset(&from, 0, sizeof(from));
	memset(&to, 0xff, sizeof(to));
	for (size_t i = 0; i < len; i++) {
		int value = symbol_value(text[i]);

		if (value < 0 || !id_put_symbol(&from, i, (unsigned)value) ||
		    !id_put_symbol(&to, i, (unsigned)value))
			return false;
	}
	*low = from;
	*high = to;
	return true;
}
