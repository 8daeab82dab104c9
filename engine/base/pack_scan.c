#include "base/pack_scan.h"

/* ── Parts ── */

static bool scan_skip(struct scan *scan, uint64_t len)
{
	if (len > scan->left)
		return false;
	scan->next += len;
	scan->left -= (size_t)len;
	return true;
}

/* A big-endian number of 1, 2, 4, 8 bytes. */
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

static bool scan_uint(struct scan *scan, struct token *token, unsigned size)
{
	token->kind = TOKEN_UINT;
	return scan_number(scan, size, &token->number);
}

static bool scan_int(struct scan *scan, struct token *token, unsigned size)
{
	uint64_t sign = (uint64_t)1 << (size * 8 - 1);

	if (!scan_uint(scan, token, size))
		return false;
	if ((token->number & sign) != 0) {
		token->kind = TOKEN_NEGATIVE;
		token->number |= ~(sign - 1);
	}
	return true;
}

static bool scan_body(struct scan *scan, struct token *token, enum token_kind kind, uint64_t len)
{
	token->kind = kind;
	token->bytes = scan->next;
	token->len = (size_t)len;
	return scan_skip(scan, len);
}

/* Bytes with their length before them. */
static bool scan_bytes(
    struct scan *scan, struct token *token, enum token_kind kind, unsigned length_size)
{
	uint64_t len;

	return scan_number(scan, length_size, &len) && scan_body(scan, token, kind, len);
}

static bool scan_other(struct scan *scan, struct token *token, uint64_t len)
{
	return scan_body(scan, token, TOKEN_OTHER, len);
}

/* An ext, with its type after its length. */
static bool scan_ext(struct scan *scan, struct token *token, unsigned length_size)
{
	uint64_t len;

	return scan_number(scan, length_size, &len) && scan_other(scan, token, len + 1);
}

/* Every value takes at least a byte: a count beyond what is left is a lie. */
static bool scan_open(struct scan *scan, struct token *token, enum token_kind kind, uint64_t count)
{
	uint64_t values = kind == TOKEN_MAP ? count * 2 : count;

	token->kind = kind;
	token->len = (size_t)values;
	return values <= scan->left;
}

static bool scan_counted(
    struct scan *scan, struct token *token, enum token_kind kind, unsigned count_size)
{
	uint64_t count;

	return scan_number(scan, count_size, &count) && scan_open(scan, token, kind, count);
}

/* ── A value ── */

static bool scan_word(struct token *token, enum token_kind kind, uint64_t number)
{
	token->kind = kind;
	token->number = number;
	return true;
}

/* The values that begin with 0xc0 to 0xdf. */
static bool scan_marked(struct scan *scan, struct token *token, uint8_t mark)
{
	switch (mark) {
	case 0xc0: return scan_word(token, TOKEN_NIL, 0);
	case 0xc2: return scan_word(token, TOKEN_BOOL, 0);
	case 0xc3: return scan_word(token, TOKEN_BOOL, 1);
	case 0xc4: return scan_bytes(scan, token, TOKEN_BYTES, 1);
	case 0xc5: return scan_bytes(scan, token, TOKEN_BYTES, 2);
	case 0xc6: return scan_bytes(scan, token, TOKEN_BYTES, 4);
	case 0xc7: return scan_ext(scan, token, 1);
	case 0xc8: return scan_ext(scan, token, 2);
	case 0xc9: return scan_ext(scan, token, 4);
	case 0xca: return scan_other(scan, token, 4); /* floats */
	case 0xcb: return scan_other(scan, token, 8);
	case 0xcc: return scan_uint(scan, token, 1);
	case 0xcd: return scan_uint(scan, token, 2);
	case 0xce: return scan_uint(scan, token, 4);
	case 0xcf: return scan_uint(scan, token, 8);
	case 0xd0: return scan_int(scan, token, 1);
	case 0xd1: return scan_int(scan, token, 2);
	case 0xd2: return scan_int(scan, token, 4);
	case 0xd3: return scan_int(scan, token, 8);
	case 0xd4: /* ext of 1, 2, 4, 8, 16 bytes and a type */
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8: return scan_other(scan, token, (1u << (mark - 0xd4)) + 1);
	case 0xd9: return scan_bytes(scan, token, TOKEN_TEXT, 1);
	case 0xda: return scan_bytes(scan, token, TOKEN_TEXT, 2);
	case 0xdb: return scan_bytes(scan, token, TOKEN_TEXT, 4);
	case 0xdc: return scan_counted(scan, token, TOKEN_ARRAY, 2);
	case 0xdd: return scan_counted(scan, token, TOKEN_ARRAY, 4);
	case 0xde: return scan_counted(scan, token, TOKEN_MAP, 2);
	case 0xdf: return scan_counted(scan, token, TOKEN_MAP, 4);
	default: return false; /* 0xc1 is never used */
	}
}

bool scan_token(struct scan *scan, struct token *token)
{
	uint8_t mark;

	if (scan->left == 0)
		return false;
	mark = *scan->next++;
	scan->left--;
	if (mark < 0x80)
		return scan_word(token, TOKEN_UINT, mark);
	if (mark < 0x90)
		return scan_open(scan, token, TOKEN_MAP, mark & 0x0f);
	if (mark < 0xa0)
		return scan_open(scan, token, TOKEN_ARRAY, mark & 0x0f);
	if (mark < 0xc0)
		return scan_body(scan, token, TOKEN_TEXT, mark & 0x1f);
	if (mark >= 0xe0)
		return scan_word(token, TOKEN_NEGATIVE, UINT64_MAX - 0xff + mark);
	return scan_marked(scan, token, mark);
}

/* ── A message ── */

bool pack_scan(const void *bytes, size_t len, size_t *values)
{
	struct scan scan = {.next = bytes, .left = len};
	size_t open[PACK_DEPTH_MAX + 1] = {1}; /* values still to come in each container */
	unsigned depth = 1;
	struct token token;

	*values = 0;
	while (depth > 0) {
		if (open[depth - 1] == 0) {
			depth--;
			continue;
		}
		open[depth - 1]--;
		++*values;
		if (!scan_token(&scan, &token))
			return false;
		if (token.kind != TOKEN_ARRAY && token.kind != TOKEN_MAP)
			continue;
		if (depth > PACK_DEPTH_MAX)
			return false;
		open[depth++] = token.len;
	}
	return scan.left == 0;
}
