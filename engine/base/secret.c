#include "base/secret.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

/* The smallest block of the heap. A power of two; most passwords and their header fit. */
#define BLOCK_SIZE_BYTES 64

/* Below this OpenSSL's own bookkeeping does not fit. */
#define HEAP_SIZE_MIN (BLOCK_SIZE_BYTES * 64)
#define HEAP_SIZE_MAX ((size_t)1 << 30)

struct secret {
	size_t len;
	char bytes[]; /* len, and a NUL */
};

static size_t heap_size_bytes;

enum err secret_heap_init(size_t size_bytes, bool *locked, struct error *error)
{
	size_t size = HEAP_SIZE_MIN;
	int made;

	if (CRYPTO_secure_malloc_initialized())
		return error_set(error, ERR_EXISTS, "the heap for secrets is there already");
	if (size_bytes > HEAP_SIZE_MAX)
		return error_set(error, ERR_LIMIT,
		    "a heap for secrets of %zu bytes is asked for: the most is %zu", size_bytes,
		    HEAP_SIZE_MAX);
	while (size < size_bytes)
		size *= 2;
	made = CRYPTO_secure_malloc_init(size, BLOCK_SIZE_BYTES);
	if (made == 0)
		return error_set(
		    error, ERR_FULL, "no memory for a heap for secrets of %zu bytes", size);
	heap_size_bytes = size;
	if (locked != NULL)
		*locked = made == 1;
	return ERR_OK;
}

struct secret *secret_new(size_t len)
{
	struct secret *secret;

	/* Without the heap OpenSSL would take ordinary memory. */
	if (len > SECRET_SIZE_MAX || !CRYPTO_secure_malloc_initialized())
		return NULL;
	secret = OPENSSL_secure_zalloc(sizeof(*secret) + len + 1);
	if (secret == NULL)
		return NULL;
	secret->len = len;
	return secret;
}

struct secret *secret_from(const void *bytes, size_t len)
{
	struct secret *secret = secret_new(len);

	if (secret != NULL && len > 0)
		memcpy(secret->bytes, bytes, len);
	return secret;
}

struct secret *secret_copy(const struct secret *secret)
{
	return secret_from(secret->bytes, secret->len);
}

void secret_free(struct secret *secret)
{
	if (secret != NULL)
		OPENSSL_secure_clear_free(secret, sizeof(*secret) + secret->len + 1);
}

char *secret_bytes(struct secret *secret)
{
	return secret->bytes;
}

const char *secret_data(const struct secret *secret)
{
	return secret->bytes;
}

size_t secret_len(const struct secret *secret)
{
	return secret->len;
}

bool bytes_equal(const void *left, const void *right, size_t len)
{
	return CRYPTO_memcmp(left, right, len) == 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

size_t secret_heap_free(void)
{
	return heap_size_bytes - CRYPTO_secure_used();
}

void process_harden(void)
{
	const struct rlimit none = {0, 0};

	/* Neither can fail: both only give something up. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
