#include "wire/redact.h"

#include <string.h>

static const char mark[] = "[secret]";

/* How many bytes at `at` are a secret: of the longest, for one may begin with another. */
static size_t secret_at(
    const uint8_t *at, size_t left, const struct secret *const *secrets, size_t count)
{
	size_t longest = 0;

	for (size_t i = 0; i < count; i++) {
		size_t len = secrets[i] != NULL ? secret_len(secrets[i]) : 0;

		if (len > longest && len <= left && memcmp(at, secret_data(secrets[i]), len) == 0)
			longest = len;
	}
	return longest;
}

void redact(struct buf *buf, const struct secret *const *secrets, size_t count)
{
	struct buf clean;
	size_t kept = 0; /* up to here it stands in `clean` */

	buf_init(&clean, buf->size_max);
	for (size_t at = 0; at < buf->len;) {
		size_t len = secret_at(buf->data + at, buf->len - at, secrets, count);

		if (len == 0) {
			at++;
			continue;
		}
		buf_add(&clean, buf->data + kept, at - kept);
		buf_add(&clean, mark, sizeof(mark) - 1);
		at += len;
		kept = at;
	}
	if (kept == 0)
		return;
	buf_add(&clean, buf->data + kept, buf->len - kept);
	buf_clear(buf);
	*buf = clean; /* transferred */
	buf->failed = false;
}
