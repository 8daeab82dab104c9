/*
 * What a server says before the keys are exchanged: its banner and the algorithms that it offers.
 *
 * Owns a capped copy of these plain bytes, taken as they pass. libssh2 tells that two lists have
 * nothing in common, but not what was in them. Never changes what passes.
 */
#ifndef WIRE_GREETING_H
#define WIRE_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define GREETING_FIRST_SIZE 160
#define GREETING_KEX_MAX    8192

/* The name-lists of a key exchange's opening, in its order; the ones that we use. */
enum greeting_list {
	LIST_KEX,
	LIST_HOST_KEY,
	LIST_CIPHER_OUT,
	LIST_CIPHER_IN,
	LIST_MAC_OUT,
	LIST_MAC_IN,
	LIST_COUNT,
};

struct greeting {
	char first[GREETING_FIRST_SIZE]; /* the first bytes that came, for a message */
	size_t first_len;
	size_t line_len; /* of the line in work */
	bool line_ssh;	 /* it begins with "SSH-" so far */
	bool banner;	 /* the banner came, whole */
	bool done;	 /* what follows is of no interest */
	struct buf packets;
};

void greeting_init(struct greeting *);
void greeting_clear(struct greeting *);

/* Plain bytes, as they came. */
void greeting_feed(struct greeting *, const void *bytes, size_t len);

/* A comma-separated list inside the greeting. */
struct names {
	const char *text;
	size_t len;
};

/* Finds the server's lists; false when they did not come whole or are malformed. */
bool greeting_lists(const struct greeting *, struct names lists[LIST_COUNT]);

/* How much has come of a packet that is not whole yet. */
size_t greeting_rest(const struct greeting *);

/* True when a name stands in both lists. */
bool names_share(struct names, struct names);
bool names_have(struct names, const char *name);

#endif
