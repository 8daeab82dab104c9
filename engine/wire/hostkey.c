#include "wire/hostkey.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

bool hostkey_read(struct wire_key *key, const void *blob, size_t len)
{
	const uint8_t *bytes = blob;
	size_t type_len;

	*key = (struct wire_key){.len = 0};
	if (len < 4 || len > sizeof(key->blob))
		return false;
	type_len =
	    (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (type_len == 0 || type_len >= sizeof(key->type) || type_len > len - 4 ||
	    memchr(bytes + 4, '\0', type_len) != NULL)
		return false;
	memcpy(key->type, bytes + 4, type_len);
	memcpy(key->blob, bytes, len);
	key->len = len;
	return true;
}

char *hostkey_fingerprint(const struct wire_key *key, char out[FINGERPRINT_SIZE])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint8_t text[EVP_MAX_MD_SIZE * 2];
	unsigned len = 0;
	int text_len;

	if (EVP_Digest(key->blob, key->len, digest, &len, EVP_sha256(), NULL) != 1)
		len = 0;
	text_len = EVP_EncodeBlock(text, digest, (int)len);
	while (text_len > 0 && text[text_len - 1] == '=')
		text_len--;
	snprintf(out, FINGERPRINT_SIZE, "SHA256:%.*s", text_len, (const char *)text);
	return out;
}

char *wire_key_fingerprint(const struct wire_key *key, char out[WIRE_FINGERPRINT_SIZE])
{
	return hostkey_fingerprint(key, out);
}

static bool key_equal(const struct wire_key *a, const struct wire_key *b)
{
	return a->len == b->len && memcmp(a->blob, b->blob, a->len) == 0;
}

enum err hostkey_check(const struct wire_key *key, const struct wire_key *pins, size_t pin_count,
    bool known_only, struct outcome *outcome)
{
	char shown[FINGERPRINT_SIZE], pinned[FINGERPRINT_SIZE];
	const struct wire_key *nearest = pins;

	hostkey_fingerprint(key, shown);
	if (pin_count == 0 && known_only)
		return outcome_set(outcome, FAULT_HOST_UNKNOWN,
		    "no host key is known for this asset, and only known ones are allowed; it "
		    "shows %s %s",
		    key->type, shown);
	for (size_t i = 0; i < pin_count; i++) {
		if (key_equal(key, &pins[i]))
			return ERR_OK;
		if (strcmp(key->type, pins[i].type) == 0)
			nearest = &pins[i];
	}
	if (pin_count == 0)
		return ERR_OK;
	return outcome_set(outcome, FAULT_HOST_KEY,
	    "the asset shows another host key: %s %s; pinned is %s %s", key->type, shown,
	    nearest->type, hostkey_fingerprint(nearest, pinned));
}
