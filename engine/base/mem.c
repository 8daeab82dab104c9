#include "base/mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena_asan.h"

#define SIZE_LIMIT (64u * 1024 * 1024)
#define CHUNK_SIZE (1024u * 1024)

/* A block is the header and what is asked for; larger ones than this are mapped on their own. */
#define BLOCK_MIN 32u
#define BLOCK_MAX (128u * 1024)

/* Classes: four sizes between each power of two and the next, so that at most a fifth is lost; and
 * for large blocks, such as a session's, each KB. */
#define STEPS	       4
#define FINE_MIN       4096u
#define FINE_STEP      1024u
#define FINE_CLASS_MIN 28u /* of a block of FINE_MIN */
#define CLASS_COUNT    (FINE_CLASS_MIN + (BLOCK_MAX - FINE_MIN) / FINE_STEP + 1)

/* A class with this bit is a mapping of its own; the other bits are its pages. */
#define CLASS_LARGE 0x80000000u

#define STATE_USED 0x75736564u
#define STATE_FREE 0x66726565u

struct block {
	union {
		size_t size;	    /* used: as asked for */
		struct block *next; /* free */
	};
	uint32_t class;
	uint32_t state; /* a second free ends the process */
};

_Static_assert(sizeof(struct block) == 16, "blocks are 16-byte aligned");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static struct {
	struct block *free[CLASS_COUNT];
	char *chunk; /* what is left of the newest chunk */
	size_t chunk_left;
	size_t used;
} arena;

static void *pages_map(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	/* A page that a core file would show is worse than none. */
	if (madvise(pages, size, MADV_DONTDUMP) != 0) {
		munmap(pages, size);
		return NULL;
	}
	return pages;
}

/* 32, 40, 48, 56, 64, 80 … kept to multiples of 16; from 4096 on 5120, 6144, 7168 … */
static size_t class_size(unsigned class)
{
	size_t base, size;

	if (class > FINE_CLASS_MIN)
		return FINE_MIN + (class - FINE_CLASS_MIN) * (size_t)FINE_STEP;
	base = (size_t)BLOCK_MIN << (class / STEPS);
	size = base + base / STEPS * (class % STEPS);
	return (size + 15) & ~(size_t)15;
}

static unsigned class_of(size_t block_size)
{
	size_t base = BLOCK_MIN;
	unsigned class = 0;

	if (block_size > FINE_MIN)
		return FINE_CLASS_MIN +
		       (unsigned)((block_size - FINE_MIN + FINE_STEP - 1) / FINE_STEP);
	for (; base * 2 <= block_size; base *= 2)
		class += STEPS;
	if (block_size > base)
		class += (unsigned)((block_size - base + base / STEPS - 1) / (base / STEPS));
	return class;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* What the block takes up, header and all. */
static size_t block_room(const struct block *block)
{
	if ((block->class & CLASS_LARGE) != 0)
		return (block->class & ~CLASS_LARGE) * page_size();
	return class_size(block->class);
}

static struct block *block_of(void *ptr)
{
	struct block *block = (struct block *)ptr - 1;

	asan_unpoison(block, sizeof(*block));
	if (block->state != STATE_USED) {
		fputs("mem: a block that is not in use was given back\n", stderr);
		abort();
	}
	return block;
}

/* Hands out what stands after the header, and no byte more. */
static void *block_open(struct block *block, size_t size)
{
	void *ptr = block + 1;

	block->size = size;
	block->state = STATE_USED;
	arena.used += size;
	asan_unpoison(ptr, size);
	asan_poison(block, sizeof(*block));
	return ptr;
}

static struct block *block_carve(unsigned class)
{
	size_t size = class_size(class);
	struct block *block;

	if (arena.chunk_left < size) {
		char *chunk = pages_map(CHUNK_SIZE);

		if (chunk == NULL)
			return NULL;
		asan_adopt(chunk, CHUNK_SIZE);
		arena.chunk = chunk;
		arena.chunk_left = CHUNK_SIZE;
	}
	block = (struct block *)(void *)arena.chunk;
	arena.chunk += size;
	arena.chunk_left -= size;
	return block;
}

static struct block *large_map(size_t size)
{
	size_t pages = (size + sizeof(struct block) + page_size() - 1) / page_size();
	struct block *block = pages_map(pages * page_size());

	if (block == NULL)
		return NULL;
	asan_adopt(block, pages * page_size());
	asan_unpoison(block, sizeof(*block));
	block->class = CLASS_LARGE | (uint32_t)pages;
	return block;
}

static void large_unmap(struct block *block)
{
	size_t room = block_room(block);

	asan_disown(block, room);
	munmap(block, room);
}

/* One that was given back, at most a quarter larger than what is wanted; NULL: there is none. */
static struct block *block_reuse(unsigned wanted)
{
	size_t most = class_size(wanted) + class_size(wanted) / 4;
	unsigned at = wanted;
	struct block *block;

	while (at < CLASS_COUNT && arena.free[at] == NULL && class_size(at) <= most)
		at++;
	if (at == CLASS_COUNT || class_size(at) > most)
		return NULL;
	block = arena.free[at];
	asan_unpoison(block, sizeof(*block));
	arena.free[at] = block->next;
	return block;
}

static struct block *small_take(size_t size)
{
	unsigned class = class_of(size + sizeof(struct block));
	struct block *block = block_reuse(class);

	if (block != NULL)
		return block;
	block = block_carve(class);
	if (block == NULL)
		return NULL;
	asan_unpoison(block, sizeof(*block));
	block->class = class;
	return block;
}

void *mem_alloc(size_t size)
{
	struct block *block;
	void *ptr;

	if (size > SIZE_LIMIT)
		return NULL;
	pthread_mutex_lock(&lock);
	if (size + sizeof(*block) > BLOCK_MAX)
		block = large_map(size);
	else
		block = small_take(size);
	ptr = block == NULL ? NULL : block_open(block, size);
	pthread_mutex_unlock(&lock);
	return ptr;
}

void mem_free(void *ptr)
{
	struct block *block;
	size_t size;

	if (ptr == NULL)
		return;
	block = block_of(ptr);
	size = block->size;
	explicit_bzero(ptr, size);
	block->state = STATE_FREE;
	pthread_mutex_lock(&lock);
	arena.used -= size;
	if ((block->class & CLASS_LARGE) != 0) {
		large_unmap(block);
	} else {
		block->next = arena.free[block->class];
		arena.free[block->class] = block;
		asan_poison(block, class_size(block->class));
	}
	pthread_mutex_unlock(&lock);
}

/* True when `size` bytes fit into the block that they have, and do not waste half of it. */
static bool block_suits(const struct block *block, size_t size)
{
	size_t room = block_room(block);
	size_t need = size + sizeof(*block);

	return need <= room && (need > room / 2 || room == BLOCK_MIN);
}

static void *block_resize(struct block *block, size_t size)
{
	size_t old = block->size;
	void *ptr;

	if (size < old) {
		explicit_bzero((char *)(block + 1) + size, old - size);
		asan_poison(block + 1, old);
	}
	pthread_mutex_lock(&lock);
	arena.used -= old;
	ptr = block_open(block, size);
	pthread_mutex_unlock(&lock);
	return ptr;
}

void *mem_realloc(void *ptr, size_t size)
{
	struct block *block;
	size_t old;
	void *moved;

	if (ptr == NULL)
		return mem_alloc(size);
	if (size > SIZE_LIMIT)
		return NULL;
	block = block_of(ptr);
	if (block_suits(block, size))
		return block_resize(block, size);
	old = block->size;
	moved = mem_alloc(size);
	if (moved == NULL) {
		/* Lua counts on it that to shrink never fails. */
		if (size < old)
			return block_resize(block, size);
		asan_poison(block, sizeof(*block));
		return NULL;
	}
	memcpy(moved, ptr, size < old ? size : old);
	mem_free(ptr);
	return moved;
}

size_t mem_used(void)
{
	size_t used;

	pthread_mutex_lock(&lock);
	used = arena.used;
	pthread_mutex_unlock(&lock);
	return used;
}

static void *must(void *ptr)
{
	if (ptr == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return ptr;
}

void *xcalloc(size_t count, size_t size)
{
	return must(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *ptr, size_t size)
{
	return must(realloc(ptr, size > 0 ? size : 1));
}

char *xstrdup(const char *text)
{
	return must(strdup(text));
}

char *xstrndup(const char *text, size_t len)
{
	return must(strndup(text, len));
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	text = len < 0 ? must(NULL) : xcalloc(1, (size_t)len + 1);
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}
