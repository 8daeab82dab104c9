/*
 * Memory that never reaches a core file and is wiped when freed (MADV_DONTDUMP pages, size
 * classes).
 *
 * Owns the pages behind everything that a secret may pass through outside struct secret:
 * frames, libssh2's blocks, Lua's blocks. Never locks memory: that is secret.h's.
 * For threads too: a policy is loaded beside the loop.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* `size` bytes, 16-byte aligned, not cleared. NULL when `size` is over 64 MB or no page is had. */
void *mem_alloc(size_t size);

/* As realloc; the old block is wiped when it moves or shrinks. `ptr` may be NULL. */
void *mem_realloc(void *ptr, size_t size);

/* Wipes and frees. NULL is fine. */
void mem_free(void *ptr);

/* Bytes that are in use now: what a leak shows in, since leak checkers do not see these pages. */
size_t mem_used(void);

/*
 * For a library that has threads: from the system's heap, wiped when freed. NULL when there is
 * none. A core file would have it, but a process that holds secrets leaves none (process_harden).
 */
void *wiped_alloc(size_t size);
void *wiped_realloc(void *ptr, size_t size);
void wiped_free(void *ptr);
void *wiped_zeroed(size_t count, size_t size);
char *wiped_copy(const char *text);

/* Ordinary memory for small things of ours; ends the process when there is none. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
