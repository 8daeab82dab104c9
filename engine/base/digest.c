#include "base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

/* Without it nothing that OpenSSL does for us can be relied on. */
static EVP_MD_CTX *digest_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		abort();
	return ctx;
}

static void digest_add(EVP_MD_CTX *ctx, const void *bytes, size_t len)
{
	if (EVP_DigestUpdate(ctx, bytes, len) != 1)
		abort();
}

static void digest_end(EVP_MD_CTX *ctx, uint8_t *out)
{
	if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
}

void digest_of_two(
    const void *first, size_t first_len, const void *second, size_t second_len, uint8_t *out)
{
	EVP_MD_CTX *ctx = digest_new();

	digest_add(ctx, first, first_len);
	digest_add(ctx, second, second_len);
	digest_end(ctx, out);
}

void digest_of(const void *bytes, size_t len, uint8_t out[DIGEST_SIZE])
{
	digest_of_two(bytes, len, "", 0, out);
}

enum err digest_of_file(int fd, uint8_t out[DIGEST_SIZE])
{
	EVP_MD_CTX *ctx = digest_new();
	off_t from = lseek(fd, 0, SEEK_CUR);
	char part[16384];
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			digest_add(ctx, part, (size_t)got);
	digest_end(ctx, out);
	return got < 0 || from < 0 || lseek(fd, from, SEEK_SET) != from ? ERR_IO : ERR_OK;
}

char *digest_text(const uint8_t digest[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}
