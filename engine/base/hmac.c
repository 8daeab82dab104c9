#include "base/hmac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"

void hmac_sha256_hex(
    const struct secret *key, const char *first, const char *second, char out[HMAC_HEX_SIZE])
{
	size_t first_len = strlen(first), second_len = strlen(second);
	unsigned char *whole = xcalloc(1, first_len + second_len + 1);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	memcpy(whole, first, first_len);
	memcpy(whole + first_len, second, second_len);
	if (HMAC(EVP_sha256(), secret_data(key), (int)secret_len(key), whole,
		first_len + second_len, mac, &len) == NULL)
		abort(); /* as any small allocation that fails */
	for (unsigned i = 0; i < len && i < (HMAC_HEX_SIZE - 1) / 2; i++)
		snprintf(out + (size_t)i * 2, 3, "%02x", mac[i]);
	free(whole);
}
