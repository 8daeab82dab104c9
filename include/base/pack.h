/*
 * MessagePack for what is kept and what crosses between processes. msgpack-c writes it; it is read
 * here, in one allocation a message.
 *
 * A record is a map with short string keys. Unknown keys are skipped and missing ones have a
 * default, so that a newer writer does not break an older reader. Reading never trusts a length.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

/* Writing: appends to `buf`; a full buffer shows in buf_failed. */
void pack_map(struct buf *, size_t pairs);
void pack_array(struct buf *, size_t items);
void pack_text(struct buf *, const char *text); /* NULL packs nil */
void pack_bytes(struct buf *, const void *bytes, size_t len);
void pack_uint(struct buf *, uint64_t value);
void pack_int(struct buf *, int64_t value);
void pack_bool(struct buf *, bool value);
void pack_nil(struct buf *);

/* A key and its value in one. */
void pack_kv_text(struct buf *, const char *key, const char *text);
void pack_kv_bytes(struct buf *, const char *key, const void *bytes, size_t len);
void pack_kv_uint(struct buf *, const char *key, uint64_t value);
void pack_kv_int(struct buf *, const char *key, int64_t value);
void pack_kv_bool(struct buf *, const char *key, bool value);
void pack_kv_id(struct buf *, const char *key, const struct id *id);

/* A parsed message. Texts and bytes point into the message given, which must outlive it. */
struct unpack;
struct value; /* opaque: one value inside */

/*
 * Parses one whole message of `len` bytes; nesting up to 16. ERR_CORRUPT when it is not one.
 * Free with unpack_free.
 */
enum err unpack_new(struct unpack **, const void *bytes, size_t len) MUST_CHECK;
void unpack_free(struct unpack *);
const struct value *unpack_root(const struct unpack *);

/* A map's value by key; NULL when it is not a map or has no such key. */
const struct value *value_get(const struct value *map, const char *key);
size_t value_count(const struct value *array); /* 0 when not an array */
const struct value *value_item(const struct value *array, size_t index);
/* A map's pairs in order (keys that are not text are skipped by giving NULL). */
size_t value_pairs(const struct value *map);
const struct value *value_pair(
    const struct value *map, size_t index, const char **key, size_t *len);

/* Values with a default for NULL or another type. Bytes accept text and the reverse. */
uint64_t value_uint(const struct value *, uint64_t otherwise);
int64_t value_int(const struct value *, int64_t otherwise);
bool value_bool(const struct value *, bool otherwise);
bool value_is_nil(const struct value *);		    /* true for NULL too */
const void *value_bytes(const struct value *, size_t *len); /* NULL and 0 when it has none */
/* Copies text into `out` (cut at `size`, NUL-terminated); "" when there is none. Returns its
 * length. */
size_t value_text(const struct value *, char *out, size_t size);
struct id value_id(const struct value *); /* none when it is not 16 bytes */

#endif
