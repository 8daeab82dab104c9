/*
 * Bounded byte buffers in memory that is wiped and not dumped (mem.h).
 *
 * Owns its bytes. A buffer that would grow past its cap keeps what it has and says so, once and
 * for all: check buf_failed at the end instead of each append.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* NULL while empty */
	size_t len;
	size_t room;	 /* allocated */
	size_t size_max; /* the cap */
	bool failed;
};

void buf_init(struct buf *, size_t size_max);

/* Wipes and releases; the buffer can be used again. */
void buf_clear(struct buf *);

/* Sets len to 0 and wipes what was there; keeps the memory. */
void buf_reset(struct buf *);

/* Appends. False (and failed) when the cap would be passed: then nothing was appended. */
bool buf_add(struct buf *, const void *bytes, size_t len);
bool buf_add_text(struct buf *, const char *text);
bool buf_addf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for `len` more bytes at data + len; NULL past the cap. The caller adds to len what it used.
 */
uint8_t *buf_reserve(struct buf *, size_t len);

/* Drops the first `len` bytes (at most all) and wipes the space that became free. */
void buf_drop(struct buf *, size_t len);

bool buf_failed(const struct buf *);

/* The content as text: NUL-terminated, valid until the next change. Never NULL. */
const char *buf_text(struct buf *);

#endif
