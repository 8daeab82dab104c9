/*
 * The values of a MessagePack message, one after the other, as they stand in its bytes.
 *
 * Allocates nothing, and never trusts a length or a count: whoever allocates for a message scans it
 * first.
 */
#ifndef ENGINE_BASE_PACK_SCAN_H
#define ENGINE_BASE_PACK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_DEPTH_MAX 16

enum token_kind {
	TOKEN_NIL,
	TOKEN_BOOL,
	TOKEN_UINT,
	TOKEN_NEGATIVE,
	TOKEN_TEXT,
	TOKEN_BYTES,
	TOKEN_ARRAY,
	TOKEN_MAP,
	TOKEN_OTHER /* a float or an ext: nobody reads them */
};

struct token {
	enum token_kind kind;
	union {
		uint64_t number;      /* a negative one in two's complement; 1 = true */
		const uint8_t *bytes; /* in the message */
	};
	size_t len; /* of bytes; of an array its values, of a map its keys and values */
};

struct scan {
	const uint8_t *next;
	size_t left;
};

/* The next value; of a container its count alone, and what is in it comes next. False when it is
 * not really there. */
bool scan_token(struct scan *, struct token *);

/*
 * True when `bytes` is exactly one message: every length and count is really there, and nothing is
 * nested deeper than PACK_DEPTH_MAX. `*values`: how many, keys and containers among them.
 */
bool pack_scan(const void *bytes, size_t len, size_t *values);

#endif
