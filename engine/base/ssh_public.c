/* The public lines of private keys, in whatever form of PEM they are. */
#include "base/ssh_key.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/ssh_pem.h"
#include "base/ssh_wire.h"

#define BLOB_MAX   3000 /* of a public key */
#define POINT_MAX  256
#define NUMBER_MAX 2500 /* bytes of an RSA modulus */

static enum err no_key(struct error *error)
{
	return error_set(error, ERR_INVALID,
	    "it is no private key that can be read, or its passphrase does not open it");
}

/* ── OpenSSH's own form, which has the public key in the open ────────────────────────────── */

static bool openssh_line(const uint8_t *bytes, size_t len, char *line)
{
	struct ssh_reader reader = {.at = bytes, .left = len};
	const uint8_t *blob;
	size_t part;

	if (len < sizeof(SSH_MAGIC) || memcmp(bytes, SSH_MAGIC, sizeof(SSH_MAGIC)) != 0)
		return false;
	reader.at += sizeof(SSH_MAGIC);
	reader.left -= sizeof(SSH_MAGIC);
	for (int i = 0; i < 3; i++) /* cipher, and how the passphrase makes its key */
		(void)ssh_read_string(&reader, &part);
	if (ssh_read_u32(&reader) != 1)
		return false;
	blob = ssh_read_string(&reader, &part);
	return blob != NULL && ssh_line_of_blob(blob, part, line, SSH_KEY_LINE_SIZE);
}

static enum err openssh_public(const struct secret *key, char *line, struct error *error)
{
	size_t len;
	struct secret *bytes = ssh_pem_read(key, &len);
	bool good;

	if (bytes == NULL)
		return error_set(error, ERR_FULL, "no room in the memory for secrets");
	good = openssh_line((const uint8_t *)secret_data(bytes), len, line);
	secret_free(bytes);
	return good ? ERR_OK : no_key(error);
}

/* ── The forms that OpenSSL reads ────────────────────────────────────────────────────────── */

static int give_passphrase(char *out, int size, int writing, void *arg)
{
	const struct secret *passphrase = arg;
	size_t len = passphrase == NULL ? 0 : secret_len(passphrase);

	(void)writing;
	if (passphrase == NULL || len > (size_t)size)
		return -1;
	memcpy(out, secret_data(passphrase), len);
	return (int)len;
}

static void write_number(struct ssh_writer *writer, const EVP_PKEY *key, const char *name)
{
	BIGNUM *number = NULL;
	uint8_t bytes[NUMBER_MAX];

	if (EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
	    BN_num_bytes(number) <= (int)sizeof(bytes))
		ssh_write_mpint(writer, bytes, (size_t)BN_bn2bin(number, bytes));
	else
		writer->failed = true;
	BN_free(number);
}

/* "prime256v1", the name that OpenSSL has for it, is "nistp256" to SSH. */
static const char *curve_of(const EVP_PKEY *key)
{
	static const char *const names[][2] = {
	    {"prime256v1", "nistp256"},
	    {"secp384r1", "nistp384"},
	    {"secp521r1", "nistp521"},
	};
	char group[32];
	size_t len;

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
		return NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(group, names[i][0]) == 0)
			return names[i][1];
	return NULL;
}

static void write_ecdsa(struct ssh_writer *writer, EVP_PKEY *key)
{
	static const char prefix[] = "ecdsa-sha2-";
	const char *curve = curve_of(key);
	uint8_t point[POINT_MAX];
	size_t len;

	if (curve == NULL ||
	    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1 ||
	    EVP_PKEY_get_octet_string_param(
		key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1) {
		writer->failed = true;
		return;
	}
	ssh_write_u32(writer, (uint32_t)(strlen(prefix) + strlen(curve)));
	ssh_write(writer, prefix, strlen(prefix));
	ssh_write(writer, curve, strlen(curve));
	ssh_write_text(writer, curve);
	ssh_write_string(writer, point, len);
}

static void write_public(struct ssh_writer *writer, EVP_PKEY *key)
{
	uint8_t point[POINT_MAX];
	size_t len = sizeof(point);

	if (EVP_PKEY_is_a(key, "ED25519")) {
		ssh_write_text(writer, "ssh-ed25519");
		if (EVP_PKEY_get_raw_public_key(key, point, &len) == 1)
			ssh_write_string(writer, point, len);
		else
			writer->failed = true;
	} else if (EVP_PKEY_is_a(key, "EC")) {
		write_ecdsa(writer, key);
	} else if (EVP_PKEY_is_a(key, "RSA")) {
		ssh_write_text(writer, "ssh-rsa");
		write_number(writer, key, OSSL_PKEY_PARAM_RSA_E);
		write_number(writer, key, OSSL_PKEY_PARAM_RSA_N);
	} else {
		writer->failed = true;
	}
}

static enum err openssl_public(
    const struct secret *secret, const struct secret *passphrase, char *line, struct error *error)
{
	BIO *bio = BIO_new_mem_buf(secret_data(secret), (int)secret_len(secret));
	EVP_PKEY *key = bio == NULL ? NULL
				    : PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
					  (void *)(uintptr_t)passphrase);
	uint8_t blob[BLOB_MAX];
	struct ssh_writer writer = {.data = blob, .room = sizeof(blob)};
	bool good;

	BIO_free(bio);
	if (key == NULL)
		return no_key(error);
	write_public(&writer, key);
	EVP_PKEY_free(key);
	good = !writer.failed && ssh_line_of_blob(blob, writer.len, line, SSH_KEY_LINE_SIZE);
	return good ? ERR_OK
		    : error_set(error, ERR_INVALID, "it is no key of a type that SSH knows");
}

enum err ssh_key_public(const struct secret *key, const struct secret *passphrase,
    char line[SSH_KEY_LINE_SIZE], struct error *error)
{
	return ssh_pem_is_own(key) ? openssh_public(key, line, error)
				   : openssl_public(key, passphrase, line, error);
}
