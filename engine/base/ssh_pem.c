#include "base/ssh_pem.h"

#include <string.h>

#include <openssl/evp.h>

#define BEGIN	   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define END	   "-----END OPENSSH PRIVATE KEY-----\n"
#define LINE_BYTES 48 /* of key in a line of base 64 */

#define BEGIN_LEN (strlen(BEGIN) - 1) /* some end their lines otherwise */

bool ssh_pem_is_own(const struct secret *pem)
{
	return secret_len(pem) > BEGIN_LEN && memcmp(secret_data(pem), BEGIN, BEGIN_LEN) == 0;
}

static int base64_value(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Up to the first "=" or "-"; line ends do not count. Returns the length of what was written. */
static size_t base64_read(const char *text, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	size_t count = 0, written = 0;

	for (size_t i = 0; i < len && text[i] != '=' && text[i] != '-'; i++) {
		int value = base64_value(text[i]);

		if (value < 0)
			continue;
		bits = bits << 6 | (uint32_t)value;
		if (++count % 4 != 1)
			out[written++] = (uint8_t)(bits >> (6 - 2 * ((count - 1) % 4)));
	}
	return written;
}

struct secret *ssh_pem_read(const struct secret *pem, size_t *len)
{
	struct secret *bytes = secret_new(secret_len(pem) - BEGIN_LEN);

	if (bytes != NULL)
		*len = base64_read(secret_data(pem) + BEGIN_LEN, secret_len(pem) - BEGIN_LEN,
		    (uint8_t *)secret_bytes(bytes));
	return bytes;
}

struct secret *ssh_pem_write(const uint8_t *bytes, size_t len)
{
	size_t lines = (len + LINE_BYTES - 1) / LINE_BYTES;
	struct secret *pem = secret_new(strlen(BEGIN) + (len + 2) / 3 * 4 + lines + strlen(END));
	char *at = pem == NULL ? NULL : secret_bytes(pem);

	if (pem == NULL)
		return NULL;
	memcpy(at, BEGIN, strlen(BEGIN));
	at += strlen(BEGIN);
	for (size_t done = 0; done < len; done += LINE_BYTES) {
		size_t take = len - done < LINE_BYTES ? len - done : LINE_BYTES;

		at += EVP_EncodeBlock((unsigned char *)at, bytes + done, (int)take);
		*at++ = '\n'; /* where the NUL was */
	}
	memcpy(at, END, strlen(END));
	return pem;
}
