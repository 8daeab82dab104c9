#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/random.h"
#include "vault/seal.h"

#define DATA_KEY_SIZE 32
#define NONCE_SIZE    12
#define TAG_SIZE      16
#define OVERHEAD      (NONCE_SIZE + TAG_SIZE)

/* In front of the plaintext: the secret's length, and whether a passphrase follows it. */
#define FRAME_HEAD_SIZE 5

struct data_key {
	uint32_t number;
	struct secret *key;
};

struct seal {
	struct data_key keys[SEAL_KEYS_MAX]; /* in order of making: the last one closes */
	size_t count;
	struct id vault;
};

/* What a sealed value is bound to. */
struct binding {
	uint8_t bytes[ID_SIZE + SEAL_NAME_MAX + 1];
	size_t len;
};

#define VERSION_BINDING_SIZE ((size_t)2 * ID_SIZE + 4)

static void put_be32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static struct binding binding_of_vault(const struct id *vault)
{
	struct binding binding = {.len = ID_SIZE};

	memcpy(binding.bytes, vault->bytes, ID_SIZE);
	return binding;
}

/* Of a length that no other has. */
static struct binding binding_of_keys(const struct id *vault)
{
	static const char word[] = "data keys";
	struct binding binding = {.len = ID_SIZE + sizeof(word)};

	memcpy(binding.bytes, vault->bytes, ID_SIZE);
	memcpy(binding.bytes + ID_SIZE, word, sizeof(word));
	return binding;
}

static struct binding binding_of_version(
    const struct id *vault, const struct id *account, uint32_t version)
{
	struct binding binding = {.len = VERSION_BINDING_SIZE};

	memcpy(binding.bytes, vault->bytes, ID_SIZE);
	memcpy(binding.bytes + ID_SIZE, account->bytes, ID_SIZE);
	put_be32(binding.bytes + (size_t)2 * ID_SIZE, version);
	return binding;
}

/* The name, and zeros up to a length that no other binding has. */
static struct binding binding_of_name(const struct id *vault, const char *name)
{
	struct binding binding = {.len = sizeof(binding.bytes)};

	memcpy(binding.bytes, vault->bytes, ID_SIZE);
	memcpy(binding.bytes + ID_SIZE, name, strnlen(name, SEAL_NAME_MAX));
	return binding;
}

static const unsigned char *key_bytes(const struct secret *key)
{
	return (const unsigned char *)secret_data(key);
}

/* Writes nonce, ciphertext and tag: len + OVERHEAD bytes. */
static bool gcm_encrypt(const struct secret *key, const struct binding *binding,
    const uint8_t *plain, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *body = out + NONCE_SIZE;
	int n;
	bool ok;

	random_bytes(out, NONCE_SIZE);
	ok = ctx != NULL &&
	     EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key_bytes(key), out) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &n, binding->bytes, (int)binding->len) == 1 &&
	     EVP_EncryptUpdate(ctx, body, &n, plain, (int)len) == 1 && (size_t)n == len &&
	     EVP_EncryptFinal_ex(ctx, body + len, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, body + len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* Writes len - OVERHEAD bytes, which mean nothing unless it returns true. */
static bool gcm_decrypt(const struct secret *key, const struct binding *binding,
    const uint8_t *sealed, size_t len, uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t plain_len = len - OVERHEAD;
	uint8_t tag[TAG_SIZE];
	int n;
	bool ok;

	memcpy(tag, sealed + len - TAG_SIZE, TAG_SIZE);
	ok = ctx != NULL &&
	     EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key_bytes(key), sealed) == 1 &&
	     EVP_DecryptUpdate(ctx, NULL, &n, binding->bytes, (int)binding->len) == 1 &&
	     EVP_DecryptUpdate(ctx, plain, &n, sealed + NONCE_SIZE, (int)plain_len) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
	     EVP_DecryptFinal_ex(ctx, plain + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static enum err secure_heap_full(struct error *error)
{
	return error_set(
	    error, ERR_FULL, "no room in the memory for secrets: try again with fewer at once");
}

static enum err cipher_failed(struct error *error)
{
	return error_set(error, ERR_IO, "OpenSSL refuses AES-256-GCM: look at its configuration");
}

/* ── Data keys ───────────────────────────────────────────────────────────────────────────── */

/* As they are wrapped: number and bytes, one behind the other. */
#define NUMBERED_SIZE	   (4 + DATA_KEY_SIZE)
#define WRAPPED_PLAIN_SIZE ((size_t)SEAL_KEYS_MAX * NUMBERED_SIZE)

struct seal *seal_new(const struct id *vault)
{
	struct seal *seal = xcalloc(1, sizeof(*seal));

	seal->vault = *vault;
	return seal;
}

void seal_free(struct seal *seal)
{
	if (seal == NULL)
		return;
	for (size_t i = 0; i < seal->count; i++)
		secret_free(seal->keys[i].key);
	free(seal);
}

static enum err seal_take(
    struct seal *seal, uint32_t number, const void *bytes, struct error *error)
{
	struct secret *key = secret_from(bytes, DATA_KEY_SIZE);

	if (key == NULL)
		return secure_heap_full(error);
	seal->keys[seal->count++] = (struct data_key){number, key}; /* transferred */
	return ERR_OK;
}

enum err seal_add(struct seal *seal, struct error *error)
{
	struct secret *key = secret_new(DATA_KEY_SIZE);
	enum err err;

	if (key == NULL)
		return secure_heap_full(error);
	if (seal->count == SEAL_KEYS_MAX) {
		err = error_set(error, ERR_BUSY,
		    "the vault has %d data keys, as values that earlier ones seal wait to be "
		    "sealed anew: let that end first",
		    SEAL_KEYS_MAX);
	} else {
		random_bytes(secret_bytes(key), DATA_KEY_SIZE);
		err = seal_take(seal, seal_number(seal) + 1, secret_data(key), error);
	}
	secret_free(key);
	return err;
}

enum err seal_copy(struct seal **out, const struct seal *seal, bool newest, struct error *error)
{
	size_t from = newest && seal->count > 0 ? seal->count - 1 : 0;
	enum err err = ERR_OK;

	*out = seal_new(&seal->vault);
	for (size_t i = from; err == ERR_OK && i < seal->count; i++)
		err = seal_take(*out, seal->keys[i].number, secret_data(seal->keys[i].key), error);
	if (err == ERR_OK)
		return ERR_OK;
	seal_free(*out);
	*out = NULL;
	return err;
}

size_t seal_count(const struct seal *seal)
{
	return seal->count;
}

uint32_t seal_number(const struct seal *seal)
{
	return seal->count == 0 ? 0 : seal->keys[seal->count - 1].number;
}

enum err seal_wrap(
    const struct seal *seal, const struct secret *master, struct buf *wrapped, struct error *error)
{
	struct binding binding = binding_of_keys(&seal->vault);
	size_t len = seal->count * NUMBERED_SIZE;
	uint8_t *plain = mem_alloc(WRAPPED_PLAIN_SIZE);
	uint8_t *out = buf_reserve(wrapped, len + OVERHEAD);
	bool done;

	if (plain == NULL || out == NULL) {
		mem_free(plain);
		return secure_heap_full(error);
	}
	for (size_t i = 0; i < seal->count; i++) {
		put_be32(plain + i * NUMBERED_SIZE, seal->keys[i].number);
		memcpy(plain + i * NUMBERED_SIZE + 4, key_bytes(seal->keys[i].key), DATA_KEY_SIZE);
	}
	done = gcm_encrypt(master, &binding, plain, len, out);
	mem_free(plain);
	if (!done)
		return cipher_failed(error);
	wrapped->len += len + OVERHEAD;
	return ERR_OK;
}

static bool take_all(struct seal *seal, const uint8_t *plain, size_t len)
{
	struct error none;

	for (; len >= NUMBERED_SIZE; plain += NUMBERED_SIZE, len -= NUMBERED_SIZE)
		if (seal->count == SEAL_KEYS_MAX ||
		    seal_take(seal, get_be32(plain), plain + 4, &none) != ERR_OK)
			return false;
	return seal->count > 0;
}

bool seal_unwrap(
    struct seal *seal, const struct secret *master, const void *wrapped, size_t len, bool legacy)
{
	struct binding binding =
	    legacy ? binding_of_vault(&seal->vault) : binding_of_keys(&seal->vault);
	size_t plain_len = len - OVERHEAD;
	struct error none;
	uint8_t *plain;
	bool opened;

	if (len < OVERHEAD + DATA_KEY_SIZE || plain_len > WRAPPED_PLAIN_SIZE ||
	    (legacy && plain_len != DATA_KEY_SIZE) || (!legacy && plain_len % NUMBERED_SIZE != 0))
		return false;
	plain = mem_alloc(WRAPPED_PLAIN_SIZE);
	opened = plain != NULL && gcm_decrypt(master, &binding, wrapped, len, plain);
	if (opened && legacy)
		opened = seal_take(seal, 1, plain, &none) == ERR_OK;
	else if (opened)
		opened = take_all(seal, plain, plain_len);
	mem_free(plain);
	return opened;
}

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

const struct id *seal_vault(const struct seal *seal)
{
	return &seal->vault;
}

static bool frame_write(
    struct buf *frame, const struct secret *secret, const struct secret *passphrase)
{
	uint8_t head[FRAME_HEAD_SIZE];

	put_be32(head, (uint32_t)secret_len(secret));
	head[4] = passphrase != NULL;
	buf_add(frame, head, sizeof(head));
	buf_add(frame, secret_data(secret), secret_len(secret));
	if (passphrase != NULL)
		buf_add(frame, secret_data(passphrase), secret_len(passphrase));
	return !buf_failed(frame);
}

static enum err bound_close(const struct seal *seal, const struct binding *binding,
    const struct secret *secret, const struct secret *passphrase, struct buf *out,
    struct error *error)
{
	enum err err = ERR_OK;
	struct buf frame;
	uint8_t *room;

	buf_init(&frame, SEALED_SIZE_MAX - OVERHEAD);
	if (!frame_write(&frame, secret, passphrase)) {
		err = error_set(
		    error, ERR_LIMIT, "the secret is longer than %d bytes", SECRET_SIZE_MAX);
		goto out;
	}
	room = buf_reserve(out, frame.len + OVERHEAD);
	if (room == NULL) {
		err = error_set(error, ERR_LIMIT, "the sealed secret is longer than its buffer");
		goto out;
	}
	if (!gcm_encrypt(seal->keys[seal->count - 1].key, binding, frame.data, frame.len, room)) {
		err = cipher_failed(error);
		goto out;
	}
	out->len += frame.len + OVERHEAD;
out:
	buf_clear(&frame);
	return err;
}

enum err seal_close(const struct seal *seal, const struct id *account, uint32_t version,
    const struct secret *secret, const struct secret *passphrase, struct buf *out,
    struct error *error)
{
	struct binding binding = binding_of_version(&seal->vault, account, version);

	return bound_close(seal, &binding, secret, passphrase, out, error);
}

enum err seal_close_named(const struct seal *seal, const char *name, const struct secret *secret,
    struct buf *out, struct error *error)
{
	struct binding binding = binding_of_name(&seal->vault, name);

	return bound_close(seal, &binding, secret, NULL, out, error);
}

/* A frame whose seal held is one that we wrote; its lengths are looked at all the same. */
static enum err frame_read(const uint8_t *frame, size_t len, struct secret **secret,
    struct secret **passphrase, struct error *error)
{
	size_t secret_size = get_be32(frame);
	size_t rest = len - FRAME_HEAD_SIZE;
	bool protected = frame[4] != 0;

	if (secret_size > rest || (!protected && secret_size != rest))
		return error_set(error, ERR_CORRUPT, "the sealed secret is not well formed");
	*secret = secret_from(frame + FRAME_HEAD_SIZE, secret_size);
	if (*secret == NULL)
		return secure_heap_full(error);
	if (!protected || passphrase == NULL)
		return ERR_OK;
	*passphrase = secret_from(frame + FRAME_HEAD_SIZE + secret_size, rest - secret_size);
	if (*passphrase == NULL) {
		secret_free(*secret);
		*secret = NULL;
		return secure_heap_full(error);
	}
	return ERR_OK;
}

/* The newest first: older ones seal what was not sealed anew yet. */
static bool any_decrypt(const struct seal *seal, const struct binding *binding, const void *sealed,
    size_t len, uint8_t *plain)
{
	for (size_t i = seal->count; i > 0; i--)
		if (gcm_decrypt(seal->keys[i - 1].key, binding, sealed, len, plain))
			return true;
	return false;
}

static enum err bound_open(const struct seal *seal, const struct binding *binding,
    const void *sealed, size_t len, struct secret **secret, struct secret **passphrase,
    struct error *error)
{
	uint8_t *plain;
	enum err err;

	*secret = NULL;
	if (passphrase != NULL)
		*passphrase = NULL;
	if (len < OVERHEAD + FRAME_HEAD_SIZE || len > SEALED_SIZE_MAX)
		return error_set(error, ERR_CORRUPT, "the sealed secret has an impossible length");
	plain = mem_alloc(len);
	if (plain == NULL)
		return error_set(error, ERR_FULL, "no memory to open a sealed secret");
	if (any_decrypt(seal, binding, sealed, len, plain))
		err = frame_read(plain, len - OVERHEAD, secret, passphrase, error);
	else
		err = error_set(error, ERR_CORRUPT,
		    "the seal does not hold: the value was changed, or is another account's or "
		    "version's");
	mem_free(plain);
	return err;
}

enum err seal_open(const struct seal *seal, const struct id *account, uint32_t version,
    const void *sealed, size_t len, struct secret **secret, struct secret **passphrase,
    struct error *error)
{
	struct binding binding = binding_of_version(&seal->vault, account, version);

	return bound_open(seal, &binding, sealed, len, secret, passphrase, error);
}

enum err seal_open_named(const struct seal *seal, const char *name, const void *sealed, size_t len,
    struct secret **secret, struct error *error)
{
	struct binding binding = binding_of_name(&seal->vault, name);

	return bound_open(seal, &binding, sealed, len, secret, NULL, error);
}
