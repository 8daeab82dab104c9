/*
 * Taking the passphrase off a private key. It would cost each login a tenth of a second and more of
 * its loop, and adds nothing where the vault seals both.
 */
#include "base/ssh_key.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/bcrypt.h"
#include "base/ssh_pem.h"
#include "base/ssh_wire.h"

#define NAME_SIZE 32

/* What stands in OpenSSH's form of a key. */
struct sealed {
	char cipher[NAME_SIZE], kdf[NAME_SIZE];
	const uint8_t *salt, *public, *private;
	size_t salt_len, public_len, private_len;
	uint32_t rounds;
};

static enum err heap_full(struct error *error)
{
	return error_set(error, ERR_FULL, "no room in the memory for secrets");
}

static enum err not_opened(struct error *error)
{
	return error_set(error, ERR_INVALID, "the passphrase does not open it");
}

static bool name_read(struct ssh_reader *reader, char out[NAME_SIZE])
{
	size_t len;
	const uint8_t *name = ssh_read_string(reader, &len);

	if (name == NULL || len >= NAME_SIZE)
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	return true;
}

static bool sealed_read(const uint8_t *bytes, size_t len, struct sealed *sealed)
{
	struct ssh_reader reader = {.at = bytes, .left = len}, options = {.at = NULL};

	if (len < sizeof(SSH_MAGIC) || memcmp(bytes, SSH_MAGIC, sizeof(SSH_MAGIC)) != 0)
		return false;
	reader.at += sizeof(SSH_MAGIC);
	reader.left -= sizeof(SSH_MAGIC);
	if (!name_read(&reader, sealed->cipher) || !name_read(&reader, sealed->kdf))
		return false;
	options.at = ssh_read_string(&reader, &options.left);
	if (options.at == NULL || ssh_read_u32(&reader) != 1)
		return false;
	sealed->public = ssh_read_string(&reader, &sealed->public_len);
	sealed->private = ssh_read_string(&reader, &sealed->private_len);
	if (sealed->public == NULL || sealed->private == NULL)
		return false;
	if (strcmp(sealed->kdf, "bcrypt") == 0) {
		sealed->salt = ssh_read_string(&options, &sealed->salt_len);
		sealed->rounds = ssh_read_u32(&options);
	}
	return !options.failed;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

static bool decipher(
    const EVP_CIPHER *cipher, const uint8_t *key, const struct sealed *sealed, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool good =
	    ctx != NULL &&
	    EVP_DecryptInit_ex(ctx, cipher, NULL, key, key + EVP_CIPHER_get_key_length(cipher)) ==
		1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	    EVP_DecryptUpdate(ctx, out, &len, sealed->private, (int)sealed->private_len) == 1 &&
	    (size_t)len == sealed->private_len;

	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* OpenSSH's own, but for those that also authenticate. */
static const EVP_CIPHER *cipher_of(const char *name)
{
	static const struct {
		const char *name;
		const EVP_CIPHER *(*get)(void);
	} ciphers[] = {
	    {"aes256-ctr", EVP_aes_256_ctr},
	    {"aes192-ctr", EVP_aes_192_ctr},
	    {"aes128-ctr", EVP_aes_128_ctr},
	    {"aes256-cbc", EVP_aes_256_cbc},
	    {"aes192-cbc", EVP_aes_192_cbc},
	    {"aes128-cbc", EVP_aes_128_cbc},
	};

	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (strcmp(ciphers[i].name, name) == 0)
			return ciphers[i].get();
	return NULL;
}

static enum err private_open(
    const struct sealed *sealed, const struct secret *passphrase, uint8_t *out, struct error *error)
{
	const EVP_CIPHER *cipher = cipher_of(sealed->cipher);
	uint8_t key[BCRYPT_KEY_MAX];
	bool good;

	if (cipher == NULL || strcmp(sealed->kdf, "bcrypt") != 0)
		return error_set(error, ERR_INVALID,
		    "it is sealed by %s, which this build does not open: ssh-keygen -p -Z "
		    "aes256-ctr seals it otherwise",
		    sealed->cipher);
	good = bcrypt_derive(secret_data(passphrase), secret_len(passphrase), sealed->salt,
		   sealed->salt_len, sealed->rounds, key,
		   (size_t)EVP_CIPHER_get_key_length(cipher) +
		       (size_t)EVP_CIPHER_get_iv_length(cipher)) &&
	       decipher(cipher, key, sealed, out);
	explicit_bzero(key, sizeof(key));
	/* It begins with one number, twice. */
	good = good && sealed->private_len >= 8 && memcmp(out, out + 4, 4) == 0;
	return good ? ERR_OK : not_opened(error);
}

/* ── Writing it again ────────────────────────────────────────────────────────────────────── */

static void write_open(
    struct ssh_writer *writer, const struct sealed *sealed, const uint8_t *private)
{
	ssh_write(writer, SSH_MAGIC, sizeof(SSH_MAGIC));
	ssh_write_text(writer, "none");
	ssh_write_text(writer, "none");
	ssh_write_text(writer, "");
	ssh_write_u32(writer, 1);
	ssh_write_string(writer, sealed->public, sealed->public_len);
	ssh_write_string(writer, private, sealed->private_len);
}

static struct secret *open_pem(const struct sealed *sealed, const struct secret *private)
{
	const uint8_t *bytes = (const uint8_t *)secret_data(private);
	struct ssh_writer count = {.data = NULL};
	struct secret *key, *pem;

	write_open(&count, sealed, bytes);
	key = secret_new(count.len);
	if (key == NULL)
		return NULL;
	write_open(&(struct ssh_writer){.data = (uint8_t *)secret_bytes(key), .room = count.len},
	    sealed, bytes);
	pem = ssh_pem_write((const uint8_t *)secret_data(key), count.len);
	secret_free(key);
	return pem;
}

static enum err sealed_unseal(const struct sealed *sealed, const struct secret *passphrase,
    struct secret **out, struct error *error)
{
	struct secret *private = secret_new(sealed->private_len);
	enum err err;

	if (private == NULL)
		return heap_full(error);
	err = private_open(sealed, passphrase, (uint8_t *)secret_bytes(private), error);
	if (err == ERR_OK)
		*out = open_pem(sealed, private);
	secret_free(private);
	if (err != ERR_OK)
		return err;
	return *out != NULL ? ERR_OK : heap_full(error);
}

static enum err openssh_unseal(const struct secret *pem, const struct secret *passphrase,
    struct secret **out, struct error *error)
{
	struct sealed sealed = {.salt = NULL};
	size_t len;
	struct secret *bytes = ssh_pem_read(pem, &len);
	enum err err;

	if (bytes == NULL)
		return heap_full(error);
	if (!sealed_read((const uint8_t *)secret_data(bytes), len, &sealed))
		err = error_set(error, ERR_INVALID, "what is inside is damaged");
	else if (strcmp(sealed.cipher, "none") != 0)
		err = sealed_unseal(&sealed, passphrase, out, error);
	else
		err = (*out = secret_copy(pem)) != NULL ? ERR_OK : heap_full(error);
	secret_free(bytes);
	return err;
}

/* ── The forms that OpenSSL reads ────────────────────────────────────────────────────────── */

static int give_passphrase(char *out, int size, int writing, void *arg)
{
	const struct secret *passphrase = arg;
	size_t len = secret_len(passphrase);

	(void)writing;
	if (len > (size_t)size)
		return -1;
	memcpy(out, secret_data(passphrase), len);
	return (int)len;
}

static enum err openssl_unseal(const struct secret *pem, const struct secret *passphrase,
    struct secret **out, struct error *error)
{
	BIO *in = BIO_new_mem_buf(secret_data(pem), (int)secret_len(pem));
	BIO *text = BIO_new(BIO_s_secmem());
	EVP_PKEY *key = in == NULL ? NULL
				   : PEM_read_bio_PrivateKey(
					 in, NULL, give_passphrase, (void *)(uintptr_t)passphrase);
	char *bytes;
	long len;

	if (key != NULL && text != NULL &&
	    PEM_write_bio_PKCS8PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    (len = BIO_get_mem_data(text, &bytes)) > 0)
		*out = secret_from(bytes, (size_t)len);
	BIO_free(in);
	BIO_free(text);
	if (*out == NULL && key != NULL) {
		EVP_PKEY_free(key);
		return heap_full(error);
	}
	EVP_PKEY_free(key);
	return *out != NULL ? ERR_OK : not_opened(error);
}

enum err ssh_key_unseal(const struct secret *key, const struct secret *passphrase,
    struct secret **out, struct error *error)
{
	*out = NULL;
	return ssh_pem_is_own(key) ? openssh_unseal(key, passphrase, out, error)
				   : openssl_unseal(key, passphrase, out, error);
}
