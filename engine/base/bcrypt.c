#include "base/bcrypt.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

#define SUBKEYS	   18
#define BOXES	   4
#define BOX_SIZE   256
#define PI_WORDS   (SUBKEYS + BOXES * BOX_SIZE)
#define GUARD_BITS 64

#define SHA512_SIZE 64
#define HASH_WORDS  8
#define HASH_SIZE   (4 * HASH_WORDS)
#define HASH_TURNS  64

struct blowfish {
	uint32_t subkeys[SUBKEYS];
	uint32_t boxes[BOXES][BOX_SIZE];
};

/* ── Pi ──────────────────────────────────────────────────────────────────────────────────── */

/* sum += factor · atan(1 / inverse), all in units of `one`. */
static bool add_arctangent(BIGNUM *sum, const BIGNUM *one, BN_ULONG inverse, int factor)
{
	BIGNUM *power = BN_dup(one), *term = BN_new();
	bool good = power != NULL && term != NULL &&
		    BN_mul_word(power, (BN_ULONG)(factor < 0 ? -factor : factor)) == 1 &&
		    BN_div_word(power, inverse) != (BN_ULONG)-1;
	bool minus = factor < 0;

	for (BN_ULONG odd = 1; good && !BN_is_zero(power); odd += 2, minus = !minus) {
		good = BN_copy(term, power) != NULL && BN_div_word(term, odd) != (BN_ULONG)-1 &&
		       (minus ? BN_sub(sum, sum, term) : BN_add(sum, sum, term)) == 1 &&
		       BN_div_word(power, inverse * inverse) != (BN_ULONG)-1;
	}
	BN_free(power);
	BN_free(term);
	return good;
}

/* What stands behind the point of pi, by Machin's formula: 16 atan(1/5) - 4 atan(1/239). */
static bool pi_work_out(uint8_t digits[PI_WORDS * 4])
{
	BIGNUM *one = BN_new(), *pi = BN_new();
	bool good = one != NULL && pi != NULL && BN_one(one) == 1 &&
		    BN_lshift(one, one, PI_WORDS * 32 + GUARD_BITS) == 1;

	if (good)
		BN_zero(pi);
	good = good && add_arctangent(pi, one, 5, 16) && add_arctangent(pi, one, 239, -4);
	for (int i = 0; good && i < 3; i++)
		good = BN_sub(pi, pi, one) == 1;
	good = good && BN_rshift(pi, pi, GUARD_BITS) == 1 &&
	       BN_bn2binpad(pi, digits, PI_WORDS * 4) == PI_WORDS * 4;
	BN_free(one);
	BN_free(pi);
	return good;
}

static uint32_t word_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool blowfish_begin(struct blowfish *first)
{
	uint8_t digits[PI_WORDS * 4];

	if (!pi_work_out(digits))
		return false;
	for (size_t i = 0; i < SUBKEYS; i++)
		first->subkeys[i] = word_at(digits + 4 * i);
	for (size_t i = 0; i < (size_t)BOXES * BOX_SIZE; i++)
		first->boxes[i / BOX_SIZE][i % BOX_SIZE] = word_at(digits + 4 * (SUBKEYS + i));
	return true;
}

/* ── Blowfish ────────────────────────────────────────────────────────────────────────────── */

static uint32_t mix(const struct blowfish *fish, uint32_t word)
{
	return ((fish->boxes[0][word >> 24] + fish->boxes[1][word >> 16 & 0xff]) ^
		   fish->boxes[2][word >> 8 & 0xff]) +
	       fish->boxes[3][word & 0xff];
}

static void encipher(const struct blowfish *fish, uint32_t block[2])
{
	uint32_t left = block[0] ^ fish->subkeys[0], right = block[1];

	for (size_t i = 1; i < SUBKEYS - 1; i += 2) {
		right ^= mix(fish, left) ^ fish->subkeys[i];
		left ^= mix(fish, right) ^ fish->subkeys[i + 1];
	}
	block[0] = right ^ fish->subkeys[SUBKEYS - 1];
	block[1] = left;
}

/* The next word of bytes that begin anew at their end. */
static uint32_t next_word(const uint8_t *bytes, size_t *at)
{
	uint32_t word = word_at(bytes + *at);

	*at = (*at + 4) % SHA512_SIZE;
	return word;
}

/* Fills the words with what enciphering the running block gives; with the salt where there is one.
 */
static void refill(const struct blowfish *fish, uint32_t *words, size_t count, uint32_t block[2],
    const uint8_t *salt, size_t *salt_at)
{
	for (size_t i = 0; i < count; i += 2) {
		if (salt != NULL) {
			block[0] ^= next_word(salt, salt_at);
			block[1] ^= next_word(salt, salt_at);
		}
		encipher(fish, block);
		words[i] = block[0];
		words[i + 1] = block[1];
	}
}

static void schedule(struct blowfish *fish, const uint8_t *key, const uint8_t *salt)
{
	uint32_t block[2] = {0, 0};
	size_t key_at = 0, salt_at = 0;

	for (size_t i = 0; i < SUBKEYS; i++)
		fish->subkeys[i] ^= next_word(key, &key_at);
	refill(fish, fish->subkeys, SUBKEYS, block, salt, &salt_at);
	for (size_t i = 0; i < BOXES; i++)
		refill(fish, fish->boxes[i], BOX_SIZE, block, salt, &salt_at);
}

/* ── bcrypt ──────────────────────────────────────────────────────────────────────────────── */

static void hash(const struct blowfish *first, const uint8_t pass[SHA512_SIZE],
    const uint8_t salt[SHA512_SIZE], uint8_t out[HASH_SIZE])
{
	static const char text[] = "OxychromaticBlowfishSwatDynamite";
	struct blowfish fish = *first;
	uint32_t words[HASH_WORDS];

	schedule(&fish, pass, salt);
	for (int i = 0; i < HASH_TURNS; i++) {
		schedule(&fish, salt, NULL);
		schedule(&fish, pass, NULL);
	}
	for (size_t i = 0; i < HASH_WORDS; i++)
		words[i] = word_at((const uint8_t *)text + 4 * i);
	for (int turn = 0; turn < HASH_TURNS; turn++) {
		for (size_t i = 0; i < HASH_WORDS; i += 2)
			encipher(&fish, words + i);
	}
	for (size_t i = 0; i < HASH_SIZE; i++)
		out[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
	explicit_bzero(&fish, sizeof(fish));
	explicit_bzero(words, sizeof(words));
}

static bool digest(const void *bytes, size_t len, uint8_t out[SHA512_SIZE])
{
	return EVP_Digest(bytes, len, out, NULL, EVP_sha512(), NULL) == 1;
}

/* One block of the key: the hashes of all rounds, one over the other. */
static bool block_derive(const struct blowfish *first, const uint8_t pass[SHA512_SIZE],
    const uint8_t *salt, size_t salt_len, uint32_t rounds, uint8_t out[HASH_SIZE])
{
	uint8_t salt_digest[SHA512_SIZE], round[HASH_SIZE];
	bool good = digest(salt, salt_len, salt_digest);

	memset(out, 0, HASH_SIZE);
	for (uint32_t i = 0; good && i < rounds; i++) {
		hash(first, pass, salt_digest, round);
		for (size_t j = 0; j < HASH_SIZE; j++)
			out[j] ^= round[j];
		good = digest(round, sizeof(round), salt_digest);
	}
	explicit_bzero(round, sizeof(round));
	explicit_bzero(salt_digest, sizeof(salt_digest));
	return good;
}

/* The bytes of the blocks are spread over the key. */
static bool blocks_derive(const struct blowfish *first, const uint8_t pass[SHA512_SIZE],
    const uint8_t *salt, size_t salt_len, uint32_t rounds, uint8_t *key, size_t key_len)
{
	size_t stride = (key_len + HASH_SIZE - 1) / HASH_SIZE;
	size_t amount = (key_len + stride - 1) / stride;
	uint8_t counted[BCRYPT_SALT_MAX + 4] = {0}, out[HASH_SIZE];
	bool good = true;

	memcpy(counted, salt, salt_len);
	for (size_t block = 0; good && block < stride; block++) {
		counted[salt_len + 3] = (uint8_t)(block + 1);
		good = block_derive(first, pass, counted, salt_len + 4, rounds, out);
		for (size_t i = 0; i < amount && i * stride + block < key_len; i++)
			key[i * stride + block] = out[i];
	}
	explicit_bzero(out, sizeof(out));
	return good;
}

bool bcrypt_derive(const void *pass, size_t pass_len, const uint8_t *salt, size_t salt_len,
    uint32_t rounds, uint8_t *key, size_t key_len)
{
	struct blowfish first;
	uint8_t pass_digest[SHA512_SIZE];
	bool good;

	if (pass_len == 0 || salt_len == 0 || salt_len > BCRYPT_SALT_MAX || rounds == 0 ||
	    rounds > BCRYPT_ROUNDS_MAX || key_len == 0 || key_len > BCRYPT_KEY_MAX)
		return false;
	good = blowfish_begin(&first) && digest(pass, pass_len, pass_digest) &&
	       blocks_derive(&first, pass_digest, salt, salt_len, rounds, key, key_len);
	explicit_bzero(pass_digest, sizeof(pass_digest));
	return good;
}
