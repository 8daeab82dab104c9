#include "base/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/log.h"
#include "base/random_state.h"

#define TAKE_MAX 4096

/* The stream of a test: SHA-256 of the seed and a counter. */
static struct {
	bool seeded;
	uint64_t seed;
	uint64_t counter;
	unsigned generation;
} stream;

static void stream_bytes(uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t input[2] = {stream.seed, stream.counter++};
		uint8_t block[SHA256_DIGEST_LENGTH];
		size_t take = len < sizeof(block) ? len : sizeof(block);

		SHA256((const unsigned char *)input, sizeof(input), block);
		memcpy(out, block, take);
		out += take;
		len -= take;
	}
}

void random_bytes(void *out, size_t len)
{
	uint8_t *next = out;

	if (stream.seeded) {
		stream_bytes(next, len);
		return;
	}
	while (len > 0) {
		size_t take = len < TAKE_MAX ? len : TAKE_MAX;

		if (RAND_priv_bytes(next, (int)take) != 1) {
			log_event(LOG_LEVEL_ERROR, "no_randomness", NULL);
			abort();
		}
		next += take;
		len -= take;
	}
}

void random_seed(uint64_t seed)
{
	stream.seeded = true;
	stream.seed = seed;
	stream.counter = 0;
	stream.generation++;
}

void random_unseed(void)
{
	stream.seeded = false;
	stream.generation++;
}

unsigned random_generation(void)
{
	return stream.generation;
}
