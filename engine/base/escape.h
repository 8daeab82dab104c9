/*
 * UTF-8, one character at a time, and the escaping behind text_escape, errors and the log.
 *
 * Owns the list of characters that are never shown as they are.
 */
#ifndef ENGINE_BASE_ESCAPE_H
#define ENGINE_BASE_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

enum escape_style {
	ESCAPE_LINE,   /* newline and tab become \n and \t */
	ESCAPE_LINES,  /* newline and tab stay */
	ESCAPE_QUOTED, /* as ESCAPE_LINE, and `"` and `\` get a backslash */
};

/*
 * Reads the character that begins at `text`; `len` > 0. Returns its bytes, and the code point in
 * `*code`; 0 when no well-formed character begins there.
 */
size_t utf8_decode(const char *text, size_t len, uint32_t *code);

/* Copies as text_escape does. Returns the length of what stands in `out`. */
size_t escape_copy(char *out, size_t size, const char *text, size_t len, enum escape_style style);

#endif
