/* Making private keys, in OpenSSH's own form: what ssh -i takes, and libssh2 from memory. */
#include "base/ssh_key.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include "base/random.h"
#include "base/ssh_pem.h"
#include "base/ssh_wire.h"

#define COMMENT	    "lockstep"
#define BLOCK_SIZE  8 /* of the cipher "none" */
#define ED25519_LEN 32
#define EC_LEN_MAX  66			 /* of a number below the order of nistp521 */
#define POINT_MAX   (1 + 2 * EC_LEN_MAX) /* not compressed */

/* A curve, by our name for the type. */
struct curve {
	const char *type, *name;
	int nid;
	size_t len;   /* of its numbers */
	uint8_t mask; /* of the first byte of one */
};

static const struct curve curves[] = {
    [SSH_KEY_ED25519] = {"ssh-ed25519", NULL, 0, ED25519_LEN, 0xff},
    [SSH_KEY_ECDSA_256] = {"ecdsa-sha2-nistp256", "nistp256", NID_X9_62_prime256v1, 32, 0xff},
    [SSH_KEY_ECDSA_384] = {"ecdsa-sha2-nistp384", "nistp384", NID_secp384r1, 48, 0xff},
    [SSH_KEY_ECDSA_521] = {"ecdsa-sha2-nistp521", "nistp521", NID_secp521r1, 66, 0x01},
};

#define CURVE_COUNT (sizeof(curves) / sizeof(curves[0]))

/* A key being made: the private number, and the public point. */
struct pair {
	const struct curve *curve;
	struct secret *number;
	uint8_t point[POINT_MAX];
	size_t point_len;
};

const char *ssh_key_type_name(enum ssh_key_type type)
{
	return curves[type].type;
}

/* ── What can be used ────────────────────────────────────────────────────────────────────── */

static const char rsa_reason[] =
    "this build does not use RSA keys: its SSH library signs with them by SHA-1 alone, which "
    "OpenSSH has refused since release 8.8; take \"ed25519\", or \"ecdsa\" for old assets";

const char *ssh_key_words(const char *type, uint64_t bits, enum ssh_key_type *out)
{
	if (strcmp(type, "ed25519") == 0) {
		*out = SSH_KEY_ED25519;
		return bits == 0 || bits == 256 ? NULL : "an Ed25519 key has 256 bits";
	}
	if (strcmp(type, "ecdsa") == 0) {
		*out = bits == 384   ? SSH_KEY_ECDSA_384
		       : bits == 521 ? SSH_KEY_ECDSA_521
				     : SSH_KEY_ECDSA_256;
		return bits == 0 || bits == 256 || bits == 384 || bits == 521
			   ? NULL
			   : "an ECDSA key has 256, 384 or 521 bits";
	}
	if (strcmp(type, "rsa") == 0)
		return rsa_reason;
	return "there are keys of type \"ed25519\" and \"ecdsa\"";
}

const char *ssh_key_unusable(const char *type_name)
{
	for (size_t i = 0; i < CURVE_COUNT; i++)
		if (strcmp(curves[i].type, type_name) == 0)
			return NULL;
	if (strcmp(type_name, "ssh-rsa") == 0)
		return rsa_reason;
	if (strncmp(type_name, "sk-", 3) == 0)
		return "a key that lives in a security token needs a hand at each login, and this "
		       "build's SSH library does not know it";
	return "this build's SSH library does not know keys of this type, and neither does an "
	       "OpenSSH of today; take \"ed25519\" or \"ecdsa\"";
}

/* ── The numbers ─────────────────────────────────────────────────────────────────────────── */

static bool ed25519_point(struct pair *pair)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, (const unsigned char *)secret_data(pair->number), ED25519_LEN);
	bool good;

	pair->point_len = ED25519_LEN;
	good = key != NULL && EVP_PKEY_get_raw_public_key(key, pair->point, &pair->point_len) == 1;
	EVP_PKEY_free(key);
	return good;
}

/* 0 < number < order; what is not is drawn anew. */
static bool number_fits(const struct pair *pair, const EC_GROUP *group, BIGNUM *number)
{
	return BN_bin2bn((const unsigned char *)secret_data(pair->number), (int)pair->curve->len,
		   number) != NULL &&
	       !BN_is_zero(number) && BN_ucmp(number, EC_GROUP_get0_order(group)) < 0;
}

static bool ecdsa_multiply(
    struct pair *pair, const EC_GROUP *group, const BIGNUM *number, BN_CTX *ctx)
{
	EC_POINT *point = EC_POINT_new(group);

	if (point != NULL && EC_POINT_mul(group, point, number, NULL, NULL, ctx) == 1)
		pair->point_len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED,
		    pair->point, sizeof(pair->point), ctx);
	EC_POINT_free(point);
	return pair->point_len == 1 + 2 * pair->curve->len;
}

static void number_draw(struct pair *pair)
{
	char *bytes = secret_bytes(pair->number);

	random_bytes(bytes, pair->curve->len);
	bytes[0] = (char)((uint8_t)bytes[0] & pair->curve->mask);
}

static bool ecdsa_point(struct pair *pair)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(pair->curve->nid);
	BIGNUM *number = BN_secure_new();
	BN_CTX *ctx = BN_CTX_secure_new();
	bool good = group != NULL && number != NULL && ctx != NULL;

	if (good)
		BN_set_flags(number, BN_FLG_CONSTTIME);
	while (good && !number_fits(pair, group, number))
		number_draw(pair);
	good = good && ecdsa_multiply(pair, group, number, ctx);
	BN_CTX_free(ctx);
	BN_clear_free(number);
	EC_GROUP_free(group);
	return good;
}

/* ── How they are written ────────────────────────────────────────────────────────────────── */

static void write_point(struct ssh_writer *writer, const struct pair *pair)
{
	ssh_write_text(writer, pair->curve->type);
	if (pair->curve->name != NULL)
		ssh_write_text(writer, pair->curve->name);
	ssh_write_string(writer, pair->point, pair->point_len);
}

static void write_private(struct ssh_writer *writer, const struct pair *pair, uint32_t check)
{
	const uint8_t *number = (const uint8_t *)secret_data(pair->number);

	ssh_write_u32(writer, check);
	ssh_write_u32(writer, check);
	write_point(writer, pair);
	if (pair->curve->name != NULL) {
		ssh_write_mpint(writer, number, pair->curve->len);
	} else {
		ssh_write_u32(writer, 2 * ED25519_LEN);
		ssh_write(writer, number, ED25519_LEN);
		ssh_write(writer, pair->point, ED25519_LEN);
	}
	ssh_write_text(writer, COMMENT);
}

/* Padded by 1, 2, 3 … to whole blocks, before which its length stands. */
static void write_private_string(struct ssh_writer *writer, const struct pair *pair, uint32_t check)
{
	struct ssh_writer count = {.data = NULL};
	size_t len;

	write_private(&count, pair, check);
	len = (count.len + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
	ssh_write_u32(writer, (uint32_t)len);
	write_private(writer, pair, check);
	for (uint8_t pad = 1; count.len + pad <= len; pad++)
		ssh_write(writer, &pad, 1);
}

static void write_key(struct ssh_writer *writer, const struct pair *pair, uint32_t check)
{
	struct ssh_writer count = {.data = NULL};

	ssh_write(writer, SSH_MAGIC, sizeof(SSH_MAGIC));
	ssh_write_text(writer, "none");
	ssh_write_text(writer, "none");
	ssh_write_text(writer, "");
	ssh_write_u32(writer, 1);
	write_point(&count, pair);
	ssh_write_u32(writer, (uint32_t)count.len);
	write_point(writer, pair);
	write_private_string(writer, pair, check);
}

static struct secret *pair_write(const struct pair *pair)
{
	struct ssh_writer count = {.data = NULL};
	struct secret *key, *pem;
	uint32_t check;

	random_bytes(&check, sizeof(check));
	write_key(&count, pair, check);
	key = secret_new(count.len);
	if (key == NULL)
		return NULL;
	write_key(&(struct ssh_writer){.data = (uint8_t *)secret_bytes(key), .room = count.len},
	    pair, check);
	pem = ssh_pem_write((const uint8_t *)secret_data(key), secret_len(key));
	secret_free(key);
	return pem;
}

static enum err heap_full(struct error *error)
{
	return error_set(
	    error, ERR_FULL, "no room in the memory for secrets: try again with fewer at once");
}

enum err ssh_key_make(enum ssh_key_type type, struct secret **out, struct error *error)
{
	struct pair pair = {.curve = &curves[type]};
	bool good;

	*out = NULL;
	pair.number = secret_new(pair.curve->len);
	if (pair.number == NULL)
		return heap_full(error);
	number_draw(&pair);
	good = type == SSH_KEY_ED25519 ? ed25519_point(&pair) : ecdsa_point(&pair);
	if (good)
		*out = pair_write(&pair);
	secret_free(pair.number);
	if (*out != NULL)
		return ERR_OK;
	/* OpenSSL keeps its numbers in the same memory, and does not say that it was full. */
	return good || secret_heap_free() < SECRET_SIZE_MAX
		   ? heap_full(error)
		   : error_set(error, ERR_IO,
			 "OpenSSL makes no key of type %s: look at its "
			 "configuration",
			 pair.curve->type);
}
