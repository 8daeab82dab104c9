#include "wire/said.h"

#include <ctype.h>

#include "base/text.h"
#include "wire/hint.h"

static size_t trimmed_len(const struct buf *buf)
{
	size_t len = buf->len;

	while (len > 0 && isspace(buf->data[len - 1]))
		len--;
	return len;
}

char *said_text(char text[SAID_SIZE], const struct buf *err, const struct buf *out)
{
	const struct buf *said = trimmed_len(err) > 0 ? err : out;
	size_t len = trimmed_len(said);
	size_t from = len > SAID_SIZE / 2 ? len - SAID_SIZE / 2 : 0;

	if (len == 0)
		text[0] = '\0';
	else
		text_escape(text, SAID_SIZE, (const char *)said->data + from, len - from);
	return text;
}

bool said_wants_change(const struct buf *out)
{
	const char *text = (const char *)out->data;

	/* In this order: the end of the last line is looked at for each piece that comes. */
	return hint_prompt(text, out->len) == PROMPT_CHANGE &&
	       hint_login(text, out->len) == FAULT_EXPIRED;
}

enum fault said_hint(
    const struct buf *err, const struct buf *out, enum fault (*hint)(const char *text, size_t len))
{
	enum fault fault = hint((const char *)err->data, err->len);

	return fault != FAULT_NONE ? fault : hint((const char *)out->data, out->len);
}
