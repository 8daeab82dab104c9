/*
 * What AddressSanitizer is told about mem.c's pages, so that it finds in them what it finds in
 * malloc's: a byte past the end, a use after the free. Nothing without the sanitizer.
 */
#ifndef ENGINE_BASE_ARENA_ASAN_H
#define ENGINE_BASE_ARENA_ASAN_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN
#endif

#ifdef ARENA_ASAN

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

static inline void asan_poison(const void *bytes, size_t size)
{
	__asan_poison_memory_region(bytes, size);
}

static inline void asan_unpoison(const void *bytes, size_t size)
{
	__asan_unpoison_memory_region(bytes, size);
}

/* Fresh pages: nothing in them may be touched yet, and pointers kept in them are no leaks. */
static inline void asan_adopt(const void *pages, size_t size)
{
	__asan_poison_memory_region(pages, size);
	__lsan_register_root_region(pages, size);
}

/* Before the pages go back to the system. */
static inline void asan_disown(const void *pages, size_t size)
{
	__lsan_unregister_root_region(pages, size);
	__asan_unpoison_memory_region(pages, size);
}

#else

static inline void asan_poison(const void *bytes, size_t size)
{
	(void)bytes;
	(void)size;
}

static inline void asan_unpoison(const void *bytes, size_t size)
{
	(void)bytes;
	(void)size;
}

static inline void asan_adopt(const void *pages, size_t size)
{
	(void)pages;
	(void)size;
}

static inline void asan_disown(const void *pages, size_t size)
{
	(void)pages;
	(void)size;
}

#endif
#endif
