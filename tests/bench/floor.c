/*
 *	floor x25519|nistp256 ed25519|ecdsa [SECONDS]
 *
 * The least that a handshake costs its client, by plain calls of OpenSSL: a key made, a secret
 * derived, a signature verified. Prints the microseconds of CPU of one handshake: the best of
 * several rounds, which a busy machine adds the least to.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#define ROUNDS	  9
#define HASH_SIZE 32

struct floor {
	bool is_x25519, is_ed25519;
	EVP_PKEY *peer;	     /* its half of the exchange */
	EVP_PKEY *host;	     /* its host key */
	uint8_t sealed[256]; /* its signature */
	size_t sealed_len;
	uint8_t hash[HASH_SIZE];
};

static void must(bool fine)
{
	if (!fine)
		abort();
}

static EVP_PKEY *exchange_key(const struct floor *floor)
{
	return floor->is_x25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519")
				: EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static const EVP_MD *host_digest(const struct floor *floor)
{
	return floor->is_ed25519 ? NULL : EVP_sha256();
}

static void floor_init(struct floor *floor)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	floor->sealed_len = sizeof(floor->sealed);
	floor->peer = exchange_key(floor);
	floor->host = floor->is_ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
					: EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	must(floor->peer != NULL && floor->host != NULL);
	must(EVP_DigestSignInit(context, NULL, host_digest(floor), NULL, floor->host) == 1 &&
	     EVP_DigestSign(context, floor->sealed, &floor->sealed_len, floor->hash, HASH_SIZE) ==
		 1);
	EVP_MD_CTX_free(context);
}

static void handshake(const struct floor *floor)
{
	EVP_PKEY *key = exchange_key(floor);
	EVP_PKEY_CTX *derive = EVP_PKEY_CTX_new(key, NULL);
	EVP_MD_CTX *verify = EVP_MD_CTX_new();
	uint8_t shared[64];
	size_t len = sizeof(shared);

	must(EVP_PKEY_derive_init(derive) == 1 &&
	     EVP_PKEY_derive_set_peer(derive, floor->peer) == 1 &&
	     EVP_PKEY_derive(derive, shared, &len) == 1);
	must(EVP_DigestVerifyInit(verify, NULL, host_digest(floor), NULL, floor->host) == 1 &&
	     EVP_DigestVerify(verify, floor->sealed, floor->sealed_len, floor->hash, HASH_SIZE) ==
		 1);
	EVP_MD_CTX_free(verify);
	EVP_PKEY_CTX_free(derive);
	EVP_PKEY_free(key);
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double round_us(const struct floor *floor, double seconds)
{
	double begun = cpu_s(), now;
	unsigned count = 0;

	do {
		for (int i = 0; i < 50; i++)
			handshake(floor);
		count += 50;
		now = cpu_s();
	} while (now - begun < seconds);
	return (now - begun) * 1e6 / count;
}

int main(int argc, char **argv)
{
	struct floor floor = {.sealed_len = 0};
	double seconds = argc > 3 ? atof(argv[3]) : 1.0, best = 1e9;

	if (argc < 3) {
		fprintf(stderr, "usage: floor x25519|nistp256 ed25519|ecdsa [SECONDS]\n");
		return 2;
	}
	floor.is_x25519 = strcmp(argv[1], "x25519") == 0;
	floor.is_ed25519 = strcmp(argv[2], "ed25519") == 0;
	floor_init(&floor);
	for (int i = 0; i < ROUNDS; i++) {
		double us = round_us(&floor, seconds / ROUNDS);

		best = us < best ? us : best;
	}
	printf("%.1f\n", best);
	return 0;
}
