#include "base/escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS     "\xe2\x80\xa6"
#define ELLIPSIS_LEN 3

/* The longest piece is `\u{10FFFF}`. */
#define PIECE_SIZE 16

static size_t utf8_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)text[0];
	size_t need = utf8_length(lead);
	uint32_t value;

	if (need == 0 || need > len)
		return 0;
	value = need == 1 ? lead : lead & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		unsigned char next = (unsigned char)text[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (next & 0x3f);
	}
	if (value < smallest[need] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return need;
}

/* What would let text move the cursor, break the line, or show in another order than it has. */
static bool is_hidden(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e ||
	       code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

/* The form of one character in `piece`; returns the number of bytes taken from `text`. */
static size_t escape_piece(char *piece, const char *text, size_t len, enum escape_style style)
{
	uint32_t code;
	size_t taken = utf8_decode(text, len, &code);

	if (taken == 0) {
		snprintf(piece, PIECE_SIZE, "\\x%02x", (unsigned char)text[0]);
		return 1;
	}
	if (style != ESCAPE_LINES && (code == '\n' || code == '\t')) {
		snprintf(piece, PIECE_SIZE, "\\%c", code == '\n' ? 'n' : 't');
	} else if (style == ESCAPE_QUOTED && (code == '"' || code == '\\')) {
		snprintf(piece, PIECE_SIZE, "\\%c", (char)code);
	} else if (code == '\n' || code == '\t' || !is_hidden(code)) {
		memcpy(piece, text, taken);
		piece[taken] = '\0';
	} else if (code < 0x80) {
		snprintf(piece, PIECE_SIZE, "\\x%02x", code);
	} else {
		snprintf(piece, PIECE_SIZE, "\\u{%04X}", code);
	}
	return taken;
}

size_t escape_copy(char *out, size_t size, const char *text, size_t len, enum escape_style style)
{
	char piece[PIECE_SIZE];
	size_t used = 0, mark = 0; /* mark: the last end that leaves room for the ellipsis */

	if (size == 0)
		return 0;
	while (len > 0) {
		size_t taken = escape_piece(piece, text, len, style);
		size_t piece_len = strlen(piece);

		if (piece_len >= size - used)
			break;
		memcpy(out + used, piece, piece_len);
		used += piece_len;
		if (used + ELLIPSIS_LEN < size)
			mark = used;
		text += taken;
		len -= taken;
	}
	if (len > 0 && size > ELLIPSIS_LEN) {
		memcpy(out + mark, ELLIPSIS, ELLIPSIS_LEN);
		used = mark + ELLIPSIS_LEN;
	}
	out[used] = '\0';
	return used;
}
