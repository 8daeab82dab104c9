/*
 * Secrets in locked memory (OpenSSL's secure heap), wiped on free.
 *
 * Owns the secure heap of the process. Never prints, compares in variable time, or copies a
 * secret to ordinary memory; who needs the bytes asks for them and says by doing so that what
 * follows is safe.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The longest secret: a private key in PEM fits. */
#define SECRET_SIZE_MAX 16384

/* Opaque. */
struct secret;

/*
 * Makes the heap, once a process, before any secret. `size_bytes` is rounded up to a power of two.
 * `*locked` tells whether the pages could be locked in memory (RLIMIT_MEMLOCK).
 */
enum err secret_heap_init(size_t size_bytes, bool *locked, struct error *error) MUST_CHECK;

/* A secret of `len` bytes, zeroed. NULL when the heap is full or `len` > SECRET_SIZE_MAX. */
struct secret *secret_new(size_t len);

/* A copy of `len` bytes; the caller wipes its own. NULL as secret_new. */
struct secret *secret_from(const void *bytes, size_t len);
struct secret *secret_copy(const struct secret *);

/* Wipes and frees. NULL is fine. */
void secret_free(struct secret *);

/* The bytes, with a NUL after them that does not count. Valid until secret_free. */
char *secret_bytes(struct secret *);
const char *secret_data(const struct secret *);
size_t secret_len(const struct secret *);

/* In a time that says nothing of where they differ. */
bool bytes_equal(const void *, const void *, size_t len);

/* Constant time for equal lengths. */
bool secret_equal(const struct secret *, const struct secret *);

/* Bytes that fit still, roughly: dispatch waits below a floor. */
size_t secret_heap_free(void);

/*
 * Makes this process one that leaves no core and lets no other user look at it: RLIMIT_CORE 0,
 * PR_SET_DUMPABLE 0.
 */
void process_harden(void);

#endif
