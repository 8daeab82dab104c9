#include "cli/qr.h"

#include <stdio.h>
#include <string.h>

#include <qrencode.h>

#define QUIET 2 /* modules around it */

/* Dark outside of it too: a reader wants a light border, so light is what is printed. */
static bool is_light(const QRcode *code, int row, int column)
{
	if (row < 0 || column < 0 || row >= code->width || column >= code->width)
		return true;
	return (code->data[row * code->width + column] & 1) == 0;
}

/* Light modules are blocks: on a dark terminal as it should be, and readers take the reverse. */
static void print_rows(const QRcode *code)
{
	for (int row = -QUIET; row < code->width + QUIET; row += 2) {
		for (int column = -QUIET; column < code->width + QUIET; column++) {
			bool upper = is_light(code, row, column);
			bool lower = is_light(code, row + 1, column);

			fputs(upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ", stdout);
		}
		putchar('\n');
	}
}

bool qr_print(const char *text)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (code == NULL)
		return false;
	print_rows(code);
	explicit_bzero(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
	return true;
}
