#include "base/pack_scan.h"

#include <stdint.h>

#define DEPTH_MAX 16

struct scan {
	const uint8_t *next;
	size_t left;
	uint64_t open[DEPTH_MAX]; /* values still to come in each container */
	unsigned depth;
};

static bool scan_skip(struct scan *scan, uint64_t len)
{
	if (len > scan->left)
		return false;
	scan->next += len;
	scan->left -= (size_t)len;
	return true;
}

/* A big-endian number of 1, 2, 4 bytes. */
static bool scan_number(struct scan *scan, unsigned size, uint64_t *number)
{
	const uint8_t *at = scan->next;

	if (!scan_skip(scan, size))
		return false;
	*number = 0;
	for (unsigned i = 0; i < size; i++)
		*number = *number << 8 | at[i];
	return true;
}

/* Bytes with their length before them; `extra` more belong to them (the type of an ext). */
static bool scan_bytes(struct scan *scan, unsigned length_size, unsigned extra)
{
	uint64_t len;

	return scan_number(scan, length_size, &len) && scan_skip(scan, len + extra);
}

/* Every value takes at least a byte: a count beyond what is left is a lie. */
static bool scan_open(struct scan *scan, uint64_t values)
{
	if (values > scan->left || scan->depth == DEPTH_MAX)
		return false;
	if (values > 0)
		scan->open[scan->depth++] = values;
	return true;
}

static bool scan_counted(struct scan *scan, unsigned count_size, unsigned each)
{
	uint64_t count;

	return scan_number(scan, count_size, &count) && scan_open(scan, count * each);
}

/* The values that begin with 0xc0 to 0xdf. */
static bool scan_marked(struct scan *scan, uint8_t mark)
{
	switch (mark) {
	case 0xc0: /* nil */
	case 0xc2: /* false */
	case 0xc3: return true;
	case 0xc4: /* bin, by the size of its length */
	case 0xd9: return scan_bytes(scan, 1, 0);
	case 0xc5:
	case 0xda: return scan_bytes(scan, 2, 0);
	case 0xc6:
	case 0xdb: return scan_bytes(scan, 4, 0);
	case 0xc7: return scan_bytes(scan, 1, 1);
	case 0xc8: return scan_bytes(scan, 2, 1);
	case 0xc9: return scan_bytes(scan, 4, 1);
	case 0xcc: /* numbers, by their size */
	case 0xd0: return scan_skip(scan, 1);
	case 0xcd:
	case 0xd1: return scan_skip(scan, 2);
	case 0xca:
	case 0xce:
	case 0xd2: return scan_skip(scan, 4);
	case 0xcb:
	case 0xcf:
	case 0xd3: return scan_skip(scan, 8);
	case 0xd4: /* ext of 1, 2, 4, 8, 16 bytes and a type */
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8: return scan_skip(scan, (1u << (mark - 0xd4)) + 1);
	case 0xdc: return scan_counted(scan, 2, 1);
	case 0xdd: return scan_counted(scan, 4, 1);
	case 0xde: return scan_counted(scan, 2, 2);
	case 0xdf: return scan_counted(scan, 4, 2);
	default: return false; /* 0xc1 is never used */
	}
}

static bool scan_value(struct scan *scan)
{
	uint64_t mark;

	if (!scan_number(scan, 1, &mark))
		return false;
	if (mark < 0x80 || mark >= 0xe0)
		return true; /* a small number */
	if (mark < 0x90)
		return scan_open(scan, (mark & 0x0f) * 2);
	if (mark < 0xa0)
		return scan_open(scan, mark & 0x0f);
	if (mark < 0xc0)
		return scan_skip(scan, mark & 0x1f);
	return scan_marked(scan, (uint8_t)mark);
}

bool pack_scan(const void *bytes, size_t len)
{
	struct scan scan = {.next = bytes, .left = len};

	if (!scan_value(&scan))
		return false;
	while (scan.depth > 0) {
		if (scan.open[scan.depth - 1] == 0) {
			scan.depth--;
			continue;
		}
		scan.open[scan.depth - 1]--;
		if (!scan_value(&scan))
			return false;
	}
	return scan.left == 0;
}
