#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

const char *err_name(enum err code)
{
	static const char *const names[] = {
	    [ERR_OK] = "ok",
	    [ERR_AGAIN] = "again",
	    [ERR_INVALID] = "invalid",
	    [ERR_NOT_FOUND] = "not_found",
	    [ERR_EXISTS] = "exists",
	    [ERR_BUSY] = "busy",
	    [ERR_DENIED] = "denied",
	    [ERR_FULL] = "full",
	    [ERR_LIMIT] = "limit",
	    [ERR_IO] = "io",
	    [ERR_CORRUPT] = "corrupt",
	    [ERR_VERSION] = "version",
	    [ERR_LINK] = "link",
	    [ERR_PROTOCOL] = "protocol",
	    [ERR_REFUSED] = "refused",
	    [ERR_CANCELED] = "canceled",
	};

	if ((size_t)code >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[code];
}

/* Whatever came in through the arguments, the text is safe to show and ends without a newline. */
static void error_keep(struct error *error, const char *raw)
{
	size_t len = strlen(raw);

	while (len > 0 && raw[len - 1] == '\n')
		len--;
	escape_copy(error->text, sizeof(error->text), raw, len, ESCAPE_LINES);
}

enum err error_set(struct error *error, enum err code, const char *fmt, ...)
{
	char raw[ERROR_TEXT_SIZE * 2];
	va_list args;

	if (error == NULL)
		return code;
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	error->code = code;
	error_keep(error, raw);
	return code;
}

void error_prefix(struct error *error, const char *fmt, ...)
{
	char raw[ERROR_TEXT_SIZE * 2];
	va_list args;
	int len;

	if (error == NULL)
		return;
	va_start(args, fmt);
	len = vsnprintf(raw, ERROR_TEXT_SIZE, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	if (len >= ERROR_TEXT_SIZE)
		len = ERROR_TEXT_SIZE - 1;
	snprintf(raw + len, sizeof(raw) - (size_t)len, "%s", error->text);
	error_keep(error, raw);
}
