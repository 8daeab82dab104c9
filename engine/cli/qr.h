/* QR codes on a terminal: two modules a character, in half blocks. */
#ifndef CLI_QR_H
#define CLI_QR_H

#include <stdbool.h>

/* False where the text does not fit, and nothing was printed. */
bool qr_print(const char *text);

#endif
