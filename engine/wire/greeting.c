#include "wire/greeting.h"

#include <stdint.h>
#include <string.h>

#define MESSAGE_KEXINIT 20
#define COOKIE_SIZE	16

void greeting_init(struct greeting *greeting)
{
	*greeting = (struct greeting){.line_ssh = true};
	buf_init(&greeting->packets, GREETING_KEX_MAX);
}

void greeting_clear(struct greeting *greeting)
{
	buf_clear(&greeting->packets);
	greeting->done = true;
}

static void greeting_keep_first(struct greeting *greeting, const void *bytes, size_t len)
{
	size_t room = sizeof(greeting->first) - greeting->first_len;
	size_t take = len < room ? len : room;

	memcpy(greeting->first + greeting->first_len, bytes, take);
	greeting->first_len += take;
}

/* Lines may stand before the banner; they do not begin with "SSH-". */
static void greeting_line_byte(struct greeting *greeting, char c)
{
	static const char mark[] = "SSH-";

	if (c == '\n') {
		greeting->banner = greeting->line_ssh && greeting->line_len >= strlen(mark);
		greeting->line_len = 0;
		greeting->line_ssh = true;
		return;
	}
	if (greeting->line_len < strlen(mark) && c != mark[greeting->line_len])
		greeting->line_ssh = false;
	greeting->line_len++;
}

void greeting_feed(struct greeting *greeting, const void *bytes, size_t len)
{
	const char *text = bytes;
	size_t room;

	if (greeting->done)
		return;
	greeting_keep_first(greeting, bytes, len);
	while (len > 0 && !greeting->banner) {
		greeting_line_byte(greeting, *text);
		text++;
		len--;
	}
	room = GREETING_KEX_MAX - greeting->packets.len;
	greeting->done = len > room;
	if (len > 0)
		(void)buf_add(&greeting->packets, text, len < room ? len : room);
}

/* The unread rest of a packet. */
struct span {
	const uint8_t *at;
	size_t len;
};

static bool span_u32(struct span *span, uint32_t *value)
{
	const uint8_t *at = span->at;

	if (span->len < 4)
		return false;
	*value = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	span->at += 4;
	span->len -= 4;
	return true;
}

static bool span_skip(struct span *span, size_t len)
{
	if (span->len < len)
		return false;
	span->at += len;
	span->len -= len;
	return true;
}

/* The payload of the next plain packet. */
static bool span_packet(struct span *span, struct span *payload)
{
	uint32_t len;
	uint8_t padding;

	if (!span_u32(span, &len) || len < 2 || span->len < len)
		return false;
	padding = span->at[0];
	if (padding >= len - 1)
		return false;
	*payload = (struct span){span->at + 1, len - 1 - padding};
	return span_skip(span, len);
}

static bool span_lists(struct span *payload, struct names lists[LIST_COUNT])
{
	if (!span_skip(payload, 1 + COOKIE_SIZE))
		return false;
	for (size_t i = 0; i < LIST_COUNT; i++) {
		uint32_t len;

		if (!span_u32(payload, &len) || payload->len < len)
			return false;
		lists[i] = (struct names){(const char *)payload->at, len};
		(void)span_skip(payload, len);
	}
	return true;
}

bool greeting_lists(const struct greeting *greeting, struct names lists[LIST_COUNT])
{
	struct span span = {greeting->packets.data, greeting->packets.len};
	struct span payload;

	while (span_packet(&span, &payload)) {
		if (payload.at[0] == MESSAGE_KEXINIT)
			return span_lists(&payload, lists);
	}
	return false;
}

size_t greeting_rest(const struct greeting *greeting)
{
	struct span span = {greeting->packets.data, greeting->packets.len};
	struct span rest, payload;

	do
		rest = span;
	while (span_packet(&span, &payload));
	return rest.len;
}

/* Cuts the first name off the list; false at its end. */
static bool names_next(struct names *list, struct names *name)
{
	const char *comma;

	if (list->len == 0)
		return false;
	comma = memchr(list->text, ',', list->len);
	*name = *list;
	if (comma == NULL) {
		list->len = 0;
		return true;
	}
	name->len = (size_t)(comma - list->text);
	list->text += name->len + 1;
	list->len -= name->len + 1;
	return true;
}

static bool names_have_len(struct names list, const char *text, size_t len)
{
	struct names name;

	while (names_next(&list, &name)) {
		if (name.len == len && memcmp(name.text, text, len) == 0)
			return true;
	}
	return false;
}

bool names_have(struct names list, const char *name)
{
	return names_have_len(list, name, strlen(name));
}

bool names_share(struct names a, struct names b)
{
	struct names name;

	while (names_next(&a, &name)) {
		if (name.len > 0 && names_have_len(b, name.text, name.len))
			return true;
	}
	return false;
}
